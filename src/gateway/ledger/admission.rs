//! The device's own admission: it names its patient by a number that the site knows. A claim of its
//! own beside scans and the administration, and never more than the site's policy allows it.
//!
//! | the device says | entry |
//! |---|---|
//! | a patient, and it was on nobody by its own word | `Associated` by the device, from when it says so |
//! | another patient than before | `Ended`, and `Associated` from the same instant |
//! | nobody, where each message says whose it is (HL7 v2) | `Ended` |
//!
//! It is asked only of devices whose word the site's policy lets count. A number that the site does
//! not know, and two patients in one message, are somebody else: nobody is admitted by them. So is
//! a patient on whom a line says to be before the one before was there for [`STEADY_S`]: behind it
//! are several beds, or somebody is just typing.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::NewEntry;
use super::lines::LineSetup;
use crate::association::{By, DeviceId, EntryId, Says, Span, Utc};
use crate::check::clock::Liveness;
use crate::gateway::committer::{Committer, Submission};
use crate::vocabulary::{Grade, Mode, PatientId};

/// How long a device must say the same before its word is taken, if it said something else lately.
const STEADY_S: i64 = 60;

/// Whom a device said last that it is on.
#[derive(Clone, Debug)]
pub struct Stated {
    patient: Option<PatientId>,
    since: Utc,
    is_taken: bool,
}

impl Committer {
    /// What a message says of the device's patient takes effect before its values are judged.
    pub(in crate::gateway) async fn admitted(&mut self, submission: &Submission) {
        if !self.memory.ledger.site().policy.asks_devices() {
            return;
        }
        let name = submission.device.name.as_str();
        let Some(setup) = self.ledger.lines.get(name).filter(|setup| !setup.is_analyser) else {
            return;
        };
        let Some(stated) = self.stated_patient(submission, setup) else { return };
        let received = submission.message.received;
        let now = Utc::from_us(received.utc_us());
        let before = self.ledger.stated.get(name);
        let is_same = before.is_some_and(|before| before.patient == stated);
        if is_same && before.is_some_and(|before| before.is_taken) {
            return;
        }
        let is_steady = before.is_none_or(|before| before.since.plus_s(STEADY_S) <= now);
        if is_same && !is_steady {
            return;
        }
        let Some((line, machine)) = self.line_and_machine(&submission.device, received) else {
            return;
        };
        if !self.memory.ledger.site().is_enough(&machine, Grade::DeviceAdmission, true, None) {
            return;
        }
        let taken = stated.clone().filter(|_| is_steady);
        // From when the first of these values may have been measured.
        let earliest = submission.observations.iter().map(|(_, times)| {
            let around = self.ledger.clock.around(times);
            if around.earliest == Utc::MIN { around.latest } else { around.earliest }
        });
        let from = earliest.min().unwrap_or(now).min(now);
        let entries = self.admission(&machine, taken.as_ref(), (from, now), |word| {
            let (gateway, line) = (line.gateway.as_str(), line.name.as_str());
            EntryId::parse(&format!("{word}:{gateway}/{line}:{}", now.us())).ok()
        });
        if !entries.is_empty() {
            let (done, mut answer) = oneshot::channel();
            self.take_entries(entries, done, received).await;
            if let Ok(Err(why)) = answer.try_recv() {
                tracing::warn!(device = name, %why, "a device's word of its patient is not taken");
            }
        }
        let stated = Stated { is_taken: taken == stated, patient: stated, since: now };
        self.ledger.stated.insert(name.to_owned(), stated);
    }

    /// The patient that all values of a message are said to be of; `Some(None)`: of nobody.
    /// `None`: the message says nothing of it that can be understood.
    fn stated_patient(
        &self,
        submission: &Submission,
        setup: &LineSetup,
    ) -> Option<Option<PatientId>> {
        // What a device had stored may be of the patient before.
        let present = submission.observations.iter().filter(|(one, times)| {
            one.mode == Mode::Production && times.liveness == Liveness::Live
        });
        let mut subjects = present.map(|(one, _)| &one.subject).peekable();
        subjects.peek()?;
        let ledger = &self.memory.ledger;
        let (numbers, purpose) = (&self.ledger.numbers, self.ledger.purpose);
        let (mut patients, mut is_silent) = (BTreeSet::new(), true);
        for subject in subjects {
            is_silent &= subject.patient_ids.is_empty();
            let known = subject.patient_ids.iter();
            let known = known.filter_map(|one| numbers.patient(&one.authority, &one.id, purpose));
            patients.extend(known.map(|patient| ledger.survivor(&patient)));
        }
        let mut patients = patients.into_iter();
        match (patients.next(), patients.next()) {
            (Some(patient), None) => Some(Some(patient)),
            (None, _) if is_silent && !setup.says_patient_each_time => None,
            // A number that nobody knows here is somebody else than before.
            (None, _) | (Some(_), Some(_)) => Some(None),
        }
    }

    /// The entries that follow; none where the ledger says so already.
    fn admission(
        &self,
        machine: &DeviceId,
        stated: Option<&PatientId>,
        (from, now): (Utc, Utc),
        id: impl Fn(&str) -> Option<EntryId>,
    ) -> Vec<NewEntry> {
        let standing = self.memory.ledger.standing(now).into_iter();
        let mut own = standing
            .filter(|one| one.device == *machine && one.grade == Grade::DeviceAdmission)
            .peekable();
        if own.peek().map(|one| &one.patient) == stated {
            return Vec::new();
        }
        let entry = |id, says| NewEntry { id, stated: now, by: By::Device, says };
        let ended = own.enumerate().filter_map(|(number, one)| {
            let at = from.max(one.span.from);
            let id = id(&format!("discharged-{number}"))?;
            Some(entry(id, Says::Ended { association: one.association, at }))
        });
        let mut entries: Vec<NewEntry> = ended.collect();
        if let (Some(patient), Some(id)) = (stated, id("admitted")) {
            let (device, patient) = (machine.clone(), patient.clone());
            let span = Span { from, until: None };
            entries.push(entry(id, Says::Associated { device, channel: None, patient, span }));
        }
        entries
    }
}
