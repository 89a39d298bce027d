//! `[[destination]]`: where data goes, what is taken, and by which binding.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::Mode;
use crate::forward::fhir::FhirConfig;
use crate::forward::hl7v2::map::{Map, WithoutPatient};
use crate::forward::hl7v2::{self, Hl7v2Config};
use crate::forward::http::{HttpConfig, Plain};
use crate::forward::https::HttpsConfig;
use crate::forward::mqtt::{self, MqttConfig};
use crate::forward::tls::TlsFiles;
use crate::forward::window::Order;
use crate::profile::position::Problem;
use crate::profile::position::Step::Key;
use crate::vocabulary::Vocabulary;

/// One destination.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationTable {
    pub name: String,
    /// What it does with the data.
    pub files: Files,
    /// One that files into patients' records gets records without a patient, too, if it asks.
    #[serde(default)]
    pub unattributed: bool,
    /// What goes there: `all`, `every 1 min` (or another interval), `confirmed`, `waveforms`.
    #[serde(default)]
    pub take: Take,
    /// Whether the journal keeps a record until this destination has it.
    pub required: Required,
    /// `lanes`: live data overtake a backlog; `strict`: everything in the journal's order.
    #[serde(default)]
    pub order: OrderKey,
    /// What its acknowledgement proves. An HL7 v2 destination has to say it: its AA often comes
    /// from an engine; elsewhere `stored-by-core` unless said.
    #[serde(default)]
    pub proves: Option<Proves>,
    /// How many hours lie between two backups of the core, from which it may come back: what it
    /// stored since then is sent again if the journal still has it.
    #[serde(default)]
    pub backup_every_h: Option<u32>,
    /// Where a destination begins that was never here: `now` unless said, `oldest`, or a time such
    /// as `2026-11-20T08:00:00Z`. It counts once; then its cursor says how far it is.
    #[serde(default)]
    pub start: Option<Start>,
    /// The MQTT 5 binding. Of the bindings exactly one is given.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
    /// HL7 v2 over MLLP.
    #[serde(default)]
    pub hl7v2: Option<Hl7v2Config>,
    /// The FHIR R4 binding.
    #[serde(default)]
    pub fhir: Option<FhirConfig>,
    /// The HTTPS JSON binding.
    #[serde(default)]
    pub https: Option<HttpsConfig>,
}

/// What a destination declares that its acknowledgement proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proves {
    /// The core itself has stored the record durably.
    #[default]
    StoredByCore,
    /// An integration engine has accepted it and promises to pass it on.
    AcceptedByEngine,
    /// It stands in a broker.
    WrittenToBroker,
}

/// What of the data a destination gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Take {
    /// Everything that may go there.
    #[default]
    All,
    /// Of what is always there one value per interval; of the rest everything.
    Every { interval_ms: u64 },
    /// What a person has confirmed or entered.
    Confirmed,
    /// Samples of waveforms and nothing else, from their own journal.
    Waveforms,
}

impl TryFrom<String> for Take {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(' ').collect();
        match parts.as_slice() {
            ["all"] => Ok(Take::All),
            ["confirmed"] => Ok(Take::Confirmed),
            ["waveforms"] => Ok(Take::Waveforms),
            ["every", number, unit] => interval_ms(number, unit)
                .map(|interval_ms| Take::Every { interval_ms })
                .ok_or_else(|| "expected every 1 s to 1 h, a whole part of an hour".to_owned()),
            _ => {
                Err("expected \"all\", \"every 1 min\", \"confirmed\" or \"waveforms\"".to_owned())
            }
        }
    }
}

/// Boundaries are the same in every hour, so that people know them.
fn interval_ms(number: &str, unit: &str) -> Option<u64> {
    const HOUR_MS: u64 = 3_600_000;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits)?;
    let unit_ms = match unit {
        "s" => 1000,
        "min" => 60_000,
        "h" => HOUR_MS,
        _ => return None,
    };
    let interval_ms = number.checked_mul(unit_ms)?;
    (interval_ms > 0 && HOUR_MS.is_multiple_of(interval_ms)).then_some(interval_ms)
}

