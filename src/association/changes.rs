//! Which values that are kept already change hands because of a new entry. Withdrawing is quick,
//! filing is careful:
//!
//! | value | the patient who had it | the patient who has it now |
//! |---|---|---|
//! | preliminary | withdrawn at once | gets it as preliminary on a scan or a claim of the core, else it is offered |
//! | confirmed | disputed, until a named person withdraws it with a reason | the same |
//!
//! The spans are those of certain times. A value whose uncertainty reaches over an edge of a span
//! is asked for again by [`Ledger::attribute`], before and after.

use std::collections::BTreeSet;

use super::attribute::{Origin, Stream};
use super::entry::{Entry, Says};
use super::judge::{Verdict, WhyNot};
use super::ledger::Ledger;
use super::names::{Channel, DeviceId, EntryId, MeasurementId};
use super::time::{Span, Utc};
use crate::vocabulary::{Grade, PatientId};

/// How far a value had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Filed, and confirmed by nobody.
    Preliminary,
    /// A person stands behind it.
    Confirmed,
}

/// What becomes of a value that was filed for another patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken back at once.
    Withdrawn,
    /// Marked, until a named person withdraws it with a reason.
    Disputed,
}

/// Whose it is after the entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// This patient's, as preliminary.
    Filed(PatientId),
    /// This patient's if a person says so.
    Offered(PatientId),
    /// Nobody's.
    Nobody(WhyNot),
}

/// One stretch of one stream of values that changes hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub origin: Origin,
    /// The part of the device; `None` for what names no part, and for parts that no association
    /// names.
    pub channel: Option<Channel>,
    /// Only this measurement.
    pub measurement: Option<MeasurementId>,
    pub span: Span,
    /// For whom it was filed.
    pub before: Option<PatientId>,
    pub then: Then,
}

impl Change {
    /// What becomes of a value that was filed for [`Change::before`]; `None` if it was nobody's.
    pub fn fate(&self, kept: Kept) -> Option<Fate> {
        self.before.as_ref().map(|_| match kept {
            Kept::Preliminary => Fate::Withdrawn,
            Kept::Confirmed => Fate::Disputed,
        })
    }
}

