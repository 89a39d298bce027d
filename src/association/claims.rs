//! Link 2: everything that says that a machine, or a channel of it, is on a patient; how long it
//! lasts unseen, and when it is suspended.

use super::entry::{Entry, Pause, Says};
use super::ledger::Ledger;
use super::names::{Channel, DeviceId, EntryId, MeasurementId};
use super::time::{Span, Utc};
use super::view::View;
use crate::vocabulary::{Grade, PatientId, Place};

/// One claim, as known.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub entry: &'a Entry,
    /// The identifier that goes on.
    pub patient: PatientId,
    pub grade: Grade,
    pub channel: Option<&'a Channel>,
    /// `None` for one measurement, whatever its time.
    pub span: Option<Span>,
    /// When a person looked.
    seen: Vec<Utc>,
}

impl Claim<'_> {
    /// Whether it speaks of this instant.
    pub fn holds(&self, at: Utc) -> bool {
        self.span.is_none_or(|span| span.holds(at))
    }

    /// Whether the instant lies before the claim was made: "since 08:00". Such a part counts only
    /// where nobody else had the machine.
    pub fn is_late(&self, at: Utc) -> bool {
        self.span.is_some() && at < self.entry.stated
    }

    /// From which instants on it is good for the site's limit: a person's claim from when it was
    /// made, the others from their beginning, and all from when a person looked.
    fn looked(&self) -> impl Iterator<Item = Utc> {
        let made = match self.span {
            Some(span) if !self.entry.by.is_person() => span.from,
            Some(_) | None => self.entry.stated,
        };
        self.seen.iter().copied().chain([made])
    }

    /// Whether it is within the site's limit: after each look, and before a person made the claim,
    /// for no longer than a claim may last.
    pub fn is_fresh(&self, at: Utc, limit_s: i64) -> bool {
        self.span.is_none()
            || self.entry.by.is_person() && self.is_just_before(at, limit_s)
            || self.looked().any(|looked| looked <= at && at < looked.plus_s(limit_s))
    }

    fn is_just_before(&self, at: Utc, limit_s: i64) -> bool {
        at <= self.entry.stated && self.entry.stated < at.plus_s(limit_s)
    }

    /// Whether a person said after the pause, and up to the instant, that it holds.
    fn outlives(&self, pause: &Paused, at: Utc) -> bool {
        let begun = self.span.is_none_or(|span| span.from >= pause.at);
        let vouched = |time: &Utc| pause.at <= *time && *time <= at;
        let person = self.entry.by.is_person() && vouched(&self.entry.stated);
        begun || person || self.seen.iter().any(vouched)
    }

    /// The instants at which it changes.
    pub fn edges(&self, limit_s: i64) -> Vec<Utc> {
        let mut edges: Vec<Utc> = self.span.iter().map(|span| span.from).collect();
        edges.extend(self.span.and_then(|span| span.until));
        // The late part, and how far back it may go. Excluding that one instant it is within.
        let far = self.entry.stated.plus_s(-limit_s);
        edges.extend([self.entry.stated, far, Utc::from_us(far.us().saturating_add(1))]);
        for looked in self.looked() {
            edges.extend([looked, looked.plus_s(limit_s)]);
        }
        edges
    }
}

/// What suspends a machine's claims at an instant.
#[derive(Clone, Debug)]
pub(super) struct Paused {
    why: Pause,
    at: Utc,
    pub by: EntryId,
}

impl Ledger {
    /// Whether somebody says, as known now, that a machine or a part of it is on a patient at an
    /// instant.
    pub fn is_claimed(&self, device: &DeviceId, at: Utc) -> bool {
        let claims = self.view(Utc::MAX).claims(device, None);
        claims.iter().any(|claim| claim.span.is_some_and(|span| span.holds(at)))
    }

    /// Why a machine's associations do not hold at an instant, as known now.
    pub fn pause(&self, device: &DeviceId, at: Utc) -> Option<Pause> {
        paused(&self.view(Utc::MAX).pauses(device), at).map(|pause| pause.why)
    }

    /// Where a machine stands at an instant, as known now.
    pub fn place_of(&self, device: &DeviceId, at: Utc) -> Option<Place> {
        self.view(Utc::MAX).place_of(device, at)
    }
}

impl<'a> View<'a> {
    /// All claims of the machine that count; those of one measurement only for that measurement.
    pub fn claims(&self, device: &DeviceId, measurement: Option<&MeasurementId>) -> Vec<Claim<'a>> {
        let known = *self;
        let entries = self.shelf.of_device(device).filter(|entry| known.counts(entry));
        let claims = entries.filter_map(|entry| {
            let (patient, channel, span) =
                if let Says::Associated { patient, channel, span, .. } = &entry.says {
                    (patient, channel.as_ref(), Some(known.span_of(entry, *span)))
                } else if let Says::SpotCheck { patient, measurement: of, .. } = &entry.says
                    && Some(of) == measurement
                {
                    (patient, None, None)
                } else {
                    return None;
                };
            let seen = known.about(&entry.id).filter(|about| about.by.is_person());
            Some(Claim {
                entry,
                patient: known.survivor(patient),
                grade: entry.by.grade()?,
                channel,
                span,
                seen: seen.filter_map(|about| about.says.seen()).collect(),
            })
        });
        claims.collect()
    }

    /// Pauses and their ends, in the order in which they were true.
    pub fn pauses(&self, device: &DeviceId) -> Vec<&'a Entry> {
        let known = *self;
        let mut found: Vec<&Entry> = self
            .shelf
            .of_device(device)
            .filter(|entry| pause_time(entry).is_some() && known.counts(entry))
            .collect();
        found.sort_by_key(|entry| (pause_time(entry), entry.stated, &entry.id));
        found
    }
}

/// What of these pauses lasts at an instant.
pub(super) fn paused(pauses: &[&Entry], at: Utc) -> Option<Paused> {
    let mut now: Option<Paused> = None;
    for entry in pauses {
        if pause_time(entry).is_none_or(|time| time > at) {
            break;
        }
        if let Says::Paused { why, at, .. } = &entry.says {
            // Silence after a standby is still the standby.
            if now.is_none() || *why != Pause::Silence {
                now = Some(Paused { why: *why, at: *at, by: entry.id.clone() });
            }
        } else if entry.by.is_person() || now.as_ref().is_some_and(|now| now.why == Pause::Silence)
        {
            now = None;
        }
    }
    now
}

/// Whether this pause suspends this claim at an instant.
pub(super) fn suspends(pause: &Paused, claim: &Claim<'_>, at: Utc) -> bool {
    claim.span.is_some() && !claim.outlives(pause, at)
}

/// The instant of a pause or of its end.
pub(super) fn pause_time(entry: &Entry) -> Option<Utc> {
    if let Says::Paused { at, .. } | Says::Resumed { at, .. } = &entry.says {
        return Some(*at);
    }
    None
}
