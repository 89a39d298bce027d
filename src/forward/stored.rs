//! The payload of a forwardable record in the journal, and how it looks to a receiver.
//!
//! The committer decides routes and sequences once and stores them; rendering adds nothing that
//! could differ from one time to the next, so a record sent again is byte-identical.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::vocabulary::{RecordId, Sequence, StreamId};

/// What a record states (`INGESTION.md`, "Record").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    Observation,
    Alarm,
    PumpEvent,
    DeviceState,
    Association,
    Confirmation,
    Entry,
    Correction,
    Void,
    Gap,
    Waveform,
    Manifest,
}

impl EventKind {
    /// The name in topics and types.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Observation => "observation",
            EventKind::Alarm => "alarm",
            EventKind::PumpEvent => "pump-event",
            EventKind::DeviceState => "device-state",
            EventKind::Association => "association",
            EventKind::Confirmation => "confirmation",
            EventKind::Entry => "entry",
            EventKind::Correction => "correction",
            EventKind::Void => "void",
            EventKind::Gap => "gap",
            EventKind::Waveform => "waveform",
            EventKind::Manifest => "manifest",
        }
    }
}

/// The payload of a forwardable record, as JSON bytes in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    pub kind: EventKind,
    /// When it happened, RFC 3339.
    pub time: String,
    /// The name of the device.
    pub subject: String,
    /// Where it goes: the destination's name, and the sequence of the record before it on that
    /// destination (0: it is the first). A destination that is not here does not get it.
    pub routes: BTreeMap<String, u64>,
    pub data: Map<String, Value>,
}

/// A [`Stored`] whose data is in JSON already. Its bytes are those of the same `Stored` if the data
/// has its keys in order.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewStored<'a> {
    pub kind: EventKind,
    pub time: &'a str,
    pub subject: &'a str,
    pub routes: &'a BTreeMap<String, u64>,
}

impl NewStored<'_> {
    /// The bytes for the journal. `data` appends an object in JSON, of about so many bytes.
    pub fn to_bytes(&self, bytes_usual: usize, data: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(bytes_usual + HEAD_BYTES_USUAL);
        serde_json::to_writer(&mut bytes, self)
            .expect("a structure with text keys has a JSON form");
        let brace = bytes.pop();
        bytes.extend_from_slice(b",\"data\":");
        data(&mut bytes);
        bytes.extend(brace);
        bytes
    }
}

/// What stands before the data of a record with one or two routes.
const HEAD_BYTES_USUAL: usize = 256;

/// What stands around the data of a CloudEvent besides its time, subject and source: a record is
/// written without growing on the way, and keeps no room that it does not need.
const ENVELOPE_BYTES_USUAL: usize = 320;

impl Stored {
    /// The bytes for the journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a structure with text keys has a JSON form")
    }

    /// From the journal; `None` if these are not the bytes of a [`Stored`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// A [`Stored`] as it is written in the journal: its data is told apart by key and not further, so
/// that a record goes out without being read whole.
///
/// ```
/// use wardgate::forward::stored::Written;
/// use wardgate::vocabulary::{Sequence, StreamId};
///
/// let payload = br#"{"kind":"gap","time":"2026-11-23T08:00:00Z","subject":"bed-3",
///     "routes":{"core":7},"data":{"cause":"link-down"}}"#;
/// let written = Written::from_bytes(payload).unwrap();
/// assert_eq!(written.text("cause").as_deref(), Some("link-down"));
/// let stream = StreamId::from_bytes([0x1f; 16]);
/// let event = written.render(stream, Sequence::FIRST, "urn:uuid:1", "core").unwrap();
/// assert!(String::from_utf8(event.payload).unwrap().contains(r#""previous":7"#));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written<'a> {
    pub kind: EventKind,
    /// When it happened, RFC 3339.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The name of the device.
    #[serde(borrow)]
    pub subject: Cow<'a, str>,
    /// As in [`Stored::routes`].
    pub routes: BTreeMap<String, u64>,
    #[serde(borrow)]
    data: BTreeMap<String, &'a RawValue>,
}

/// The keys of the data that only a destination's rendering knows.
const STREAM: &str = "stream";
const SEQUENCE: &str = "sequence";
const PREVIOUS: &str = "previous";

impl<'a> Written<'a> {
    /// From the journal; `None` if these are not the bytes of a [`Stored`].
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether the data has this key.
    pub fn has(&self, key: &str) -> bool {
        self.data.contains_key(key)
    }

    /// Whether the data says under this key that there is nothing.
    pub fn is_null(&self, key: &str) -> bool {
        self.data.get(key).is_some_and(|text| text.get() == "null")
    }

