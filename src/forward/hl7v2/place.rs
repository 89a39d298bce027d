//! Whether a parameter has a place in a destination's messages, and by which codes. Pure.

use super::map::{Code, First, KindTable, Map, Parameters};

/// A triplet of CE or CWE: code, words, system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triplet {
    pub code: String,
    pub words: String,
    pub system: &'static str,
    /// A system of the destination's own; it replaces `system`.
    pub local_system: Option<String>,
}

impl Triplet {
    /// A code of a system that is known here.
    pub fn of(code: impl ToString, words: &str, system: &'static str) -> Self {
        Self { code: code.to_string(), words: words.to_owned(), system, local_system: None }
    }

    /// A code of the destination.
    pub fn local(code: &Code) -> Self {
        Self {
            code: code.code.clone(),
            words: code.words.clone(),
            system: "",
            local_system: Some(code.system.clone()),
        }
    }

    /// The name of the coding system.
    pub fn system(&self) -> &str {
        self.local_system.as_deref().unwrap_or(self.system)
    }
}

/// Why a value has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoPlace {
    /// The vocabulary does not know what it is.
    Unmapped,
    /// `left_out` in the map.
    LeftOut,
    /// The map lists its parameters, and this is none of them.
    NotListed,
    /// It has no code that the message can carry, and none is invented.
    NoCode,
    /// Its unit has no code, and the message wants one.
    UnitWithoutCode,
    /// The map wants a unit into which this one cannot be converted.
    OtherUnit,
    /// The text is longer than the message's type for it.
    TooLong,
    /// It is no part of an alarm that the message has a facet for.
    NoFacet,
}

impl NoPlace {
    /// The reason as it stands in notes and in the coverage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::LeftOut => "left-out",
            Self::NotListed => "not-listed",
            Self::NoCode => "no-code",
            Self::UnitWithoutCode => "unit-without-code",
            Self::OtherUnit => "other-unit",
            Self::TooLong => "too-long",
            Self::NoFacet => "no-facet",
        }
    }
}

/// The codes that are known of a parameter; empty where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub parameter: Option<&'a str>,
    pub mdc_code: Option<u32>,
    pub mdc: &'a str,
    pub loinc: &'a str,
}

/// OBX-3: one or two triplets.
///
/// # Errors
/// Why there is none.
pub fn codes(map: &Map, table: &KindTable, known: Known<'_>) -> Result<Vec<Triplet>, NoPlace> {
    let name = known.parameter.ok_or(NoPlace::Unmapped)?;
    let words = map.vocabulary().parameter(name).map_or(name, |row| row.words.as_str());
    let own = map.parameter(name);
    if own.is_some_and(|own| own.left_out.is_some()) {
        return Err(NoPlace::LeftOut);
    }
    if own.is_none() && map.file().parameters == Parameters::Listed {
        return Err(NoPlace::NotListed);
    }
    let local = own.and_then(|own| own.code.as_ref()).map(Triplet::local);
    let number = known.mdc_code.filter(|_| !known.mdc.is_empty());
    let mdc = number.map(|number| Triplet::of(number, known.mdc, "MDC"));
    let loinc = Some(known.loinc).filter(|code| !code.is_empty());
    // The vocabulary's own words are the parameter's, not LOINC's.
    let loinc_words = if mdc.is_none() { words } else { "" };
    let loinc = loinc.map(|code| Triplet::of(code, loinc_words, "LN"));
    if table.message.is_pcd() && mdc.is_none() {
        return Err(NoPlace::NoCode);
    }
    let order = match table.first {
        First::Mdc => [mdc, local, loinc],
        First::Loinc => [loinc, local, mdc],
        First::Local => [local, mdc, loinc],
    };
    let codes: Vec<Triplet> = order.into_iter().flatten().take(2).collect();
    if codes.is_empty() { Err(NoPlace::NoCode) } else { Ok(codes) }
}
