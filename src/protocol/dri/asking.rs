//! Which request goes out when: one after the other, never nearer to each other than the monitor
//! takes them, and again when the monitor has fallen silent.

use super::profile::DriProfile;
use super::request::{self, SPACING_MS};
use crate::vocabulary::Moment;

/// So many intervals without displayed values mean that the monitor has forgotten the subscription
/// (facts/monitors.md 2.1 and 8).
const SILENT_INTERVALS: u64 = 3;
/// A monitor may not know auxiliary records: it is asked again seldom.
const AUXILIARY_INTERVALS: u64 = 10;
/// Waves come at least once a second.
const WAVES_SILENT_MS: u64 = 10_000;

/// What can be asked for, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Displayed,
    Auxiliary,
    Alarms,
    StartWaves,
    StopWaves,
}

const ALL: [Request; 5] = [
    Request::Displayed,
    Request::Auxiliary,
    Request::Alarms,
    Request::StartWaves,
    Request::StopWaves,
];

/// When each request is due.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// In the order of `ALL`.
    due: [Option<Moment>; ALL.len()],
    /// Nothing is sent before this.
    not_before: Option<Moment>,
    /// Displayed values were asked for and have come since.
    answered: bool,
    has_asked: bool,
}

/// What goes out.
pub(super) struct Ask {
    pub bytes: Vec<u8>,
    /// The monitor had been asked before and has not sent displayed values for too long.
    pub is_silent: bool,
}

impl Asking {
    /// The link is up. Whoever had it before may just have asked, so the first request waits.
    pub fn opened(&mut self, profile: &DriProfile, now: Moment) {
        *self = Self { not_before: Some(now.plus_ms(SPACING_MS)), ..Self::default() };
        self.set(Request::Displayed, Some(now));
        self.set(Request::Auxiliary, profile.auxiliary.then_some(now));
        self.set(Request::StartWaves, (!profile.waves.is_empty()).then_some(now));
    }

    /// The link is down: nothing is due.
    pub fn closed(&mut self) {
        *self = Self::default();
    }

    /// Displayed values came. `true` if they had been missed.
    pub fn displayed(&mut self, profile: &DriProfile, now: Moment) -> bool {
        let interval_ms = u64::from(profile.interval_s) * 1000;
        self.set(Request::Displayed, Some(now.plus_ms(SILENT_INTERVALS * interval_ms)));
        !std::mem::replace(&mut self.answered, true)
    }

    /// An auxiliary record came.
    pub fn auxiliary(&mut self, profile: &DriProfile, now: Moment) {
        let interval_ms = u64::from(profile.interval_s) * 1000;
        self.set(Request::Auxiliary, Some(now.plus_ms(SILENT_INTERVALS * interval_ms)));
    }

    /// The monitor is one that knows alarms.
    pub fn alarms(&mut self, now: Moment) {
        self.set(Request::Alarms, Some(now));
    }

    /// Waves that are wanted came.
    pub fn waves(&mut self, now: Moment) {
        self.set(Request::StartWaves, Some(now.plus_ms(WAVES_SILENT_MS)));
    }

    /// Waves came that nobody wants: somebody before had asked for them.
    pub fn unwanted_waves(&mut self, now: Moment) {
        if self.due(Request::StopWaves).is_none() {
            self.set(Request::StopWaves, Some(now));
        }
    }

    /// When the next request goes out.
    pub fn next(&self) -> Option<Moment> {
        let first = self.due.iter().flatten().min()?;
        Some(self.not_before.map_or(*first, |not_before| not_before.max(*first)))
    }

    /// The request that goes out now, if one does.
    pub fn ask(&mut self, profile: &DriProfile, now: Moment) -> Option<Ask> {
        if self.next().is_none_or(|next| now < next) {
            return None;
        }
        let due = ALL.into_iter().filter_map(|one| Some((self.due(one)?, one)));
        // The one that has waited longest; `min_by_key` keeps the order of `ALL` among equals.
        let (_, request) = due.min_by_key(|(due, _)| *due)?;
        self.not_before = Some(now.plus_ms(SPACING_MS));
        let interval_ms = u64::from(profile.interval_s) * 1000;
        let mut is_silent = false;
        let (bytes, again_ms) = match request {
            Request::Displayed => {
                is_silent = std::mem::replace(&mut self.has_asked, true);
                if is_silent {
                    self.all_anew(profile, now);
                }
                let bytes = request::displayed(profile.interval_s, profile.class_bits());
                (bytes, Some(SILENT_INTERVALS * interval_ms))
            }
            Request::Auxiliary => {
                let bytes = request::auxiliary(profile.interval_s);
                (bytes, Some(AUXILIARY_INTERVALS * interval_ms))
            }
            Request::Alarms => (request::differential_alarms(), None),
            Request::StartWaves => {
                let kinds: Vec<u8> = profile.waves.iter().map(|wave| wave.kind()).collect();
                (request::start_waves(&kinds), Some(WAVES_SILENT_MS))
            }
            Request::StopWaves => (request::stop_waves(), None),
        };
        self.set(request, again_ms.map(|ms| now.plus_ms(ms)));
        Some(Ask { bytes, is_silent })
    }

    /// A monitor that was switched off and on knows of no subscription.
    fn all_anew(&mut self, profile: &DriProfile, now: Moment) {
        self.answered = false;
        self.set(Request::Auxiliary, profile.auxiliary.then_some(now));
        self.set(Request::StartWaves, (!profile.waves.is_empty()).then_some(now));
    }

    fn due(&self, request: Request) -> Option<Moment> {
        ALL.iter().position(|one| *one == request).and_then(|index| *self.due.get(index)?)
    }

    fn set(&mut self, request: Request, due: Option<Moment>) {
        let index = ALL.iter().position(|one| *one == request);
        if let Some(place) = index.and_then(|index| self.due.get_mut(index)) {
            *place = due;
        }
    }
}
