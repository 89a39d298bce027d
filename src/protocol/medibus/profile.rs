//! The `[protocol.medibus]` table of a device file.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payload::{self, Code, Version};
use crate::vocabulary::Evidence;

/// Dräger MEDIBUS and MEDIBUS.X: commands and replies of both sides, code tables by device id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MedibusProfile {
    /// What the device is told when it asks who we are: `NNNN'name'DD.DD:MM.MM`.
    pub identification: String,
    /// The least time between the end of one exchange and our next command.
    #[serde(default = "spacing_ms")]
    pub spacing_ms: u64,
    /// NOP is sent when nothing was for so long; at most 2000.
    #[serde(default = "keep_alive_ms")]
    pub keep_alive_ms: u64,
    /// Communication is initialised anew after so long without a byte.
    #[serde(default = "silence_ms")]
    pub silence_ms: u64,
    /// A reply must be complete within this time.
    #[serde(default = "response_ms")]
    pub response_ms: u64,
    /// The time between two attempts to initialise communication.
    #[serde(default = "silence_ms")]
    pub initialise_every_ms: u64,
    /// How long the device is left alone after it has said who it is.
    #[serde(default = "settle_ms")]
    pub settle_ms: u64,
    /// What is asked, and how often.
    pub poll: Vec<Poll>,
    /// Real-time signals that are asked for, at most four; none unless a site needs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wave: Vec<Wave>,
    /// What the codes mean, by device. Every table that lists a device holds for it.
    pub table: Vec<Table>,
}

/// Within the device's own pace: no source states a smaller distance (facts/monitors.md 3.4).
fn spacing_ms() -> u64 {
    50
}

/// Safely within the 2 s of facts/monitors.md 3.4.
fn keep_alive_ms() -> u64 {
    1500
}

fn silence_ms() -> u64 {
    3000
}

fn response_ms() -> u64 {
    10_000
}

fn settle_ms() -> u64 {
    200
}

/// One command of the poll loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    pub command: PollCommand,
    /// How often, at most.
    pub every_ms: u64,
}

/// The commands that only ask. No other command can be named in a device file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PollCommand {
    /// Alarms, code page 3.
    #[serde(rename = "23")]
    Alarms3,
    /// Measured data, code page 1.
    #[serde(rename = "24")]
    Data1,
    /// Low alarm limits, code page 1.
    #[serde(rename = "25")]
    LowLimits1,
    /// High alarm limits, code page 1.
    #[serde(rename = "26")]
    HighLimits1,
    /// Alarms, code page 1.
    #[serde(rename = "27")]
    Alarms1,
    /// Date and time.
    #[serde(rename = "28")]
    DateTime,
    /// Settings.
    #[serde(rename = "29")]
    Settings,
    /// Text messages.
    #[serde(rename = "2A")]
    Texts,
    /// Measured data, code page 2.
    #[serde(rename = "2B")]
    Data2,
    /// Low alarm limits, code page 2.
    #[serde(rename = "2C")]
    LowLimits2,
    /// High alarm limits, code page 2.
    #[serde(rename = "2D")]
    HighLimits2,
    /// Alarms, code page 2.
    #[serde(rename = "2E")]
    Alarms2,
}

impl PollCommand {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Alarms3,
        Self::Data1,
        Self::LowLimits1,
        Self::HighLimits1,
        Self::Alarms1,
        Self::DateTime,
        Self::Settings,
        Self::Texts,
        Self::Data2,
        Self::LowLimits2,
        Self::HighLimits2,
        Self::Alarms2,
    ];

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Alarms3 => 0x23,
            Self::Data1 => 0x24,
            Self::LowLimits1 => 0x25,
            Self::HighLimits1 => 0x26,
            Self::Alarms1 => 0x27,
            Self::DateTime => 0x28,
            Self::Settings => 0x29,
            Self::Texts => 0x2A,
            Self::Data2 => 0x2B,
            Self::LowLimits2 => 0x2C,
            Self::HighLimits2 => 0x2D,
            Self::Alarms2 => 0x2E,
        }
    }

    /// The command with this byte.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }
}

/// One real-time signal that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The signal's code, two hexadecimal capitals.
    pub code: String,
    /// One value of so many is sent.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub multiplier: u8,
}

fn one() -> u8 {
    1
}

/// What some codes of some devices mean. Chosen by the id on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// A name for people.
    pub name: String,
    /// The devices that it is true for.
    pub device: Vec<TableDevice>,
    /// Measured data, and the limits of them.
    #[serde(default)]
    pub data: Vec<DataRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setting: Vec<SettingRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<TextRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarm: Vec<AlarmRow>,
    /// Real-time signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signal: Vec<SettingRow>,
}

