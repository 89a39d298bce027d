//! What is asked and changes nothing: settings, a scan, a patient, the set as of a time, lists.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::super::acts::{Bedside, Worklist};
use super::super::house::{Machine, machine_of};
use super::super::identity::{May, Person, Role};
use super::super::set::{self, Row, Wanted};
use super::super::shaken::PhoneAddress;
use super::answers::{Answered, Refusal, body, ok};
use super::{Audit, Server};
use crate::association::scan::{self, Meaning, Scanner, Shown as Proof};
use crate::association::{Channel, Standing, Utc};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{PatientId, Purpose};

/// Where a request came from, where that is known.
pub type Peer = Option<axum::Extension<ConnectInfo<PhoneAddress>>>;

/// The address of a peer.
pub fn address(peer: &Peer) -> Option<SocketAddr> {
    peer.as_ref().map(|extension| extension.0.0.0)
}

/// A scan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scanned {
    text: String,
    method: Method,
    #[serde(default)]
    symbology: Option<String>,
    /// Which round it belongs to.
    #[serde(default)]
    #[expect(dead_code, reason = "the page says it; a second wristband is for the page to refuse")]
    flow: Option<String>,
    /// What this pair of scanner and phone has shown with the test labels.
    #[serde(default)]
    scanner: Labels,
}

/// What the test labels showed.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    layout: Label,
    separators: Label,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Label {
    Proven,
    #[default]
    Unproven,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Wedge,
    Camera,
    Typed,
}

/// What a scanned text is.
pub async fn scan(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::See).await?;
    let asked: Scanned = body(&bytes)?;
    let bedside = &server.bedside;
    let hash = bedside.refs.hash(asked.text.as_bytes());
    let read = read(bedside, &asked);
    let outcome = match &read {
        Ok((_, patient)) => Ok(patient.clone()),
        Err(refusal) => Err(refusal.code.clone()),
    };
    server.door.audit(Audit {
        act: "scan",
        person: Some(&person),
        patient: outcome.as_ref().ok().and_then(Option::as_ref),
        outcome: outcome.as_ref().err().map_or("done", String::as_str),
        scanned: Some(hash),
        reason: None,
    });
    read.map(|(answer, _)| ok(answer))
}

fn read(bedside: &Bedside, asked: &Scanned) -> Result<(Json, Option<PatientId>), Refusal> {
    let proof = |label: Label| {
        // A camera types nothing, and a person sees what they type.
        let is_proven = asked.method != Method::Wedge || label == Label::Proven;
        if is_proven { Proof::Proven } else { Proof::Unproven }
    };
    let Labels { layout, separators } = asked.scanner;
    let scanner = Scanner { layout: proof(layout), separators: proof(separators) };
    let text = format!("{}{}", asked.symbology.as_deref().unwrap_or_default(), asked.text);
    let house = &bedside.house;
    let meaning = scan::read(&text, scanner, house.grammar(), house.purpose())
        .map_err(|why| Refusal::new(422, unreadable(why), why.to_string()))?;
    let now = Utc::from_us(house.now().utc_us());
    match &meaning {
        Meaning::Wristband(patient) => Ok((
            json!({ "kind": "patient", "patient": patient_shown(bedside, patient) }),
            Some(patient.clone()),
        )),
        Meaning::Device(_) => {
            let machine = machine_of(house.machines(), &meaning).ok_or_else(|| {
                Refusal::new(422, "unknown-device", "no device of this box has that label")
            })?;
            let ledger = house.ledger();
            let mut on = ledger.standing(now);
            on.retain(|one| one.device == machine.id);
            Ok((json!({ "kind": "device", "device": device_shown(bedside, machine, &on) }), None))
        }
        Meaning::Port(_) => Err(Refusal::new(422, "port-code", "this is a connection of the box")),
        Meaning::Specimen(_) => {
            Err(Refusal::new(422, "specimen-label", "this is a specimen label, not a wristband"))
        }
        Meaning::Staff(_) => Err(Refusal::new(422, "staff-badge", "this is a staff badge")),
        Meaning::Place(_) => Err(Refusal::new(422, "place-code", "this is a bed or room")),
    }
}

fn unreadable(why: scan::Unreadable) -> &'static str {
    use scan::Unreadable as U;
    match why {
        U::TypeOnly => "device-type-only",
        U::LayoutUnproven => "layout-unproven",
        U::SeparatorUnproven => "separators-unproven",
        U::BracketText | U::ControlCharacters => "changed-by-keyboard",
        U::Ambiguous => "ambiguous-code",
        U::TooLong => "too-long",
        U::Empty => "nothing-read",
        U::Hibc | U::Iccbba | U::Envelope | U::Address | U::UnknownIdentifier | U::Unknown => {
            "unknown-code"
        }
        U::Value | U::CheckDigit => "damaged-code",
        U::PersonalCode(error) => personal(error),
        U::Patient(error) => identifier(error),
    }
}

