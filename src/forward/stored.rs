//! The payload of a forwardable record in the journal, and how it looks to a receiver.
//!
//! The committer decides routes and sequences once and stores them; rendering adds nothing that
//! could differ from one time to the next, so a record sent again is byte-identical.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
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

/// A [`Stored`] whose data is written straight to JSON. Its bytes are those of the same `Stored` if
/// the data writes its keys in order.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewStored<'a, D> {
    pub kind: EventKind,
    pub time: &'a str,
    pub subject: &'a str,
    pub routes: &'a BTreeMap<String, u64>,
    pub data: D,
}

impl<D: Serialize> NewStored<'_, D> {
    /// The bytes for the journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
        serde_json::to_writer(&mut bytes, self)
            .expect("a structure with text keys has a JSON form");
        bytes
    }
}

/// A monitor's record with ten or so values: it is written without growing on the way.
const RECORD_BYTES_USUAL: usize = 8 << 10;

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
    data: BTreeMap<&'a str, Part<'a>>,
}

/// One entry of the data. `serde_json` keeps the keys of its objects in order, as long as nobody
/// switches its feature `preserve_order` on; a test below would see it.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Stored(&'a Value),
    Own(Value),
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

/// What `destination` gets of this record; `None` if it is not routed there.
///
/// `source` is the gateway's `urn:uuid:` or `urn:oid:`. The data gets the record's stream, its
/// sequence and the `previous` one on this destination.
pub fn render(
    stored: &Stored,
    stream: StreamId,
    sequence: Sequence,
    source: &str,
    destination: &str,
) -> Option<Rendered> {
    let previous = *stored.routes.get(destination)?;
    let record = RecordId::of(stream, sequence);
    let kind = stored.kind.name();
    let parts = stored.data.iter().map(|(key, value)| (key.as_str(), Part::Stored(value)));
    let mut data: BTreeMap<&str, Part<'_>> = parts.collect();
    data.insert("stream", Part::Own(stream.to_string().into()));
    data.insert("sequence", Part::Own(sequence.number().into()));
    data.insert("previous", Part::Own(previous.into()));
    let envelope = Envelope {
        specversion: "1.0",
        id: record.as_str(),
        source,
        r#type: format!("fi.wardgate.{kind}.v1"),
        time: &stored.time,
        subject: &stored.subject,
        datacontenttype: "application/json",
        dataschema: format!("urn:wardgate:schema:{kind}:v1"),
        data,
    };
    let mut payload = Vec::with_capacity(RECORD_BYTES_USUAL);
    serde_json::to_writer(&mut payload, &envelope)
        .expect("a structure with text keys has a JSON form");
    payload.shrink_to_fit();
    let attributes = vec![
        ("specversion", envelope.specversion.to_owned()),
        ("id", record.as_str().to_owned()),
        ("source", source.to_owned()),
        ("type", envelope.r#type),
        ("time", stored.time.clone()),
        ("subject", stored.subject.clone()),
        ("dataschema", envelope.dataschema),
    ];
    Some(Rendered { record, attributes, payload })
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
    }
}
