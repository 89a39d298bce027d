//! The batch of a message that is new: its wire record and its observations, each written once it
//! is known where it goes.

use std::collections::BTreeMap;

use super::{Committer, Staged, Submission};
use crate::check::clock::Times;
use crate::check::repeats::StatementKeys;
use crate::forward::stored::Stored;
use crate::gateway::configuration::Take;
use crate::gateway::ledger::verdicts::Said;
use crate::gateway::record::{self, Held, NewStatement, Parts};
use crate::gateway::routing::{Fate, Routable};
use crate::journal::{Kind, NewRecord};
use crate::protocol::Completeness;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Association, Digest, Observation, RecordId, Sequence};

/// What is known of an observation before it is written.
struct Judged<'a> {
    sequence: Sequence,
    id: RecordId,
    observation: &'a Observation,
    times: &'a Times,
    said: &'a Said,
    is_protected: bool,
    held: Vec<Held>,
    names: Option<RecordId>,
}

/// What all observations of a message share.
struct Shared<'a> {
    submission: &'a Submission,
    wire: Sequence,
    raw_digest: Digest,
    association: Association,
    /// The record of what the configuration says of where the device stands.
    configured_by: Option<u64>,
    /// The newest record with an entry of the ledger; 0 for none.
    ledger_record: u64,
}

impl Committer {
    /// The records of the batch, in order, and what becomes true once it is on its way.
    pub(super) fn first_time(
        &self,
        submission: &Submission,
        basis: Option<Digest>,
        wire: Sequence,
        said: &[(Said, bool)],
    ) -> (Vec<NewRecord>, Staged) {
        let shared = self.shared(submission, wire);
        let statements = submission.observations.iter().map(|(one, _)| StatementKeys::of(one));
        let statements: Vec<Option<StatementKeys>> = statements.collect();
        let judged = self.judged(&shared, said, &statements);
        let parts: Vec<Parts<'_>> = judged.iter().map(|one| one.parts(&shared)).collect();
        // Only a route with `every` looks into the data.
        let sampled = self.destinations.iter().any(|one| matches!(one.take, Take::Every { .. }));
        let routable = |(one, parts): (&Judged<'_>, &Parts<'_>)| {
            one.routable(&shared, sampled.then_some(parts))
        };
        let mut records: Vec<Routable> = judged.iter().zip(&parts).map(routable).collect();
        let mut staged = Staged::default();
        let samples = self.route(&submission.device, &mut records, &mut staged);

        let mut head = Self::head(submission, basis);
        head.observations = judged.len();
        head.statements = statements.into_iter().map(|one| one.map(NewStatement)).collect();
        let whole = records.iter().zip(&parts).map(|(record, parts)| record.to_bytes(parts));
        let payloads = whole.chain(samples.iter().map(Stored::to_bytes));
        let (kind, time_us) = (Kind::Observation, submission.message.received.utc_us());
        let kept = payloads.map(|payload| NewRecord { kind, time_us, payload });
        let records = std::iter::once(Self::wire(submission, &head)).chain(kept).collect();
        let statements = head.statements.into_iter().zip(judged.iter().map(|one| one.sequence));
        staged.statements = statements.filter_map(|(one, at)| Some((one?.0, at))).collect();
        (records, staged)
    }

    fn shared<'a>(&self, submission: &'a Submission, wire: Sequence) -> Shared<'a> {
        let device = &submission.device.name;
        let configured = self.memory.devices.get(device.as_str());
        let configured = configured.and_then(|one| one.association.as_ref());
        Shared {
            submission,
            wire,
            raw_digest: Digest::of(&submission.message.raw),
            association: self.memory.ledger.of(device),
            configured_by: configured.map(|(_, sequence)| *sequence),
            ledger_record: self.memory.ledger_record,
        }
    }

    fn judged<'a>(
        &self,
        shared: &Shared<'a>,
        said: &'a [(Said, bool)],
        statements: &[Option<StatementKeys>],
    ) -> Vec<Judged<'a>> {
        let submission = shared.submission;
        let memory = self.memory.devices.get(submission.device.name.as_str());
        let stated_before =
            |keys: &Option<StatementKeys>| memory?.window.stated_before(keys.as_ref()?);
        let sequences = (1..).map(|index| shared.wire.plus(index));
        let all = submission.observations.iter().zip(said).zip(statements).zip(sequences);
        let judged = all.map(|((((observation, times), (said, protected)), keys), sequence)| {
            let names = stated_before(keys).map(|earlier| RecordId::of(self.stream, earlier));
            let held = record::held(observation.mode, submission.proof);
            let (id, is_protected) = (RecordId::of(self.stream, sequence), *protected);
            Judged { sequence, id, observation, times, said, is_protected, held, names }
        });
        judged.collect()
    }
}

impl Judged<'_> {
    fn parts<'a>(&'a self, shared: &'a Shared<'_>) -> Parts<'a> {
        let Shared { submission, wire, raw_digest, association, configured_by, ledger_record } =
            shared;
        let newest = self.said.as_ref().map(|_| *ledger_record).filter(|newest| *newest > 0);
        Parts {
            id: &self.id,
            wire: *wire,
            raw_digest: *raw_digest,
            device: submission.device.name.as_str(),
            profile: &submission.device.stamp,
            profile_status: submission.device.profile_status.as_str(),
            firmware: submission.firmware.as_deref(),
            observation: self.observation,
            times: self.times,
            complete: submission.message.completeness == Completeness::Complete,
            association,
            ledger: (*configured_by).max(newest),
            whose: self.said.as_deref(),
            is_protected: self.is_protected,
            held: &self.held,
            names: self.names.clone(),
        }
    }

    /// What decides where it goes; with its data, of these parts, where somebody looks into that.
    fn routable(&self, shared: &Shared<'_>, looked_into: Option<&Parts<'_>>) -> Routable {
        let stored = Stored {
            kind: record::kind(self.observation),
            time: utc_text(self.times.chart_utc_us),
            subject: shared.submission.device.name.as_str().to_owned(),
            routes: BTreeMap::new(),
            data: looked_into.map(record::observation).unwrap_or_default(),
        };
        let of_somebody = self.said.as_deref().is_some_and(Result::is_ok);
        let fate = Fate { held: !self.held.is_empty(), of_somebody };
        let received_us = shared.submission.message.received.utc_us();
        Routable { sequence: self.sequence, fate, received_us, stored }
    }
}
