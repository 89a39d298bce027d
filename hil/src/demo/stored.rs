//! What the core has: its store, one JSON line per record, taken apart into single values.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::acknowledged::Times;

/// One value of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The device's name.
    pub link: String,
    /// Everything that the value is called: our parameter, the device's codes and their words.
    pub names: Vec<String>,
    /// The specimen, else the device's time as it wrote it.
    pub anchor: String,
    /// The value, or the mark of its absence, as the device sent it.
    pub value: String,
    /// Whether there is no value, and the text only the mark of that.
    pub is_absent: bool,
    pub unit: String,
    pub stream: String,
    pub sequence: u64,
    /// When the core had it safe; when it arrived, where no acknowledgement was heard.
    pub safe_us: i64,
    pub is_acknowledged: bool,
}

/// A line of the store.
#[derive(Deserialize)]
struct StoreLine {
    received_us: i64,
    #[serde(default)]
    acknowledged_us: Option<i64>,
    record: Record,
}

#[derive(Deserialize)]
struct Record {
    r#type: String,
    subject: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    stream: String,
    sequence: u64,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    specimen: Option<Specimen>,
    #[serde(default)]
    times: Option<DataTimes>,
}

#[derive(Deserialize)]
struct Specimen {
    id: String,
}

#[derive(Deserialize)]
struct DataTimes {
    device: Option<Written>,
}

#[derive(Deserialize)]
struct Written {
    as_written: String,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(default)]
    parameter: Option<String>,
    #[serde(default)]
    codings: Vec<Coding>,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    absent_mark: Option<String>,
    /// The unit in the notation that people know, where the vocabulary has it.
    #[serde(default)]
    ucum: Option<String>,
}

#[derive(Deserialize)]
struct Coding {
    #[serde(default)]
    code: String,
    #[serde(default)]
    words: String,
}

/// All values in the store, in the order of their records.
///
/// # Errors
/// The store cannot be read, or a line of it is no record.
pub fn read(store: &Path, acknowledged: &Times) -> io::Result<Vec<Value>> {
    let mut values = Vec::new();
    for line in BufReader::new(File::open(store)?).lines() {
        values.extend(of_line(&line?, acknowledged)?);
    }
    values.sort_by(|one, other| (&one.stream, one.sequence).cmp(&(&other.stream, other.sequence)));
    Ok(values)
}

/// The values of one line; none for what is no measurement and no event.
pub fn of_line(line: &str, acknowledged: &Times) -> io::Result<Vec<Value>> {
    let StoreLine { received_us, acknowledged_us, record } = serde_json::from_str(line)?;
    let kind = record.r#type.trim_start_matches("fi.wardgate.").trim_end_matches(".v1");
    if !matches!(kind, "observation" | "alarm" | "pump-event") {
        return Ok(Vec::new());
    }
    let Data { stream, sequence, metrics, specimen, times } = record.data;
    let device_time = times.and_then(|times| times.device).map(|time| time.as_written);
    let anchor = specimen.map(|specimen| specimen.id).or(device_time).unwrap_or_default();
    let heard = acknowledged.get(&(stream.clone(), sequence)).copied().or(acknowledged_us);
    let value = |metric: Metric| {
        let codes = metric.codings.into_iter().flat_map(|coding| [coding.code, coding.words]);
        let names = metric.parameter.into_iter().chain(codes).filter(|name| !name.is_empty());
        Value {
            link: record.subject.clone(),
            names: names.collect(),
            anchor: anchor.clone(),
            is_absent: metric.value.is_none(),
            value: metric.value.or(metric.absent_mark).unwrap_or_default(),
            unit: metric.ucum.unwrap_or_default(),
            stream: stream.clone(),
            sequence,
            safe_us: heard.unwrap_or(received_us),
            is_acknowledged: heard.is_some(),
        }
    };
    Ok(metrics.into_iter().map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_values_with_all_their_names() {
        let line = r#"{"received_us":5,"topic":"t","record":{"type":"fi.wardgate.observation.v1",
            "subject":"bed-1","data":{"stream":"ab","sequence":7,
            "times":{"device":{"as_written":"T"}},
            "metrics":[{"parameter":"heart-rate","codings":[{"code":"147842",
            "words":"MDC_ECG_HEART_RATE","system":"MDC"}],"value":"072",
            "ucum":"/min"},
            {"codings":[{"code":"x"}],"absent":"probe-off","absent_mark":"---"}]}}}"#;
        let times = Times::from([(("ab".to_owned(), 7), 9)]);
        let values = of_line(line, &times).unwrap();
        assert_eq!(values[0].names, ["heart-rate", "147842", "MDC_ECG_HEART_RATE"]);
        assert_eq!((values[0].anchor.as_str(), values[0].value.as_str()), ("T", "072"));
        assert_eq!((values[0].safe_us, values[0].is_acknowledged), (9, true));
        assert_eq!((values[1].names[0].as_str(), values[1].value.as_str()), ("x", "---"));
        assert_eq!((values[0].is_absent, values[1].is_absent), (false, true));
        let unheard = of_line(line, &Times::new()).unwrap();
        assert_eq!((unheard[0].safe_us, unheard[0].is_acknowledged), (5, false));
    }

    #[test]
    fn a_gap_is_no_value() {
        let line = r#"{"received_us":5,"topic":"t","record":{"type":"fi.wardgate.gap.v1",
            "subject":"bed-1","data":{"stream":"ab","sequence":8}}}"#;
        assert_eq!(of_line(line, &Times::new()).unwrap(), []);
    }
}
