//! What each column, byte or code of a device means to us, for a person who writes a device file.
//!
//! Marks: `!` claimed once, `X` claimed more than once, `?` claimed by nobody.

use std::fmt::Write as _;

use super::Profile;
use super::file::Protocol;
use crate::protocol::Stated;
use crate::protocol::medibus::MedibusProfile;
use crate::vocabulary::Vocabulary;

mod interpreted;

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
        Protocol::Line(line) => interpreted::line(&mut text, &line, vocabulary),
        Protocol::Frame(frame) => interpreted::frame(&mut text, &frame, vocabulary),
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
        Protocol::Unity(unity) => {
            let _ = writeln!(text, "\nunity: numerics by code and place");
            explain_stated(&mut text, &unity.stated(), vocabulary);
        }
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

/// The parameter with its unit and code, in columns.
fn meaning(parameter: &str, unit: &str, vocabulary: &Vocabulary) -> String {
    let code = match vocabulary.parameter(parameter) {
        Some(known) if !known.mdc.is_empty() => known.mdc.clone(),
        Some(known) if !known.loinc.is_empty() => format!("LOINC {}", known.loinc),
        Some(_) | None => "no code".to_owned(),
    };
    format!("{parameter:<22} {unit:<10} {code}")
}
