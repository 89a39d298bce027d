//! The test records: like those of a gateway, in mode `debugging`, of the subject `core-check`, in a
//! fresh random stream, so that nobody takes them for a patient's.

use serde_json::{Value as Json, json};
use wardgate::vocabulary::{RecordId, Sequence, StreamId};

/// A record as the gateway sends it; its words are replaced where they would name somebody.
const SAMPLE: &str = include_str!("../../../docs/ingestion/samples/observation-oximeter.json");
/// Samples of waveforms as the gateway sends them.
const WAVEFORM: &str = include_str!("../../../docs/ingestion/samples/waveform.json");
/// The subject of every record.
pub const SUBJECT: &str = "core-check";

/// Makes the records of one stream.
pub struct Records {
    pub stream: StreamId,
    source: String,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    pub sequence: u64,
    pub id: String,
    pub bytes: Vec<u8>,
}

impl Records {
    /// A stream that nobody has seen.
    pub fn new(random: [u8; 16]) -> Self {
        let stream = StreamId::from_bytes(random);
        let hex = stream.to_string();
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
        let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
        Self { stream, source: format!("urn:uuid:{}", parts.join("-")) }
    }

    /// A conforming record whose previous one is the one before it.
    pub fn record(&self, sequence: u64) -> Record {
        self.with(sequence, |_| {})
    }

    /// Records of these sequences.
    pub fn records(&self, sequences: impl IntoIterator<Item = u64>) -> Vec<Record> {
        sequences.into_iter().map(|sequence| self.record(sequence)).collect()
    }

    /// A record of waveforms.
    pub fn waveform(&self, sequence: u64) -> Record {
        self.of(WAVEFORM, sequence, |_| {})
    }

    /// A record that is changed before it is sent.
    pub fn with(&self, sequence: u64, change: impl FnOnce(&mut Json)) -> Record {
        self.of(SAMPLE, sequence, change)
    }

    fn of(&self, sample: &str, sequence: u64, change: impl FnOnce(&mut Json)) -> Record {
        let number = Sequence::new(sequence).unwrap_or(Sequence::FIRST);
        let id = RecordId::of(self.stream, number).as_str().to_owned();
        let mut event: Json = serde_json::from_str(sample).unwrap_or(Json::Null);
        event["id"] = json!(id);
        event["source"] = json!(self.source);
        event["subject"] = json!(SUBJECT);
        let data = &mut event["data"];
        data["stream"] = json!(self.stream.to_string());
        data["sequence"] = json!(sequence);
        data["previous"] = json!(sequence - 1);
        data["mode"] = json!("debugging");
        data["association"]["place"] = Json::Null;
        if let Some(metrics) = data["metrics"].as_array_mut() {
            for (index, metric) in metrics.iter_mut().enumerate() {
                metric["observation_id"] = json!(format!("{id}.{index}"));
            }
        }
        change(&mut event);
        Record { sequence, id, bytes: event.to_string().into_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_data_says_what_it_is() {
        let records = Records::new([0xab; 16]);
        let record: Json = serde_json::from_slice(&records.record(7).bytes).unwrap();
        assert_eq!(record["subject"], "core-check");
        assert_eq!(record["data"]["mode"], "debugging");
        assert_eq!(record["data"]["patient"], Json::Null);
        assert_eq!(record["data"]["stream"], "ab".repeat(16));
        assert_eq!(record["source"], "urn:uuid:abababab-abab-abab-abab-abababababab");
        assert_eq!((&record["id"], &record["data"]["previous"]), (&json!("abababab-7"), &json!(6)));
        assert_eq!(record["data"]["metrics"][1]["observation_id"], "abababab-7.1");
        assert_eq!(records.record(7).bytes, records.record(7).bytes, "the same bytes again");
        let waveform: Json = serde_json::from_slice(&records.waveform(8).bytes).unwrap();
        assert_eq!(waveform["type"], "fi.wardgate.waveform.v1");
        assert_eq!(
            (&waveform["subject"], &waveform["data"]["mode"]),
            (&json!("core-check"), &json!("debugging"))
        );
    }
}
