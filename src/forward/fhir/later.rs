//! What a statement does to what the server holds already. Pure.
//!
//! The version of a statement is the record that makes it: within a stream the higher sequence is
//! the later one, and a new stream begins only after the old one has ended, so a record of another
//! stream than ours is older. The server's own `versionId` only guards the moment between reading
//! and writing (`ifMatch`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value as Json, json};

use super::render::About;
use super::terms;
use crate::vocabulary::RecordId;

/// A resource as the server gave it, its own text kept.
#[derive(Debug)]
pub struct Found {
    pub id: String,
    pub version: Option<String>,
    pub stated_by: Option<RecordId>,
    pub identifiers: Vec<String>,
    /// `system|value`.
    pub subject: Option<String>,
    fields: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct SearchSet {
    #[serde(default)]
    entry: Vec<SearchEntry>,
}

#[derive(Deserialize)]
struct SearchEntry {
    #[serde(default)]
    resource: Option<Box<RawValue>>,
}

/// The resources of a kind in a search's answer; `None` if it is no such answer.
pub fn found(answer: &[u8], kind: &str) -> Option<Vec<Found>> {
    let set: SearchSet = serde_json::from_slice(answer).ok()?;
    let head: Json = serde_json::from_slice(answer).ok()?;
    if head.get("resourceType")?.as_str()? != "Bundle" {
        return None;
    }
    let mut found = Vec::new();
    for resource in set.entry.into_iter().filter_map(|entry| entry.resource) {
        let value: Json = serde_json::from_str(resource.get()).ok()?;
        // A search may also give an OperationOutcome beside its matches.
        if value.get("resourceType").and_then(Json::as_str) == Some(kind) {
            found.push(Found::of(&value, resource.get())?);
        }
    }
    Some(found)
}

/// Whether this extension says which record stated the resource.
fn states(extension: &Json) -> bool {
    text_at(extension, "/url") == Some(terms::STATED_BY)
}

fn text_at<'a>(value: &'a Json, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

impl Found {
    fn of(value: &Json, text: &str) -> Option<Self> {
        let list = |key: &str| value.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
        let said = list("extension").into_iter().find(states);
        let said = said.and_then(|one| RecordId::parse(text_at(&one, "/valueString")?).ok());
        let values = list("identifier").into_iter();
        let system = text_at(value, "/subject/identifier/system");
        let subject = system.zip(text_at(value, "/subject/identifier/value"));
        Some(Self {
            id: text_at(value, "/id")?.to_owned(),
            version: text_at(value, "/meta/versionId").map(str::to_owned),
            stated_by: said,
            identifiers: values
                .filter_map(|one| Some(text_at(&one, "/value")?.to_owned()))
                .collect(),
            subject: subject.map(|(system, value)| format!("{system}|{value}")),
            fields: serde_json::from_str(text).ok()?,
        })
    }

    /// Whether it is anybody's, in whatever words. What was nobody's may become somebody's: that
    /// takes nothing from anyone.
    fn has_subject(&self) -> bool {
        self.fields.contains_key("subject")
    }

