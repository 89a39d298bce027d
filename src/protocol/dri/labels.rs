//! Labels that say what a channel measures (facts/monitors.md 2.3; GE document 8005313).
//!
//! A channel whose label names no place (`P1`, `T1`) is a pressure or a temperature whose site is
//! not given. A label that is 0 or not listed leaves the value unmapped.

use super::table::Part;

/// The words of an invasive pressure label; `None` for one that is not listed.
pub(super) const fn pressure(label: u16) -> Option<&'static str> {
    Some(match label {
        0 => "NOT DEFINED",
        1 => "ART",
        2 => "CVP",
        3 => "PA",
        4 => "RAP",
        5 => "RVP",
        6 => "LAP",
        7 => "ICP",
        8 => "ABP",
        9 => "P1",
        10 => "P2",
        11 => "P3",
        12 => "P4",
        13 => "P5",
        14 => "P6",
        15 => "SP",
        16 => "FEM",
        17 => "UAC",
        18 => "UVC",
        19 => "ICP2",
        20 => "P7",
        21 => "P8",
        22 => "FEMV",
        _ => return None,
    })
}

/// The parameter of a pressure, where the vocabulary has it with a proven code. RVP, SP, FEM and
/// FEMV have none.
pub(super) const fn pressure_parameter(label: u16, part: Part) -> Option<&'static str> {
    let [systolic, diastolic, mean] = match label {
        1 => ["arterial-systolic", "arterial-diastolic", "arterial-mean"],
        2 => ["press-bld-ven-cent-sys", "press-bld-ven-cent-dia", "press-bld-ven-cent-mean"],
        3 => ["press-bld-art-pulm-sys", "press-bld-art-pulm-dia", "press-bld-art-pulm-mean"],
        4 => ["press-bld-atr-right-sys", "press-bld-atr-right-dia", "press-bld-atr-right-mean"],
        6 => ["press-bld-atr-left-sys", "press-bld-atr-left-dia", "press-bld-atr-left-mean"],
        7 | 19 => ["press-intra-cran-sys", "press-intra-cran-dia", "press-intra-cran-mean"],
        8 => ["press-bld-art-abp-sys", "press-bld-art-abp-dia", "press-bld-art-abp-mean"],
        9..=14 | 20 | 21 => ["press-bld-sys", "press-bld-dia", "press-bld-mean"],
        17 => ["press-bld-art-umb-sys", "press-bld-art-umb-dia", "press-bld-art-umb-mean"],
        18 => ["press-bld-ven-umb-sys", "press-bld-ven-umb-dia", "press-bld-ven-umb-mean"],
        _ => return None,
    };
    Some(match part {
        Part::Systolic => systolic,
        Part::Diastolic => diastolic,
        Part::Mean => mean,
    })
}

/// The words of a temperature label and its parameter.
pub(super) const fn temperature(label: u16) -> Option<(&'static str, Option<&'static str>)> {
    Some(match label {
        0 => ("NOT USED", None),
        1 => ("ESO", Some("temp-esoph")),
        2 => ("NASO", Some("temp-nasoph")),
        3 => ("TYMP", Some("temp-tymp")),
        4 => ("RECT", Some("temp-rect")),
        5 => ("BLAD", Some("temp-foley")),
        6 => ("AXIL", Some("temp-axilla")),
        7 => ("SKIN", Some("temp-skin")),
        8 => ("AIRW", Some("temp-away")),
        // A room is no patient, and the heart's muscle has no code that is proven.
        9 => ("ROOM", None),
        10 => ("MYO", None),
        11 => ("T1", Some("temperature")),
        12 => ("T2", Some("temperature")),
        13 => ("T3", Some("temperature")),
        14 => ("T4", Some("temperature")),
        15 => ("CORE", Some("temp-core")),
        16 => ("SURF", None),
        17 => ("T5", Some("temperature")),
        18 => ("T6", Some("temperature")),
        _ => return None,
    })
}

/// The words of an anaesthetic agent and its parameters, expired and inspired.
pub(super) const fn agent(
    label: u16,
) -> Option<(&'static str, Option<(&'static str, &'static str)>)> {
    Some(match label {
        0 => ("unknown", None),
        1 => ("none", None),
        2 => ("HAL", Some(("conc-away-haloth-et", "conc-away-haloth-insp"))),
        3 => ("ENF", Some(("conc-away-enfl-et", "conc-away-enfl-insp"))),
        4 => ("ISO", Some(("conc-away-isofl-et", "conc-away-isofl-insp"))),
        5 => ("DES", Some(("conc-away-desfl-et", "conc-away-desfl-insp"))),
        6 => ("SEV", Some(("conc-away-sevofl-et", "conc-away-sevofl-insp"))),
        _ => return None,
    })
}

/// Where the displayed heart rate comes from: the words, and the parameter that it then is. A rate
/// that is counted on a pressure or a pleth is a pulse rate.
///
/// facts/monitors.md 2.3 puts these bits into the ECG's label; GE document 8005313 table 3-10 puts
/// them into its status, and its table 3-12 gives the label to the leads. The document is followed.
pub(super) const fn heart_rate_source(status: u32) -> (u32, &'static str, Option<&'static str>) {
    let source = (status >> 3) & 0xf;
    let (words, parameter) = match source {
        0 => ("not selected", Some("heart-rate")),
        1 => ("ECG", Some("heart-rate")),
        2 => ("BP1", Some("puls-rate")),
        3 => ("BP2", Some("puls-rate")),
        4 => ("BP3", Some("puls-rate")),
        5 => ("BP4", Some("puls-rate")),
        6 => ("SpO2", Some("puls-rate")),
        7 => ("BP5", Some("puls-rate")),
        8 => ("BP6", Some("puls-rate")),
        9 => ("ECG Mortara", Some("heart-rate")),
        10 => ("BP7", Some("puls-rate")),
        11 => ("BP8", Some("puls-rate")),
        12 => ("second SpO2", Some("puls-rate")),
        _ => ("not listed", None),
    };
    (source, words, parameter)
}
