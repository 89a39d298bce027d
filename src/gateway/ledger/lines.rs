//! What the configuration says of the lines of this box: which machine hangs on each.

use std::collections::BTreeMap;

use crate::association::{
    By, DeviceId, ENTRY_VERSION, Entry, EntryId, Ledger, Line, Origin, Says, Utc,
};
use crate::vocabulary::{DeviceName, Place};

/// The lines of this box, by the name that the configuration calls a device.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    by_name: BTreeMap<String, LineSetup>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct LineSetup {
    pub line: Line,
    /// What hangs on it by the configuration.
    pub machine: DeviceId,
    /// What stands on its labels, or is otherwise known to be this machine.
    pub codes: Vec<String>,
    /// Its values find their patient by each result.
    pub is_analyser: bool,
    /// Each of its messages says whose the values are, or that it does not know.
    pub says_patient_each_time: bool,
    /// Where it stands for good, if it never leaves its place.
    pub place: Option<Place>,
}

impl Lines {
    /// These lines.
    pub fn of(lines: impl IntoIterator<Item = LineSetup>) -> Self {
        let named = |setup: LineSetup| (setup.line.name.as_str().to_owned(), setup);
        Self { by_name: lines.into_iter().map(named).collect() }
    }

    /// The line with this name.
    pub fn get(&self, name: &str) -> Option<&LineSetup> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &LineSetup)> {
        self.by_name.iter().map(|(name, setup)| (name.as_str(), setup))
    }

    /// The name of the line on which this machine hangs by the configuration.
    pub fn of_machine(&self, machine: &DeviceId) -> Option<&str> {
        self.all().find(|(_, setup)| setup.machine == *machine).map(|(name, _)| name)
    }

    /// The line by which values came, if it is one of these.
    pub fn of_origin(&self, origin: &Origin) -> Option<&str> {
        match origin {
            Origin::Line(line) => {
                let found = self.by_name.get_key_value(line.name.as_str());
                found.filter(|(_, setup)| setup.line == *line).map(|(name, _)| name.as_str())
            }
            Origin::Machine(_) => None,
        }
    }

    /// What the configuration says of link 1 from the beginning on. It stands in no record: it says
    /// the same at every start, and everything that is said later counts more.
    pub fn from_the_beginning(&self, ledger: &mut Ledger) {
        for setup in self.by_name.values() {
            let Some(id) = configured(&setup.line, &setup.line_default()) else { continue };
            let says = Says::Plugged {
                port: setup.line.clone(),
                device: setup.line_default(),
                from: Utc::MIN,
            };
            let (stated, learned, by) = (Utc::MIN, Utc::MIN, By::Configuration);
            let entry = Entry { version: ENTRY_VERSION, id, stated, learned, by, says };
            // It is there already where the house is opened anew.
            let _ = ledger.add(entry);
        }
    }
}

impl LineSetup {
    /// The machine of a line of which the configuration names none.
    pub fn line_default(&self) -> DeviceId {
        default_machine(&self.line.gateway, &self.line.name)
    }
}

/// The machine of a line of which the configuration names none: `{gateway}/{device name}`.
pub fn default_machine(gateway: &DeviceName, name: &DeviceName) -> DeviceId {
    let name = format!("{}/{}", gateway.as_str(), name.as_str());
    DeviceId::parse(&name).expect("two names of a configuration fit in a machine's name")
}

/// The id of what the configuration says of a line.
pub fn configured(line: &Line, machine: &DeviceId) -> Option<EntryId> {
    let (gateway, name) = (line.gateway.as_str(), line.name.as_str());
    EntryId::parse(&format!("configured:{gateway}/{name}={}", machine.as_str())).ok()
}
