//! Whom and what a group of readings is about, and whether it is for a patient's record at all.
//!
//! | word | from | source |
//! |---|---|---|
//! | patient ids | PID-3 where it has a number; none if PID-31 is Y | facts/pumps.md 7 item 4 |
//! | place | PV1-3 as sent; a bed is not a patient | facts/monitors.md 6 |
//! | specimen | the profile's places, else SPM-2.1 and SAC-3 in OUL messages | facts/lab.md 3.3 |
//! | specimen type | SPM-4, else OBR-15 | |
//! | mode | control sample rules, MSH-11, OBX-8 DEMO and TEST | facts/semantics.md 1.2 |

use super::path::Path;
use super::profile::Hl7v2Profile;
use super::result::Manner;
use super::segments::Segment;
use super::wire::Wire;
use crate::vocabulary::reading::StatedPatientId;
use crate::vocabulary::{Flag, Mode, Reading, Refused, Subject};

/// What pumps put where a patient's number should be (facts/pumps.md 7 item 4).
const NOBODY: &str = "Unknown Patient";

/// From the segments that belong to a group. What cannot be read is refused and left empty.
pub fn read(
    wire: &Wire,
    context: &[&Segment],
    manner: &Manner,
    refusals: &mut Vec<Refused>,
) -> Subject {
    let mut keep = |read: Result<String, Refused>| {
        read.unwrap_or_else(|refused| {
            refusals.push(refused);
            String::new()
        })
    };
    let place = last(context, *b"PV1").map(|pv1| keep(wire.field_stated(pv1, 3)));
    let spm = last(context, *b"SPM").map(|spm| keep(wire.field_stated(spm, 4)));
    let obr = last(context, *b"OBR");
    let specimen_type = spm
        .filter(|text| !text.is_empty())
        .or_else(|| obr.map(|obr| keep(wire.field_stated(obr, 15))));
    let specimen = specimen(wire, context, manner, &mut keep);
    let ordered = obr.and_then(|obr| wire.repetitions(obr, 4).into_iter().next());
    let ordered = ordered.and_then(|at| match wire.codings(&at) {
        Ok(codings) => codings.into_iter().next(),
        Err(refused) => {
            refusals.push(refused);
            None
        }
    });
    let patient_ids = match last(context, *b"PID").map_or(Ok(Vec::new()), |pid| patient(wire, pid))
    {
        Ok(ids) => ids,
        Err(refused) => {
            refusals.push(refused);
            Vec::new()
        }
    };
    Subject {
        patient_ids,
        specimen,
        specimen_type: specimen_type.unwrap_or_default(),
        place: place.unwrap_or_default(),
        ordered,
    }
}

/// The mode of a group, before its readings' own flags.
pub fn mode(wire: &Wire, context: &[&Segment], profile: &Hl7v2Profile) -> Mode {
    let marked = profile.control_sample.iter().any(|rule| {
        let segments = context.iter().filter(|of| of.id == rule.field.segment().as_bytes());
        let mut texts = segments.map(|segment| wire.at_path(segment, &rule.field));
        texts.any(|text| text.is_ok_and(|text| rule.fits(&text)))
    });
    if marked {
        return Mode::ControlSample;
    }
    let processing = last(context, *b"MSH")
        .and_then(|msh| msh.field(11))
        .and_then(|at| wire.components(&at).into_iter().next())
        .map(|at| wire.bytes(&at).trim_ascii());
    match processing {
        None | Some(b"" | b"P" | b"\"\"") => Mode::Production,
        Some(b"T") => Mode::Training,
        Some(b"D") => Mode::Debugging,
        // No letter of HL7 table 0103. Mindray writes Q for its control samples there; a profile
        // that does not know what the letter means must not let the values pass for a patient's.
        Some(_) => Mode::Unclassified,
    }
}

/// The mode of one reading in a group of mode `of_group`.
pub fn mode_of_reading(of_group: Mode, reading: &Reading) -> Mode {
    let flagged =
        |code: &str| reading.flags.iter().any(|Flag(flag)| flag.split('^').next() == Some(code));
    match of_group {
        Mode::Production | Mode::Unclassified if flagged("DEMO") => Mode::Training,
        Mode::Production | Mode::Unclassified if flagged("TEST") => Mode::Debugging,
        Mode::Production
        | Mode::Training
        | Mode::Debugging
        | Mode::ControlSample
        | Mode::Unclassified => of_group,
    }
}

fn last<'a>(context: &[&'a Segment], id: [u8; 3]) -> Option<&'a Segment> {
    context.iter().rev().find(|segment| segment.id == id).copied()
}

fn specimen(
    wire: &Wire,
    context: &[&Segment],
    manner: &Manner,
    keep: &mut impl FnMut(Result<String, Refused>) -> String,
) -> String {
    let usual: Vec<Path> = if manner.laboratory {
        ["SPM-2.1", "SAC-3"].iter().flat_map(|path| path.parse()).collect()
    } else {
        Vec::new()
    };
    let paths = manner.profile.specimen.as_ref().unwrap_or(&usual);
    for path in paths {
        let segments = context.iter().rev().filter(|of| of.id == path.segment().as_bytes());
        for segment in segments {
            let text = keep(wire.at_path(segment, path));
            if !text.is_empty() {
                return text;
            }
        }
    }
    String::new()
}

fn patient(wire: &Wire, pid: &Segment) -> Result<Vec<StatedPatientId>, Refused> {
    if wire.field_text(pid, 31)?.trim() == "Y" {
        return Ok(Vec::new());
    }
    let mut ids = Vec::new();
    for repetition in wire.repetitions(pid, 3) {
        let components = wire.components(&repetition);
        let part = |number| wire.component(&components, number);
        let id = part(1)?;
        let nobody = [&id, &part(2)?].iter().any(|text| text.trim().eq_ignore_ascii_case(NOBODY));
        if !id.trim().is_empty() && !nobody {
            ids.push(StatedPatientId { id, authority: part(4)?, id_type: part(5)? });
        }
    }
    Ok(ids)
}
