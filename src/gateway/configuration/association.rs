//! `[association]`: how much evidence is enough to file, what the site's labels look like, and who
//! gives the patient numbers that devices send; and of each device, which machine it is.
//!
//! ```toml
//! [association]
//! enough = ["scan"]
//! one_patient_places = ["icu/room-1"]
//! unseen_hours_max = 12
//! class.ventilator = ["scan", "device-admission-in-census"]
//! authorities.HOSP = "1.2.246.10.1234567.22.2026"
//!
//! [association.scan]
//! national_codes = true
//! code = [{ means = "device", form = "D{6 digits}" }]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Configuration, ConfigurationFile, DeviceTable, Loader, Mode};
use crate::association::scan::Grammar;
use crate::association::{
    DeviceId, Enough, Line, Machine, Mobility, Policy, Site, UnseenHours, Whose,
};
use crate::gateway::ledger::lines::{LineSetup, Lines, default_machine};
use crate::gateway::ledger::verdicts::BoxClock;
use crate::gateway::ledger::{LedgerDesk, LedgerKeeper};
use crate::profile::position::Step::{Index, Key};
use crate::profile::position::{Position, Problem, Step};
use crate::vocabulary::{DeviceName, PatientId, Place, Purpose};

/// The end of the kinds of devices whose results bring their own patient or specimen.
const ANALYSER: &str = "analyser";

/// The longest text of a label: what one scan may hold.
const CODE_CHARACTERS_MAX: usize = 400;

/// The table as written: the keys of [`Policy`], and the site's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssociationTable {
    /// For classes of devices without a line of their own; a scan unless said.
    pub enough: Option<Vec<Enough>>,
    /// By the kind that the device file states.
    pub class: BTreeMap<String, Vec<Enough>>,
    /// Beds that never hold two patients.
    pub one_patient_places: BTreeSet<Place>,
    /// How long an association lasts without a person having looked.
    pub unseen_hours_max: Option<UnseenHours>,
    /// From the authority that an analyser names with a patient's number to the root under which
    /// that is the patient's identifier.
    pub authorities: BTreeMap<String, String>,
    /// The root of numbers for which an analyser names no authority.
    pub root_without_authority: Option<String>,
    /// What the site's own labels look like.
    pub scan: Grammar,
}

impl AssociationTable {
    /// The site's policy.
    pub fn policy(&self) -> Policy {
        let usual = Policy::default();
        Policy {
            enough: self.enough.clone().unwrap_or(usual.enough),
            class: self.class.clone(),
            one_patient_places: self.one_patient_places.clone(),
            unseen_hours_max: self.unseen_hours_max.unwrap_or(usual.unseen_hours_max),
        }
    }

    /// Who gives patients' numbers.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            authorities: self.authorities.clone(),
            without_authority: self.root_without_authority.clone(),
        }
    }
}

/// Which root a patient's number has, by the authority that a device names with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    authorities: BTreeMap<String, String>,
    without_authority: Option<String>,
}

impl Numbers {
    /// The identifier that a device states, if the site knows its authority.
    pub fn patient(&self, authority: &str, number: &str, purpose: Purpose) -> Option<PatientId> {
        let root = match authority {
            "" => self.without_authority.as_deref()?,
            named => self.authorities.get(named)?,
        };
        PatientId::given(root, number, purpose).ok()
    }
}

impl Configuration {
    /// Policy and machines, for the ledger.
    pub fn ledger_site(&self) -> Site {
        let machine = |setup: &super::DeviceSetup| {
            let class = setup.profile.file().device.kind.clone();
            let whose = if is_analyser(&class) { Whose::ByResult } else { Whose::ByLedger };
            let machine = Machine { class, whose, mobility: setup.mobility };
            (setup.machine.clone(), machine)
        };
        Site {
            policy: self.association.policy(),
            machines: self.devices.iter().map(machine).collect(),
        }
    }

    /// The lines of this box, and what hangs on them.
    pub fn lines(&self) -> Lines {
        let Ok(gateway) = DeviceName::parse(&self.gateway.name) else { return Lines::default() };
        Lines::of(self.devices.iter().map(|setup| LineSetup {
            line: Line { gateway: gateway.clone(), name: setup.name.clone() },
            machine: setup.machine.clone(),
            codes: setup.codes.clone(),
            is_analyser: is_analyser(&setup.profile.file().device.kind),
            says_patient_each_time: setup.profile.file().protocol.family() == "hl7v2",
            place: (setup.mobility == Mobility::Fixed).then(|| setup.place.clone()),
        }))
    }
}

