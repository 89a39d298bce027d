//! Which parameters of a device file have a place in a map, and which are set aside and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Map, Way, convert};
use crate::forward::hl7v2::place::{Known, NoPlace, codes};
use crate::forward::stored::EventKind;

/// What a map makes of a device's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The first code of OBX-3, by parameter.
    pub placed: BTreeMap<String, String>,
    /// Why there is no place, by parameter.
    pub set_aside: BTreeMap<String, String>,
}

/// Looks each parameter up, as a measurement or, for a laboratory's parameter, as a result.
pub fn coverage<'a>(map: &Map, parameters: impl Iterator<Item = &'a str>) -> Coverage {
    let mut found = Coverage::default();
    for name in parameters {
        match place(map, name) {
            Ok(code) => drop(found.placed.insert(name.to_owned(), code)),
            Err(why) => drop(found.set_aside.insert(name.to_owned(), why)),
        }
    }
    found
}

fn place(map: &Map, name: &str) -> Result<String, String> {
    let row = map.vocabulary().parameter(name).ok_or("not in the vocabulary")?;
    let way = map.way(EventKind::Observation, map.is_of_laboratory(name));
    let Way::Message(table) = way else {
        let table = if map.is_of_laboratory(name) { "laboratory" } else { "observation" };
        return Err(format!("no [{table}] in the map"));
    };
    let known =
        Known { parameter: Some(name), mdc_code: row.mdc_code, mdc: &row.mdc, loinc: &row.loinc };
    let triplets = codes(map, table, known).map_err(|why| {
        let own = map.parameter(name).and_then(|own| own.left_out.as_deref());
        match (why, own) {
            (NoPlace::LeftOut, Some(reason)) => format!("left out: {reason}"),
            (why, _) => why.as_str().to_owned(),
        }
    })?;
    let first = triplets.first().ok_or_else(|| NoPlace::NoCode.as_str().to_owned())?;
    let mut text = format!("{}^{}^{}", first.code, first.words, first.system());
    if let Some((wanted, decimals)) =
        map.parameter(name).and_then(|own| own.unit.as_ref().zip(own.decimals))
    {
        let _ = write!(text, " in {wanted}, {decimals} decimals, {}", convert::ROUNDING);
    }
    Ok(text)
}

impl Coverage {
    /// For people: one line per parameter.
    pub fn lines(&self) -> Vec<String> {
        let placed = self.placed.iter().map(|(name, code)| format!("{name:<28} {code}"));
        let aside = self.set_aside.iter().map(|(name, why)| format!("{name:<28} set aside: {why}"));
        placed.chain(aside).collect()
    }
}
