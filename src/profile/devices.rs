//! The list of devices: per device and parameter what is proven by what, from the device files
//! alone. `docs/devices.md` is this text; `tests/devices.rs` compares.

use std::fmt::Write as _;

use super::{Learned, Profile};
use crate::protocol::Stated;
use crate::vocabulary::Evidence;

/// One device file with the names of its captures.
pub struct Device<'a> {
    pub profile: &'a Profile,
    pub captures: Vec<String>,
}

const HEAD: &str = "\
# Devices: what is proven by what

Generated from the device files (`wardgate profile devices`); do not edit.

| word | means |
|---|---|
| spec | read in a document or a public program |
| recomputed | recomputed from a published example |
| captured | seen in a recording of a real device |
| bench, ward | compared with a device's screen, on the bench or on a ward |

A device of status `draft` loads on the bench only.
What the vocabulary has no parameter for is kept under the device's own name, unmapped and counted;
it is not listed. Where codes of the vocabulary map by themselves (MDC), only codes that were seen
or are the device's own are listed.
";

/// The list, by the ids of the files.
pub fn table(devices: &[Device<'_>]) -> String {
    let mut sorted: Vec<(String, &Device<'_>)> =
        devices.iter().map(|device| (device.profile.id(), device)).collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let mut text = HEAD.to_owned();
    for (id, device) in sorted {
        section(&mut text, &id, device);
    }
    text
}

fn section(text: &mut String, id: &str, device: &Device<'_>) {
    let file = device.profile.file();
    let names = &file.device;
    let _ = writeln!(text, "\n## {id}");
    let _ = writeln!(text, "{} {} ({})", names.manufacturer, names.model, names.kind);
    let _ = writeln!(text);
    let evidence = word(file.provenance.evidence);
    let learned = match file.firmware.learned {
        Learned::ReportedByDevice => "reported by the device",
        Learned::EnteredAtCommissioning => "entered at commissioning",
    };
    let captures = match device.captures.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let _ = writeln!(text, "- status {}, evidence {evidence}", file.provenance.status.as_str());
    let family = file.protocol.family();
    let _ = writeln!(text, "- family `{family}`, direction {}", file.link.direction.as_str());
    let _ = writeln!(text, "- firmware {} ({learned})", file.firmware.tested.join(", "));
    let _ = writeln!(text, "- captures: {captures}");
    let rows = rows(&file.protocol.stated(), file.provenance.evidence);
    if rows.is_empty() {
        let _ = writeln!(text, "- no rows: codes of the vocabulary map by themselves");
        return;
    }
    let _ = writeln!(text, "\n| parameter | where | unit | source | evidence |");
    let _ = writeln!(text, "|---|---|---|---|---|");
    rows.iter().for_each(|row| text.push_str(row));
}

/// Each row once, in the order of the file.
fn rows(stated: &[Stated], of_file: Option<Evidence>) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for one in stated {
        let (parameter, place, source) =
            (cell(&one.parameter), cell(&one.place), cell(&one.source));
        let unit = if one.unit.is_empty() { "none".to_owned() } else { cell(&one.unit) };
        let evidence = word(one.evidence.or(of_file));
        let row = format!("| {parameter} | {place} | {unit} | {source} | {evidence} |\n");
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

fn word(evidence: Option<Evidence>) -> &'static str {
    evidence.map_or("not stated", Evidence::as_str)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
