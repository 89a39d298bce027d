//! The stand-in's answer to a manifest: it hashes what it has stored and compares, right or wrong
//! as the faults say.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wardgate::vocabulary::moment::utc_text;

use super::answer::{SOMEBODY_ELSE, ranges};
use super::faults::{Fault, Faults};
use super::now_us;

/// What is asked of a record to compare it with a manifest.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    stream: String,
    sequence: u64,
    #[serde(default)]
    previous: u64,
    #[serde(default)]
    first: u64,
    #[serde(default)]
    last: u64,
    #[serde(default)]
    sha256: String,
}

/// A line of the store, with the record's bytes as they came.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
}

/// The type of the records that are manifests.
pub const MANIFEST: &str = "fi.wardgate.manifest.v1";

/// The answer to the manifest of this stream and sequence, from what stands in the store; `None`:
/// there is no such manifest, or no answer to it.
pub fn answer(
    store: &Path,
    (stream, sequence): (&str, u64),
    receiver: &str,
    faults: &Faults,
) -> Option<Json> {
    if faults.has(&Fault::ManifestNever) {
        return None;
    }
    let text = std::fs::read_to_string(store).ok()?;
    let records = stored(&text, stream);
    let (manifest, _) = records.get(&sequence).filter(|(one, _)| one.r#type == MANIFEST)?;
    let Data { first, last, sha256: stated, .. } = &manifest.data;
    let covered = || records.range(*first..=*last).filter(|(_, (one, _))| one.r#type != MANIFEST);
    let mut hash = Sha256::new();
    covered().for_each(|(_, (_, payload))| hash.update(Sha256::digest(payload.as_bytes())));
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let holds = sha256 == *stated && !faults.has(&Fault::ManifestDiffers);
    // What a record that is there names, and is not: that much is certain.
    let lacks = |(_, (one, _)): (&u64, &(Event, &str))| {
        let previous = one.data.previous;
        (previous >= *first && !records.contains_key(&previous)).then_some(previous)
    };
    let differs: Vec<u64> = records.range(*first..=sequence).filter_map(lacks).collect();
    let foreign = faults.has(&Fault::ManifestForeign);
    let wrong_hash = faults.has(&Fault::ManifestHash);
    Some(json!({
        "stream": stream,
        "manifest": sequence,
        "holds": holds || wrong_hash,
        "sha256": if wrong_hash { "0".repeat(64) } else { sha256 },
        "differs": if holds || wrong_hash { Vec::new() } else { ranges(differs) },
        "receiver_id": if foreign { SOMEBODY_ELSE } else { receiver },
        "receiver_time": utc_text(now_us()),
    }))
}

/// Every record of a stream with its bytes, by sequence.
fn stored<'a>(text: &'a str, stream: &str) -> BTreeMap<u64, (Event, &'a str)> {
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let record = |line: &'a str| {
        let record = serde_json::from_str::<Line<'a>>(line).ok()?.record.get();
        let event: Event = serde_json::from_str(record).ok()?;
        (event.data.stream == stream).then_some((event.data.sequence, (event, record)))
    };
    whole.filter_map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";

    fn line(kind: &str, sequence: u64, previous: u64, more: &str) -> String {
        format!(
            "{{\"received_us\":1,\"topic\":\"t\",\"record\":{{\"type\":\"fi.wardgate.{kind}.v1\",\
             \"data\":{{\"stream\":\"{STREAM}\",\"sequence\":{sequence},\
             \"previous\":{previous}{more}}}}}}}\n"
        )
    }

    fn payload(line: &str) -> &str {
        line.split_once("\"record\":").unwrap().1.trim_end().strip_suffix('}').unwrap()
    }

    #[test]
    fn it_holds_what_hashes_to_the_same_and_names_what_others_name() {
        let (one, three) = (line("observation", 1, 0, ""), line("gap", 3, 1, ""));
        let digests = [payload(&one), payload(&three)].map(|text| Sha256::digest(text.as_bytes()));
        let sha256: String =
            Sha256::digest(digests.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
        let stated = format!(",\"first\":1,\"last\":3,\"sha256\":\"{sha256}\"");
        let manifest = line("manifest", 4, 3, &stated);
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let asked = |text: String, fault: &str| {
            std::fs::write(&store, text).unwrap();
            let faults = Faults::of(vec![fault.parse().unwrap()]);
            answer(&store, (STREAM, 4), "core", &faults)
        };
        let all = || format!("{one}{three}{manifest}");
        let good = asked(all(), "none").unwrap();
        assert_eq!((&good["holds"], &good["sha256"]), (&json!(true), &json!(sha256)));
        let without = asked(format!("{one}{manifest}"), "none").unwrap();
        assert_eq!((&without["holds"], &without["differs"]), (&json!(false), &json!([[3, 3]])));
        assert_eq!(asked(all(), "manifest=never"), None);
        assert_eq!(asked(all(), "manifest=foreign").unwrap()["receiver_id"], SOMEBODY_ELSE);
        assert_eq!(asked(all(), "manifest=differs").unwrap()["holds"], false);
        let wrong = asked(all(), "manifest=wrong-hash").unwrap();
        assert_eq!((&wrong["holds"], &wrong["sha256"]), (&json!(true), &json!("0".repeat(64))));
    }
}