fn personal(error: crate::vocabulary::PersonalCodeError) -> &'static str {
    use crate::vocabulary::PersonalCodeError as E;
    if error == E::PlusFromScan { "changed-by-keyboard" } else { "damaged-code" }
}

fn identifier(error: crate::vocabulary::PatientIdError) -> &'static str {
    use crate::vocabulary::PatientIdError as E;
    match error {
        E::TemporaryAsNational => "temporary-code-refused",
        E::RealInTest => "real-code-in-test",
        E::Root | E::Value | E::Code(_) => "damaged-code",
    }
}

fn patient_shown(bedside: &Bedside, patient: &PatientId) -> Json {
    let shown = bedside.house.shown(patient);
    let now = Utc::from_us(bedside.house.now().utc_us());
    let place = bedside.house.ledger().place_of_patient(patient, now);
    json!({
        "ref": bedside.refs.name(patient),
        "name": shown.name,
        "birth_date": shown.birth_date.as_deref().map(dated),
        "place": place.as_ref().map(|place| place.as_str()),
        "verified": shown.verified,
        "protected": shown.protected,
        "test": bedside.house.purpose() == Purpose::Test,
    })
}

/// `YYYYMMDD` with hyphens; anything else as the administration wrote it.
pub fn dated(text: &str) -> String {
    let is_date = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    match (text.get(..4), text.get(4..6), text.get(6..)) {
        (Some(year), Some(month), Some(day)) if is_date => format!("{year}-{month}-{day}"),
        _ => text.to_owned(),
    }
}

/// A device, whom it is on as a whole, and whom each of its parts is on.
fn device_shown(bedside: &Bedside, machine: &Machine, on: &[Standing]) -> Json {
    let one_on = |one: &Standing| {
        let shown = bedside.house.shown(&one.patient);
        json!({
            "association": one.association.as_str(),
            "patient_ref": bedside.refs.name(&one.patient),
            // The name of somebody whose data are protected is not shown beside another bed.
            "patient_name": shown.name.filter(|_| !shown.protected),
            "since": utc_text(one.span.from.us()),
            "grade": one.grade.as_str(),
            "stale": one.is_stale,
        })
    };
    let channels: Vec<&str> = machine.channels.iter().map(Channel::as_str).collect();
    let parts = on.iter().filter_map(|one| Some((one.channel.as_ref()?, one)));
    let on_channels: serde_json::Map<String, Json> =
        parts.map(|(channel, one)| (channel.as_str().to_owned(), one_on(one))).collect();
    let on = on.iter().find(|one| one.channel.is_none()).map(one_on);
    let mut shown = json!({
        "id": machine.id.as_str(),
        "name": machine.line.name.as_str(),
        "class": machine.class,
        "model": machine.model,
        "place": machine.place.as_str(),
        "analyser": machine.whose == crate::association::Whose::ByResult,
        "on": on,
    });
    if let Some(shown) = shown.as_object_mut().filter(|_| !channels.is_empty()) {
        shown.insert("channels".to_owned(), json!(channels));
        shown.insert("on_channels".to_owned(), Json::Object(on_channels));
    }
    shown
}

/// What may stand behind an address.
#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub at: Option<String>,
    #[serde(default)]
    pub lang: Option<String>,
}

/// A patient, if the person has to do with them.
pub async fn seen(
    server: &Server,
    parts: &Parts,
    peer: &Peer,
    name: &str,
    asked: &Asked,
) -> Result<(Person, PatientId), Refusal> {
    let person = server.door.person(parts, address(peer), May::See).await?;
    let patient = looked_at(server, &person, name, asked)?;
    Ok((person, patient))
}

/// A patient, if this person, or the core, has to do with them; the audit says so.
fn looked_at(
    server: &Server,
    person: &Person,
    name: &str,
    asked: &Asked,
) -> Result<PatientId, Refusal> {
    let patient = server.bedside.patient(name)?;
    let reason = asked.reason.as_deref();
    let is_core = person.role == Role::CoreSystem;
    let cares = if is_core { Ok(()) } else { server.door.cares(person, &patient, reason) };
    if cares.is_err() || server.door.is_first_look(person, &patient) {
        server.door.audit(Audit {
            act: "see",
            person: Some(person),
            patient: Some(&patient),
            outcome: cares.as_ref().err().map_or("done", |refusal| refusal.code.as_str()),
            scanned: None,
            reason,
        });
    }
    cares?;
    Ok(patient)
}

