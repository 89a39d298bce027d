//! A statement about one measurement, or about a blood pressure set, as a FHIR Observation.
//!
//! One Observation for each observation id, apart from a cuff's systolic, diastolic and mean: the
//! profile for blood pressure wants them as components of one panel, and the panel then carries
//! all of their ids (decision 013). What goes together is decided by codes alone, never by values
//! or statuses, so every statement about a set makes the same panel.

use super::super::stored::EventKind;
use super::node::Node;
use super::statement::{Coding, Metric, Statement};
use super::terms;

/// What one Observation is made of.
pub enum Part<'a> {
    One(&'a Metric),
    Pressure { systolic: &'a Metric, diastolic: &'a Metric, mean: Option<&'a Metric> },
}

impl<'a> Part<'a> {
    /// The metrics in the order of identifiers and components; the first one's id is the key.
    pub fn metrics(&self) -> Vec<&'a Metric> {
        match self {
            Part::One(metric) => vec![metric],
            Part::Pressure { systolic, diastolic, mean } => {
                [Some(*systolic), Some(*diastolic), *mean].into_iter().flatten().collect()
            }
        }
    }

    /// The metric whose observation id the server is asked for.
    pub fn key(&self) -> &'a Metric {
        match self {
            Part::One(metric) | Part::Pressure { systolic: metric, .. } => metric,
        }
    }
}

/// Puts the metrics of a record into Observations.
pub fn parts(metrics: &[Metric]) -> Vec<Part<'_>> {
    let only = |loinc: &str| {
        let mut with = metrics.iter().filter(|one| one.loinc == loinc && one.is_observation());
        with.next().filter(|_| with.next().is_none())
    };
    let stem = |metric: &Metric, end: &str| metric.mdc.strip_suffix(end).map(str::to_owned);
    let set = match (only("8480-6"), only("8462-4")) {
        (Some(systolic), Some(diastolic))
            if stem(systolic, "_SYS").is_some()
                && stem(systolic, "_SYS") == stem(diastolic, "_DIA") =>
        {
            let of_set = |mean: &&Metric| stem(mean, "_MEAN") == stem(systolic, "_SYS");
            Some(Part::Pressure { systolic, diastolic, mean: only("8478-0").filter(of_set) })
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    let in_set: Vec<&str> = set
        .iter()
        .flat_map(|set| set.metrics())
        .map(|metric| metric.observation_id.as_str())
        .collect();
    let single =
        |one: &&Metric| one.is_observation() && !in_set.contains(&one.observation_id.as_str());
    set.into_iter().chain(metrics.iter().filter(single).map(Part::One)).collect()
}

/// What an Observation says beside its metrics.
pub struct Frame<'a> {
    pub kind: EventKind,
    pub statement: &'a Statement,
    /// The system of the observation ids.
    pub system: &'a str,
    /// The record that states this.
    pub stated_by: &'a str,
    /// `subject`, if the record has a patient.
    pub subject: Option<Node>,
    /// What `device` refers to.
    pub device: String,
}