impl Configuration {
    /// The committer's part of the ledger.
    pub fn ledger_keeper(&self, desk: LedgerDesk) -> LedgerKeeper {
        let (purpose, clock) = match self.gateway.mode {
            Mode::Production => (Purpose::Production, BoxClock::Vouched),
            // On the bench nobody may vouch for the clock, and patients are made up or real.
            Mode::Bench => (Purpose::Production, BoxClock::Trusted),
        };
        let numbers = self.association.numbers();
        let retention_s = Some(i64::from(self.gateway.retention.hours) * 3600);
        let usual = LedgerKeeper::new(desk, self.lines());
        LedgerKeeper { numbers, purpose, clock, retention_s, ..usual }
    }
}

fn is_analyser(class: &str) -> bool {
    class.ends_with(ANALYSER)
}

impl Loader<'_> {
    pub(super) fn association(&mut self, file: &ConfigurationFile) {
        let table = &file.association;
        for problem in table.scan.problems() {
            let position = Position::of_offset(self.text, problem.at.start);
            let problem = Problem { position, what: problem.what };
            self.problems.push(problem.in_file(self.name, self.text));
        }
        let roots = table.authorities.iter().map(|(name, root)| (Some(name.as_str()), root));
        let roots = roots.chain(table.root_without_authority.iter().map(|root| (None, root)));
        let wrong: Vec<Option<&str>> = roots
            .filter(|(_, root)| PatientId::given(root, "x", Purpose::Production).is_err())
            .map(|(name, _)| name)
            .collect();
        for name in wrong {
            let what = "expected an OID such as \"1.2.246.10.1234567.22.2026\"";
            let own = [Key("association"), Key("root_without_authority")];
            match name {
                Some(name) => {
                    self.add(&[Key("association"), Key("authorities"), Key(name)], what);
                }
                None => self.add(&own, what),
            }
        }
        self.machines(file);
    }

    /// Every machine and every label is of one device.
    fn machines(&mut self, file: &ConfigurationFile) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, device) in file.device.iter().enumerate() {
            let own = device.codes.iter().enumerate().map(|(number, code)| (Some(number), code));
            let all: Vec<(Option<usize>, &String)> =
                own.chain(device.machine.iter().map(|machine| (None, machine))).collect();
            for (number, text) in all {
                let place: &[Step<'_>] = match number {
                    Some(number) => &[Key("codes"), Index(number)],
                    None => &[Key("machine")],
                };
                let path = [&[Key("device"), Index(index)], place].concat();
                let characters = text.chars().count();
                if characters == 0 || characters > CODE_CHARACTERS_MAX {
                    let what = format!("expected 1 to {CODE_CHARACTERS_MAX} characters");
                    self.add(&path, what);
                }
                if let Some(other) = seen.insert(text.clone(), index)
                    && other != index
                {
                    let other = file.device.get(other).map_or("another", |other| &other.name);
                    self.add(&path, format!("device {other} has this label already"));
                }
            }
        }
    }

    /// The machine that hangs on a line: what its table says, else one named by the line.
    pub(super) fn machine(
        &mut self,
        path: &[Step<'_>],
        device: &DeviceTable,
        gateway: &str,
    ) -> Option<DeviceId> {
        let Some(machine) = &device.machine else {
            let (gateway, name) = (DeviceName::parse(gateway), DeviceName::parse(&device.name));
            return Some(default_machine(&gateway.ok()?, &name.ok()?));
        };
        match DeviceId::parse(machine) {
            Ok(machine) => Some(machine),
            Err(error) => {
                self.add(&[path, &[Key("machine")]].concat(), error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_policy_and_the_labels() {
        let text = "unseen_hours_max = 12\nenough = [\"scan\", \"core-claim\"]\n\
                    class.ventilator = [\"scan\", \"device-admission-in-census\"]\n\
                    authorities.HOSP = \"1.2.3\"\n\
                    [scan]\nnational_codes = true\n";
        let table: AssociationTable = toml::from_str(text).unwrap();
        let policy = table.policy();
        assert_eq!(policy.enough_for("pulse-oximeter"), [Enough::Scan, Enough::CoreClaim]);
        assert_eq!(policy.enough_for("ventilator").len(), 2);
        assert_eq!(policy.unseen_hours_max.seconds(), 12 * 3600);
        assert!(table.scan.national_codes);
        assert_eq!(AssociationTable::default().policy(), Policy::default());
        let numbers = table.numbers();
        let known = numbers.patient("HOSP", "P-1", Purpose::Production);
        assert_eq!(known.as_ref().map(PatientId::root), Some("1.2.3"));
        assert!(numbers.patient("", "P-1", Purpose::Production).is_none());
        assert!(numbers.patient("OTHER", "P-1", Purpose::Production).is_none());
    }

    #[test]
    fn unknown_words_are_refused_where_they_stand() {
        let error = toml::from_str::<AssociationTable>("enough = [\"hope\"]").unwrap_err();
        assert_eq!(error.span(), Some(10..16));
        assert!(toml::from_str::<AssociationTable>("enuff = []").is_err());
    }
}