/// A patient and their devices.
pub async fn patient(
    State(server): State<Server>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    peer: Peer,
    parts: Parts,
) -> Answered {
    let (person, patient) = seen(&server, &parts, &peer, &name, &asked).await?;
    let bedside = &server.bedside;
    let now = Utc::from_us(bedside.house.now().utc_us());
    let standing = bedside.house.ledger().standing(now).into_iter();
    let own = standing.filter(|one| one.patient == patient);
    let devices: Vec<Json> = own
        .map(|one| {
            let machine = bedside.house.machines().iter().find(|machine| machine.id == one.device);
            json!({
                "id": one.device.as_str(),
                "name": machine.map(|machine| machine.line.name.as_str()),
                "class": machine.map(|machine| machine.class.as_str()),
                "channel": one.channel.as_ref().map(Channel::as_str),
                "association": one.association.as_str(),
                "since": utc_text(one.span.from.us()),
                "grade": one.grade.as_str(),
                "stale": one.is_stale,
            })
        })
        .collect();
    let mut answer = patient_shown(bedside, &patient);
    if let Some(answer) = answer.as_object_mut() {
        // What is not read back yet is not said to be nothing.
        answer.insert("confirmations".to_owned(), json!(bedside.waiting(&person, &patient).ok()));
        answer.insert("devices".to_owned(), Json::Array(devices));
        answer.insert("now".to_owned(), json!(utc_text(now.us())));
    }
    Ok(ok(answer))
}

/// The set of a patient as of a time.
pub async fn patient_values(
    State(server): State<Server>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    peer: Peer,
    parts: Parts,
) -> Answered {
    let person = server.door.reader(&parts, address(&peer)).await?;
    let patient = looked_at(&server, &person, &name, &asked)?;
    let now_us = server.bedside.house.now().utc_us();
    let wanted = Wanted {
        patient: Some(&patient),
        machine: None,
        at_us: time(asked.at.as_deref())?,
        now_us,
    };
    let answer = values(&server.bedside, &wanted)?;
    Ok(ok(answer))
}

/// The set of a device as of a time, whosever it is: figures without a patient.
pub async fn device_values(
    State(server): State<Server>,
    Path(device): Path<String>,
    Query(asked): Query<Asked>,
    peer: Peer,
    parts: Parts,
) -> Answered {
    server.door.reader(&parts, address(&peer)).await?;
    let machine = server.bedside.machine(&device)?.clone();
    let now_us = server.bedside.house.now().utc_us();
    let wanted = Wanted {
        patient: None,
        machine: Some(&machine),
        at_us: time(asked.at.as_deref())?,
        now_us,
    };
    let answer = values(&server.bedside, &wanted)?;
    Ok(ok(answer))
}

/// A time as it stands in a request; none for now.
pub fn time(at: Option<&str>) -> Result<Option<i64>, Refusal> {
    let Some(at) = at.filter(|at| !at.is_empty()) else { return Ok(None) };
    let at: jiff::Timestamp = at
        .parse()
        .map_err(|_| Refusal::new(422, "time", "expected a time such as 2026-11-29T10:00:00Z"))?;
    Ok(Some(at.as_microsecond()))
}

/// The set, with its words.
pub fn values(bedside: &Bedside, wanted: &Wanted<'_>) -> Result<Json, Refusal> {
    let rows = bedside.rows(wanted)?;
    let waits = |row: &&Row| row.charted.is_none() && row.value.is_some() && row.signed_here;
    let waiting = rows.iter().filter(waits).count();
    let entries = wanted.patient.map(|patient| {
        let owner = bedside.owner_of_entries(patient).as_str();
        json!({ "owner": owner, "signed_here": bedside.signs_entries(patient) })
    });
    Ok(json!({
        "at": utc_text(wanted.at_us.unwrap_or(wanted.now_us)),
        "now": utc_text(wanted.now_us),
        "patient_ref": wanted.patient.map(|patient| bedside.refs.name(patient)),
        "version": set::version(&rows),
        "rows": rows.iter().map(worded).collect::<Vec<Json>>(),
        "entries": entries,
        "waiting": waiting,
    }))
}

fn worded(row: &Row) -> Json {
    let mut shown = json!(row);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("words".to_owned(), super::super::words::parameter(&row.parameter));
    }
    shown
}

/// A worklist.
pub async fn worklist(
    State(server): State<Server>,
    Path(list): Path<String>,
    peer: Peer,
    parts: Parts,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Worklists).await?;
    if list == "unverified" {
        let rows = server.bedside.unverified(|person| server.door.vouched_us(person))?;
        return Ok(ok(json!({ "rows": rows })));
    }
    let Some(list) = Worklist::parse(&list) else {
        return Err(super::answers::no_such().await);
    };
    let rows = server.bedside.worklist(list)?.into_iter();
    let rows: Vec<Json> = rows.map(|row| server.bedside.placed(row, &person)).collect();
    Ok(ok(json!({ "rows": rows })))
}

/// The person's own acts of the last two days, how far each is, and whether somebody vouches for
/// who did it.
pub async fn acts(State(server): State<Server>, peer: Peer, parts: Parts) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::See).await?;
    let mut acts = server.bedside.acts_of(&person)?;
    let open = server.bedside.unverified(|person| server.door.vouched_us(person))?;
    for act in acts.iter_mut().filter_map(Json::as_object_mut) {
        let is_open = open.iter().any(|row| row.get("client_id") == act.get("client_id"));
        act.insert("verified".to_owned(), json!(!is_open));
    }
    Ok(ok(json!({ "acts": acts })))
}