/// One device of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableDevice {
    /// Four hexadecimal digits, as the device states them.
    pub id: String,
    /// The first device software for which the table is true: `02.20`. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_from: Option<String>,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataRow {
    /// Two hexadecimal capitals.
    pub code: String,
    /// The code page, 1 or 2.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 2))]
    pub page: u8,
    /// What the maker calls it.
    pub words: String,
    /// The parameter in the vocabulary; left out where none is proven to be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The device's unit; empty where the value has none.
    #[serde(default)]
    pub unit: String,
    /// Where this is written: source id and place.
    pub source: String,
    /// How far it is proven; left out: as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// A setting, or a real-time signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingRow {
    /// Two hexadecimal capitals.
    pub code: String,
    /// What the maker calls it.
    pub words: String,
    /// The parameter in the vocabulary; left out where none is proven to be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The device's unit; empty where it has none.
    #[serde(default)]
    pub unit: String,
    /// Where this is written: source id and place.
    pub source: String,
    /// How far it is proven; left out: as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextRow {
    /// Two hexadecimal capitals.
    pub code: String,
    /// What it means.
    pub words: String,
    /// The parameter whose value it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Where this is written: source id and place.
    pub source: String,
    /// How far it is proven; left out: as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmRow {
    /// Two hexadecimal capitals.
    pub code: String,
    /// The code page, 1 to 3.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 3))]
    pub page: u8,
    /// What it means.
    pub words: String,
    /// Where this is written: source id and place.
    pub source: String,
    /// How far it is proven; left out: as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl MedibusProfile {
    /// What the types cannot say. The first part names the key within the table.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if payload::identification(self.identification.as_bytes()).is_none() {
            let what = "expected four hexadecimal digits, a name between apostrophes and two \
                        versions: 0161'My PC'01.00:03.00";
            problems.push(("identification", what.to_owned()));
        }
        // The device gives up after 3 s, and NOP is due every 2 s (facts/monitors.md 3.4).
        let bounds = [
            ("spacing_ms", self.spacing_ms, 20, 1000),
            ("keep_alive_ms", self.keep_alive_ms, 500, 2000),
            ("silence_ms", self.silence_ms, 3000, 60_000),
            ("response_ms", self.response_ms, 1000, 10_000),
            ("initialise_every_ms", self.initialise_every_ms, 1000, 60_000),
            ("settle_ms", self.settle_ms, 200, 10_000),
        ];
        for (key, value, low, high) in bounds {
            if !(low..=high).contains(&value) {
                problems.push((key, format!("expected {low} to {high}")));
            }
        }
        for (index, poll) in self.poll.iter().enumerate() {
            if poll.every_ms < POLL_MS_MIN {
                problems.push(("poll", format!("expected every_ms of {POLL_MS_MIN} or more")));
            }
            if self.poll.iter().take(index).any(|one| one.command == poll.command) {
                let code = poll.command.code();
                problems.push(("poll", format!("command {code:02X} stands there twice")));
            }
        }
        if self.wave.len() > WAVES_MAX {
            problems.push(("wave", format!("expected at most {WAVES_MAX} signals")));
        }
        if self.wave.iter().any(|wave| wave.multiplier == 0 || !is_code(&wave.code)) {
            let what = "expected codes of two hexadecimal capitals, multipliers of 1 or more";
            problems.push(("wave", what.to_owned()));
        }
        problems.extend(self.table_problems().into_iter().map(|what| ("table", what)));
        problems
    }

    fn table_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let devices = || self.table.iter().flat_map(|table| &table.device);
        for TableDevice { id, software_from } in devices() {
            let good = id.len() == 4
                && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
                && software_from.as_deref().is_none_or(|text| Version::read(text).is_some());
            if !good {
                let what = "expected an id of four hexadecimal capitals, software_from NN.NN";
                problems.push(format!("device {id:?}: {what}"));
            }
        }
        for table in &self.table {
            for (kind, page, code) in table.codes() {
                let pages = if kind == "alarm" { 3 } else { 2 };
                if !is_code(code) || !(1..=pages).contains(&page) {
                    let what = "expected two hexadecimal capitals and a code page";
                    problems.push(format!("{}: {kind} {code:?}: {what}", table.name));
                }
            }
        }
        let ids: BTreeSet<&str> = devices().map(|device| device.id.as_str()).collect();
        for id in ids {
            let newest = Version(u8::MAX, u8::MAX);
            let merged = self.table_for(id, newest).unwrap_or_default();
            let mut seen = BTreeSet::new();
            for (kind, page, code) in merged.codes() {
                if !seen.insert((kind, page, code)) {
                    let what = format!("device {id}: {kind} {code} of page {page} has two rows");
                    problems.push(what);
                }
            }
        }
        problems
    }

    /// What the codes of a device mean, from all tables that list it; `None` if none does.
    pub(super) fn table_for(&self, id: &str, software: Version) -> Option<Table> {
        let fits = |device: &TableDevice| {
            let from = device.software_from.as_deref();
            let from = from.map_or(Some(Version(0, 0)), Version::read);
            device.id == id && from.is_some_and(|from| software >= from)
        };
        let mut merged: Option<Table> = None;
        for table in self.table.iter().filter(|table| table.device.iter().any(fits)) {
            let whole = merged.get_or_insert_default();
            whole.data.extend_from_slice(&table.data);
            whole.setting.extend_from_slice(&table.setting);
            whole.text.extend_from_slice(&table.text);
            whole.alarm.extend_from_slice(&table.alarm);
            whole.signal.extend_from_slice(&table.signal);
        }
        merged
    }
}

impl Table {
    /// Kind, page and code of every row.
    fn codes(&self) -> Vec<(&'static str, u8, &str)> {
        let data = self.data.iter().map(|row| ("data", row.page, row.code.as_str()));
        let alarm = self.alarm.iter().map(|row| ("alarm", row.page, row.code.as_str()));
        let setting = self.setting.iter().map(|row| ("setting", 1, row.code.as_str()));
        let text = self.text.iter().map(|row| ("text", 1, row.code.as_str()));
        let signal = self.signal.iter().map(|row| ("signal", 1, row.code.as_str()));
        data.chain(alarm).chain(setting).chain(text).chain(signal).collect()
    }
}

fn is_code(text: &str) -> bool {
    Code::read(text.as_bytes()).is_some()
}

/// Asking more often tells nothing: no ventilator measures a breath that often.
const POLL_MS_MIN: u64 = 250;

/// As many as one byte of the enabling sequence names (facts/monitors.md 3.6).
const WAVES_MAX: usize = 4;
