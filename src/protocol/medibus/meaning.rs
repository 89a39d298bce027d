//! Replies to groups of readings, by the table of the device that spoke.
//!
//! | reply | becomes |
//! |---|---|
//! | 24, 2B | measurements; a listed parameter without a value is absent, not measured |
//! | 29 | settings; a listed one without a value is absent, not available |
//! | 25, 26, 2C, 2D | settings under the command and the code, `25:B9` |
//! | 2A | settings: the text as sent, coded `2A:06`; a listed parameter without one is absent |
//! | 23, 27, 2E | an event for each alarm that begins, changes or ends |
//! | 28 | the device's clock |
//!
//! A code that no table of the device lists is kept under command and code, unmapped.
//! Absence is stated in every reply: the protocol has no other mark of it (facts/monitors.md 9),
//! and nothing may be carried over from the reply before.

use std::collections::BTreeMap;
use std::ops::Range;

use super::payload::{self, Alarm, Code, Entry};
use super::profile::{DataRow, PollCommand, Table};
use super::wire::Frame;
use crate::protocol::Site;
use crate::vocabulary::reading::{Coding, EventKind};
use crate::vocabulary::{
    AbsentReason, DeviceCode, DeviceTime, DeviceUnit, Flag, Group, Nature, Reading, Refused, Value,
    Why,
};

/// The system of codes that are the device's own.
const SYSTEM: &str = "MEDIBUS";

/// Alarms that were active in the last good reply, by page; `None` before the first one.
#[derive(Default)]
pub(super) struct ActiveAlarms {
    pages: BTreeMap<u8, BTreeMap<Code, Alarm>>,
}

/// One kind of row, whatever table of the file it stands in.
struct Row<'a> {
    code: &'a str,
    words: &'a str,
    parameter: Option<&'a str>,
    unit: &'a str,
}

/// The groups of a reply to one command.
pub(super) fn read(
    command: PollCommand,
    frame: &Frame,
    table: Option<&Table>,
    site: &Site,
    active: &mut ActiveAlarms,
) -> Result<Vec<Group>, Refused> {
    match command {
        PollCommand::Data1 => data(frame, table, 1),
        PollCommand::Data2 => data(frame, table, 2),
        PollCommand::LowLimits1 => limits(command, frame, table, 1),
        PollCommand::HighLimits1 => limits(command, frame, table, 1),
        PollCommand::LowLimits2 => limits(command, frame, table, 2),
        PollCommand::HighLimits2 => limits(command, frame, table, 2),
        PollCommand::Settings => settings(frame, table),
        PollCommand::Texts => texts(frame, table),
        PollCommand::Alarms1 => alarms(command, frame, table, 1, active),
        PollCommand::Alarms2 => alarms(command, frame, table, 2, active),
        PollCommand::Alarms3 => alarms(command, frame, table, 3, active),
        PollCommand::DateTime => clock(frame, site).map(|group| vec![group]),
    }
}

fn data(frame: &Frame, table: Option<&Table>, page: u8) -> Result<Vec<Group>, Refused> {
    let entries = payload::entries(frame, 4)?;
    let command = if page == 1 { PollCommand::Data1 } else { PollCommand::Data2 };
    let rows: Vec<Row<'_>> = data_rows(table, page).map(Row::of_data).collect();
    Ok(values(command, frame, &entries, &rows, Nature::Measurement, AbsentReason::NotMeasured))
}

fn settings(frame: &Frame, table: Option<&Table>) -> Result<Vec<Group>, Refused> {
    let entries = payload::entries(frame, 5)?;
    let rows: Vec<Row<'_>> = table
        .into_iter()
        .flat_map(|table| &table.setting)
        .map(|row| Row {
            code: &row.code,
            words: &row.words,
            parameter: row.parameter.as_deref(),
            unit: &row.unit,
        })
        .collect();
    let (nature, reason) = (Nature::Setting, AbsentReason::NotAvailable);
    Ok(values(PollCommand::Settings, frame, &entries, &rows, nature, reason))
}

impl<'a> Row<'a> {
    fn of_data(row: &'a DataRow) -> Self {
        Self {
            code: &row.code,
            words: &row.words,
            parameter: row.parameter.as_deref(),
            unit: &row.unit,
        }
    }
}

fn data_rows(table: Option<&Table>, page: u8) -> impl Iterator<Item = &DataRow> {
    table.into_iter().flat_map(|table| &table.data).filter(move |row| row.page == page)
}

/// A code of the device under the command that gave it: on page 2, and among the settings, the same
/// number is another thing.
fn own_code(command: PollCommand, code: Code, words: &str) -> Coding {
    Coding::new(&format!("{:02X}:{code}", command.code()), words, SYSTEM)
}

