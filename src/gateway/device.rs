//! What the connections of one device share: its device file, mapping, checks, clock estimate, and
//! its share of the committer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc};

use super::committer::{DeviceIdentity, Request, Submission};
use super::configuration::DeviceSetup;
use super::connection::{Conversation, STOPPED};
use super::gaps::GapCause;
use super::record::FirmwareProof;
use crate::check::Checker;
use crate::check::clock::{DeviceClock, Times};
use crate::link::clock;
use crate::mapping::Mapper;
use crate::profile::{Learned, OnUnlisted};
use crate::protocol::{Event, Identity, Message, Peer};
use crate::vocabulary::{Moment, Observation, ParameterKind, Refused, Vocabulary};

/// How many messages of one device may be on their way into the journal. At fifty messages a second
/// that is five seconds of a stalled disk.
const SHARE_MESSAGES: usize = 256;

/// Everything that a device's connections share.
pub struct Device {
    pub(super) setup: DeviceSetup,
    pub(super) identity: Arc<DeviceIdentity>,
    vocabulary: Arc<Vocabulary>,
    requests: mpsc::UnboundedSender<Request>,
    pub(super) share: Arc<Semaphore>,
    pub(super) sessions: AtomicU64,
    uncertainty_ms_max: u64,
    meaning: Mutex<Meaning>,
    open: Mutex<usize>,
}

/// What changes as the device speaks.
struct Meaning {
    mapper: Mapper,
    /// The firmware that the mapper and the drivers are made for.
    firmware: Option<String>,
    checker: Checker,
    clock: DeviceClock,
    identity: Identity,
}

impl Device {
    /// A device that is not opened yet.
    pub fn new(
        setup: DeviceSetup,
        identity: Arc<DeviceIdentity>,
        vocabulary: Arc<Vocabulary>,
        requests: mpsc::UnboundedSender<Request>,
        uncertainty_ms_max: u64,
    ) -> Arc<Self> {
        let firmware = setup.firmware.clone();
        let known = firmware.as_deref().unwrap_or_default();
        let mapper = Mapper::new(&setup.profile, known, Arc::clone(&vocabulary));
        let meaning = Meaning {
            mapper,
            firmware,
            checker: Checker::default(),
            clock: DeviceClock::default(),
            identity: Identity::default(),
        };
        Arc::new(Self {
            setup,
            identity,
            vocabulary,
            requests,
            share: Arc::new(Semaphore::new(SHARE_MESSAGES)),
            sessions: AtomicU64::new(1),
            uncertainty_ms_max,
            meaning: Mutex::new(meaning),
            open: Mutex::new(0),
        })
    }

    /// Takes the driver's events: replies and the wish to close come back, messages go on their
    /// way.
    pub(super) fn drain(&self, one: &mut Conversation) -> (Vec<(Vec<u8>, Peer)>, Option<String>) {
        let mut replies = Vec::new();
        let mut close = None;
        while let Some(event) = one.driver.poll() {
            match event {
                Event::Message(message) => {
                    if self.firmware_changed(message.firmware.as_deref()) {
                        close = Some("the device reports another firmware".to_owned());
                    }
                    one.outbox.push_back(message);
                }
                Event::Send { bytes, to } => replies.push((bytes, to)),
                Event::Identity(identity) => {
                    if self.identity_changed(&identity) {
                        close = Some("the device reports another firmware".to_owned());
                    }
                }
                Event::Close { why } => close = Some(format!("{why:?}")),
            }
        }
        self.submit(one);
        (replies, close)
    }

    /// Sends what the share has room for to the committer.
    pub(super) fn submit(&self, one: &mut Conversation) {
        while !one.outbox.is_empty() {
            let Ok(permit) = Arc::clone(&self.share).try_acquire_owned() else { return };
            let Some(message) = one.outbox.pop_front() else { return };
            let (observations, refusals) = self.meaning_of(&message);
            let proof = self.proof(message.firmware.as_deref());
            let raw_only = proof == FirmwareProof::NotProven
                && self.setup.profile.file().firmware.on_unlisted == OnUnlisted::RawOnly;
            let submission = Submission {
                device: Arc::clone(&self.identity),
                observations: if raw_only { Vec::new() } else { observations },
                refusals,
                firmware: self.firmware(),
                proof,
                fate: one.fate.clone(),
                permit,
                message,
            };
            one.waiting += 1;
            // The committer outlives every device's task.
            let _ = self.requests.send(Request::Message(Box::new(submission)));
        }
    }

