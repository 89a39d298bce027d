//! What each column, byte or code of a device means to us, for a person who writes a device file.
//!
//! Marks: `!` claimed once, `X` claimed more than once, `?` claimed by nobody.

use std::fmt::Write as _;

use super::Profile;
use super::claims::{Claims, frame_claims, line_claims};
use super::file::Protocol;
use crate::protocol::Stated;
use crate::protocol::flag::FlagMode;
use crate::protocol::frame::{FrameMessage, FrameProfile};
use crate::protocol::line::{LineMessage, LineProfile};
use crate::protocol::medibus::MedibusProfile;
use crate::vocabulary::{AbsentReason, Vocabulary};

/// The explanation for one firmware, as text for a terminal.
pub fn explain(profile: &Profile, firmware: &str, vocabulary: &Vocabulary) -> String {
    let file = profile.file();
    let mut text = String::new();
    let device = &file.device;
    let _ = writeln!(text, "{} {} ({})", device.manufacturer, device.model, device.kind);
    let tested = file.firmware.tested.join(", ");
    let _ = writeln!(text, "profile   {} revision {}", profile.id(), file.revision);
    let _ = writeln!(text, "status    {}", file.provenance.status.as_str());
    let _ = writeln!(text, "firmware  {firmware} (tested with {tested})");
    for gap in &file.provenance.known_gaps {
        let _ = writeln!(text, "gap       {gap}");
    }
    for caveat in &file.provenance.caveats {
        let _ = writeln!(text, "caveat    {caveat}");
    }
    match profile.protocol_for(firmware) {
        Protocol::Line(line) => explain_line(&mut text, &line, vocabulary),
        Protocol::Frame(frame) => explain_frame(&mut text, &frame, vocabulary),
        Protocol::Astm(astm) => {
            let _ = writeln!(text, "\nastm: results by test code");
            for row in &astm.results {
                let unit = if row.unit.is_empty() { "no unit" } else { &row.unit };
                let what = meaning(&row.parameter, unit, vocabulary);
                let _ = writeln!(text, "  {:<14} {what}  [{}]", row.code, row.source);
            }
            let _ = writeln!(text, "  any other code is kept as unmapped and counted");
        }
        Protocol::Hl7v2(hl7v2) => {
            let _ = writeln!(text, "\nhl7v2: MDC codes of the vocabulary map by themselves");
            for row in &hl7v2.result {
                let what = meaning(
                    &row.parameter,
                    &row.units.clone().unwrap_or_default().join(", "),
                    vocabulary,
                );
                let _ = writeln!(text, "  {:<14} {what}  [{}]", row.code, row.source);
            }
            let _ = writeln!(text, "  any other code is kept as unmapped and counted");
        }
        Protocol::Intellivue(intellivue) => {
            let _ = writeln!(text, "\nintellivue: MDC codes of the vocabulary map by themselves");
            for row in intellivue.numeric.iter().chain(&intellivue.by_number) {
                let what = meaning(&row.parameter, &row.units.join(", "), vocabulary);
                let code = String::from(row.code);
                let _ = writeln!(text, "  {code:<14} {what}  [{}]", row.source);
            }
            let _ = writeln!(text, "  any other code is kept as unmapped and counted");
        }
        Protocol::Dri(dri) => {
            let every = dri.interval_s;
            let _ = writeln!(text, "\ndri: displayed values every {every} s, by field and label");
            explain_stated(&mut text, &dri.stated(), vocabulary);
        }
        Protocol::Medibus(medibus) => explain_medibus(&mut text, &medibus, vocabulary),
    }
    text
}

/// What a family states place by place.
fn explain_stated(text: &mut String, stated: &[Stated], vocabulary: &Vocabulary) {
    for one in stated {
        let unit = if one.unit.is_empty() { "no unit" } else { &one.unit };
        let what = meaning(&one.parameter, unit, vocabulary);
        let _ = writeln!(text, "  {:<32} {what}  [{}]", one.place, one.source);
    }
    let _ = writeln!(text, "  everything else is kept as unmapped and counted");
}

fn explain_medibus(text: &mut String, medibus: &MedibusProfile, vocabulary: &Vocabulary) {
    let asked: Vec<String> = medibus
        .poll
        .iter()
        .map(|poll| format!("{:02X} every {} ms", poll.command.code(), poll.every_ms))
        .collect();
    let _ = writeln!(text, "\nmedibus: asks {}", asked.join(", "));
    for table in &medibus.table {
        let ids: Vec<&str> = table.device.iter().map(|device| device.id.as_str()).collect();
        let _ = writeln!(text, "table {}: devices {}", table.name, ids.join(", "));
    }
    explain_stated(text, &medibus.stated(), vocabulary);
}

