//! What the connections of one device share: its device file, mapping, checks, clock estimate, and
//! its share of the committer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc};

use super::committer::{DeviceIdentity, Request, Submission};
use super::configuration::DeviceSetup;
use super::connection::{Conversation, STOPPED, Silence};
use super::gaps::GapCause;
use super::record::FirmwareProof;
use super::waveforms::{self, Inlet};
use crate::check::clock::{DeviceClock, Times};
use crate::check::{self, Checker};
use crate::link::{Ports, clock};
use crate::mapping::Mapper;
use crate::profile::{Learned, OnUnlisted};
use crate::protocol::{Event, Identity, LineError, LinkChange, Message, Peer};
use crate::vocabulary::{Moment, Observation, Refused, SampleArray, Samples, Vocabulary};

/// The unit in which a device's share of the committer is counted.
const SHARE_UNIT_BYTES: usize = 4096;

/// A device's share: at most 8 MiB, or two thousand small messages, on their way into the journal.
/// At fifty messages a second that is forty seconds of a stalled disk.
const SHARE_UNITS: usize = 2048;

/// How many serial numbers one device (a gateway of pumps) is remembered by.
const IDENTITIES_MAX: usize = 256;

/// Everything that a device's connections share.
pub struct Device {
    pub(super) setup: DeviceSetup,
    pub(super) identity: Arc<DeviceIdentity>,
    vocabulary: Arc<Vocabulary>,
    pub(super) requests: mpsc::UnboundedSender<Request>,
    pub(super) ports: Arc<dyn Ports>,
    /// Where samples go; none where no destination takes waveforms.
    waveforms: Option<Arc<Inlet>>,
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
    /// What each serial number last said of itself.
    identities: BTreeMap<String, Identity>,
}

