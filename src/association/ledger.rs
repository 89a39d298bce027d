//! The ledger itself: a set of entries. What it answers depends on the set and on nothing else, so
//! neither the order of arrival nor a restart can change an answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attribute::{Asked, Origin};
use super::entry::{By, ENTRY_VERSION, Entry, Says, Stand};
use super::judge::{Attributed, Unattributed};
use super::names::{Channel, DeviceId, EntryId, Line};
use super::policy::Site;
use super::shelf::Shelf;
use super::time::Utc;
use super::view::View;
use crate::vocabulary::{Association, DeviceName, Grade, PatientId, Place};

/// Why an entry is not taken. Says nothing of persons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryRefused {
    /// Written by another version of the box.
    #[error("expected an entry of version {ENTRY_VERSION}, got {0}")]
    Version(u8),
    /// Two entries with one id: ids must be unique at the site.
    #[error("entry {} is already there and says something else", .0.as_str())]
    IdTaken(EntryId),
    /// Analysers have no patient of their own.
    #[error("an analyser cannot be associated: its results bring their own patient or specimen")]
    Analyser,
    /// Associations are claimed by a scan, by the core or by the device itself.
    #[error("expected a scan, the core or the device itself as the source of an association")]
    Source,
    /// What a person has to decide was not said by one.
    #[error("expected a person as the source of a decision")]
    NotAPerson,
    /// An association that begins after it was stated, or ends before it begins.
    #[error("expected a begin before the end, and not after the time at which it was stated")]
    Times,
    /// An entry that speaks of itself.
    #[error("an entry cannot name itself")]
    Circle,
}

/// Whether an entry was news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    New,
    /// The same entry was there; nothing changed.
    Known,
}

/// The version of a checkpoint's written form.
pub const CHECKPOINT_VERSION: u8 = 1;

/// The ledger as it stands in a checkpoint of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// [`CHECKPOINT_VERSION`].
    pub version: u8,
    /// By id.
    pub entries: Vec<Entry>,
}

/// Who and where each device is, and was, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    places: BTreeMap<DeviceName, Place>,
    site: Site,
    shelf: Shelf,
}

impl Ledger {
    /// From the configuration's `place` of each device.
    pub fn from_configuration(places: BTreeMap<DeviceName, Place>) -> Self {
        Self { places, ..Self::default() }
    }

    /// An empty ledger of a site.
    pub fn of_site(site: Site) -> Self {
        Self { site, ..Self::default() }
    }

    /// The same entries under the site's configuration of today.
    #[must_use]
    pub fn under(self, site: Site, places: BTreeMap<DeviceName, Place>) -> Self {
        Self { places, site, ..self }
    }

    /// What the configuration alone says of a device: where it stands, and nobody's.
    ///
    /// ```
    /// use wardgate::association::Ledger;
    /// use wardgate::vocabulary::{DeviceName, Place};
    /// let device = DeviceName::parse("bed-3-oximeter").unwrap();
    /// let place = Place::parse("icu/bed-3").unwrap();
    /// let ledger = Ledger::from_configuration([(device.clone(), place.clone())].into());
    /// assert_eq!(ledger.of(&device).place, Some(place));
    /// ```
    pub fn of(&self, device: &DeviceName) -> Association {
        Association { place: self.places.get(device).cloned(), grade: Grade::Configuration }
    }

    /// Takes an entry. One that is there already changes nothing.
    pub fn add(&mut self, entry: Entry) -> Result<Taken, EntryRefused> {
        if let Some(there) = self.shelf.get(&entry.id) {
            let same = *there == entry;
            return if same { Ok(Taken::Known) } else { Err(EntryRefused::IdTaken(entry.id)) };
        }
        self.check(&entry)?;
        self.shelf.put(entry);
        Ok(Taken::New)
    }

    fn check(&self, entry: &Entry) -> Result<(), EntryRefused> {
        if entry.version != ENTRY_VERSION {
            return Err(EntryRefused::Version(entry.version));
        }
        match &entry.says {
            Says::Associated { device, span, .. } => {
                let backwards = span.until.is_some_and(|until| until < span.from);
                if backwards || span.from > entry.stated {
                    return Err(EntryRefused::Times);
                }
                self.may_be_associated(device, &entry.by)
            }
            Says::SpotCheck { device, .. } => self.may_be_associated(device, &entry.by),
            Says::Decided { holds, against, .. } => {
                if against.contains(holds) || against.contains(&entry.id) || *holds == entry.id {
                    return Err(EntryRefused::Circle);
                }
                if entry.by.is_person() { Ok(()) } else { Err(EntryRefused::NotAPerson) }
            }
            Says::Withdrawn { entry: named, .. }
            | Says::Ended { association: named, .. }
            | Says::Seen { association: named, .. } => {
                if *named == entry.id {
                    Err(EntryRefused::Circle)
                } else {
                    Ok(())
                }
            }
            Says::Plugged { .. }
            | Says::Unplugged { .. }
            | Says::Stands { .. }
            | Says::Paused { .. }
            | Says::Resumed { .. }
            | Says::Movement { .. }
            | Says::Cancelled { .. }
            | Says::Merged { .. } => Ok(()),
        }
    }