impl Ledger {
    /// Which values up to `now` change hands if `entry` is added to this ledger. Empty if the entry
    /// is there already or would be refused.
    pub fn changes(&self, entry: &Entry, now: Utc) -> Vec<Change> {
        let mut after = self.clone();
        if after.add(entry.clone()).is_err() {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        for device in after.touched(entry) {
            for origin in after.origins(&device) {
                for channel in after.channels(&device) {
                    let stream =
                        Stream { origin: &origin, channel: channel.as_ref(), measurement: None };
                    found.extend(self.changed(&after, &stream, now));
                }
            }
        }
        if let Says::Unplugged { port, .. } | Says::Plugged { port, .. } = &entry.says {
            let origin = Origin::Line(port.clone());
            for channel in after.channels_of_line(port) {
                let stream =
                    Stream { origin: &origin, channel: channel.as_ref(), measurement: None };
                found.extend(self.changed(&after, &stream, now));
            }
        }
        for (device, measurement, at) in after.measurements(entry) {
            for origin in after.origins(&device) {
                let stream =
                    Stream { origin: &origin, channel: None, measurement: Some(&measurement) };
                let span = Span { from: at, until: Some(at) };
                found.extend(self.change(&after, &stream, span));
            }
        }
        found.into_iter().collect()
    }

    fn changed(&self, after: &Self, stream: &Stream<'_>, now: Utc) -> Vec<Change> {
        let (old, new) = (self.view(Utc::MAX), after.view(Utc::MAX));
        let mut starts = BTreeSet::from([Utc::MIN]);
        starts.extend(old.edges(self.site(), stream));
        starts.extend(new.edges(after.site(), stream));
        let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
        let mut found: Vec<Change> = Vec::new();
        for (from, until) in starts.iter().zip(ends).filter(|(from, _)| **from <= now) {
            let Some(change) = self.change(after, stream, Span { from: *from, until }) else {
                continue;
            };
            match found.last_mut() {
                Some(last)
                    if last.span.until == Some(*from)
                        && last.before == change.before
                        && last.then == change.then =>
                {
                    last.span.until = until;
                }
                Some(_) | None => found.push(change),
            }
        }
        found
    }

    /// The change in a stretch in which neither verdict changes.
    fn change(&self, after: &Self, stream: &Stream<'_>, span: Span) -> Option<Change> {
        let view = after.view(Utc::MAX);
        let before = self.view(Utc::MAX).verdict(self.site(), stream, span.from);
        let verdict = view.verdict(after.site(), stream, span.from);
        let had = before.ok().map(|attributed| attributed.patient);
        let has = verdict.as_ref().ok().map(|attributed| &attributed.patient);
        // A merge gives the same human another identifier; nothing changes hands.
        if had.as_ref().map(|patient| view.survivor(patient)).as_ref() == has {
            return None;
        }
        Some(Change {
            origin: stream.origin.clone(),
            channel: stream.channel.cloned(),
            measurement: stream.measurement.cloned(),
            span,
            before: had,
            then: then(verdict),
        })
    }

    /// The machines of whose values an entry may speak.
    fn touched(&self, entry: &Entry) -> BTreeSet<DeviceId> {
        let mut found = BTreeSet::new();
        for entry in self.reach(entry) {
            match &entry.says {
                Says::Plugged { device, .. }
                | Says::Associated { device, .. }
                | Says::SpotCheck { device, .. }
                | Says::Paused { device, .. }
                | Says::Resumed { device, .. } => drop(found.insert(device.clone())),
                // What stands in it, and who is in which bed, may change for any machine.
                Says::Stands { .. }
                | Says::Movement { .. }
                | Says::Cancelled { .. }
                | Says::Merged { .. } => found.extend(self.machines().cloned()),
                // Its line is looked at by itself; the machines on it keep their patients.
                Says::Unplugged { port, .. } => found.extend(self.machines_of_line(port)),
                Says::Ended { .. }
                | Says::Seen { .. }
                | Says::Withdrawn { .. }
                | Says::Decided { .. } => {}
            }
        }
        found
    }

    /// The entry, and those that it names, and so on.
    fn reach<'a>(&'a self, entry: &'a Entry) -> Vec<&'a Entry> {
        let mut reached: Vec<&Entry> = vec![entry];
        let mut next = 0;
        while let Some(entry) = reached.get(next) {
            next += 1;
            let named: Vec<&EntryId> = match &entry.says {
                Says::Ended { association: named, .. }
                | Says::Seen { association: named, .. }
                | Says::Withdrawn { entry: named, .. } => vec![named],
                Says::Decided { holds, against, .. } => against.iter().chain([holds]).collect(),
                Says::Plugged { .. }
                | Says::Unplugged { .. }
                | Says::Stands { .. }
                | Says::Associated { .. }
                | Says::SpotCheck { .. }
                | Says::Paused { .. }
                | Says::Resumed { .. }
                | Says::Movement { .. }
                | Says::Cancelled { .. }
                | Says::Merged { .. } => Vec::new(),
            };
            for found in named.into_iter().filter_map(|id| self.entry(id)) {
                if !reached.iter().any(|known| known.id == found.id) {
                    reached.push(found);
                }
            }
        }
        reached
    }

    fn measurements(&self, entry: &Entry) -> Vec<(DeviceId, MeasurementId, Utc)> {
        let mut found = Vec::new();
        for entry in self.reach(entry) {
            if let Says::SpotCheck { device, measurement, at, .. } = &entry.says {
                found.push((device.clone(), measurement.clone(), *at));
            }
        }
        found
    }
}

fn then(verdict: Verdict) -> Then {
    match verdict {
        Ok(attributed) if matches!(attributed.grade, Grade::Scan | Grade::CoreClaim) => {
            Then::Filed(attributed.patient)
        }
        Ok(attributed) => Then::Offered(attributed.patient),
        Err(nobody) => Then::Nobody(nobody.why),
    }
}