impl Frame<'_> {
    /// The whole resource.
    pub fn observation(&self, part: &Part<'_>) -> Node {
        let metrics = part.metrics();
        let statement = self.statement;
        let key = part.key();
        let vital = is_vital(part);
        let laboratory = statement.specimen.as_ref().map(|_| category("laboratory"));
        let filed = vital.then(|| category("vital-signs")).or(laboratory);
        let resource = Node::object([
            ("resourceType", Some(Node::text("Observation"))),
            ("meta", self.meta(part, vital)),
            ("contained", self.contained()),
            ("extension", self.extensions(part)),
            ("identifier", Node::list(metrics.iter().map(|one| self.identifier(one)).collect())),
            ("status", Some(Node::text(status(self.kind, &metrics)))),
            ("category", Node::list(filed.into_iter().collect())),
            ("code", Some(code_of(part))),
            ("subject", self.subject.clone()),
            ("effectiveDateTime", Some(Node::text(&statement.times.chart.utc))),
            ("issued", statement.times.received.as_ref().map(|one| Node::text(&one.utc))),
        ]);
        let resource = match part {
            Part::One(metric) => {
                let (key, value) = value(metric);
                resource.with(key, Some(value)).with("interpretation", interpretation(metric))
            }
            Part::Pressure { .. } => resource,
        };
        let components = || metrics.iter().map(|one| self.component(one)).collect();
        let panel = matches!(part, Part::Pressure { .. });
        resource
            .with("note", self.notes(&metrics))
            .with("bodySite", key.body_site.as_ref().map(concept))
            .with("method", key.method.first().map(|_| concepts(&key.method)))
            .with("specimen", statement.specimen.as_ref().map(|_| reference("#specimen")))
            .with("device", Some(reference(&self.device)))
            .with("referenceRange", self.reference_range(part))
            .with("component", panel.then(components).and_then(Node::list))
    }

    fn identifier(&self, metric: &Metric) -> Node {
        Node::object([
            ("system", Some(Node::text(self.system))),
            ("value", Some(Node::text(&metric.observation_id))),
        ])
    }

    fn component(&self, metric: &Metric) -> Node {
        let (key, value) = value(metric);
        let id = extension(terms::OBSERVATION_ID, "valueIdentifier", self.identifier(metric));
        Node::object([
            ("extension", Node::list(vec![id])),
            ("code", Some(code(metric))),
            (key, Some(value)),
            ("interpretation", interpretation(metric)),
        ])
    }

    /// A profile is claimed where all of it holds. The vital signs profiles ask for a subject.
    fn meta(&self, part: &Part<'_>, vital: bool) -> Option<Node> {
        let mut profiles = Vec::new();
        if vital && self.subject.is_some() {
            profiles.push(Node::text(match part {
                Part::One(_) => terms::VITAL_SIGNS,
                Part::Pressure { .. } => terms::BLOOD_PRESSURE,
            }));
        }
        let coded = |metric: &&Metric| metric.mdc_code.is_some() && metric.ucum.is_some();
        let numeric =
            |metric: &&Metric| coded(metric) && matches!(value(metric).0, "valueQuantity");
        let metrics = part.metrics();
        if metrics.iter().all(numeric) && self.subject.is_some() {
            let name = match part {
                Part::One(_) => "NumericObservation",
                Part::Pressure { .. } => "CompoundNumericObservation",
            };
            profiles.push(Node::text(format!("{}{name}", terms::POCD)));
        }
        let label = Node::object([
            ("system", Some(Node::text(terms::SECURITY_LABEL))),
            ("code", Some(Node::text(terms::PROTECTED))),
        ]);
        let labels = self.statement.patient_protected.then_some(label);
        let security = Node::list(labels.into_iter().collect());
        let profiles = Node::list(profiles);
        let says = profiles.is_some() || security.is_some();
        says.then(|| Node::object([("profile", profiles), ("security", security)]))
    }

    fn contained(&self) -> Option<Node> {
        let specimen = self.statement.specimen.as_ref()?;
        // A specimen number is unique only within its laboratory and days: it makes no resource
        // that another result could be tied to.
        let number = Node::object([("value", Some(Node::text(&specimen.id)))]);
        let kind = terms::is_string(&specimen.kind).then(|| words(&specimen.kind));
        Node::list(vec![Node::object([
            ("resourceType", Some(Node::text("Specimen"))),
            ("id", Some(Node::text("specimen"))),
            ("accessionIdentifier", Some(number)),
            ("type", kind),
        ])])
    }

    fn extensions(&self, part: &Part<'_>) -> Option<Node> {
        let text = |url, text: &str| extension(url, "valueString", Node::text(text));
        let statement = self.statement;
        let mut extensions = vec![
            text(terms::STATED_BY, self.stated_by),
            text(terms::CHART_TIME, &statement.times.chart.rule),
        ];
        extensions.extend(statement.names.iter().map(|names| text(terms::NAMES, names)));
        if let Some(grade) = statement.association.as_ref().and_then(|one| one.grade.as_ref()) {
            extensions.push(text(terms::ASSOCIATION, grade));
        }
        if let Some(stamp) = &statement.profile {
            let name = format!("{} {} {}", stamp.id, stamp.revision, stamp.digest);
            extensions.push(text(terms::PROFILE, &name));
        }
        // Beside a monitor's value stand alarm limits, never a reference range.
        if statement.specimen.is_none() {
            let limits = part.metrics().into_iter().map(|one| one.limits.as_str());
            let limits = limits.filter(|limits| terms::is_string(limits));
            extensions.extend(limits.map(|limits| text(terms::LIMITS, limits)));
        }
        Node::list(extensions)
    }

    fn reference_range(&self, part: &Part<'_>) -> Option<Node> {
        let limits = &part.key().limits;
        let range = self.statement.specimen.is_some() && terms::is_string(limits);
        let range = range.then(|| Node::object([("text", Some(Node::text(limits)))]))?;
        Node::list(vec![range])
    }

    fn notes(&self, metrics: &[&Metric]) -> Option<Node> {
        let statement = self.statement;
        let mut texts: Vec<String> = Vec::new();
        for metric in metrics {
            let name = metric.parameter.as_deref().unwrap_or("unmapped");
            texts.extend(metric.doubts.iter().map(|doubt| format!("doubt, {name}: {doubt}")));
        }
        let of = |word: &&Metric| word.status == "not-stated" && word.value.is_some();
        if metrics.iter().any(of) {
            texts.push("the device does not say whether the value is final".to_owned());
        }
        if let Some(names) = &statement.names {
            texts.push(format!("may be the same measurement as record {names}"));
        }
        if statement.incomplete {
            texts.push("the device stopped in the middle of its message".to_owned());
        }
        texts.extend(statement.purpose.clone());
        let remarks = statement.remarks.iter().filter(|remark| terms::is_string(remark));
        texts.extend(remarks.map(|remark| format!("remark of the device: {remark}")));
        let note = |text: String| Node::object([("text", Some(Node::text(text)))]);
        Node::list(texts.into_iter().map(note).collect())
    }
}

