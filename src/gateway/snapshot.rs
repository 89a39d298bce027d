//! What the house looks like at a moment, for the status socket.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::asked::Desk;
use super::certificates;
use super::committer::DeviceIdentity;
use super::configuration::Configuration;
use super::room::Room;
use super::run::feeds::FeedsShown;
use super::status::{
    self, DestinationSnapshot, Fixed, HoldingSnapshot, IndexSnapshot, JournalSnapshot,
    ProofSnapshot, ScrubSnapshot, Snapshot,
};
use super::waveforms;
use crate::forward::Counters;
use crate::index::Index;
use crate::journal::{self, Failure, Reader, ScrubCounters};
use crate::link::clock;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Moment, Sequence};

/// The house that is shown at present; another one after it was opened anew.
#[derive(Default)]
pub(super) struct Shown(Mutex<Option<HouseShown>>);

impl Shown {
    /// Shows this one from now on.
    pub fn show(&self, house: HouseShown) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(house);
    }

    /// Shows its waveforms, too.
    pub fn show_waveforms(&self, waveforms: Option<Arc<waveforms::Shown>>) {
        let mut house = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(house) = house.as_mut() {
            house.waveforms = waveforms;
        }
    }

    /// Whether none of these destinations has a connection; of all where none is named.
    pub fn cores_are_away(&self, names: &[String]) -> bool {
        let house = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = house.iter().flat_map(|house| &house.counters);
        let mut counters = counters.filter(|(name, _)| names.is_empty() || names.contains(name));
        !counters.any(|(_, one)| one.connected.load(Ordering::Relaxed))
    }

    /// Where persons ask the house that is shown.
    pub fn desk(&self) -> Option<Arc<Desk>> {
        let house = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        house.as_ref().map(|house| Arc::clone(&house.desk))
    }
}

/// What is shown of a house.
pub(super) struct HouseShown {
    pub identities: Vec<Arc<DeviceIdentity>>,
    pub reader: Reader,
    pub room: Arc<Room>,
    pub counters: Vec<(String, Arc<Counters>)>,
    /// Where persons ask.
    pub desk: Arc<Desk>,
    /// How far the scrub of the journal is.
    pub scrub: Option<Arc<ScrubCounters>>,
    /// Why the journal could not be opened for writing.
    pub failure: Option<Failure>,
    /// None where no destination takes waveforms.
    pub waveforms: Option<Arc<waveforms::Shown>>,
}

/// Makes snapshots of the house that is shown.
pub(super) fn of(
    configuration: &Configuration,
    since: Moment,
    shown: Arc<Shown>,
    feeds: Arc<FeedsShown>,
) -> Arc<dyn Fn() -> Snapshot + Send + Sync> {
    let gateway = configuration.gateway.name.clone();
    let segment_bytes = configuration.gateway.segment_bytes.unwrap_or(journal::SEGMENT_BYTES);
    let fixed: BTreeMap<String, Fixed> = configuration
        .devices
        .iter()
        .map(|setup| {
            let fixed = Fixed {
                place: setup.place.as_str().to_owned(),
                profile: setup.profile.id(),
                profile_status: setup.profile.file().provenance.status.as_str().to_owned(),
                link: setup.endpoint.describe(),
            };
            (setup.name.as_str().to_owned(), fixed)
        })
        .collect();
    Arc::new(move || {
        let house = shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: gateway.clone(),
            since: since.utc_text(),
            adt: feeds.adt(),
            pcim: feeds.pcim(),
            ..Snapshot::default()
        };
        let Some(house) = house.as_ref() else { return snapshot };
        let devices = house.identities.iter().filter_map(|identity| {
            let name = identity.name.as_str();
            Some(status::of_device(name, fixed.get(name)?, &identity.status))
        });
        snapshot.devices = devices.collect();
        snapshot.stream = house.reader.stream().to_string();
        snapshot.journal = house.journal(segment_bytes);
        let waveforms = house.waveforms.as_ref();
        snapshot.waveforms = waveforms.map(|one| one.snapshot());
        let of_waveforms = waveforms.map(|one| one.counters()).unwrap_or_default();
        let counters = house.counters.iter().chain(&of_waveforms);
        snapshot.destinations = counters.map(|(name, one)| destination(name, one)).collect();
        let holding = |(name, low_water)| HoldingSnapshot { name, low_water };
        snapshot.index = house.desk.index.as_ref().map(index);
        snapshot.scrub = house.scrub.as_deref().map(scrub);
        snapshot.holding = house.desk.held().into_iter().map(holding).collect();
        snapshot
    })
}

