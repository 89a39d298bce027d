//! Who owns the act of charting: of each ward and class of parameter exactly one, so that no value
//! is charted by two.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What a person enters is owned like a parameter of this name.
pub const ENTRIES: &str = "entries";

/// Who owns the act of charting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Owner {
    /// The core's app shows, confirms and rejects; the box sends preliminary values.
    #[default]
    #[serde(rename = "core")]
    Core,
    /// The box's page confirms.
    #[serde(rename = "box")]
    Box,
    /// The core's app, and the box's page while the core cannot be reached.
    #[serde(rename = "core, box in downtime")]
    CoreBoxInDowntime,
}

impl Owner {
    /// The word in the configuration and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Box => "box",
            Self::CoreBoxInDowntime => "core, box in downtime",
        }
    }

    /// Whether the box's page may sign now.
    pub const fn signs_here(self, core_is_away: bool) -> bool {
        match self {
            Self::Box => true,
            Self::CoreBoxInDowntime => core_is_away,
            Self::Core => false,
        }
    }
}

/// The owners of all that is charted at this box. What a class says goes before what its ward says,
/// and that before the usual owner; no two classes name one parameter on one ward with two owners,
/// which is checked when the configuration is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// Of what nothing else names.
    pub usual: Owner,
    pub wards: BTreeMap<String, Owner>,
    pub classes: Vec<Class>,
}

/// Parameters with one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    pub owner: Owner,
    /// Names of the vocabulary, and [`ENTRIES`].
    pub parameters: BTreeSet<String>,
    /// On these wards; on all where there is none.
    pub wards: BTreeSet<String>,
}

impl Class {
    /// Whether it speaks of this ward.
    pub fn is_of_ward(&self, ward: &str) -> bool {
        self.wards.is_empty() || self.wards.contains(ward)
    }
}

impl Owners {
    /// One owner of everything.
    pub fn of_all(owner: Owner) -> Self {
        Self { usual: owner, ..Self::default() }
    }

    /// Who charts this parameter on this ward; [`ENTRIES`] for what a person enters.
    pub fn of(&self, ward: &str, parameter: &str) -> Owner {
        let class = self
            .classes
            .iter()
            .find(|class| class.is_of_ward(ward) && class.parameters.contains(parameter));
        let of_ward = || self.wards.get(ward).copied().unwrap_or(self.usual);
        class.map_or_else(of_ward, |class| class.owner)
    }

    /// The one owner of everything, if there is one.
    pub fn only(&self) -> Option<Owner> {
        let others = self.wards.values().copied();
        let mut others = others.chain(self.classes.iter().map(|class| class.owner));
        others.all(|owner| owner == self.usual).then_some(self.usual)
    }
}

/// The ward in the name of a place: `icu` of `icu/bed-1`.
pub fn ward_of(place: &str) -> &str {
    place.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_goes_before_its_ward_and_a_ward_before_the_usual() {
        let class = |owner, parameter: &str, wards: &[&str]| Class {
            owner,
            parameters: [parameter.to_owned()].into(),
            wards: wards.iter().map(|&ward| ward.to_owned()).collect(),
        };
        let owners = Owners {
            usual: Owner::Core,
            wards: [("3b".to_owned(), Owner::Box)].into(),
            classes: vec![
                class(Owner::Box, "spo2", &[]),
                class(Owner::CoreBoxInDowntime, ENTRIES, &["3b"]),
            ],
        };
        assert_eq!(owners.of("3a", "pulse-rate"), Owner::Core);
        assert_eq!(owners.of("3b", "pulse-rate"), Owner::Box);
        assert_eq!(owners.of("3a", "spo2"), Owner::Box);
        assert_eq!(owners.of("3a", ENTRIES), Owner::Core);
        assert_eq!(owners.of("3b", ENTRIES), Owner::CoreBoxInDowntime);
        assert_eq!(owners.only(), None);
        assert_eq!(Owners::of_all(Owner::Box).only(), Some(Owner::Box));
        assert_eq!(ward_of("icu/bed-1"), "icu");
    }

    #[test]
    fn in_downtime_the_box_stands_in_for_the_core_alone() {
        for (owner, here, away) in [
            (Owner::Core, false, false),
            (Owner::Box, true, true),
            (Owner::CoreBoxInDowntime, false, true),
        ] {
            assert_eq!((owner.signs_here(false), owner.signs_here(true)), (here, away));
        }
    }
}
