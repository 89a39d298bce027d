//! The entries, and where to find those that speak of one thing. Holds what was said, not what it
//! means; so the order in which entries come in cannot matter.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Presence, Says, Stand};
use super::names::{DeviceId, EntryId, Line};
use crate::vocabulary::{PatientId, Place};

/// All entries by id, with look-ups that hold ids only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelf {
    entries: BTreeMap<EntryId, Entry>,
    of_port: BTreeMap<Line, BTreeSet<EntryId>>,
    of_device: BTreeMap<DeviceId, BTreeSet<EntryId>>,
    of_patient: BTreeMap<PatientId, BTreeSet<EntryId>>,
    /// Patients who were said to be in a place at some time.
    seen_in: BTreeMap<Place, BTreeSet<PatientId>>,
    /// Entries that name another entry.
    about: BTreeMap<EntryId, BTreeSet<EntryId>>,
    /// Merges by each of the two identifiers that they name.
    merges: BTreeMap<PatientId, BTreeSet<EntryId>>,
}

impl Shelf {
    pub fn get(&self, id: &EntryId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn of_port(&self, port: &Line) -> impl Iterator<Item = &Entry> {
        self.listed(self.of_port.get(port))
    }

    pub fn of_device(&self, device: &DeviceId) -> impl Iterator<Item = &Entry> {
        self.listed(self.of_device.get(device))
    }

    pub fn of_patient(&self, patient: &PatientId) -> impl Iterator<Item = &Entry> {
        self.listed(self.of_patient.get(patient))
    }

    pub fn about(&self, entry: &EntryId) -> impl Iterator<Item = &Entry> {
        self.listed(self.about.get(entry))
    }

    pub fn merges(&self, patient: &PatientId) -> impl Iterator<Item = &Entry> {
        self.listed(self.merges.get(patient))
    }

    pub fn seen_in(&self, place: &Place) -> impl Iterator<Item = &PatientId> {
        self.seen_in.get(place).into_iter().flatten()
    }

    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.of_device.keys()
    }

    pub fn ports(&self) -> impl Iterator<Item = &Line> {
        self.of_port.keys()
    }

    fn listed<'a>(&'a self, ids: Option<&'a BTreeSet<EntryId>>) -> impl Iterator<Item = &'a Entry> {
        ids.into_iter().flatten().filter_map(|id| self.entries.get(id))
    }

    /// Takes an entry whose id is new.
    pub fn put(&mut self, entry: Entry) {
        let id = &entry.id;
        match &entry.says {
            Says::Plugged { port, device, .. } => {
                self.of_port.entry(port.clone()).or_default().insert(id.clone());
                self.of_device.entry(device.clone()).or_default().insert(id.clone());
            }
            Says::Unplugged { port, .. } => {
                self.of_port.entry(port.clone()).or_default().insert(id.clone());
            }
            Says::Stands { device, stand, .. } => {
                self.of_device.entry(device.clone()).or_default().insert(id.clone());
                if let Stand::In(host) = stand {
                    self.of_device.entry(host.clone()).or_default().insert(id.clone());
                }
            }
            Says::Associated { device, .. }
            | Says::SpotCheck { device, .. }
            | Says::Paused { device, .. }
            | Says::Resumed { device, .. } => {
                self.of_device.entry(device.clone()).or_default().insert(id.clone());
            }
            Says::Movement { patient, presence, .. } => {
                self.of_patient.entry(patient.clone()).or_default().insert(id.clone());
                if let Presence::Present { place: Some(place) } = presence {
                    self.seen_in.entry(place.clone()).or_default().insert(patient.clone());
                }
            }
            Says::Cancelled { patient, .. } => {
                self.of_patient.entry(patient.clone()).or_default().insert(id.clone());
            }
            Says::Merged { retired, surviving, .. } => {
                for patient in [retired, surviving] {
                    self.merges.entry(patient.clone()).or_default().insert(id.clone());
                }
            }
            Says::Ended { association: named, .. }
            | Says::Seen { association: named, .. }
            | Says::Withdrawn { entry: named, .. } => {
                self.about.entry(named.clone()).or_default().insert(id.clone());
            }
            Says::Decided { holds, against, .. } => {
                for named in against.iter().chain([holds]) {
                    self.about.entry(named.clone()).or_default().insert(id.clone());
                }
            }
        }
        self.entries.insert(id.clone(), entry);
    }
}
