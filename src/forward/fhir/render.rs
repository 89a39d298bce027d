//! A record as FHIR resources. Pure: the same record always gives the same bytes.
//!
//! | record | becomes |
//! |---|---|
//! | `observation`, `pump-event`, `alarm` if it is asked for | Observations, created unless there |
//! | `confirmation`, `correction` | the same Observations with a new status, by condition |
//! | `void` | the same Observations as `entered-in-error`, by condition |
//! | `device-state` | the Device, by condition |
//! | `gap` | an Observation without a value; its end is a later statement about it |
//! | the others | nothing |

use sha2::{Digest as _, Sha256};

use super::super::pump::Routed;
use super::super::stored::EventKind;
use super::node::Node;
use super::observation::{Frame, Part, coding, extension, parts, reference, words};
use super::statement::{Metric, Patient, Statement};
use super::{gap, terms};
use crate::vocabulary::RecordId;

/// What the renderer must know of the destination.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The system of observation ids, devices and device metrics: the gateway's own URN, because
    /// observation ids are unique within a gateway.
    pub system: String,
    /// The system of patient ids that a record gives without one.
    pub patient_system: Option<String>,
    /// It files into patients' records: a record without a patient is not for it.
    pub patients_only: bool,
    /// Device alarms go there, too.
    pub alarms: bool,
    pub provenance: bool,
}

/// A resource that must be there, whoever made it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    pub kind: &'static str,
    /// `urn:uuid:`, the same for the same thing.
    pub full_url: String,
    /// The identifier's value.
    pub identifier: String,
    pub body: String,
}

/// What a record says about one resource that carries its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub kind: &'static str,
    pub full_url: String,
    /// The identifier's value that the server is asked for.
    pub key: String,
    /// All of them.
    pub identifiers: Vec<String>,
    /// The identifier of the subject, as `system|value`.
    pub subject: Option<String>,
    pub body: String,
    /// Only the status of what is there changes.
    pub withdraws: bool,
}

/// A record as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub device: String,
    pub record: RecordId,
    /// It states something for the first time: nobody can have stated it before.
    pub first: bool,
    pub about: Vec<About>,
    pub support: Vec<Support>,
    /// Its id and its body, without the targets that only the sending knows.
    pub provenance: Option<(String, Node)>,
}

/// What becomes of a record here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendering {
    Resources(Box<Outgoing>),
    SetAside(&'static str),
    Nothing,
    Damaged,
}

/// Renders a record.
pub fn render(routed: &Routed, rules: &Rules) -> Rendering {
    match routed.stored.kind {
        EventKind::Observation
        | EventKind::PumpEvent
        | EventKind::Confirmation
        | EventKind::Entry
        | EventKind::Correction
        | EventKind::Void => values(routed, rules),
        EventKind::Alarm if rules.alarms => values(routed, rules),
        EventKind::Gap => match gap::outgoing(routed, rules) {
            Some(outgoing) => Rendering::Resources(Box::new(outgoing)),
            None => Rendering::Damaged,
        },
        EventKind::DeviceState => Rendering::Resources(Box::new(device_state(routed, rules))),
        EventKind::Alarm | EventKind::Association | EventKind::Waveform | EventKind::Manifest => {
            Rendering::Nothing
        }
    }
}

fn values(routed: &Routed, rules: &Rules) -> Rendering {
    let Some(statement) = Statement::read(&routed.stored.data) else { return Rendering::Damaged };
    let patient = statement.patient.as_ref().and_then(|patient| subject(patient, rules));
    if rules.patients_only && patient.is_none() {
        return Rendering::SetAside("no-patient");
    }
    let record = routed.id();
    let first = matches!(
        routed.stored.kind,
        EventKind::Observation | EventKind::PumpEvent | EventKind::Alarm | EventKind::Entry
    );
    let mut support = vec![gateway(routed, rules), device(routed, rules, &statement)];
    let mut about = Vec::new();
    for part in parts(&statement.metrics) {
        let metric = device_metric(routed, rules, &part);
        let frame = Frame {
            kind: routed.stored.kind,
            statement: &statement,
            system: &rules.system,
            stated_by: record.as_str(),
            subject: patient.as_ref().map(|(_, node)| node.clone()),
            device: metric.full_url.clone(),
        };
        about.push(About {
            kind: "Observation",
            full_url: full_url(&rules.system, "Observation", &part.key().observation_id),
            key: part.key().observation_id.clone(),
            identifiers: part.metrics().iter().map(|one| one.observation_id.clone()).collect(),
            subject: patient.as_ref().map(|(id, _)| id.clone()),
            body: frame.observation(&part).to_json(),
            withdraws: routed.stored.kind == EventKind::Void,
        });
        if !support.contains(&metric) {
            support.push(metric);
        }
    }
    if about.is_empty() {
        return Rendering::Nothing;
    }
    let provenance = rules.provenance.then(|| provenance(routed, rules, &statement));
    Rendering::Resources(Box::new(Outgoing {
        device: routed.stored.subject.clone(),
        record,
        first,
        about,
        support,
        provenance,
    }))
}