    fn may_be_associated(&self, device: &DeviceId, by: &By) -> Result<(), EntryRefused> {
        if self.site.is_analyser(device) {
            return Err(EntryRefused::Analyser);
        }
        match by {
            By::Scan { .. } | By::Core | By::Device => Ok(()),
            By::Person { .. } | By::Adt | By::Configuration | By::Box => Err(EntryRefused::Source),
        }
    }

    /// Whose a value is, as it was known at a time ([`Utc::MAX`]: as it is known now).
    ///
    /// # Errors
    /// Nobody's, and why.
    pub fn attribute(&self, asked: &Asked, known: Utc) -> Result<Attributed, Unattributed> {
        self.view(known).attribute(&self.site, asked)
    }

    /// The machines that stand in a rack or host at an instant, as known now. Associating a rack
    /// is associating each of these; what is put in later is not.
    pub fn standing_in(&self, host: &DeviceId, at: Utc) -> Vec<DeviceId> {
        let view = self.view(Utc::MAX);
        let stands = |device: &&DeviceId| {
            view.stand(device, at).is_some_and(|(stand, _)| *stand == Stand::In(host.clone()))
        };
        self.shelf.devices().filter(stands).cloned().collect()
    }

    /// The identifier that goes on for this human after all merges that are known.
    pub fn survivor(&self, patient: &PatientId) -> PatientId {
        self.view(Utc::MAX).survivor(patient)
    }

    /// All entries, by id.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.shelf.all()
    }

    /// Everything, for a checkpoint. The site is configuration and does not stand in it.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { version: CHECKPOINT_VERSION, entries: self.shelf.all().cloned().collect() }
    }

    /// From a checkpoint, under the site's configuration of today.
    ///
    /// # Errors
    /// The first entry that this version cannot take.
    pub fn restore(site: Site, checkpoint: Checkpoint) -> Result<Self, EntryRefused> {
        if checkpoint.version != CHECKPOINT_VERSION {
            return Err(EntryRefused::Version(checkpoint.version));
        }
        let mut ledger = Self::of_site(site);
        for entry in checkpoint.entries {
            // An association of what is an analyser today was taken when it was none; it stays in
            // the history and counts for nothing.
            if entry.version != ENTRY_VERSION {
                return Err(EntryRefused::Version(entry.version));
            }
            ledger.shelf.put(entry);
        }
        Ok(ledger)
    }

    /// Keeps only what fits.
    pub(super) fn keep(&mut self, fits: impl Fn(&Entry) -> bool) {
        let mut kept = Shelf::default();
        for entry in self.shelf.all().filter(|entry| fits(entry)) {
            kept.put(entry.clone());
        }
        self.shelf = kept;
    }

    /// The entry with this id.
    pub fn entry(&self, id: &EntryId) -> Option<&Entry> {
        self.shelf.get(id)
    }

    /// Every machine of which anything was said.
    pub(super) fn machines(&self) -> impl Iterator<Item = &DeviceId> {
        self.shelf.devices()
    }

    /// Every line of which anything was said.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.shelf.ports()
    }

    /// The machines that ever hung on a line.
    pub(super) fn machines_of_line(&self, port: &Line) -> BTreeSet<DeviceId> {
        self.shelf.of_port(port).filter_map(|entry| entry.says.plugged_device()).cloned().collect()
    }

    /// How a machine's values may come: by its name, and by each line on which it ever hung.
    pub(super) fn origins(&self, device: &DeviceId) -> BTreeSet<Origin> {
        let plugs = self.shelf.of_device(device).filter_map(|entry| entry.says.plugged_into());
        let lines = plugs.cloned().map(Origin::Line);
        lines.chain([Origin::Machine(device.clone())]).collect()
    }

    /// The machine as a whole, and each part of it that an association names.
    pub(super) fn channels(&self, device: &DeviceId) -> BTreeSet<Option<Channel>> {
        let named = self.shelf.of_device(device).filter_map(|entry| entry.says.channel());
        named.cloned().map(Some).chain([None]).collect()
    }

    /// The same for all machines that ever hung on a line.
    pub(super) fn channels_of_line(&self, port: &Line) -> BTreeSet<Option<Channel>> {
        let machines = self.machines_of_line(port);
        machines.iter().flat_map(|device| self.channels(device)).chain([None]).collect()
    }

    pub(super) fn view(&self, known: Utc) -> View<'_> {
        View { shelf: &self.shelf, known }
    }

    /// Policy and machines.
    pub fn site(&self) -> &Site {
        &self.site
    }
}
