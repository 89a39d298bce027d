//! The waveforms that their core has: how many of each device.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::{Value as Json, json};

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waveforms {
    /// Samples by device.
    pub samples: BTreeMap<String, u64>,
    /// Signals by device.
    pub signals: BTreeMap<String, usize>,
}

impl Waveforms {
    /// Counts what a store holds.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no record.
    pub fn read(store: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for line in BufReader::new(File::open(store)?).lines() {
            let line: Json = serde_json::from_str(&line?)?;
            found.add(&line["record"]);
        }
        Ok(found)
    }

    fn add(&mut self, record: &Json) {
        if record["type"] != "fi.wardgate.waveform.v1" {
            return;
        }
        let device = record["subject"].as_str().unwrap_or_default();
        let arrays = record["data"]["arrays"].as_array();
        let counts = arrays.into_iter().flatten().map(|one| one["samples"].as_array());
        let count: usize = counts.map(|samples| samples.map_or(0, Vec::len)).sum();
        *self.samples.entry(device.to_owned()).or_default() += count as u64;
        let signals = self.signals.entry(device.to_owned()).or_default();
        *signals = (*signals).max(arrays.map_or(0, Vec::len));
    }

    /// For programs.
    pub fn json(&self) -> Json {
        json!({
            "devices": self.samples.len(),
            "signals": self.signals.values().sum::<usize>(),
            "samples": self.samples.values().sum::<u64>(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let signals: usize = self.signals.values().sum();
        let samples: u64 = self.samples.values().sum();
        format!("waveforms: {samples} samples of {signals} signals of {} devices", {
            self.samples.len()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_device() {
        let mut found = Waveforms::default();
        let record = json!({ "type": "fi.wardgate.waveform.v1", "subject": "bed-1",
            "data": { "arrays": [{ "samples": [1, null, 3] }, { "samples": [1] }] } });
        found.add(&record);
        found.add(&record);
        found.add(&json!({ "type": "fi.wardgate.gap.v1", "subject": "bed-1", "data": {} }));
        assert_eq!((found.samples["bed-1"], found.signals["bed-1"]), (8, 2));
    }
}