impl Device {
    /// A device that is not opened yet.
    pub fn new(
        setup: DeviceSetup,
        identity: Arc<DeviceIdentity>,
        vocabulary: Arc<Vocabulary>,
        requests: mpsc::UnboundedSender<Request>,
        ports: Arc<dyn Ports>,
        waveforms: Option<Arc<Inlet>>,
        uncertainty_ms_max: u64,
    ) -> Arc<Self> {
        let firmware = setup.firmware.clone();
        let known = firmware.as_deref().unwrap_or_default();
        let mapper = Mapper::new(&setup.profile, known, Arc::clone(&vocabulary));
        let ahead_ms = identity.status.clock_ahead_ms.load(Ordering::Relaxed);
        let meaning = Meaning {
            mapper,
            firmware,
            checker: Checker::default(),
            clock: DeviceClock::ahead_by(ahead_ms),
            identities: BTreeMap::new(),
        };
        Arc::new(Self {
            setup,
            identity,
            vocabulary,
            requests,
            ports,
            waveforms,
            share: Arc::new(Semaphore::new(SHARE_UNITS)),
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
            one.unread_bytes = 0;
            match event {
                Event::Message(message) => {
                    // What came whole after the damage shows that the line is well again.
                    if one.line_damaged && message.refusals.is_empty() {
                        one.line_damaged = false;
                        self.identity.status.set_trouble("");
                    }
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
                Event::Samples(samples) => self.samples(&one.firmware, samples),
                Event::Trouble { words } => {
                    self.identity.status.set_trouble(words.unwrap_or_default());
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
            let needs = self.needs(one);
            let Ok(permit) = Arc::clone(&self.share).try_acquire_many_owned(needs) else { return };
            let Some(mut message) = one.outbox.pop_front() else { return };
            let (observations, refusals) = self.meaning_of(&mut message);
            let proof = self.proof(&one.firmware, message.firmware.as_deref());
            let raw_only = proof == FirmwareProof::NotProven
                && self.setup.profile.file().firmware.on_unlisted == OnUnlisted::RawOnly;
            let clock_ahead_ms = self.meaning().clock.ahead_ms();
            let submission = Submission {
                clock_ahead_ms,
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

    /// How many units of the share the next message takes.
    pub(super) fn needs(&self, one: &Conversation) -> u32 {
        let bytes = one.outbox.front().map_or(0, |message| message.raw.len());
        // A message is at most 1 MiB, which is 257 units of the 2048.
        u32::try_from(bytes / SHARE_UNIT_BYTES + 1).unwrap_or(1).min(SHARE_UNITS as u32)
    }

    /// What changes as the device speaks. A panic elsewhere leaves it as it was before a message.
    fn meaning(&self) -> MutexGuard<'_, Meaning> {
        self.meaning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the groups out of the message: what follows needs its observations.
    fn meaning_of(&self, message: &mut Message) -> (Vec<(Observation, Times)>, Vec<Refused>) {
        let mut meaning = self.meaning();
        let meaning = &mut *meaning;
        let mapped = meaning.mapper.map_owned(std::mem::take(&mut message.groups));
        let refusals = message.refusals.iter().cloned().chain(mapped.refusals).collect();
        let mut observations = Vec::new();
        for mut observation in mapped.observations {
            let limit = self.uncertainty_ms_max;
            let times = check::times(&observation, message.received, &mut meaning.clock, limit);
            meaning.checker.mark(&mut observation, &times);
            observations.push((observation, times));
        }
        (observations, refusals)
    }

    /// Sends samples on their way, or drops them: nobody waits for them, and none are asked for
    /// where no destination takes them.
    fn samples(&self, made_for: &str, samples: Samples) {
        let Some(inlet) = &self.waveforms else { return };
        let Samples { received, mode, arrays } = samples;
        let proof = self.proof(made_for, None);
        let mut taken = Vec::with_capacity(arrays.len());
        for array in arrays {
            if !is_sound(&array) {
                self.identity.status.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let meaning = self.meaning();
            let waveform = meaning.mapper.waveform(array);
            let span = (waveform.period, waveform.samples.len() as u64);
            let limit = self.uncertainty_ms_max;
            let first = meaning.clock.first_sample(waveform.time.as_ref(), span, received, limit);
            taken.push((waveform, first));
        }
        if taken.is_empty() {
            return;
        }
        let (device, firmware) = (Arc::clone(&self.identity), self.firmware());
        let arrays = taken;
        let submission = waveforms::Submission { device, received, mode, firmware, proof, arrays };
        inlet.offer(submission);
    }

    pub(super) fn firmware(&self) -> Option<String> {
        self.meaning().firmware.clone()
    }

    /// Whether the device file was tested with the firmware that is known now, and the driver that
    /// read the message was made for it.
    fn proof(&self, made_for: &str, reported: Option<&str>) -> FirmwareProof {
        let known = self.firmware();
        let contradicts = reported.is_some_and(|reported| known.as_deref() != Some(reported));
        let same_table =
            self.setup.profile.file().variant.is_empty() || known.as_deref() == Some(made_for);
        let tested = known.is_some_and(|known| self.setup.profile.is_tested_with(&known));
        if tested && same_table && !contradicts {
            FirmwareProof::Proven
        } else {
            FirmwareProof::NotProven
        }
    }

    /// Notes a firmware that the device reports. `true` if the drivers must be made anew for it.
    fn firmware_changed(&self, reported: Option<&str>) -> bool {
        let Some(reported) = reported.filter(|reported| !reported.is_empty()) else { return false };
        let mut meaning = self.meaning();
        let reports = self.setup.profile.file().firmware.learned == Learned::ReportedByDevice;
        if !reports || meaning.firmware.as_deref() == Some(reported) {
            return false;
        }
        let tested = self.setup.profile.is_tested_with(reported);
        // What is not in the device file is text from the wire, and could be anything.
        let shown = if tested { reported } else { "an unlisted one" };
        tracing::info!(device = %self.setup.name, firmware = shown, tested, "firmware reported");
        meaning.firmware = Some(reported.to_owned());
        let vocabulary = Arc::clone(&self.vocabulary);
        meaning.mapper = Mapper::new(&self.setup.profile, reported, vocabulary);
        !self.setup.profile.file().variant.is_empty()
    }

    fn identity_changed(&self, identity: &Identity) -> bool {
        let changed = {
            let mut meaning = self.meaning();
            let known = meaning.identities.get(&identity.serial_number);
            let changed = known != Some(identity);
            if changed && meaning.identities.len() >= IDENTITIES_MAX {
                meaning.identities.clear();
            }
            if changed {
                meaning.identities.insert(identity.serial_number.clone(), identity.clone());
            }
            changed
        };
        if changed {
            let device = Arc::clone(&self.identity);
            let request =
                Request::Identity { device, identity: identity.clone(), now: clock::now() };
            let _ = self.requests.send(request);
        }
        self.firmware_changed(Some(&identity.firmware))
    }

    /// One more connection is open; dropping what comes back closes it, also when its task fails.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open += 1;
        self.identity.status.connections.store(*open, Ordering::Relaxed);
        self.identity.status.opened.fetch_add(1, Ordering::Relaxed);
        let now = clock::now();
        if *open == 1 {
            self.forget_reported_firmware();
            self.identity.status.set_trouble("");
            tracing::info!(device = %self.setup.name, "the link is up");
            let device = Arc::clone(&self.identity);
            let _ = self.requests.send(Request::LinkUp { device, now });
        }
        let why = "the connection's task has failed".to_owned();
        Open { device: Arc::clone(self), last_byte: now, why }
    }

    /// Another device may hang there now.
    fn forget_reported_firmware(&self) {
        if self.setup.profile.file().firmware.learned == Learned::ReportedByDevice {
            self.meaning().firmware = self.setup.firmware.clone();
        }
    }

    /// `last_byte`: from then on nothing was heard.
    fn closed(&self, why: &str, last_byte: Moment) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// A byte came: silence is over.
    pub(super) fn heard(&self, silence: &mut Silence, now: Moment) {
        if std::mem::take(&mut silence.begun) {
            self.gap_ended(GapCause::DeviceSilent, now);
        }
    }

    /// The port saw damage: the driver gives up the frame that it is in, and a person can see it.
    pub(super) fn line_error(&self, one: &mut Conversation, kind: LineError) {
        let errors = self.identity.status.line_errors.fetch_add(1, Ordering::Relaxed) + 1;
        let words = match kind {
            LineError::Parity => "damaged bytes (parity or framing): check speed, parity and cable",
            LineError::Framing => "damaged bytes (framing): check speed, stop bits and cable",
            LineError::Overrun => "bytes were lost in the port: it was not read in time",
            LineError::Break => "the line is held low (break): device off, or a wrong cable",
        };
        self.identity.status.set_trouble(words);
        // A line of noise must not fill the log, too.
        if errors.is_power_of_two() {
            tracing::warn!(device = %self.setup.name, errors, words, "the serial line");
        }
        one.line_damaged = true;
        one.driver.link(LinkChange::LineError(kind), clock::now());
    }

    pub(super) fn gap_ended(&self, cause: GapCause, ended: Moment) {
        let device = Arc::clone(&self.identity);
        let _ = self.requests.send(Request::GapEnded { device, cause, ended });
    }

    pub(super) fn gap_began(&self, cause: GapCause, began: Moment) {
        if let Some(inlet) = &self.waveforms {
            inlet.gap_began(&self.identity, cause, began);
        }
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

/// An array of samples with a period; one without has no time.
fn is_sound(array: &SampleArray) -> bool {
    !array.samples.is_empty() && array.period.us > 0 && array.period.samples > 0
}

/// An open connection. Dropping it tells that it is closed.
pub(super) struct Open {
    device: Arc<Device>,
    /// When the newest byte came; the opening if none did.
    pub last_byte: Moment,
    /// Why it closes.
    pub why: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.device.closed(&self.why, self.last_byte);
    }
}