/// The weakest word of the parts, except that a correction of one is a correction of the set.
fn status(kind: EventKind, metrics: &[&Metric]) -> &'static str {
    let words: Vec<_> = metrics.iter().map(|one| terms::status(kind, &one.status)).collect();
    let order = ["entered-in-error", "unknown", "preliminary", "corrected", "amended", "final"];
    order.into_iter().find(|word| words.contains(word)).unwrap_or("unknown")
}

/// A unit that the profile does not know makes it no vital sign by that profile. A single part of
/// a blood pressure is none either: the profile wants the panel.
fn is_vital(part: &Part<'_>) -> bool {
    let good = |metric: &&Metric| {
        let Some(vital) = terms::vital(&metric.loinc) else { return false };
        let absent = metric.value.is_none();
        let unit = metric.ucum.as_deref();
        let unit_is_good = unit.is_some_and(|unit| vital.units.contains(&unit));
        let fits = match part {
            Part::One(_) => !vital.part,
            Part::Pressure { .. } => vital.part,
        };
        fits && metric.nature == "measurement"
            && (absent || (unit_is_good && matches!(value(metric).0, "valueQuantity")))
    };
    part.metrics().iter().all(good)
}

fn code_of(part: &Part<'_>) -> Node {
    match part {
        Part::One(metric) => code(metric),
        Part::Pressure { systolic, .. } => {
            let mut codings = vec![coding(
                Some(terms::LOINC),
                "85354-9",
                "Blood pressure panel with all children optional",
            )];
            if systolic.mdc == "MDC_PRESS_BLD_NONINV_SYS" {
                codings.push(coding(Some(terms::MDC), "150020", "MDC_PRESS_BLD_NONINV"));
            }
            Node::object([("coding", Node::list(codings))])
        }
    }
}

/// LOINC and MDC where they are known, else what the device calls it.
fn code(metric: &Metric) -> Node {
    let mut codings = Vec::new();
    if !metric.loinc.is_empty() {
        codings.push(coding(Some(terms::LOINC), &metric.loinc, ""));
        let also = terms::vital(&metric.loinc).map_or(&[][..], |vital| vital.also);
        codings.extend(also.iter().map(|(code, words)| coding(Some(terms::LOINC), code, words)));
    }
    if let Some(code) = metric.mdc_code {
        codings.push(coding(Some(terms::MDC), &code.to_string(), &metric.mdc));
    }
    if let Some(parameter) = &metric.parameter {
        codings.push(coding(Some(terms::PARAMETER), parameter, ""));
    } else {
        codings.extend(metric.codings.iter().filter_map(device_coding));
    }
    let words = metric.codings.first().map(|one| one.words.as_str()).unwrap_or_default();
    let words = [words, metric.parameter.as_deref().unwrap_or_default(), "unmapped"]
        .into_iter()
        .find(|words| terms::is_string(words));
    Node::object([("coding", Node::list(codings)), ("text", words.map(Node::text))])
}

