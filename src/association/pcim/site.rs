//! What the site says of the peers of this profile.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::super::adt::AdtSite;
use super::super::names::DeviceId;

/// How the site's messages name patients, places and machines.
#[derive(Clone, Debug)]
pub struct PcimSite {
    /// Authorities, roots and places, the same as of the patient administration.
    pub patients: AdtSite,
    /// The texts that name each machine: its label, its asset number, its EUI-64.
    pub machines: BTreeMap<String, DeviceId>,
    /// The zone of times without one.
    pub zone: Option<TimeZone>,
    /// CX.5 of patients: `MR` unless the site says otherwise.
    pub identifier_type: String,
}

impl Default for PcimSite {
    fn default() -> Self {
        Self {
            patients: AdtSite::default(),
            machines: BTreeMap::new(),
            zone: None,
            identifier_type: "MR".to_owned(),
        }
    }
}

impl PcimSite {
    /// The machine that one of these texts names. `None` if none does, or if two name two.
    pub(super) fn machine(&self, texts: &[String]) -> Option<&DeviceId> {
        let mut found = texts.iter().filter_map(|text| self.machines.get(text));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}
