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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load;

    /// A box with one oximeter, on ward `icu`.
    const BOX: &str = r#"[gateway]
id = "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11"
tenant = "demo"
site = "site"
ward = "icu"
name = "box-1"
data = "DATA"
socket = "DATA/socket"
device_profiles = "PROFILES"
mode = "bench"

[identity]
issuer = "http://127.0.0.1:1"
audience = "wardgate"
clients = ["bedside"]
role = [{ value = "nurse", role = "registered-nurse" }]

[[device]]
name = "oximeter"
profile = "nordpuls/po-100"
place = "icu/bed-1"
firmware = "2.2"
link = { serial = "DATA/line" }

[charting]
listen = "127.0.0.1:0"
origins = ["http://127.0.0.1:8443"]
"#;

    fn destination(name: &str, files: &str, take: &str) -> String {
        format!(
            "[[destination]]\nname = \"{name}\"\nfiles = \"{files}\"\ntake = \"{take}\"\n\
             required = \"required\"\nmqtt = {{ host = \"core\", receivers = [\"core\"] }}\n"
        )
    }

    /// What is wrong, each with line and column.
    fn problems(more: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wardgate.toml");
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
        let text = format!("{BOX}{more}")
            .replace("DATA", &folder.path().display().to_string())
            .replace("PROFILES", &profiles.display().to_string());
        std::fs::write(&file, text).unwrap();
        let cut = |said: String| said.split_once(".toml:").map(|(_, rest)| rest.to_owned());
        load(&file).err().unwrap_or_default().into_iter().filter_map(cut).collect()
    }

    /// The line, counted from 1, on which a text of `BOX` and `more` stands.
    fn line_of(more: &str, text: &str) -> usize {
        let whole = format!("{BOX}{more}");
        whole.lines().position(|line| line.contains(text)).unwrap() + 1
    }

    #[test]
    fn classes_are_those_of_the_vocabulary() {
        let good = "ward.icu = \"core, box in downtime\"\n\
                    class = [{ of = [\"ventilation\", \"entries\"], owner = \"box\" },\n\
                    { of = [\"spo2\"], owner = \"core\", wards = [\"icu\"] }]\n";
        assert_eq!(problems(good), Vec::<String>::new());
        let of_class = |of: &str, wards: &str| {
            format!("class = [{{ of = [{of}], owner = \"box\", wards = [{wards}] }}]\n")
        };
        for (bad, place, words) in [
            (of_class("\"vitals\"", ""), "\"vitals\"", "there are: alarm-attribute"),
            (of_class("", ""), "[],", "expected \"entries\", a parameter"),
            (of_class("\"spo2\"", "\"3b\""), "\"3b\"", "there are: icu"),
            ("ward.icu2 = \"box\"\n".to_owned(), "\"box\"", "there are: icu"),
        ] {
            let (found, column) = (problems(&bad), bad.find(place).unwrap() + 1);
            let at = format!("{}:{column}: ", line_of(&bad, bad.trim_end()));
            assert!(found.len() == 1 && found[0].starts_with(&at), "{bad}: {at} {found:?}");
            assert!(found[0].contains(words), "{found:?}");
        }
    }

    #[test]
    fn two_owners_of_one_parameter_are_refused_where_the_second_stands() {
        let class = |of: &str, owner: &str, wards: &str| {
            format!("[[charting.class]]\nof = [\"{of}\"]\nowner = \"{owner}\"\n{wards}")
        };
        let spo2 = class("spo2", "core", "");
        let category = class("vitals-spo2-pulse", "box", "");
        let found = problems(&format!("{spo2}{category}"));
        let at = format!("{}:7: spo2 has the owner \"core\" by [[charting.class]] 1", {
            line_of(&format!("{spo2}{category}"), "vitals-spo2-pulse")
        });
        assert!(found.len() == 1 && found[0].starts_with(&at), "{at} {found:?}");
        assert!(found[0].contains("expected one owner"), "{found:?}");
        // The same owner twice, and two owners on two wards, are one owner each.
        assert!(problems(&format!("{spo2}{spo2}")).is_empty());
        let other = "[[device]]\nname = \"oximeter-2\"\nprofile = \"nordpuls/po-100\"\n\
                     place = \"3b/bed-1\"\nfirmware = \"2.2\"\nlink = { serial = \"DATA/line-2\" }\n";
        let here = class("spo2", "core", "wards = [\"icu\"]\n");
        let there = class("spo2", "box", "wards = [\"3b\"]\n");
        assert_eq!(problems(&format!("{here}{there}{other}")), Vec::<String>::new());
    }

    #[test]
    fn a_second_way_into_patients_records_is_refused() {
        let (all, signed) =
            (destination("core", "patients", "all"), destination("chart", "patients", "confirmed"));
        let found = problems(&format!("{all}{signed}"));
        assert_eq!(found.len(), 1, "{found:?}");
        let words = "goes into patients' records by destination core already";
        assert!(found[0].contains(&format!("oximeter's perfusion-index {words}")), "{found:?}");
        let second = format!("{all}{signed}");
        let line = format!("{BOX}{second}").lines().count() - 3;
        assert!(found[0].starts_with(&format!("{line}:9: ")), "{line} {found:?}");
        let archive = destination("archive", "trial", "all");
        assert_eq!(problems(&format!("{all}{archive}")), Vec::<String>::new());
        let waves = destination("waves", "patients", "waveforms");
        let waves = waves.replace("\"required\"", "\"best-effort\"");
        assert_eq!(problems(&format!("{all}{waves}")), Vec::<String>::new());
    }

    #[test]
    fn where_the_box_confirms_nothing_is_filed_before() {
        let owner = "owner = \"box\"\n";
        let found = problems(&format!("{owner}{}", destination("core", "patients", "every 1 min")));
        assert!(found.len() == 1 && found[0].contains("take = \"confirmed\""), "{found:?}");
        for (files, take) in [("patients", "confirmed"), ("trial", "all")] {
            let good = format!("{owner}{}", destination("core", files, take));
            assert_eq!(problems(&good), Vec::<String>::new());
        }
    }
}
