//! A transaction bundle, and what its answer says. Pure.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::later::Step;
use super::node::Node;
use super::observation::reference;
use super::render::{About, Outgoing, Support};

/// Records of one device that one bundle carries at most: a bundle of 32 monitors' sets stays
/// below half a megabyte.
pub const RECORDS_MAX: usize = 32;

/// One entry: what is sent, and how.
struct Entry {
    full_url: Option<String>,
    method: &'static str,
    url: String,
    /// `ifNoneExist` or `ifMatch`.
    condition: Option<(&'static str, String)>,
    resource: String,
}

/// A bundle in the making.
pub struct Bundle {
    system: String,
    entries: Vec<Entry>,
    urls: BTreeSet<String>,
    /// Which entry carries a statement, and how it went out.
    about: Vec<usize>,
}

impl Bundle {
    /// An empty one. `system` is that of all identifiers.
    pub fn new(system: &str) -> Self {
        Self {
            system: system.to_owned(),
            entries: Vec::new(),
            urls: BTreeSet::new(),
            about: Vec::new(),
        }
    }

    /// The search that finds what carries an identifier.
    pub fn criteria(system: &str, value: &str) -> String {
        format!("identifier={system}|{value}")
    }

    /// Adds a record, each statement by its step.
    pub fn add(&mut self, outgoing: &Outgoing, steps: &[Step]) {
        let sends = |step: &Step| matches!(step, Step::Create | Step::Update { .. });
        if !steps.iter().any(sends) {
            return;
        }
        outgoing.support.iter().for_each(|support| self.support(support));
        let mut targets = Vec::new();
        for (about, step) in outgoing.about.iter().zip(steps) {
            match step {
                Step::Create => {
                    self.about.push(self.entries.len());
                    targets.push(about.full_url.clone());
                    self.create(about.kind, &about.full_url, &about.key, &about.body);
                }
                Step::Update { id, version, body } => {
                    self.about.push(self.entries.len());
                    targets.push(format!("{}/{id}", about.kind));
                    self.update(about, id, version.as_deref(), body);
                }
                Step::Stands | Step::Wrong(_) => {}
            }
        }
        if let Some((id, body)) = &outgoing.provenance {
            let targets = targets.iter().map(|target| reference(target)).collect();
            let body = body.clone().with("target", Node::list(targets));
            self.entries.push(Entry {
                full_url: None,
                method: "PUT",
                url: format!("Provenance/{id}"),
                condition: None,
                resource: body.to_json(),
            });
        }
    }

    fn support(&mut self, support: &Support) {
        if !self.urls.contains(&support.full_url) {
            self.create(support.kind, &support.full_url, &support.identifier, &support.body);
        }
    }

    fn create(&mut self, kind: &str, full_url: &str, key: &str, body: &str) {
        self.urls.insert(full_url.to_owned());
        self.entries.push(Entry {
            full_url: Some(full_url.to_owned()),
            method: "POST",
            url: kind.to_owned(),
            condition: Some(("ifNoneExist", Self::criteria(&self.system, key))),
            resource: body.to_owned(),
        });
    }

    fn update(&mut self, about: &About, id: &str, version: Option<&str>, body: &str) {
        self.entries.push(Entry {
            full_url: Some(about.full_url.clone()),
            method: "PUT",
            url: format!("{}/{id}", about.kind),
            condition: version.map(|version| ("ifMatch", format!("W/\"{version}\""))),
            resource: body.to_owned(),
        });
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of it.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out =
            String::from("{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[");
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push('{');
            if let Some(full_url) = &entry.full_url {
                out.push_str(&format!("\"fullUrl\":{},", Node::text(full_url).to_json()));
            }
            let condition = entry.condition.as_ref();
            let request = Node::object([
                ("method", Some(Node::text(entry.method))),
                ("url", Some(Node::text(&entry.url))),
            ]);
            let request = match condition {
                Some((key, text)) => request.with(key, Some(Node::text(text))),
                None => request,
            };
            let (resource, request) = (&entry.resource, request.to_json());
            out.push_str(&format!("\"resource\":{resource},\"request\":{request}}}"));
        }
        out.push_str("]}");
        out.into_bytes()
    }

    /// The statuses of the statements, in order, if the answer says that every entry is done.
    pub fn done(&self, answer: &[u8]) -> Option<Vec<u16>> {
        let answer: Json = serde_json::from_slice(answer).ok()?;
        if answer.get("resourceType")? != "Bundle" {
            return None;
        }
        let statuses: Option<Vec<u16>> =
            answer.get("entry")?.as_array()?.iter().map(status_of).collect();
        let statuses = statuses?;
        let done = |status: &u16| (200..300).contains(status);
        if statuses.len() != self.entries.len() || !statuses.iter().all(done) {
            return None;
        }
        self.about.iter().map(|index| statuses.get(*index).copied()).collect()
    }
}

fn status_of(entry: &Json) -> Option<u16> {
    entry.pointer("/response/status")?.as_str()?.get(..3)?.parse().ok()
}

/// What a refusal is called in the cursor and in `status`: from the first issue of an
/// OperationOutcome where it is one of FHIR's issue types, else from the status.
pub fn code_of(status: u16, body: &[u8]) -> String {
    /// <https://hl7.org/fhir/R4/valueset-issue-type.html>; anything else could be anybody's text.
    const TYPES: [&str; 31] = [
        "invalid",
        "structure",
        "required",
        "value",
        "invariant",
        "security",
        "login",
        "unknown",
        "expired",
        "forbidden",
        "suppressed",
        "processing",
        "not-supported",
        "duplicate",
        "multiple-matches",
        "not-found",
        "deleted",
        "too-long",
        "code-invalid",
        "extension",
        "too-costly",
        "business-rule",
        "conflict",
        "transient",
        "lock-error",
        "no-store",
        "exception",
        "timeout",
        "incomplete",
        "throttled",
        "informational",
    ];
    let outcome: Option<Json> = serde_json::from_slice(body).ok();
    let code = outcome.as_ref().and_then(|one| one.pointer("/issue/0/code")?.as_str());
    match TYPES.into_iter().find(|known| Some(*known) == code) {
        Some(known) => format!("fhir-{status}-{known}"),
        None => format!("fhir-{status}"),
    }
}

/// Whether an answer is an OperationOutcome.
pub fn is_outcome(body: &[u8]) -> bool {
    let outcome: Option<Json> = serde_json::from_slice(body).ok();
    outcome
        .is_some_and(|one| one.get("resourceType").is_some_and(|kind| kind == "OperationOutcome"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_short_code_and_no_text_of_the_server() {
        let body = br#"{"resourceType":"OperationOutcome","issue":[{"severity":"error",
            "code":"invariant","diagnostics":"Virtanen is wrong"}]}"#;
        assert_eq!(code_of(422, body), "fhir-422-invariant");
        assert_eq!(code_of(422, br#"{"issue":[{"code":"Virtanen"}]}"#), "fhir-422");
        assert_eq!(code_of(400, b"<html>"), "fhir-400");
    }
}
