//! The end of the demo: a table for people, one JSON object for programs.

use serde_json::{Map, Value as Json, json};

use super::charted::Charted;
use super::join::{Joined, join, percentile};
use super::plan::Plan;
use super::process::Cost;
use super::status::Snapshot;
use super::stored::Value;
use super::waveforms::Waveforms;
use crate::simulator::log::Line;

const COLUMNS: &str = "device                  sent  refused  journalled  acknowledged  lost \
                       twice   p50 ms   p99 ms";

/// What came of every link, and of all together.
pub struct Report {
    links: Vec<(String, Row)>,
    all: Row,
    /// What the chart has, where the ward has one.
    pub charted: Option<Charted>,
    /// What its core has of waveforms, where the ward has them.
    pub waveforms: Option<Waveforms>,
    /// What the gateway's process cost while the devices sent.
    pub cost: Option<Cost>,
}

#[derive(Clone, Debug, Default)]
struct Row {
    joined: Joined,
    /// The gateway's own counters.
    refused: u64,
    journalled: u64,
}

impl Report {
    pub fn new(plan: &Plan, sent: &[Line], values: &[Value], snapshot: &Snapshot) -> Self {
        let row = |name: &str| {
            let lines: Vec<&Line> = sent.iter().filter(|line| line.link == name).collect();
            let values: Vec<&Value> = values.iter().filter(|value| value.link == name).collect();
            let device = snapshot.device(name).cloned().unwrap_or_default();
            let joined = join(&lines, &values, plan.join_of(name));
            (name.to_owned(), Row { joined, refused: device.refused, journalled: device.readings })
        };
        let links: Vec<_> = plan.devices().map(row).collect();
        let mut all = Row::default();
        links.iter().for_each(|(_, row)| all.add(row));
        all.joined.latencies_us.sort_unstable();
        Self { links, all, charted: None, waveforms: None, cost: None }
    }

    /// `Ok` if nothing was lost, doubled or changed and every device has sent something.
    pub fn verdict(&self) -> Result<(), String> {
        let silent = self.links.iter().filter(|(_, row)| row.joined.readings == 0);
        let silent: Vec<&str> = silent.map(|(name, _)| name.as_str()).collect();
        if !silent.is_empty() {
            return Err(format!("nothing was sent by {}", silent.join(", ")));
        }
        let Joined { lost, changed, duplicates, .. } = &self.all.joined;
        if *lost == 0 && *duplicates == 0 {
            return match &self.charted {
                Some(charted) if !charted.is_even() => Err(charted.text()),
                Some(_) | None => Ok(()),
            };
        }
        Err(format!("{lost} readings lost (of these {changed} changed), {duplicates} twice"))
    }

    /// Table and explanation; with `json` they go to standard error, the object to standard output.
    pub fn show(&self, json: bool) {
        let text = self.text();
        if json {
            eprintln!("{text}");
            println!("{}", self.json());
        } else {
            println!("{text}");
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![String::new(), COLUMNS.to_owned(), "-".repeat(COLUMNS.len())];
        lines.extend(self.links.iter().map(|(name, row)| row.text(name)));
        lines.push("-".repeat(COLUMNS.len()));
        lines.push(self.all.text("all"));
        if let Some(charted) = &self.charted {
            lines.extend([String::new(), charted.text()]);
        }
        if let Some(waveforms) = &self.waveforms {
            lines.extend([String::new(), waveforms.text()]);
        }
        if let Some(cost) = &self.cost {
            lines.extend([String::new(), cost.text()]);
        }
        let words = [
            "",
            "sent          values that the devices put on the wire, by their own logs",
            "refused       what the gateway could not read: damaged on purpose by the devices",
            "journalled    values that the gateway made durable, by its own count; those of a demo",
            "              mode are among them, and go to no core",
            "acknowledged  values that the core stored, each compared with the text that was sent",
            "p50, p99      from the device's last byte to the core's acknowledgement",
            "",
            "This is self-consistency: devices, gateway and core are from one house. It shows",
            "that nothing is lost, doubled or changed on the way. It proves nothing about a",
            "real device.",
        ];
        lines.extend(words.map(str::to_owned));
        lines.join("\n")
    }

    fn json(&self) -> Json {
        let links = self.links.iter().map(|(name, row)| (name.clone(), row.json().into()));
        let mut object = self.all.json();
        object.insert("links".to_owned(), Json::Object(links.collect()));
        // Devices, gateway and cores are of one house: nothing here is proven about a device.
        object.insert("proves".to_owned(), "self-consistency".into());
        if let Some(charted) = &self.charted {
            object.insert("charted".to_owned(), charted.json());
        }
        if let Some(waveforms) = &self.waveforms {
            object.insert("waveforms".to_owned(), waveforms.json());
        }
        if let Some(cost) = &self.cost {
            object.insert("gateway".to_owned(), cost.json());
        }
        Json::Object(object)
    }
}

impl Row {
    fn add(&mut self, other: &Self) {
        let (all, one) = (&mut self.joined, &other.joined);
        all.readings += one.readings;
        all.acknowledged += one.acknowledged;
        all.lost += one.lost;
        all.changed += one.changed;
        all.duplicates += one.duplicates;
        all.demo += one.demo;
        all.latencies_us.extend(&one.latencies_us);
        self.refused += other.refused;
        self.journalled += other.journalled;
    }