    fn meaning_of(&self, message: &Message) -> (Vec<(Observation, Times)>, Vec<Refused>) {
        let Ok(mut meaning) = self.meaning.lock() else { return (Vec::new(), Vec::new()) };
        let mapped = meaning.mapper.map(&message.groups);
        let refusals = message.refusals.iter().cloned().chain(mapped.refusals).collect();
        let newest =
            mapped.observations.iter().filter_map(|one| one.device_time.as_ref()?.utc_us).max();
        if let Some(newest) = newest {
            meaning.clock.observe(newest, message.received);
        }
        let mut observations = Vec::new();
        for mut observation in mapped.observations {
            meaning.checker.mark(&mut observation, message.received, &self.vocabulary);
            let periodic = |kind| matches!(kind, Some(ParameterKind::Periodic));
            let live = observation.metrics.iter().any(|metric| periodic(metric.kind));
            let device_time = observation.device_time.as_ref();
            let limit = self.uncertainty_ms_max;
            let times = meaning.clock.times(device_time, live, message.received, limit);
            observations.push((observation, times));
        }
        (observations, refusals)
    }

    pub(super) fn firmware(&self) -> Option<String> {
        self.meaning.lock().ok()?.firmware.clone()
    }

    /// Whether the device file was tested with the firmware that is known now.
    fn proof(&self, reported: Option<&str>) -> FirmwareProof {
        let known = self.firmware();
        let contradicts = reported.is_some_and(|reported| known.as_deref() != Some(reported));
        let tested = known.is_some_and(|known| self.setup.profile.is_tested_with(&known));
        if tested && !contradicts { FirmwareProof::Proven } else { FirmwareProof::NotProven }
    }

    /// Notes a firmware that the device reports. `true` if the drivers must be made anew for it.
    fn firmware_changed(&self, reported: Option<&str>) -> bool {
        let Some(reported) = reported.filter(|reported| !reported.is_empty()) else { return false };
        let Ok(mut meaning) = self.meaning.lock() else { return false };
        let reports = self.setup.profile.file().firmware.learned == Learned::ReportedByDevice;
        if !reports || meaning.firmware.as_deref() == Some(reported) {
            return false;
        }
        let tested = self.setup.profile.is_tested_with(reported);
        tracing::info!(device = %self.setup.name, firmware = reported, tested, "firmware reported");
        meaning.firmware = Some(reported.to_owned());
        let vocabulary = Arc::clone(&self.vocabulary);
        meaning.mapper = Mapper::new(&self.setup.profile, reported, vocabulary);
        !self.setup.profile.file().variant.is_empty()
    }

    fn identity_changed(&self, identity: &Identity) -> bool {
        let changed = match self.meaning.lock() {
            Ok(mut meaning) if meaning.identity != *identity => {
                meaning.identity = identity.clone();
                true
            }
            Ok(_) | Err(_) => false,
        };
        if changed {
            let device = Arc::clone(&self.identity);
            let request =
                Request::Identity { device, identity: identity.clone(), now: clock::now() };
            let _ = self.requests.send(request);
        }
        self.firmware_changed(Some(&identity.firmware))
    }

    pub(super) fn opened(&self) {
        let Ok(mut open) = self.open.lock() else { return };
        *open += 1;
        self.identity.status.connections.store(*open, Ordering::Relaxed);
        self.identity.status.opened.fetch_add(1, Ordering::Relaxed);
        if *open == 1 {
            self.identity.status.set_trouble("");
            tracing::info!(device = %self.setup.name, "the link is up");
            let device = Arc::clone(&self.identity);
            let _ = self.requests.send(Request::LinkUp { device, now: clock::now() });
        }
    }

    /// `last_byte`: from then on nothing was heard.
    pub(super) fn closed(&self, why: &str, last_byte: Moment) {
        let Ok(mut open) = self.open.lock() else { return };
        *open = open.saturating_sub(1);
        self.identity.status.connections.store(*open, Ordering::Relaxed);
        if *open == 0 {
            tracing::info!(device = %self.setup.name, why, "the link is down");
            self.identity.status.set_trouble(why);
            // The gap of a stop is written at the next start, when its end is known to be coming.
            if why != STOPPED {
                self.gap_began(GapCause::LinkDown, last_byte);
            }
        }
    }

    pub(super) fn gap_began(&self, cause: GapCause, began: Moment) {
        let device = Arc::clone(&self.identity);
        let _ = self.requests.send(Request::GapBegan { device, cause, began });
    }

    pub(super) fn note_busy(&self, full: bool) {
        let before = self.identity.status.busy.swap(full, Ordering::Relaxed);
        let device = Arc::clone(&self.identity);
        let (cause, now) = (GapCause::BoxBusy, clock::now());
        let request = match (before, full) {
            (false, true) => Request::GapBegan { device, cause, began: now },
            (true, false) => Request::GapEnded { device, cause, ended: now },
            (true, true) | (false, false) => return,
        };
        let _ = self.requests.send(request);
    }
}
