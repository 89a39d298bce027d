//! A gap as an Observation without a value: where nothing is known, the server says so.
//!
//! The record of the beginning makes it (`preliminary`, an open period), the record of the end is
//! a later statement about the same one (`final`, the whole period).

use super::super::pump::Routed;
use super::node::Node;
use super::observation::{coding, extension, reference};
use super::render::{About, Outgoing, Rules, full_url, gateway, identifier, plain_device};
use super::terms;
use crate::vocabulary::{RecordId, Sequence};

/// `None` if the record is not what a gap should be.
pub(super) fn outgoing(routed: &Routed, rules: &Rules) -> Option<Outgoing> {
    let data = &routed.stored.data;
    let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str);
    let number = |key: &str| data.get(key).and_then(serde_json::Value::as_u64);
    let cause = text("cause")?;
    let record = routed.id();
    // The end of a gap names the sequence of its beginning, which is of the same stream.
    let began = number("gap").and_then(Sequence::new);
    let key_record = began.map_or(record.clone(), |began| RecordId::of(routed.stream, began));
    let key = format!("{key_record}.gap");
    let ended = text("ended");
    let unavailable = number("first").zip(number("last"));
    let period =
        Node::object([("start", text("began").map(Node::text)), ("end", ended.map(Node::text))]);
    let has_period = text("began").is_some() || ended.is_some();
    let note = unavailable.map(|(first, last)| {
        let stream = routed.stream;
        format!("the records {first} to {last} of stream {stream} cannot be had any more")
    });
    let done = ended.is_some() || unavailable.is_some();
    let source = match unavailable {
        Some(_) => gateway(routed, rules),
        None => plain_device(routed, rules, None),
    };
    let stated = extension(terms::STATED_BY, "valueString", Node::text(record.as_str()));
    let code = coding(Some(terms::GAP), "gap", "No data of a device");
    let reason = coding(Some(terms::ABSENT), "unknown", "");
    let cause = coding(Some(terms::GAP), cause, "");
    let body = Node::object([
        ("resourceType", Some(Node::text("Observation"))),
        ("extension", Node::list(vec![stated])),
        ("identifier", Node::list(vec![identifier(&rules.system, &key)])),
        ("status", Some(Node::text(if done { "final" } else { "preliminary" }))),
        ("code", Some(Node::object([("coding", Node::list(vec![code]))]))),
        ("effectivePeriod", has_period.then_some(period)),
        ("effectiveDateTime", (!has_period).then(|| Node::text(&routed.stored.time))),
        ("dataAbsentReason", Some(Node::object([("coding", Node::list(vec![reason, cause]))]))),
        (
            "note",
            note.map(|text| Node::List(vec![Node::object([("text", Some(Node::text(text)))])])),
        ),
        ("device", Some(reference(&source.full_url))),
    ]);
    let own = gateway(routed, rules);
    let mut support = vec![own];
    if !support.contains(&source) {
        support.push(source);
    }
    Some(Outgoing {
        device: routed.stored.subject.clone(),
        record,
        first: began.is_none(),
        about: vec![About {
            kind: "Observation",
            full_url: full_url(&rules.system, "Observation", &key),
            key: key.clone(),
            identifiers: vec![key],
            subject: None,
            body: body.to_json(),
            withdraws: false,
        }],
        support,
        provenance: None,
    })
}