fn meaning(parameter: &str, unit: &str, vocabulary: &Vocabulary) -> String {
    let code = match vocabulary.parameter(parameter) {
        Some(known) if !known.mdc.is_empty() => known.mdc.clone(),
        Some(known) if !known.loinc.is_empty() => format!("LOINC {}", known.loinc),
        Some(_) | None => "no code".to_owned(),
    };
    format!("{parameter:<22} {unit:<10} {code}")
}

fn marks(claims: &Claims) -> String {
    let mark = |count: &usize| match count {
        0 => '?',
        1 => '!',
        _ => 'X',
    };
    claims.count.values().map(mark).collect()
}

fn explain_line(text: &mut String, line: &LineProfile, vocabulary: &Vocabulary) {
    for message in &line.message {
        let LineMessage { name, starts_with, columns, .. } = message;
        let _ = writeln!(text, "\nline {name}: starts with {starts_with:?}, {columns} columns");
        let _ = writeln!(text, "columns {}", marks(&line_claims(message)));
        let mut rows: Vec<(u16, String)> = Vec::new();
        for field in &message.field {
            let what = meaning(&field.parameter, &field.unit, vocabulary);
            let mut row = format!("{what}  [{}]", field.source);
            for (mark, reason) in &field.absent {
                let _ = write!(row, "\n            {mark:?} means absent: {reason}");
            }
            rows.push((field.column, row));
        }
        for flag in &message.flag {
            let row = flag_row(flag.bit, &flag.means, &flag.affects, flag.absent, flag.mode);
            rows.push((flag.column, row));
        }
        rows.extend(
            message.ignored.iter().map(|one| (one.column, format!("ignored: {}", one.why))),
        );
        rows.extend(message.firmware.iter().map(|one| (one.column, "firmware".to_owned())));
        let claims = line_claims(message);
        rows.extend(claims.free().map(|column| (column as u16, NOBODY.to_owned())));
        write_rows(text, "column", rows);
    }
}

fn explain_frame(text: &mut String, frame: &FrameProfile, vocabulary: &Vocabulary) {
    for message in &frame.message {
        let FrameMessage { name, payload_type, payload_bytes, .. } = message;
        let kind: Vec<String> = payload_type.0.iter().map(|byte| format!("{byte:02X}")).collect();
        let kind = kind.join(" ");
        let _ = writeln!(text, "\nframe {name}: payload of {payload_bytes} bytes, type {kind}");
        let _ = writeln!(text, "payload bytes {}", marks(&frame_claims(message)));
        let mut rows: Vec<(u16, String)> = vec![(0, format!("type {kind}"))];
        for field in &message.field {
            let what = meaning(&field.parameter, &field.unit, vocabulary);
            let form = format!("{:?}", field.raw).to_lowercase();
            let mut row = format!("{what}  {form} x {}  [{}]", field.lsb, field.source);
            for (mark, reason) in &field.absent {
                let _ = write!(row, "\n            {mark} means absent: {reason}");
            }
            rows.push((field.at, row));
        }
        for flag in &message.flag {
            let row = flag_row(flag.bit, &flag.means, &flag.affects, flag.absent, flag.mode);
            rows.push((flag.at, row));
        }
        rows.extend(message.ignored.iter().map(|one| (one.at, format!("ignored: {}", one.why))));
        rows.extend(message.firmware.iter().map(|one| (one.at, "firmware".to_owned())));
        let claims = frame_claims(message);
        rows.extend(claims.free().map(|at| (at as u16, NOBODY.to_owned())));
        write_rows(text, "byte", rows);
    }
}

fn flag_row(
    bit: u8,
    means: &str,
    affects: &[String],
    absent: Option<AbsentReason>,
    mode: Option<FlagMode>,
) -> String {
    let mut row = format!("bit {bit} = {means}");
    if !affects.is_empty() {
        let _ = write!(row, " on {}", affects.join(", "));
    }
    if let Some(reason) = absent {
        let _ = write!(row, ", means absent: {reason}");
    }
    if let Some(mode) = mode {
        let _ = write!(row, ", puts the message into mode {}", mode.as_str());
    }
    row
}

const NOBODY: &str = "? claimed by nobody";

fn write_rows(text: &mut String, word: &str, mut rows: Vec<(u16, String)>) {
    rows.sort_by_key(|(place, _)| *place);
    for (place, row) in rows {
        let _ = writeln!(text, "  {word} {place:<4} {row}");
    }
}