    /// The text under this key of the data.
    pub fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.data.get(key)?.get()).ok()
    }

    /// The same, read whole.
    pub fn stored(&self) -> Option<Stored> {
        let value = |(key, text): (&String, &&RawValue)| {
            Some((key.clone(), serde_json::from_str(text.get()).ok()?))
        };
        Some(Stored {
            kind: self.kind,
            time: self.time.clone().into_owned(),
            subject: self.subject.clone().into_owned(),
            routes: self.routes.clone(),
            data: self.data.iter().map(value).collect::<Option<_>>()?,
        })
    }

    /// What `destination` gets of this record; `None` if it is not routed there.
    ///
    /// `source` is the gateway's `urn:uuid:` or `urn:oid:`. The data gets the record's stream, its
    /// sequence and the `previous` one on this destination.
    pub fn render(
        &self,
        stream: StreamId,
        sequence: Sequence,
        source: &str,
        destination: &str,
    ) -> Option<Rendered> {
        let previous = *self.routes.get(destination)?;
        let record = RecordId::of(stream, sequence);
        let kind = self.kind.name();
        let stated = |text: String| {
            RawValue::from_string(text).expect("a number or a quoted text without escapes is JSON")
        };
        let own = [
            (PREVIOUS, stated(previous.to_string())),
            (SEQUENCE, stated(sequence.number().to_string())),
            (STREAM, stated(format!("\"{stream}\""))),
        ];
        let parts = self.data.iter().map(|(key, text)| (key.as_str(), *text));
        let mut data: BTreeMap<&str, &RawValue> = parts.collect();
        data.extend(own.iter().map(|(key, text)| (*key, &**text)));
        let envelope = Envelope {
            specversion: "1.0",
            id: record.as_str(),
            source,
            r#type: format!("fi.wardgate.{kind}.v1"),
            time: &self.time,
            subject: &self.subject,
            datacontenttype: "application/json",
            dataschema: format!("urn:wardgate:schema:{kind}:v1"),
            data,
        };
        let parts = envelope.data.iter().map(|(key, text)| key.len() + text.get().len() + 4);
        let around = self.time.len() + self.subject.len() + source.len() + ENVELOPE_BYTES_USUAL;
        let mut payload = Vec::with_capacity(around + parts.sum::<usize>());
        serde_json::to_writer(&mut payload, &envelope)
            .expect("a structure with text keys has a JSON form");
        let attributes = vec![
            ("specversion", envelope.specversion.to_owned()),
            ("id", record.as_str().to_owned()),
            ("source", source.to_owned()),
            ("type", envelope.r#type),
            ("time", self.time.clone().into_owned()),
            ("subject", self.subject.clone().into_owned()),
            ("dataschema", envelope.dataschema),
        ];
        Some(Rendered { record, attributes, payload })
    }
}

/// The attributes and the data of a record as CloudEvents 1.0 in JSON, in this order of keys.
#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: String,
    time: &'a str,
    subject: &'a str,
    datacontenttype: &'static str,
    dataschema: String,
    data: BTreeMap<&'a str, &'a RawValue>,
}

/// A record as a destination gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub record: RecordId,
    /// The CloudEvents attributes, for bindings that carry them beside the payload.
    pub attributes: Vec<(&'static str, String)>,
    /// The whole event in JSON.
    pub payload: Vec<u8>,
}

/// What `destination` gets of a record that was read whole; see [`Written::render`].
pub fn render(
    stored: &Stored,
    stream: StreamId,
    sequence: Sequence,
    source: &str,
    destination: &str,
) -> Option<Rendered> {
    Written::from_bytes(&stored.to_bytes())?.render(stream, sequence, source, destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let text = r#"{"kind":"pump-event","time":"2026-11-23T08:00:00Z","subject":"bed-3-pump",
            "routes":{"core":7},"data":{"z":{"b":"07.40","a":null},"value":"-0.0"}}"#;
        Stored::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_event_is_a_cloud_event_with_its_keys_in_order() {
        let stream = StreamId::from_bytes([0x1f; 16]);
        let sequence = Sequence::new(100).unwrap();
        let rendered = render(&stored(), stream, sequence, "urn:uuid:1", "core").unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"1f1f1f1f-2s","source":"urn:uuid:1","#,
            r#""type":"fi.wardgate.pump-event.v1","time":"2026-11-23T08:00:00Z","#,
            r#""subject":"bed-3-pump","datacontenttype":"application/json","#,
            r#""dataschema":"urn:wardgate:schema:pump-event:v1","data":{"previous":7,"#,
            r#""sequence":100,"stream":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","#,
            r#""value":"-0.0","z":{"a":null,"b":"07.40"}}}"#,
        );
        assert_eq!(String::from_utf8(rendered.payload).unwrap(), expected);
        assert!(rendered.attributes.contains(&("id", "1f1f1f1f-2s".to_owned())));
    }

    #[test]
    fn what_is_not_routed_there_is_not_rendered() {
        let stream = StreamId::from_bytes([0x1f; 16]);
        assert_eq!(render(&stored(), stream, Sequence::FIRST, "urn:uuid:1", "archive"), None);
    }

    #[test]
    fn stored_bytes_come_back() {
        assert_eq!(Stored::from_bytes(&stored().to_bytes()), Some(stored()));
        assert_eq!(Stored::from_bytes(b"MSH|^~\\&"), None);
        let bytes = stored().to_bytes();
        assert_eq!(Written::from_bytes(&bytes).and_then(|one| one.stored()), Some(stored()));
        assert!(Written::from_bytes(b"MSH|^~\\&").is_none());
    }

    #[test]
    fn a_key_of_the_data_never_speaks_for_the_rendering() {
        let text = r#"{"kind":"gap","time":"t","subject":"s","routes":{"core":7},
            "data":{"previous":1,"sequence":"x","stream":null}}"#;
        let stream = StreamId::from_bytes([0x1f; 16]);
        let written = Written::from_bytes(text.as_bytes()).unwrap();
        let event = written.render(stream, Sequence::FIRST, "urn:uuid:1", "core").unwrap();
        let event: Value = serde_json::from_slice(&event.payload).unwrap();
        let expected = serde_json::json!({
            "previous": 7, "sequence": 1, "stream": "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"
        });
        assert_eq!(event["data"], expected);
    }
}
