//! Whose a value is: from the line it came by to machine, patient, encounter and place, at a chart
//! time that is never quite sure, as known at a time.

use std::collections::BTreeSet;

use super::judge::{Attributed, Case, Unattributed, Verdict, WhyNot};
use super::ledger::Ledger;
use super::line::OnLine;
use super::names::{Channel, DeviceId, EntryId, Line, MeasurementId};
use super::policy::Site;
use super::time::{Around, Span, Utc};
use super::view::View;
use crate::vocabulary::{EncounterId, PatientId, Place};

/// By what a value came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A configured line; which machine hangs on it is for the ledger to say.
    Line(Line),
    /// A machine that names itself in its messages, such as a module in its host.
    Machine(DeviceId),
}

/// A value, as far as its patient depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub origin: Origin,
    /// The part of the device, where several patients are on one.
    pub channel: Option<Channel>,
    /// Which measurement, for spot checks.
    pub measurement: Option<MeasurementId>,
    /// The chart time and how sure it is.
    pub at: Around,
}

/// A verdict, and the time around the instant asked for in which it does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub span: Span,
    pub verdict: Result<Attributed, Unattributed>,
}

/// Where a patient is by the census.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    pub encounter: Option<EncounterId>,
    pub place: Option<Place>,
    /// What says so.
    pub by: EntryId,
}

impl Ledger {
    /// Whose values of a stream are at an instant, as known now, and how long before and after it
    /// that is so.
    pub fn held(&self, origin: &Origin, channel: Option<&Channel>, at: Utc) -> Held {
        let stream = Stream { origin, channel, measurement: None };
        let view = self.view(Utc::MAX);
        let edges = view.edges(self.site(), &stream);
        let from = edges.range(..=at).next_back().copied().unwrap_or(Utc::MIN);
        let behind = (std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded);
        let until = edges.range(behind).next().copied();
        let span = Span { from, until };
        Held { span, verdict: view.verdict(self.site(), &stream, at) }
    }

    /// Where a patient is at an instant, if the census has the patient here then.
    pub fn stay(&self, patient: &PatientId, at: Utc) -> Option<Stay> {
        let view = self.view(Utc::MAX);
        let whereabouts = view.whereabouts(&view.survivor(patient), at);
        let place = whereabouts.place().cloned();
        let by = whereabouts.by.clone().filter(|_| whereabouts.is_present())?;
        Some(Stay { encounter: whereabouts.encounter, place, by })
    }
}

/// The same, without the time.
#[derive(Clone, Debug)]
pub(super) struct Stream<'a> {
    pub origin: &'a Origin,
    pub channel: Option<&'a Channel>,
    pub measurement: Option<&'a MeasurementId>,
}

impl<'a> View<'a> {
    /// Whose the value is. Somebody's only if the device was on them for the whole uncertainty.
    pub fn attribute(&self, site: &Site, asked: &Asked) -> Verdict {
        let stream = Stream {
            origin: &asked.origin,
            channel: asked.channel.as_ref(),
            measurement: asked.measurement.as_ref(),
        };
        let Around { earliest, latest } = asked.at;
        let mut whole = self.verdict(site, &stream, earliest);
        if earliest >= latest {
            return whole;
        }
        let mut within = self.edges(site, &stream);
        within.retain(|edge| earliest < *edge && *edge <= latest);
        for at in within {
            whole = both(whole, self.verdict(site, &stream, at));
        }
        whole
    }

    /// The verdict at an instant.
    pub fn verdict(&self, site: &Site, stream: &Stream<'_>, at: Utc) -> Verdict {
        let device = match stream.origin {
            Origin::Machine(device) => device.clone(),
            Origin::Line(port) => match self.on_line(port, at) {
                OnLine::Machine { device, .. } => device,
                OnLine::Unknown => {
                    return Err(Unattributed::because(WhyNot::NotAssociated, Vec::new()));
                }
                OnLine::Unproven { since } => {
                    return Err(Unattributed::because(WhyNot::PortUnproven, vec![since]));
                }
                OnLine::Twice { entries } => {
                    return Err(Unattributed::because(WhyNot::Conflict, entries));
                }
            },
        };
        Case::new(*self, site, &device, stream.channel, stream.measurement).at(at)
    }

    /// The instants at which the verdict on a stream can change.
    pub fn edges(&self, site: &Site, stream: &Stream<'_>) -> BTreeSet<Utc> {
        let mut edges = BTreeSet::new();
        let mut machines = BTreeSet::new();
        match stream.origin {
            Origin::Machine(device) => drop(machines.insert(device)),
            Origin::Line(port) => {
                edges.extend(self.line_edges(port));
                let plugged = self.shelf.of_port(port);
                machines.extend(plugged.filter_map(|entry| entry.says.plugged_device()));
            }
        }
        for device in machines {
            let case = Case::new(*self, site, device, stream.channel, stream.measurement);
            edges.extend(case.edges());
        }
        edges
    }

    /// All verdicts on a stream, each with the time for which it holds, from the beginning on.
    pub fn timeline(&self, site: &Site, stream: &Stream<'_>) -> Vec<(Span, Verdict)> {
        let edges = self.edges(site, stream);
        let starts: Vec<Utc> = [Utc::MIN].into_iter().chain(edges).collect();
        let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
        let pieces = starts.iter().zip(ends);
        pieces
            .map(|(from, until)| (Span { from: *from, until }, self.verdict(site, stream, *from)))
            .collect()
    }
}

/// What two instants of one uncertainty say together.
fn both(first: Verdict, second: Verdict) -> Verdict {
    match (first, second) {
        // The device was on one patient all the time, whoever said so, and how often.
        (Ok(first), Ok(second)) if first.patient == second.patient => Ok(Attributed {
            // Of two encounters or beds none is chosen.
            encounter: first.encounter.filter(|one| second.encounter.as_ref() == Some(one)),
            place: first.place.filter(|one| second.place.as_ref() == Some(one)),
            in_census: first.in_census && second.in_census,
            grade: first.grade.min(second.grade),
            entries: all_of(first.entries, second.entries),
            patient: first.patient,
        }),
        (Ok(first), Ok(second)) => {
            let entries = [first.entries, second.entries].concat();
            Err(Unattributed::because(WhyNot::TimeSpansHandover, entries))
        }
        (Ok(one), Err(other)) | (Err(other), Ok(one)) => {
            let entries = [one.entries, other.entries].concat();
            let nobody = Unattributed::because(WhyNot::TimeSpansHandover, entries);
            Err(Unattributed { proposal: Some(one.patient), ..nobody })
        }
        (Err(first), Err(second)) if second.why == WhyNot::TimeSpansHandover => {
            Err(Unattributed { place: first.place, ..second })
        }
        (Err(first), Err(_)) => Err(first),
    }
}

fn all_of(mut first: Vec<EntryId>, second: Vec<EntryId>) -> Vec<EntryId> {
    first.extend(second.into_iter().filter(|one| !first.contains(one)).collect::<Vec<_>>());
    first
}
