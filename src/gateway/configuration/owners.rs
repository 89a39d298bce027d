//! Who owns the act of charting, as the configuration says it, and that nothing is charted by two:
//! no parameter with two owners, no device's parameter with two ways into patients' records.
//!
//! ```toml
//! [charting]
//! owner = "core"                   # of everything that nothing below names
//! ward.icu = "core, box in downtime"
//!
//! [[charting.class]]
//! of = ["ventilation", "ventilation-setting", "spo2", "entries"]
//! owner = "box"
//! wards = ["icu"]                  # all unless said
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::{ChartingTable, ConfigurationFile, DestinationTable, DeviceSetup, Files, Loader, Take};
use crate::charting::owners::{Class, ENTRIES, Owner, Owners, ward_of};
use crate::forward::hl7v2::map::{Map, coverage};
use crate::profile::Protocol;
use crate::profile::position::Step::{Index, Key};
use crate::vocabulary::Vocabulary;

/// `[[charting.class]]`: parameters with an owner of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTable {
    /// Categories and parameters of the vocabulary, and `entries`.
    pub of: Vec<String>,
    pub owner: Owner,
    /// On these wards; on all unless said.
    #[serde(default)]
    pub wards: Vec<String>,
}

impl ChartingTable {
    /// The owners of all that is charted here.
    pub fn owners(&self, vocabulary: &Vocabulary) -> Owners {
        let class = |table: &ClassTable| Class {
            owner: table.owner,
            parameters: table.of.iter().flat_map(|name| members(name, vocabulary)).collect(),
            wards: table.wards.iter().cloned().collect(),
        };
        Owners {
            usual: self.owner,
            wards: self.ward.clone(),
            classes: self.class.iter().map(class).collect(),
        }
    }
}

/// The parameters that a name in `of` stands for; none if nobody knows it.
fn members(name: &str, vocabulary: &Vocabulary) -> BTreeSet<String> {
    if name == ENTRIES || vocabulary.parameter(name).is_some() {
        return [name.to_owned()].into();
    }
    let of_category = vocabulary.parameters().filter(|(_, one)| one.category == name);
    of_category.map(|(name, _)| name.to_owned()).collect()
}

impl Loader<'_> {
    /// Every parameter has one owner on each ward.
    pub(super) fn owners(&mut self, file: &ConfigurationFile, table: &ChartingTable) {
        let mut wards: BTreeSet<&str> = file.device.iter().map(|one| ward_of(&one.place)).collect();
        wards.insert(&file.gateway.ward);
        let known = wards.iter().copied().collect::<Vec<_>>().join(", ");
        let what = format!("no device of this box stands on that ward; there are: {known}");
        for ward in table.ward.keys().filter(|ward| !wards.contains(ward.as_str())) {
            self.add(&[Key("charting"), Key("ward"), Key(ward)], what.as_str());
        }
        let vocabulary = Arc::clone(&self.vocabulary);
        let classes = table.owners(&vocabulary).classes;
        for (index, class) in table.class.iter().enumerate() {
            let at = |key, number| [Key("charting"), Key("class"), Index(index), Key(key), number];
            for (number, ward) in class.wards.iter().enumerate() {
                if !wards.contains(ward.as_str()) {
                    self.add(&at("wards", Index(number)), what.as_str());
                }
            }
            if class.of.is_empty() {
                let path = [Key("charting"), Key("class"), Index(index), Key("of")];
                self.add(&path, class_expected(&vocabulary));
            }
            for (number, name) in class.of.iter().enumerate() {
                let own = members(name, &vocabulary);
                if own.is_empty() {
                    self.add(&at("of", Index(number)), class_expected(&vocabulary));
                } else if let Some(what) = owned_by_another(&own, index, &classes) {
                    self.add(&at("of", Index(number)), what);
                }
            }
        }
    }

    /// What files into patients' records gets each device's parameter on one way only, and of what
    /// the box's page confirms nothing that nobody confirmed.
    pub(super) fn ways_into_records(
        &mut self,
        file: &ConfigurationFile,
        maps: &BTreeMap<String, Arc<Map>>,
        devices: &[DeviceSetup],
    ) {
        let filing: Vec<(usize, &DestinationTable)> = file
            .destination
            .iter()
            .enumerate()
            .filter(|(_, one)| one.files == Files::Patients && one.take != Take::Waveforms)
            .collect();
        let vocabulary = Arc::clone(&self.vocabulary);
        let filed = |one: &DestinationTable| filed(one, maps, &vocabulary);
        for (number, (index, later)) in filing.iter().enumerate() {
            for (_, earlier) in filing.iter().take(number) {
                let both: BTreeSet<String> =
                    filed(later).intersection(&filed(earlier)).cloned().collect();
                let Some((device, parameter)) = shared(&both, devices) else { continue };
                let what = format!(
                    "{device}'s {parameter} goes into patients' records by destination {} \
                     already: expected files = \"trial\" here, or maps of hl7v2 without a \
                     parameter in common",
                    earlier.name
                );
                self.add(&[Key("destination"), Index(*index), Key("files")], what);
                break;
            }
        }
        let owners = file.charting.as_ref().map(|table| table.owners(&vocabulary));
        if owners.and_then(|owners| owners.only()) != Some(Owner::Box) {
            return;
        }
        for (index, _) in filing.iter().filter(|(_, one)| one.take != Take::Confirmed) {
            let what = "expected take = \"confirmed\": the box's page confirms here, and nothing \
                        goes into patients' records before ([charting] owner)";
            self.add(&[Key("destination"), Index(*index), Key("files")], what);
        }
    }
}