/// What the value is called in FHIR, and the value.
fn value(metric: &Metric) -> (&'static str, Node) {
    if let Some(reason) = &metric.absent {
        let mark = metric.absent_mark.as_deref().filter(|mark| terms::is_string(mark));
        let reason = absent(terms::absent(reason), reason).with("text", mark.map(Node::text));
        return ("dataAbsentReason", reason);
    }
    let sent = metric.value.as_deref().unwrap_or_default();
    let digits = metric.digits.as_deref().unwrap_or_else(|| sent.trim());
    let is_number = metric.form.is_none() && metric.coded.is_none();
    if is_number && let Some(decimal) = terms::decimal(digits) {
        return ("valueQuantity", quantity(metric, decimal, sent));
    }
    if let Some(coded) = &metric.coded
        && let Some(coding) = device_coding(coded)
    {
        let text = terms::is_string(sent).then(|| Node::text(sent));
        let concept = Node::object([("coding", Node::list(vec![coding])), ("text", text)]);
        return ("valueCodeableConcept", concept);
    }
    if terms::is_string(sent) {
        return ("valueString", Node::text(sent));
    }
    // FHIR has no text for control characters; the box has the bytes.
    ("dataAbsentReason", absent("unsupported", "text-that-fhir-cannot-carry"))
}

fn absent(code: &str, word: &str) -> Node {
    let codings =
        vec![coding(Some(terms::ABSENT), code, ""), coding(Some(terms::ABSENT_WORD), word, "")];
    Node::object([("coding", Node::list(codings))])
}

/// The text as sent always stands beside the number: some servers keep numbers as floats, and a
/// leading zero has no place in JSON.
fn quantity(metric: &Metric, decimal: String, sent: &str) -> Node {
    let unit = metric.unit.iter().map(|one| [&one.words, &one.code]).next();
    let unit = unit.and_then(|names| names.into_iter().find(|name| terms::is_string(name)));
    let ucum = metric.ucum.as_deref();
    let sent = extension(terms::VALUE_AS_SENT, "valueString", Node::text(sent));
    Node::object([
        ("extension", Node::list(vec![sent])),
        ("value", Some(Node::Number(decimal))),
        ("comparator", metric.comparator.as_deref().map(Node::text)),
        ("unit", unit.map(String::as_str).or(ucum).map(Node::text)),
        ("system", ucum.map(|_| Node::text(terms::UCUM))),
        ("code", ucum.map(Node::text)),
    ])
}

fn interpretation(metric: &Metric) -> Option<Node> {
    let flag = |flag: &String| {
        let known =
            terms::interpretation(flag).map(|(system, code)| coding(Some(system), code, ""));
        let own = terms::is_string(flag).then(|| coding(Some(terms::FLAG), flag.trim(), ""));
        Some(Node::object([("coding", Node::list(known.into_iter().chain(own).collect()))]))
            .filter(|_| terms::is_string(flag))
    };
    let doubt = |doubt: &String| {
        Node::object([("coding", Node::list(vec![coding(Some(terms::DOUBT), doubt, "")]))])
    };
    let flags = metric.flags.iter().filter_map(flag);
    Node::list(flags.chain(metric.doubts.iter().map(doubt)).collect())
}

fn category(code: &str) -> Node {
    Node::object([("coding", Node::list(vec![coding(Some(terms::CATEGORY), code, "")]))])
}

/// A coding of ours.
pub fn coding(system: Option<&str>, code: &str, words: &str) -> Node {
    Node::object([
        ("system", system.map(Node::text)),
        ("code", Some(Node::text(code))),
        ("display", terms::is_string(words).then(|| Node::text(words))),
    ])
}

/// A coding of the device; `None` for one that FHIR's `code` cannot carry.
pub fn device_coding(one: &Coding) -> Option<Node> {
    let plain = |text: &str| {
        terms::is_string(text)
            && text.trim() == text
            && !text.contains("  ")
            && !text.contains(['\t', '\n', '\r'])
    };
    let system = terms::system(&one.system);
    plain(&one.code).then(|| coding(system, &one.code, &one.words))
}

fn concept(one: &Coding) -> Node {
    concepts(std::slice::from_ref(one))
}

fn concepts(codings: &[Coding]) -> Node {
    let texts = codings.iter().flat_map(|one| [&one.words, &one.code]);
    let text = texts.into_iter().find(|text| terms::is_string(text)).map(Node::text);
    let list = Node::list(codings.iter().filter_map(device_coding).collect());
    Node::object([("coding", list), ("text", text.or_else(|| Some(Node::text("unnamed"))))])
}

/// A concept of words only.
pub fn words(text: &str) -> Node {
    Node::object([("text", Some(Node::text(text)))])
}

/// A reference by its target.
pub fn reference(target: &str) -> Node {
    Node::object([("reference", Some(Node::text(target)))])
}

/// An extension with one value.
pub fn extension(url: &str, key: &'static str, value: Node) -> Node {
    Node::object([("url", Some(Node::text(url))), (key, Some(value))])
}