/// The patient by identifier, never by a reference: the box does not know the server's patients.
fn subject(patient: &Patient, rules: &Rules) -> Option<(String, Node)> {
    let id = patient.ids.first().filter(|one| terms::is_string(&one.id))?;
    let system = match id.authority.as_str() {
        "" => rules.patient_system.clone()?,
        oid if oid.starts_with(|c: char| c.is_ascii_digit()) => format!("urn:oid:{oid}"),
        uri => uri.to_owned(),
    };
    let node = Node::object([
        ("type", Some(Node::text("Patient"))),
        ("identifier", Some(identifier(&system, &id.id))),
    ]);
    Some((format!("{system}|{}", id.id), node))
}

/// The gateway itself.
pub(super) fn gateway(routed: &Routed, rules: &Rules) -> Support {
    let name = Node::object([
        ("name", Some(Node::text("Wardgate"))),
        ("type", Some(Node::text("model-name"))),
    ]);
    let body = Node::object([
        ("resourceType", Some(Node::text("Device"))),
        ("identifier", Node::list(vec![identifier(&rules.system, "gateway")])),
        ("deviceName", Node::list(vec![name])),
    ]);
    let _ = routed;
    supported(rules, "Device", "gateway".to_owned(), body)
}

fn device(routed: &Routed, rules: &Rules, statement: &Statement) -> Support {
    let profile = statement.profile.as_ref().map(|stamp| stamp.id.as_str());
    plain_device(routed, rules, profile)
}

/// The device as the site calls it.
pub(super) fn plain_device(routed: &Routed, rules: &Rules, profile: Option<&str>) -> Support {
    let id = device_id(&routed.stored.subject);
    let body = device_body(&routed.stored.subject, &id, rules)
        .with("type", profile.map(words))
        .with("parent", Some(reference(&full_url(&rules.system, "Device", "gateway"))));
    supported(rules, "Device", id, body)
}

fn device_id(name: &str) -> String {
    format!("device.{name}")
}

fn device_body(name: &str, id: &str, rules: &Rules) -> Node {
    let called = Node::object([
        ("name", Some(Node::text(name))),
        ("type", Some(Node::text("user-friendly-name"))),
    ]);
    Node::object([
        ("resourceType", Some(Node::text("Device"))),
        ("identifier", Node::list(vec![identifier(&rules.system, id)])),
        ("deviceName", Node::list(vec![called])),
    ])
}

fn device_metric(routed: &Routed, rules: &Rules, part: &Part<'_>) -> Support {
    let metric = part.key();
    let panel = matches!(part, Part::Pressure { .. });
    let what = metric_name(metric, panel);
    let id = format!("metric.{}.{}", routed.stored.subject, digest(&what));
    let (code, name) = match (panel, metric.mdc_code) {
        (true, Some(150_021)) => (Some(150_020), "MDC_PRESS_BLD_NONINV"),
        (true, _) => (None, ""),
        (false, code) => (code, metric.mdc.as_str()),
    };
    let coded = code.map(|code| coding(Some(terms::MDC), &code.to_string(), name));
    let kind = Node::object([
        ("coding", Node::list(coded.into_iter().collect())),
        ("text", Some(Node::text(&what))),
    ]);
    let device = full_url(&rules.system, "Device", &device_id(&routed.stored.subject));
    let category = match metric.nature.as_str() {
        "setting" => "setting",
        "measurement" => "measurement",
        _ => "unspecified",
    };
    let profile = format!("{}NumericDeviceMetric", terms::POCD);
    let numeric = code.is_some() && metric.ucum.is_some() && !panel;
    let meta = Node::object([("profile", Node::list(vec![Node::text(profile)]))]);
    let body = Node::object([
        ("resourceType", Some(Node::text("DeviceMetric"))),
        ("meta", numeric.then_some(meta)),
        ("identifier", Node::list(vec![identifier(&rules.system, &id)])),
        ("type", Some(kind)),
        ("unit", unit(metric)),
        ("source", Some(reference(&device))),
        ("parent", Some(reference(&device))),
        ("category", Some(Node::text(category))),
    ]);
    supported(rules, "DeviceMetric", id, body)
}

