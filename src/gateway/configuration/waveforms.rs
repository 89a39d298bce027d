//! `[gateway.waveforms]`, and what a destination with `take = "waveforms"` may say.

use serde::Deserialize;

use super::destination::{DestinationProblem, DestinationTable, Proves, Required, Take};

/// The waveforms' own journal. It is made only if a destination takes waveforms.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveformsTable {
    /// What the journal of waveforms may take on the disk. When it is full, its oldest segment
    /// goes, whether or not a destination has it.
    #[serde(default = "bytes")]
    pub bytes: u64,
}

impl Default for WaveformsTable {
    fn default() -> Self {
        Self { bytes: bytes() }
    }
}

/// A quarter of a gigabyte: some minutes of a whole ward, which bridges a core that is restarted.
fn bytes() -> u64 {
    256 << 20
}

/// One that is written, one that is sent, one that goes, and room for the one that is begun before
/// it has gone.
const SEGMENTS_MIN: u64 = 4;

impl WaveformsTable {
    /// What is wrong with it in a journal with segments of this size: key and what is expected.
    pub(super) fn problem(&self, segment_bytes: u64) -> Option<(&'static str, String)> {
        let least = SEGMENTS_MIN.saturating_mul(segment_bytes);
        let what = || ("bytes", format!("expected {least} or more: {SEGMENTS_MIN} segments"));
        (self.bytes < least).then(what)
    }
}

impl DestinationTable {
    /// Whether it gets waveforms, and nothing else.
    pub fn takes_waveforms(&self) -> bool {
        self.take == Take::Waveforms
    }

    /// Waveforms may be shed, so nothing can be promised of them that leans on their being kept.
    pub(super) fn misunderstands_waveforms(&self) -> Vec<DestinationProblem> {
        if !self.takes_waveforms() {
            return Vec::new();
        }
        let mut problems = Vec::new();
        if self.hl7v2.is_some() || self.fhir.is_some() {
            let what = "expected \"all\", \"every 1 min\" or \"confirmed\": waveforms go out over \
                        mqtt and https only, as our own records; hl7v2 and fhir have no form for \
                        them here";
            problems.push((vec!["take"], what.to_owned()));
        }
        if self.required == Required::Required {
            let what = "expected \"best-effort\": waveforms have a small journal of their own, \
                        whose oldest segment goes when it is full, so no destination can hold them";
            problems.push((vec!["required"], what.to_owned()));
        }
        if self.proves() != Proves::StoredByCore {
            let what = "expected \"stored-by-core\": there are no manifests of waveforms";
            problems.push((vec!["proves"], what.to_owned()));
        }
        if self.backup_every_h.is_some() {
            let what = "expected none: waveforms are kept by bytes and not by hours, so a core \
                        that comes back from a backup does not get them again";
            problems.push((vec!["backup_every_h"], what.to_owned()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::configuration::Mode;

    fn keys(more: &str) -> Vec<Vec<&'static str>> {
        let text = format!("name = \"waves\"\nfiles = \"trial\"\ntake = \"waveforms\"\n{more}");
        let table: DestinationTable = toml::from_str(&text).unwrap();
        table.problems(Mode::Bench, 24).into_iter().map(|(keys, _)| keys).collect()
    }

    const MQTT: &str = "mqtt = { host = \"core\", receivers = [\"a\"] }";

    #[test]
    fn waveforms_go_over_mqtt_and_https_and_bind_nothing() {
        let https = "https = { url = \"http://127.0.0.1:8\", receivers = [\"a\"] }";
        for good in [MQTT, https] {
            assert!(keys(&format!("required = \"best-effort\"\n{good}")).is_empty());
        }
        let fhir = "fhir = { url = \"http://127.0.0.1/\" }";
        assert_eq!(keys(&format!("required = \"best-effort\"\n{fhir}")), [vec!["take"]]);
        let hl7v2 = "proves = \"stored-by-core\"\n\
                     hl7v2 = { host = \"127.0.0.1\", port = 2575, map = \"pcd-01.toml\" }";
        assert_eq!(keys(&format!("required = \"best-effort\"\n{hl7v2}")), [vec!["take"]]);
        assert_eq!(keys(&format!("required = \"required\"\n{MQTT}")), [vec!["required"]]);
        let best = "required = \"best-effort\"";
        let engine = format!("{best}\nproves = \"accepted-by-engine\"\n{MQTT}");
        assert_eq!(keys(&engine), [vec!["proves"]]);
        assert_eq!(keys(&format!("{best}\nstart = \"oldest\"\n{MQTT}")), [vec!["start"]]);
        assert_eq!(keys(&format!("{best}\nbackup_every_h = 6\n{MQTT}")), [vec!["backup_every_h"]]);
    }

    #[test]
    fn the_quota_holds_some_segments() {
        let table = |bytes| WaveformsTable { bytes };
        assert!(table(4 << 20).problem(1 << 20).is_none());
        assert_eq!(table((4 << 20) - 1).problem(1 << 20).map(|one| one.0), Some("bytes"));
        assert!(WaveformsTable::default().problem(crate::journal::SEGMENT_BYTES).is_none());
    }
}