    fn milliseconds(&self, percent: usize) -> Option<f64> {
        percentile(&self.joined.latencies_us, percent).map(|us| us as f64 / 1000.0)
    }

    fn text(&self, name: &str) -> String {
        let Self { joined, refused, journalled } = self;
        let Joined { readings, acknowledged, lost, duplicates, .. } = joined;
        let time = |percent| {
            self.milliseconds(percent).map_or("-".to_owned(), |time| format!("{time:.1}"))
        };
        let (p50, p99) = (time(50), time(99));
        format!(
            "{name:<22} {readings:>5} {refused:>8} {journalled:>11} {acknowledged:>13} {lost:>5} \
             {duplicates:>6} {p50:>8} {p99:>8}"
        )
    }

    fn json(&self) -> Map<String, Json> {
        let Self { joined, refused, journalled } = self;
        let object = json!({
            "readings": joined.readings,
            "refused": refused,
            "journalled": journalled,
            "acknowledged": joined.acknowledged,
            "lost": joined.lost,
            "changed": joined.changed,
            "duplicates": joined.duplicates,
            "demo": joined.demo,
            "p50_ms": self.milliseconds(50),
            "p99_ms": self.milliseconds(99),
        });
        match object {
            Json::Object(object) => object,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Map::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::Options;
    use super::super::ward::Ward;
    use super::*;

    fn line(link: &str, anchor: &str, value: &str) -> Line {
        Line {
            link: link.to_owned(),
            key: Some(format!("{anchor}/spo2")),
            parameter: Some("spo2".to_owned()),
            value: Some(value.to_owned()),
            sent_us: Some(0),
            ..Line::default()
        }
    }

    fn value(link: &str, anchor: &str, value: &str) -> Value {
        Value {
            link: link.to_owned(),
            names: vec!["spo2".to_owned()],
            anchor: anchor.to_owned(),
            value: value.to_owned(),
            safe_us: 4000,
            ..Value::default()
        }
    }

    fn plan() -> Plan {
        let options = Options {
            time: Duration::ZERO,
            json: false,
            ward: Ward::Mixed,
            keep: false,
            gateway: None,
            device_profiles: None,
        };
        Plan::new(&options, Path::new(".")).unwrap()
    }

    #[test]
    fn the_object_has_every_link_and_the_sum_of_all() {
        let plan = plan();
        let sent: Vec<Line> = plan.devices().map(|name| line(name, "T", "97")).collect();
        let values: Vec<Value> = plan.devices().map(|name| value(name, "T", "97")).collect();
        let report = Report::new(&plan, &sent, &values, &Snapshot::default());
        assert_eq!(report.verdict(), Ok(()));
        let json = report.json();
        assert_eq!(json["readings"], 5);
        assert_eq!(json["p50_ms"], 4.0);
        for name in plan.devices() {
            assert_eq!(json["links"][name]["readings"], 1, "{name}");
            assert_eq!(json["links"][name]["lost"], 0, "{name}");
        }
    }

    #[test]
    fn loss_repetition_and_silence_are_no_success() {
        let plan = plan();
        let sent: Vec<Line> = plan.devices().map(|name| line(name, "T", "97")).collect();
        let values: Vec<Value> = plan.devices().map(|name| value(name, "T", "97")).collect();
        let verdict = |sent: &[Line], values: &[Value]| {
            Report::new(&plan, sent, values, &Snapshot::default()).verdict()
        };
        assert!(verdict(&sent, &values[1..]).unwrap_err().contains("1 readings lost"));
        let twice = [values.clone(), vec![values[0].clone()]].concat();
        assert!(verdict(&sent, &twice).unwrap_err().contains("1 twice"));
        assert!(verdict(&sent[1..], &values[1..]).unwrap_err().contains("line-oximeter"));
    }
}