impl HouseShown {
    fn journal(&self, segment_bytes: u64) -> JournalSnapshot {
        let segments = self.reader.segments().len();
        let room = &self.room;
        let autonomy = room.autonomy_seconds.load(Ordering::Relaxed);
        let quota = room.quota_bytes.load(Ordering::Relaxed);
        let oldest = self.reader.segment_ages().ok();
        let oldest = oldest.and_then(|ages| ages.iter().find_map(|age| age.first_time_us));
        let door = match (self.failure, self.reader.door()) {
            (Some(failure), _) => format!("shut: {failure}"),
            (None, journal::Door::Open) => "open".to_owned(),
            (None, journal::Door::Shut(failure)) => format!("shut: {failure}"),
            (None, journal::Door::Closed) => "closed".to_owned(),
        };
        JournalSnapshot {
            durable: self.reader.durable().map_or(0, Sequence::number),
            reason: self.reason(&door),
            door,
            segments,
            // Segments are preallocated, so each takes its whole size.
            bytes: segments as u64 * segment_bytes,
            quota_bytes: (quota > 0).then_some(quota),
            pinned_bytes: room.pinned_segments.load(Ordering::Relaxed) * segment_bytes,
            autonomy_seconds: (autonomy != u64::MAX && quota > 0).then_some(autonomy),
            oldest: oldest.map(utc_text),
        }
    }

    /// Why not everything is taken, for a person.
    fn reason(&self, door: &str) -> Option<String> {
        if self.failure.is_some() || door.starts_with("shut") {
            let what = "no device is acknowledged: the disk failed, is full or is read-only";
            return Some(format!("{what} ({door}); it is tried again every few seconds"));
        }
        if self.room.short.load(Ordering::Relaxed) {
            let what = "no device is acknowledged: the journal's room is used up, and a required \
                        destination does not have the oldest data yet";
            return Some(what.to_owned());
        }
        let what = "room is short: of live values, one message a minute and device is taken";
        self.room.thinned.load(Ordering::Relaxed).then(|| what.to_owned())
    }
}

fn index(index: &Index) -> IndexSnapshot {
    let shown = index.shown();
    IndexSnapshot {
        complete_through: shown.through.load(Ordering::Relaxed),
        rebuilding: shown.rebuilding.load(Ordering::Relaxed),
        thrown_away: shown.thrown_away.load(Ordering::Relaxed),
        unreadable: shown.unreadable.load(Ordering::Relaxed),
        trouble: Some(shown.trouble()).filter(|trouble| !trouble.is_empty()),
    }
}

fn scrub(counters: &ScrubCounters) -> ScrubSnapshot {
    ScrubSnapshot {
        passes: counters.passes.load(Ordering::Relaxed),
        position: counters.position.load(Ordering::Relaxed),
        read_bytes: counters.read_bytes.load(Ordering::Relaxed),
        damaged_ranges: counters.damaged_ranges.load(Ordering::Relaxed),
        lost_records: counters.lost_records.load(Ordering::Relaxed),
        read_failures: counters.read_failures.load(Ordering::Relaxed),
    }
}

fn destination(name: &str, counters: &Counters) -> DestinationSnapshot {
    let oldest_us = counters.oldest_unacknowledged_us.load(Ordering::Relaxed);
    let newest = counters.newest_aside.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let proof = *counters.proof.lock().unwrap_or_else(PoisonError::into_inner);
    DestinationSnapshot {
        name: name.to_owned(),
        connected: counters.connected.load(Ordering::Relaxed),
        sent: counters.sent.load(Ordering::Relaxed),
        resent: counters.resent.load(Ordering::Relaxed),
        acknowledged: counters.acknowledged.load(Ordering::Relaxed),
        backlog: counters.backlog.load(Ordering::Relaxed),
        set_aside: counters.aside.load(Ordering::Relaxed),
        newest_set_aside: newest,
        rejected: counters.rejected.load(Ordering::Relaxed),
        oldest_unacknowledged: (oldest_us != 0).then(|| utc_text(oldest_us)),
        unavailable: counters.unreadable.load(Ordering::Relaxed)
            + counters.freed.load(Ordering::Relaxed),
        cursor_failures: counters.cursor_failures.load(Ordering::Relaxed),
        refused: counters.refused.get().map(|why| (*why).to_owned()),
        proof: proof.map(|one| ProofSnapshot {
            through: one.through,
            waiting: one.waiting,
            since: one.since_us.map(utc_text),
            lacked: one.lacked,
        }),
        trouble: counters.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        certificates: certificates::of(counters, clock::now().utc_us().div_euclid(1_000_000)),
        refused_acknowledgements: counters.refused_acknowledgements.load(Ordering::Relaxed),
    }
}
