//! Whose values are, worked out once per line and kept until the instant at which it changes: the
//! ledger knows these instants, and everything else is a look into a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lines::LineSetup;
use crate::association::{
    Around, Asked, Attributed, Channel, Held, Ledger, Origin, Span, Unattributed, Utc, WhyNot,
};
use crate::check::clock::{FirstSample, Rule, STALE_AFTER_MS, SampleRule, Times};
use crate::gateway::configuration::Numbers;
use crate::vocabulary::reading::StatedPatientId;
use crate::vocabulary::{Certainty, Grade, Moment, PatientId, Purpose};

/// Whose it is, or why nobody's; `None` where nobody said anything of the machine.
pub type Said = Option<Arc<Result<Attributed, Unattributed>>>;

/// Whether times of the box are leaned on that nobody vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoxClock {
    /// Only while somebody vouches for the box's clock.
    #[default]
    Vouched,
    /// Always: on the bench.
    Trusted,
}

impl BoxClock {
    fn trusts(self, moment: Moment) -> bool {
        self == Self::Trusted || moment.certainty() == Certainty::Synchronised
    }

    /// Between which instants a value was measured, all uncertainty included.
    ///
    /// A time that nobody vouches for has no earliest instant: it lies inside one association only
    /// where a device's clock is known, or agrees with the box's as a live stream's must.
    pub fn around(self, times: &Times) -> Around {
        let received = Utc::from_us(times.received.utc_us());
        if !self.trusts(times.received) {
            return Around { earliest: Utc::MIN, latest: Utc::MAX };
        }
        let before = Around { earliest: Utc::MIN, latest: received };
        match (times.rule, times.corrected) {
            (Rule::Received, _) => Around::exactly(received),
            (Rule::Corrected, Some(corrected)) => give_or_take(corrected),
            (Rule::DeviceUnproven, _) => {
                let written = Utc::from_us(times.chart_utc_us);
                let limit_us = STALE_AFTER_MS.unsigned_abs() * 1000;
                if written.us().abs_diff(received.us()) > limit_us {
                    return before;
                }
                let earliest = written.min(received).plus_s(-STALE_AFTER_MS / 1000);
                Around { earliest, latest: written.max(received) }
            }
            (Rule::Corrected, None) | (Rule::ReceivedUnproven, _) => before,
        }
    }

    /// The same of samples that came together, from the first one to the last.
    pub fn around_samples<'a>(
        self,
        received: Moment,
        firsts: impl Iterator<Item = &'a FirstSample>,
    ) -> Around {
        let latest = Utc::from_us(received.utc_us());
        if !self.trusts(received) {
            return Around { earliest: Utc::MIN, latest: Utc::MAX };
        }
        let earliest = |first: &FirstSample| match (first.rule, first.corrected) {
            (SampleRule::Corrected, Some(corrected)) => give_or_take(corrected).earliest,
            (SampleRule::ReceivedLessSpan, _) => Utc::from_us(first.utc_us),
            (SampleRule::Corrected, None) | (SampleRule::DeviceUnproven, _) => Utc::MIN,
        };
        let earliest = firsts.map(earliest).min().unwrap_or(latest).min(latest);
        Around { earliest, latest }
    }
}

fn give_or_take(corrected: crate::check::clock::Corrected) -> Around {
    let wide_us = corrected.uncertainty_ms.saturating_mul(1000);
    let wide_us = u32::try_from(wide_us).unwrap_or(u32::MAX);
    Around::give_or_take(Utc::from_us(corrected.utc_us), wide_us)
}

/// What was worked out of the ledger as it stands.
#[derive(Debug, Default)]
pub struct Verdicts {
    of: Arc<Ledger>,
    by_line: BTreeMap<String, BTreeMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    span: Span,
    said: Said,
    /// For values whose time says nothing at all.
    at_no_time: Option<Said>,
}

impl Verdicts {
    /// Whose a line's values of this time are; `channel` is the part of the device, or empty.
    pub fn said(
        &mut self,
        ledger: &Arc<Ledger>,
        (line, channel): (&LineSetup, &str),
        around: Around,
    ) -> Said {
        if !Arc::ptr_eq(&self.of, ledger) {
            self.of = Arc::clone(ledger);
            self.by_line.clear();
        }
        // Its name was checked when the device file was loaded.
        let channel = Channel::parse(channel).ok();
        let channel = channel.as_ref();
        if around.latest == Utc::MAX {
            let kept = self.kept(line, channel, Utc::MAX);
            if let Some(said) = &kept.at_no_time {
                return said.clone();
            }
            let said = said_of(ledger, asked(line, channel, around));
            self.kept(line, channel, Utc::MAX).at_no_time = Some(said.clone());
            return said;
        }
        let kept = self.kept(line, channel, around.latest);
        if kept.span.holds(around.earliest) {
            return kept.said.clone();
        }
        said_of(ledger, asked(line, channel, around))
    }

    /// What is kept of a line, or of a part of what hangs on it, for this instant.
    fn kept(&mut self, line: &LineSetup, channel: Option<&Channel>, at: Utc) -> &mut Kept {
        let name = line.line.name.as_str();
        let is_good = |kept: &Kept| at == Utc::MAX || kept.span.holds(at);
        if !self.by_line.contains_key(name) {
            self.by_line.insert(name.to_owned(), BTreeMap::new());
        }
        let parts = self.by_line.get_mut(name).expect("it is there or was put there");
        // The part by its text, and the device as a whole by none: nobody copies it to look it up.
        let part = channel.map_or("", Channel::as_str);
        if !parts.get(part).is_some_and(is_good) {
            let origin = Origin::Line(line.line.clone());
            let Held { span, verdict } = self.of.held(&origin, channel, at);
            let before = parts.remove(part).and_then(|kept| kept.at_no_time);
            let kept = Kept { span, said: said(verdict), at_no_time: before };
            parts.insert(part.to_owned(), kept);
        }
        parts.get_mut(part).expect("it is there or was put there")
    }
}

fn asked(line: &LineSetup, channel: Option<&Channel>, at: Around) -> Asked {
    let (origin, channel) = (Origin::Line(line.line.clone()), channel.cloned());
    Asked { origin, channel, measurement: None, at }
}

fn said_of(ledger: &Ledger, asked: Asked) -> Said {
    said(ledger.attribute(&asked, Utc::MAX))
}

/// Nothing where the ledger knows nothing of the machine.
pub fn said(verdict: Result<Attributed, Unattributed>) -> Said {
    if let Err(nobody) = &verdict
        && nobody.why == WhyNot::NotAssociated
        && nobody.entries.is_empty()
        && nobody.proposal.is_none()
    {
        return None;
    }
    Some(Arc::new(verdict))
}

/// Whose an analyser's result is: the one patient whose number it carries, if the census has that
/// patient here. A number that is nobody's here says nothing.
pub fn by_result(
    ledger: &Ledger,
    stated: &[StatedPatientId],
    (numbers, purpose): (&Numbers, Purpose),
    at: Utc,
) -> Said {
    let known = stated.iter().filter_map(|one| numbers.patient(&one.authority, &one.id, purpose));
    let mut patients: Vec<PatientId> = known.map(|patient| ledger.survivor(&patient)).collect();
    patients.sort();
    patients.dedup();
    let [patient] = patients.as_slice() else { return None };
    let stay = ledger.stay(patient, at)?;
    Some(Arc::new(Ok(Attributed {
        patient: patient.clone(),
        encounter: stay.encounter,
        place: stay.place,
        grade: Grade::DeviceAdmission,
        in_census: true,
        entries: vec![stay.by],
    })))
}