/// Whether live data may overtake a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKey {
    #[default]
    Lanes,
    Strict,
}

impl From<OrderKey> for Order {
    fn from(key: OrderKey) -> Self {
        match key {
            OrderKey::Lanes => Order::Lanes,
            OrderKey::Strict => Order::Strict,
        }
    }
}

/// Where a new destination begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Start {
    /// With what is kept from its first start on.
    Now,
    /// With the oldest record that is still there.
    Oldest,
    /// With what was kept at this time or later, microseconds since 1970 UTC.
    At { time_us: i64 },
}

impl TryFrom<String> for Start {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "now" => Ok(Start::Now),
            "oldest" => Ok(Start::Oldest),
            time => time
                .parse()
                .map(|time: jiff::Timestamp| Start::At { time_us: time.as_microsecond() })
                .map_err(|_| "expected \"now\", \"oldest\" or a time: \"2026-11-20T08:00:00Z\""),
        }
    }
}

/// What a destination does with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// It files into patients' records: only released device files feed it.
    Patients,
    /// A trial: bench-tested and ward-trial device files feed it too.
    Trial,
}

/// Whether a destination holds data back from being freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    Required,
    BestEffort,
}

/// The binding of a destination.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    Mqtt(&'a MqttConfig),
    Hl7v2(&'a Hl7v2Config),
    Fhir(&'a FhirConfig),
    Https(&'a HttpsConfig),
}

/// What is wrong, below which keys of the destination's table.
pub type DestinationProblem = (Vec<&'static str>, String);

impl DestinationTable {
    /// The one binding; `None` if none or several are given.
    pub fn transport(&self) -> Option<Transport<'_>> {
        let mqtt = self.mqtt.iter().map(Transport::Mqtt);
        let hl7v2 = self.hl7v2.iter().map(Transport::Hl7v2);
        let fhir = self.fhir.iter().map(Transport::Fhir);
        let https = self.https.iter().map(Transport::Https);
        let mut given = mqtt.chain(hl7v2).chain(fhir).chain(https);
        given.next().filter(|_| given.next().is_none())
    }

    /// The TLS files of its binding.
    pub fn tls(&self) -> TlsFiles {
        match self.transport() {
            Some(Transport::Mqtt(mqtt)) => mqtt.tls(),
            Some(Transport::Hl7v2(hl7v2)) => hl7v2.tls(),
            Some(Transport::Fhir(fhir)) => fhir.http().tls(),
            Some(Transport::Https(https)) => https.http().tls(),
            None => TlsFiles::default(),
        }
    }

    /// What its acknowledgement proves.
    pub fn proves(&self) -> Proves {
        self.proves.unwrap_or_default()
    }

    /// Everything that is wrong with it and can be known without a connection. The journal keeps
    /// `retention_hours` of what is delivered.
    pub(super) fn problems(&self, mode: Mode, retention_hours: u32) -> Vec<DestinationProblem> {
        let mut problems = self.problems_of_transport(mode);
        problems.extend(self.does_not_say_what_it_proves());
        problems.extend(self.frees_too_early());
        problems.extend(self.starts_too_early());
        problems.extend(self.outlives_the_retention(retention_hours));
        problems.extend(self.misunderstands_waveforms());
        problems
    }

    /// An AA of HL7 v2 is the same whether the core wrote it or an engine on the way.
    fn does_not_say_what_it_proves(&self) -> Option<DestinationProblem> {
        let what = "expected `proves`: over HL7 v2 an AA may come from an interface engine, so \
                    somebody has to say whether it means \"stored-by-core\", \
                    \"accepted-by-engine\" or \"written-to-broker\"";
        let silent = self.hl7v2.is_some() && self.proves.is_none();
        silent.then(|| (Vec::new(), what.to_owned()))
    }

    /// What was kept before it came is whole records that no manifest covers.
    fn starts_too_early(&self) -> Option<DestinationProblem> {
        let early = match self.start {
            None | Some(Start::Now) => false,
            Some(Start::Oldest | Start::At { .. }) => true,
        };
        let whole = self.take == Take::All && self.proves() == Proves::StoredByCore;
        let what = "expected \"now\": only a destination with take = \"all\" and proves = \
                    \"stored-by-core\" may begin with what was kept before it came";
        (early && !whole).then(|| (vec!["start"], what.to_owned()))
    }

    /// A core that comes back from a backup needs what it stored since (`INGESTION.md`,
    /// "Acknowledgement").
    fn outlives_the_retention(&self, retention_hours: u32) -> Option<DestinationProblem> {
        let hours = self.backup_every_h?;
        let what = if hours == 0 {
            "expected hours, 24 for a backup a day".to_owned()
        } else {
            format!(
                "expected less than the {retention_hours} hours of [gateway.retention]: a core \
                 that comes back from a backup needs again what it stored since"
            )
        };
        let wrong = hours == 0 || hours >= retention_hours;
        wrong.then(|| (vec!["backup_every_h"], what))
    }

    fn problems_of_transport(&self, mode: Mode) -> Vec<DestinationProblem> {
        match self.transport() {
            Some(Transport::Mqtt(mqtt)) => problems_of_mqtt(mqtt, mode),
            Some(Transport::Hl7v2(hl7v2)) => problems_of_hl7v2(hl7v2, mode),
            Some(Transport::Fhir(fhir)) => problems_of_fhir(fhir, mode),
            Some(Transport::Https(https)) => problems_of_https(https, mode),
            None => {
                let what = "expected exactly one binding: mqtt, hl7v2, fhir, https";
                vec![(Vec::new(), what.to_owned())]
            }
        }
    }

    /// What an engine or a broker accepted may still be lost on its way to the core
    /// (`INGESTION.md`, "Acknowledgement"), so it must not free what a required destination needs:
    /// an answered manifest does, which HL7 v2 and FHIR have no word for.
    fn frees_too_early(&self) -> Option<DestinationProblem> {
        let early = match self.proves() {
            Proves::StoredByCore => false,
            Proves::AcceptedByEngine | Proves::WrittenToBroker => true,
        };
        let what = "expected \"stored-by-core\", or required = \"best-effort\": nothing may be \
                    freed on the word of an engine or a broker, and only mqtt and https carry \
                    manifests and their answers, which prove more";
        let speechless = self.hl7v2.is_some() || self.fhir.is_some();
        let wrong = early && speechless && self.required == Required::Required;
        wrong.then(|| (vec!["proves"], what.to_owned()))
    }
}

impl Mode {
    /// Where plain HTTP is accepted.
    pub(in crate::gateway) const fn plain(self) -> Plain {
        match self {
            Mode::Production => Plain::ToLoopback,
            Mode::Bench => Plain::Anywhere,
        }
    }
}

fn problems_of_fhir(fhir: &FhirConfig, mode: Mode) -> Vec<DestinationProblem> {
    let mut problems = Vec::new();
    if let Err(error) = fhir.check(mode.plain()) {
        let keys = std::iter::once("fhir").chain(error.keys().iter().copied());
        problems.push((keys.collect(), error.to_string()));
    }
    problems.extend(lacks_proof("fhir", &fhir.http(), mode));
    problems
}

fn problems_of_https(https: &HttpsConfig, mode: Mode) -> Vec<DestinationProblem> {
    let mut problems = Vec::new();
    if let Err(error) = https.check(mode.plain()) {
        let keys = std::iter::once("https").chain(error.keys().iter().copied());
        problems.push((keys.collect(), error.to_string()));
    }
    problems.extend(lacks_proof("https", &https.http(), mode));
    problems
}

/// Over HTTP both sides prove themselves, unless the receiver is this box, or on the bench.
fn lacks_proof(key: &'static str, http: &HttpConfig, mode: Mode) -> Option<DestinationProblem> {
    let lacks = mode == Mode::Production && !http.proves_both() && !http.is_loopback();
    let what = "expected https with ca, and either certificate and key or oauth2: less is \
                accepted only in mode \"bench\"";
    lacks.then(|| (vec![key], what.to_owned()))
}

fn problems_of_mqtt(mqtt: &MqttConfig, mode: Mode) -> Vec<DestinationProblem> {
    let mut problems = Vec::new();
    if let Err(error) = mqtt::check(mqtt) {
        let keys = std::iter::once("mqtt").chain(error.field());
        problems.push((keys.collect(), error.to_string()));
    }
    problems.extend(lacks_mutual_tls("mqtt", &mqtt.host, &mqtt.tls(), mode));
    problems
}

fn problems_of_hl7v2(config: &Hl7v2Config, mode: Mode) -> Vec<DestinationProblem> {
    let mut problems = Vec::new();
    if let Err(error) = hl7v2::check(config) {
        problems.push((vec!["hl7v2", error.field()], error.to_string()));
    }
    problems.extend(lacks_mutual_tls("hl7v2", &config.host, &config.tls(), mode));
    problems
}

/// The map of a destination that has one, read and checked.
///
/// # Errors
/// One text per problem, each with file, line and column.
pub(super) fn load_map(
    table: &DestinationTable,
    vocabulary: &Arc<Vocabulary>,
) -> Result<Option<Arc<Map>>, Vec<String>> {
    let Some(config) = &table.hl7v2 else { return Ok(None) };
    let name = config.map.display().to_string();
    let text = std::fs::read_to_string(&config.map)
        .map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    let map = Map::read(&text, vocabulary).map_err(|problems| -> Vec<String> {
        problems.iter().map(|problem| problem.in_file(&name, &text)).collect()
    })?;
    let sends = map.file().without_patient == WithoutPatient::Send;
    if table.files == Files::Patients && sends {
        let what = "expected \"set-aside\": the destination files into patients' records";
        let problem = Problem::at(&text, &[Key("without_patient")], what);
        return Err(vec![problem.in_file(&name, &text)]);
    }
    Ok(Some(Arc::new(map)))
}

/// Anything less than mutual TLS is for a receiver on this box, or for the bench.
fn lacks_mutual_tls(
    key: &'static str,
    host: &str,
    tls: &TlsFiles,
    mode: Mode,
) -> Option<DestinationProblem> {
    let address: Option<IpAddr> = host.parse().ok();
    let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let lacks = mode == Mode::Production && !tls.are_mutual() && !here;
    let what = "expected mutual TLS (ca, certificate, key): less is accepted only in mode \
                \"bench\"";
    lacks.then(|| (vec![key], what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_said_in_words() {
        let take = |text: &str| Take::try_from(text.to_owned());
        assert_eq!(take("all"), Ok(Take::All));
        assert_eq!(take("confirmed"), Ok(Take::Confirmed));
        assert_eq!(take("waveforms"), Ok(Take::Waveforms));
        let good = [("1 s", 1000), ("15 s", 15_000), ("1 min", 60_000), ("1 h", 3_600_000)];
        for (text, interval_ms) in good {
            assert_eq!(take(&format!("every {text}")), Ok(Take::Every { interval_ms }));
        }
        for bad in ["0 s", "7 min", "2 h", "-1 s", "+1 s", "1 m", "1", "1 min ", "1  min"] {
            assert!(take(&format!("every {bad}")).is_err(), "{bad}");
        }
        assert!(take("All").is_err());
    }

    fn table(more: &str) -> DestinationTable {
        let text = format!("name = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn keys(table: &DestinationTable, mode: Mode) -> Vec<Vec<&'static str>> {
        table.problems(mode, 24).into_iter().map(|(keys, _)| keys).collect()
    }

    #[test]
    fn in_production_https_needs_proof_of_both_sides() {
        let plain = table("[https]\nurl = \"http://core/\"\nreceivers = [\"core\"]");
        assert!(keys(&plain, Mode::Bench).is_empty());
        assert_eq!(keys(&plain, Mode::Production), [vec!["https", "url"], vec!["https"]]);
        let here = table("[https]\nurl = \"http://127.0.0.1:8\"\nreceivers = [\"core\"]");
        assert!(keys(&here, Mode::Production).is_empty());
        let two = table(
            "mqtt = { host = \"core\", receivers = [\"a\"] }\n\
             https = { url = \"http://core\", receivers = [\"a\"] }",
        );
        assert_eq!(keys(&two, Mode::Bench), [Vec::<&str>::new()]);
    }

    #[test]
    fn nothing_is_freed_on_the_word_of_an_engine() {
        let mqtt = "mqtt = { host = \"core\", receivers = [\"a\"] }";
        for word in ["accepted-by-engine", "written-to-broker"] {
            let by_manifest = table(&format!("proves = \"{word}\"\n{mqtt}"));
            assert!(keys(&by_manifest, Mode::Bench).is_empty());
            let fhir = "fhir = { url = \"http://127.0.0.1/\" }";
            let required = table(&format!("proves = \"{word}\"\n{fhir}"));
            assert_eq!(keys(&required, Mode::Bench), [vec!["proves"]]);
            let free = DestinationTable { required: Required::BestEffort, ..required };
            assert!(keys(&free, Mode::Bench).is_empty());
        }
        let stored = table(&format!("proves = \"stored-by-core\"\n{mqtt}"));
        assert!(keys(&stored, Mode::Bench).is_empty());
    }

    #[test]
    fn a_destination_begins_now_at_the_oldest_or_at_a_time() {
        let start = |text: &str| Start::try_from(text.to_owned());
        assert_eq!(start("now"), Ok(Start::Now));
        assert_eq!(start("oldest"), Ok(Start::Oldest));
        // `date -u -d 2026-11-20T08:00:00Z +%s`
        let time_us = 1_795_161_600_000_000;
        assert_eq!(start("2026-11-20T08:00:00Z"), Ok(Start::At { time_us }));
        assert_eq!(start("2026-11-20T10:00:00+02:00"), Ok(Start::At { time_us }));
        for bad in ["", "Now", "first", "2026-11-20", "2026-11-20T08:00:00", "8:00"] {
            assert!(start(bad).is_err(), "{bad}");
        }
        let mqtt = "mqtt = { host = \"core\", receivers = [\"a\"] }";
        for (take, good) in [("all", true), ("every 1 min", false), ("confirmed", false)] {
            let table = table(&format!("start = \"oldest\"\ntake = \"{take}\"\n{mqtt}"));
            let wrong: &[Vec<&str>] = if good { &[] } else { &[vec!["start"]] };
            assert_eq!(keys(&table, Mode::Bench), wrong, "{take}");
        }
    }

    #[test]
    fn an_hl7_v2_destination_says_what_its_answer_proves() {
        let hl7v2 = "hl7v2 = { host = \"127.0.0.1\", port = 2575, map = \"pcd-01.toml\" }";
        for required in [Required::Required, Required::BestEffort] {
            let silent = table(hl7v2);
            let silent = DestinationTable { required, ..silent };
            assert_eq!(keys(&silent, Mode::Bench), [Vec::<&str>::new()], "{required:?}");
        }
        let stored = table(&format!("proves = \"stored-by-core\"\n{hl7v2}"));
        assert!(keys(&stored, Mode::Bench).is_empty());
        let engine = table(&format!("proves = \"accepted-by-engine\"\n{hl7v2}"));
        assert_eq!(keys(&engine, Mode::Bench), [vec!["proves"]]);
    }

    #[test]
    fn what_is_kept_reaches_back_behind_the_cores_last_backup() {
        for (hours, good) in [(0, false), (1, true), (23, true), (24, false), (168, false)] {
            let mqtt = "mqtt = { host = \"core\", receivers = [\"a\"] }";
            let table = table(&format!("backup_every_h = {hours}\n{mqtt}"));
            let wrong: &[Vec<&str>] = if good { &[] } else { &[vec!["backup_every_h"]] };
            assert_eq!(keys(&table, Mode::Bench), wrong, "{hours}");
        }
    }
}