fn unit(text: &str) -> Option<DeviceUnit> {
    (!text.is_empty()).then(|| DeviceUnit::text(text))
}

/// The device leaves a value blank where it has none and does not say why.
fn value(text: &str) -> Value {
    match Value::number(text) {
        Some(number) => number,
        None if text.is_empty() => Value::absent("", AbsentReason::NotStated),
        None => Value::text(text),
    }
}

fn values(
    command: PollCommand,
    frame: &Frame,
    entries: &[Entry],
    rows: &[Row<'_>],
    nature: Nature,
    reason: AbsentReason,
) -> Vec<Group> {
    let mut readings = Vec::new();
    let mut stated: Vec<&str> = Vec::new();
    for entry in entries {
        let sent = entry.code.to_string();
        let row = rows.iter().find(|row| row.code == sent);
        // A volume comes in litres or in millilitres by its size, a pressure in one of two units
        // by configuration: of two that claim one parameter in one reply, one can be it.
        let parameter =
            row.and_then(|row| row.parameter).filter(|parameter| !stated.contains(parameter));
        let code = match parameter {
            Some(parameter) => {
                stated.push(parameter);
                DeviceCode::Parameter(parameter.to_owned())
            }
            None => {
                let words = row.map_or("", |row| row.words);
                DeviceCode::Codings(vec![own_code(command, entry.code, words)])
            }
        };
        let mut reading = Reading::new(code, value(&entry.value), entry.at.clone());
        reading.unit = row.and_then(|row| unit(row.unit));
        reading.nature = nature;
        readings.push(reading);
    }
    for parameter in rows.iter().filter_map(|row| row.parameter) {
        if stated.contains(&parameter) {
            continue;
        }
        stated.push(parameter);
        // Without a unit: it would be one of several in which this parameter may come.
        let code = DeviceCode::Parameter(parameter.to_owned());
        let mut reading = Reading::new(code, Value::absent("", reason), 0..frame.raw.len());
        reading.nature = nature;
        readings.push(reading);
    }
    group(readings)
}

fn group(readings: Vec<Reading>) -> Vec<Group> {
    if readings.is_empty() { Vec::new() } else { vec![Group::of(readings)] }
}

/// No parameter of the vocabulary is a limit, so that none can be taken for the value itself.
fn limits(
    command: PollCommand,
    frame: &Frame,
    table: Option<&Table>,
    page: u8,
) -> Result<Vec<Group>, Refused> {
    let which = match command {
        PollCommand::LowLimits1 | PollCommand::LowLimits2 => "low alarm limit",
        PollCommand::HighLimits1
        | PollCommand::HighLimits2
        | PollCommand::Alarms1
        | PollCommand::Alarms2
        | PollCommand::Alarms3
        | PollCommand::Data1
        | PollCommand::Data2
        | PollCommand::DateTime
        | PollCommand::Settings
        | PollCommand::Texts => "high alarm limit",
    };
    let rows: Vec<Row<'_>> = data_rows(table, page).map(Row::of_data).collect();
    let entries = payload::entries(frame, 4)?;
    let reading = |entry: &Entry| {
        let sent = entry.code.to_string();
        let row = rows.iter().find(|row| row.code == sent);
        let words = row.map(|row| format!("{}: {which}", row.words)).unwrap_or_default();
        let code = DeviceCode::Codings(vec![own_code(command, entry.code, &words)]);
        let mut reading = Reading::new(code, value(&entry.value), entry.at.clone());
        reading.unit = row.and_then(|row| unit(row.unit));
        reading.nature = Nature::Setting;
        reading
    };
    Ok(group(entries.iter().map(reading).collect()))
}

fn texts(frame: &Frame, table: Option<&Table>) -> Result<Vec<Group>, Refused> {
    let command = PollCommand::Texts;
    let texts = payload::texts(frame)?;
    let rows = || table.into_iter().flat_map(|table| &table.text);
    let row_of = |code: Code| {
        let sent = code.to_string();
        rows().find(|row| row.code == sent)
    };
    let parameter_of = |code: Code| row_of(code).and_then(|row| row.parameter.as_deref());
    let mut readings = Vec::new();
    for text in &texts {
        let own = own_code(command, text.code, row_of(text.code).map_or("", |row| &row.words));
        // Two texts that claim one parameter contradict each other: neither is it.
        let alone = |parameter: &&str| {
            let claims = texts.iter().filter(|one| parameter_of(one.code) == Some(*parameter));
            claims.count() == 1
        };
        let mut reading = match parameter_of(text.code).filter(alone) {
            Some(parameter) => {
                let value = Value::coded(&text.value, &own.code, &own.words, SYSTEM);
                let code = DeviceCode::Parameter(parameter.to_owned());
                Reading::new(code, value, text.at.clone())
            }
            None => {
                let code = DeviceCode::Codings(vec![own]);
                Reading::new(code, Value::text(&text.value), text.at.clone())
            }
        };
        reading.nature = Nature::Setting;
        readings.push(reading);
    }
    let mut wanted: Vec<&str> = rows().filter_map(|row| row.parameter.as_deref()).collect();
    wanted.dedup();
    for parameter in wanted {
        let code = DeviceCode::Parameter(parameter.to_owned());
        if !readings.iter().any(|reading| reading.code == code) {
            let value = Value::absent("", AbsentReason::NotAvailable);
            let mut reading = Reading::new(code, value, 0..frame.raw.len());
            reading.nature = Nature::Setting;
            readings.push(reading);
        }
    }
    Ok(group(readings))
}

fn alarms(
    command: PollCommand,
    frame: &Frame,
    table: Option<&Table>,
    page: u8,
    active: &mut ActiveAlarms,
) -> Result<Vec<Group>, Refused> {
    let now = payload::alarms(frame)?;
    let is_first = !active.pages.contains_key(&page);
    let before = active.pages.remove(&page).unwrap_or_default();
    let mut groups = Vec::new();
    for alarm in &now {
        let phase = match before.get(&alarm.code) {
            Some(known) if same(known, alarm) => continue,
            Some(_) => "update",
            // Nobody knows since when.
            None if is_first => "present",
            None => "start",
        };
        groups.push(event(command, alarm, phase, alarm.at.clone(), table, page));
    }
    for ended in before.values().filter(|one| !now.iter().any(|alarm| alarm.code == one.code)) {
        groups.push(event(command, ended, "end", 0..frame.raw.len(), table, page));
    }
    active.pages.insert(page, now.into_iter().map(|alarm| (alarm.code, alarm)).collect());
    Ok(groups)
}

fn same(one: &Alarm, other: &Alarm) -> bool {
    one.priority == other.priority && one.phrase == other.phrase
}

fn event(
    command: PollCommand,
    alarm: &Alarm,
    phase: &str,
    at: Range<usize>,
    table: Option<&Table>,
    page: u8,
) -> Group {
    let rows = table.into_iter().flat_map(|table| &table.alarm).filter(|row| row.page == page);
    let sent = alarm.code.to_string();
    let row = { rows }.find(|row| row.code == sent);
    let own = own_code(command, alarm.code, row.map_or("", |row| &row.words));
    let shown = if alarm.phrase.is_empty() { own.code.clone() } else { alarm.phrase.clone() };
    let part = |code: DeviceCode, value: Value| {
        let mut reading = Reading::new(code, value, at.clone());
        reading.nature = Nature::EventPart;
        reading
    };
    let named = |name: &str| DeviceCode::Parameter(name.to_owned());
    let mut what = match row {
        Some(_) => {
            let value = Value::coded(&shown, &own.code, &own.words, SYSTEM);
            part(named("evt-alarm"), value)
        }
        None => part(DeviceCode::Codings(vec![own]), Value::text(&shown)),
    };
    what.flags.push(Flag(format!("priority:{}", alarm.priority)));
    let readings = vec![
        what,
        part(named("attr-event-phase"), Value::text(phase)),
        part(named("attr-alert-text"), Value::text(&shown)),
    ];
    Group { event: Some(EventKind::Alarm), ..Group::of(readings) }
}

/// The device's clock, as evidence of how far it goes wrong.
fn clock(frame: &Frame, site: &Site) -> Result<Group, Refused> {
    let at = frame.at(0..frame.text.len());
    let Some(digits) = payload::date_time(&frame.text) else {
        let what = "expected HH:MM:SSDD-MMM-YY with a German month";
        return Err(Refused::new(Why::Unreadable, at, what));
    };
    let sent = String::from_utf8_lossy(&frame.text).trim().to_owned();
    let read = DeviceTime::read(&digits, site.zone.as_ref());
    let time = DeviceTime::from_parts(sent.clone(), read.utc_us, read.evidence);
    let code = DeviceCode::Parameter("attr-time-abs".to_owned());
    let mut reading = Reading::new(code, Value::text(&sent), at);
    reading.nature = Nature::DeviceFact;
    Ok(Group { time: Some(time), ..Group::of(vec![reading]) })
}