fn class_expected(vocabulary: &Vocabulary) -> String {
    let categories: BTreeSet<&str> =
        vocabulary.parameters().map(|(_, one)| one.category.as_str()).collect();
    let categories: Vec<&str> = categories.into_iter().collect();
    format!(
        "no such class: expected \"{ENTRIES}\", a parameter of the vocabulary, or one of its \
         categories; there are: {}",
        categories.join(", ")
    )
}

/// Which of these parameters a class before this one gives to another owner on the same ward.
fn owned_by_another(own: &BTreeSet<String>, index: usize, classes: &[Class]) -> Option<String> {
    let class = classes.get(index)?;
    let others = classes.iter().take(index).enumerate().filter(|(_, other)| {
        let same_ward = class.wards.is_empty()
            || other.wards.is_empty()
            || !class.wards.is_disjoint(&other.wards);
        same_ward && other.owner != class.owner
    });
    let mut both = others.filter_map(|(number, other)| {
        let parameter = other.parameters.intersection(own).next()?;
        Some((number + 1, parameter, other.owner.as_str()))
    });
    both.next().map(|(number, parameter, owner)| {
        format!(
            "{parameter} has the owner \"{owner}\" by [[charting.class]] {number} already: \
             expected one owner of each parameter on a ward"
        )
    })
}

/// The parameters that a destination files: all, or those with a place in its map.
fn filed(
    table: &DestinationTable,
    maps: &BTreeMap<String, Arc<Map>>,
    vocabulary: &Vocabulary,
) -> BTreeSet<String> {
    let all = vocabulary.parameters().map(|(name, _)| name);
    match maps.get(&table.name) {
        Some(map) => coverage::coverage(map, all).placed.into_keys().collect(),
        None => all.map(str::to_owned).collect(),
    }
}

/// A device that may send one of these parameters. One that names itself in MDC may send any.
fn shared<'a>(
    parameters: &'a BTreeSet<String>,
    devices: &'a [DeviceSetup],
) -> Option<(&'a str, &'a str)> {
    devices.iter().find_map(|device| {
        let own = device.profile.parameters();
        let in_mdc = matches!(device.profile.file().protocol, Protocol::Hl7v2(_));
        let listed = parameters.iter().find(|name| own.contains(name.as_str()));
        let parameter = listed.or_else(|| parameters.first().filter(|_| in_mdc))?;
        Some((device.name.as_str(), parameter.as_str()))
    })
}