/// What tells one metric of a device from another, as long as the device says the same.
fn metric_name(metric: &Metric, panel: bool) -> String {
    let own = metric.codings.first().map(|one| one.code.as_str()).unwrap_or_default();
    let name = metric.parameter.as_deref().unwrap_or(own);
    let name = if terms::is_string(name) { name } else { "unnamed" };
    let ucum = metric.ucum.as_deref().unwrap_or_default();
    let sub_id = if terms::is_string(&metric.sub_id) { &metric.sub_id } else { "" };
    let name = if panel { "blood-pressure" } else { name };
    format!("{name} {sub_id} {ucum}").trim().to_owned()
}

fn unit(metric: &Metric) -> Option<Node> {
    let name = metric.unit_mdc.as_deref()?;
    let sent = metric.unit.iter().find(|one| one.system == "MDC");
    let coded = sent.map(|one| coding(Some(terms::MDC), &one.code, name));
    let codings = Node::list(coded.into_iter().collect());
    Some(Node::object([("coding", codings), ("text", Some(Node::text(name)))]))
}

fn device_state(routed: &Routed, rules: &Rules) -> Outgoing {
    let text = |key: &str| {
        let text = routed.stored.data.get(key).and_then(serde_json::Value::as_str);
        text.filter(|text| terms::is_string(text))
    };
    let id = device_id(&routed.stored.subject);
    let record = routed.id();
    let version = |firmware: &str| {
        let kind = words("firmware");
        let one = Node::object([("type", Some(kind)), ("value", Some(Node::text(firmware)))]);
        Node::list(vec![one])
    };
    let said = extension(terms::STATED_BY, "valueString", Node::text(record.as_str()));
    let body = device_body(&routed.stored.subject, &id, rules)
        .with("extension", Node::list(vec![said]))
        .with("serialNumber", text("serial_number").map(Node::text))
        .with("modelNumber", text("model").map(Node::text))
        .with("version", text("firmware").and_then(version));
    Outgoing {
        device: routed.stored.subject.clone(),
        record,
        first: false,
        about: vec![About {
            kind: "Device",
            full_url: full_url(&rules.system, "Device", &id),
            key: id.clone(),
            identifiers: vec![id],
            subject: None,
            body: body.to_json(),
            withdraws: false,
        }],
        support: Vec::new(),
        provenance: None,
    }
}

/// Where the values come from: the raw bytes, by whom, and by what evidence they are a patient's.
fn provenance(routed: &Routed, rules: &Rules, statement: &Statement) -> (String, Node) {
    let record = routed.id();
    let id = digest(&format!("{} {record}", rules.system));
    let agent = Node::object([
        (
            "type",
            Some(Node::object([(
                "coding",
                Node::list(vec![coding(Some(terms::PARTICIPANT), "assembler", "Assembler")]),
            )])),
        ),
        ("who", Some(reference(&full_url(&rules.system, "Device", "gateway")))),
    ]);
    let source = statement.raw_sha256.as_ref().map(|hash| {
        let what = Node::object([("identifier", Some(identifier(terms::RAW_DIGEST, hash)))]);
        let entity = [("role", Some(Node::text("source"))), ("what", Some(what))];
        Node::object(entity)
    });
    let ledger = statement.association.as_ref().and_then(|one| one.ledger);
    let evidence = ledger.map(|ledger| {
        extension(terms::ASSOCIATION, "valueString", Node::text(format!("ledger {ledger}")))
    });
    let stated = extension(terms::STATED_BY, "valueString", Node::text(record.as_str()));
    let recorded = crate::vocabulary::moment::utc_text(routed.time_us);
    let body = Node::object([
        ("resourceType", Some(Node::text("Provenance"))),
        ("id", Some(Node::text(&id))),
        ("extension", Node::list([stated].into_iter().chain(evidence).collect())),
        ("recorded", Some(Node::text(recorded))),
        ("agent", Node::list(vec![agent])),
        ("entity", Node::list(source.into_iter().collect())),
    ]);
    (id, body)
}

fn supported(rules: &Rules, kind: &'static str, identifier: String, body: Node) -> Support {
    let full_url = full_url(&rules.system, kind, &identifier);
    Support { kind, full_url, identifier, body: body.to_json() }
}

/// An identifier.
pub(super) fn identifier(system: &str, value: &str) -> Node {
    Node::object([("system", Some(Node::text(system))), ("value", Some(Node::text(value)))])
}

/// The name of a resource within a bundle: a UUID of version 8 made of what it is.
pub(super) fn full_url(system: &str, kind: &str, value: &str) -> String {
    let hash = digest(&format!("{system} {kind} {value}"));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    let (a, b, c, d, e) = (part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")
}

/// The first 32 hexadecimal digits of a SHA-256.
pub(super) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