    /// The same resource, withdrawn; every other field with the server's own digits.
    fn withdrawn(&self, record: &RecordId) -> Option<String> {
        let mut fields = self.fields.clone();
        let old = fields.get("extension").map(|one| one.get()).unwrap_or("[]");
        let mut extensions: Vec<Json> = serde_json::from_str(old).ok()?;
        extensions.retain(|one| !states(one));
        extensions.push(json!({ "url": terms::STATED_BY, "valueString": record.as_str() }));
        fields.insert("extension".to_owned(), to_raw_value(&extensions).ok()?);
        fields.insert("status".to_owned(), to_raw_value("entered-in-error").ok()?);
        serde_json::to_string(&fields).ok()
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not there: create it, unless somebody does so meanwhile.
    Create,
    /// It is older: put this over it, if it still has this version.
    Update { id: String, version: Option<String>, body: String },
    /// A later statement, or this one, stands already.
    Stands,
    /// It must not be done, for this reason.
    Wrong(&'static str),
}

/// What a statement of `record` does to what was found under its key.
pub fn step(about: &About, record: &RecordId, found: &[Found]) -> Step {
    let one = match found {
        [] => return Step::Create,
        [one] => one,
        [..] => return Step::Wrong("several-under-one-identifier"),
    };
    let observation = about.kind == "Observation";
    match &one.stated_by {
        Some(stated) if !is_later(record, stated) => return Step::Stands,
        // Whoever took our extension away has taken the order of statements away.
        None if observation => return Step::Wrong("not-stated-by-a-gateway"),
        Some(_) | None => {}
    }
    let covered = one.identifiers.iter().all(|id| about.identifiers.contains(id));
    if observation && !covered {
        return Step::Wrong("states-a-part-of-a-set");
    }
    let body = if about.withdraws {
        one.withdrawn(record)
    } else if observation && one.has_subject() && one.subject != about.subject {
        return Step::Wrong("would-change-the-subject");
    } else {
        with_id(&about.body, &one.id)
    };
    match body {
        Some(body) => Step::Update { id: one.id.clone(), version: one.version.clone(), body },
        None => Step::Wrong("not-readable"),
    }
}

/// Whether everything that a first statement says stands under its key.
pub fn covers(about: &About, found: &[Found]) -> bool {
    let has = |one: &Found| about.identifiers.iter().all(|id| one.identifiers.contains(id));
    matches!(found, [one] if has(one))
}

fn is_later(ours: &RecordId, theirs: &RecordId) -> bool {
    let stream = |id: &RecordId| id.as_str().split('-').next().map(str::to_owned);
    stream(ours) != stream(theirs) || ours.sequence() > theirs.sequence()
}

fn with_id(body: &str, id: &str) -> Option<String> {
    let id = serde_json::to_string(id).ok()?;
    Some(format!("{{\"id\":{id},{}", body.strip_prefix('{')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(subject: Option<&str>) -> About {
        About {
            kind: "Observation",
            full_url: "urn:uuid:1".to_owned(),
            key: "1f1f1f1f-7.0".to_owned(),
            identifiers: vec!["1f1f1f1f-7.0".to_owned()],
            subject: subject.map(str::to_owned),
            body: r#"{"resourceType":"Observation"}"#.to_owned(),
            withdraws: false,
        }
    }

    /// What a server holds; `more` are fields before the others.
    fn held(by: &str, more: &str) -> Vec<Found> {
        let text = format!(
            r#"{{"resourceType":"Bundle","entry":[{{"resource":{{{more}"resourceType":"Observation",
            "id":"o-1","meta":{{"versionId":"4"}},"status":"final",
            "identifier":[{{"system":"urn:uuid:a","value":"1f1f1f1f-7.0"}}],
            "extension":[{{"url":"urn:wardgate:fhir:stated-by","valueString":"{by}"}}],
            "valueQuantity":{{"value":7.40}}}}}}]}}"#
        );
        found(text.as_bytes(), "Observation").unwrap()
    }

    fn record(id: &str) -> RecordId {
        RecordId::parse(id).unwrap()
    }

    #[test]
    fn a_lower_version_never_goes_over_a_higher_one() {
        let about = about(None);
        assert_eq!(step(&about, &record("1f1f1f1f-8"), &[]), Step::Create);
        // 8 is later than 7, 10 (in base 36) than z.
        let update = step(&about, &record("1f1f1f1f-8"), &held("1f1f1f1f-7", ""));
        let expected = Step::Update {
            id: "o-1".to_owned(),
            version: Some("4".to_owned()),
            body: r#"{"id":"o-1","resourceType":"Observation"}"#.to_owned(),
        };
        assert_eq!(update, expected);
        assert_eq!(step(&about, &record("1f1f1f1f-7"), &held("1f1f1f1f-7", "")), Step::Stands);
        assert_eq!(step(&about, &record("1f1f1f1f-z"), &held("1f1f1f1f-10", "")), Step::Stands);
        let other = step(&about, &record("2f1f1f1f-1"), &held("1f1f1f1f-7", ""));
        assert!(matches!(other, Step::Update { .. }), "a new stream follows an old one");
    }

    #[test]
    fn the_subject_stays() {
        let subject = r#""subject":{"identifier":{"system":"urn:oid:1","value":"A"}},"#;
        let a = about(Some("urn:oid:1|A"));
        let later = record("1f1f1f1f-8");
        let same = step(&a, &later, &held("1f1f1f1f-7", subject));
        assert!(matches!(same, Step::Update { .. }), "{same:?}");
        let wrong = Step::Wrong("would-change-the-subject");
        let b = about(Some("urn:oid:1|B"));
        assert_eq!(step(&b, &later, &held("1f1f1f1f-7", subject)), wrong);
        assert_eq!(step(&about(None), &later, &held("1f1f1f1f-7", subject)), wrong);
        let elsewhere = r#""subject":{"reference":"Patient/1"},"#;
        assert_eq!(step(&a, &later, &held("1f1f1f1f-7", elsewhere)), wrong);
        // A late scan: what was nobody's is A's.
        let found_out = step(&a, &later, &held("1f1f1f1f-7", ""));
        assert!(matches!(found_out, Step::Update { .. }), "{found_out:?}");
    }

    #[test]
    fn what_is_withdrawn_keeps_everything_but_its_status() {
        let subject = r#""subject":{"identifier":{"system":"urn:oid:1","value":"A"}},"#;
        let void = About { withdraws: true, ..about(None) };
        let step = step(&void, &record("1f1f1f1f-8"), &held("1f1f1f1f-7", subject));
        let Step::Update { body, .. } = step else { panic!("{step:?}") };
        assert!(body.contains(r#""valueQuantity":{"value":7.40}"#), "{body}");
        let value: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(value["status"], "entered-in-error");
        assert_eq!(value["subject"]["identifier"]["value"], "A");
        assert_eq!(value["extension"][0]["valueString"], "1f1f1f1f-8");
    }

    #[test]
    fn what_cannot_be_understood_is_not_overwritten() {
        let one = about(None);
        let later = record("1f1f1f1f-8");
        let mut two = held("1f1f1f1f-7", "");
        two.extend(held("1f1f1f1f-7", ""));
        assert_eq!(step(&one, &later, &two), Step::Wrong("several-under-one-identifier"));
        let stranger = held("", "");
        assert_eq!(step(&one, &later, &stranger), Step::Wrong("not-stated-by-a-gateway"));
        let part = About { identifiers: vec!["1f1f1f1f-7.1".to_owned()], ..one };
        let held = held("1f1f1f1f-7", "");
        assert_eq!(step(&part, &later, &held), Step::Wrong("states-a-part-of-a-set"));
        assert!(found(b"{\"resourceType\":\"OperationOutcome\"}", "Observation").is_none());
        assert!(found(b"<html>", "Observation").is_none());
    }
}
