//! The steps: what is sent, and what the answers say about which clause.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use wardgate::forward::acknowledgement::{Acknowledgement, Have};

use super::Check;
use super::clauses::{
    AFTER_RESTORE, ANSWER_FORM, ANSWERS, ANY_ORDER, AUTHENTICATION, DAMAGED_RECORD, DUPLICATES,
    DURABLE_COMMIT, HAVE, KEEPS, NOT_A_BATCH, ONLY_WHAT_CAME, OVERSIZED, PREVIOUS_MISSING,
    RECEIVER_ID, SAME_STREAM, STORES_NEW, TWO_AT_ONCE, UNKNOWN_STREAM, UNKNOWN_TYPE, WAVEFORM,
};
use super::line::{Line, Reply, have, post};
use super::records::{Record, Records};

/// More than any record of a gateway, and than most receivers take.
const OVERSIZED_BYTES: usize = 9 << 20;

/// What an answer says of the records that were offered.
#[derive(Debug, Default)]
struct Said {
    accepted: BTreeSet<u64>,
    /// Code, and whether for good.
    rejected: BTreeMap<u64, (String, bool)>,
    status: Option<u16>,
}

impl Said {
    /// Whether all of these were accepted.
    fn accepts(&self, records: &[Record]) -> Result<(), String> {
        for record in records {
            if let Some((code, _)) = self.rejected.get(&record.sequence) {
                return Err(format!("sequence {} is rejected: {code}", record.sequence));
            }
            if !self.accepted.contains(&record.sequence) {
                return Err(match self.status {
                    Some(status) if !(200..300).contains(&status) => format!("answered {status}"),
                    Some(_) | None => format!("sequence {} is not named", record.sequence),
                });
            }
        }
        Ok(())
    }

    /// Whether it was refused by a status that says so.
    fn is_refused(&self) -> bool {
        matches!(self.status, Some(400 | 413 | 415 | 422))
    }
}

impl Check {
    /// Everything, in order; a clause that cannot be seen is left out.
    pub async fn all(&mut self) {
        let two = "needs a second look from outside: kill the core between commit and answer";
        self.findings.not_testable(DURABLE_COMMIT, two);
        let restored = "needs the core to be restored from a backup";
        self.findings.not_testable(AFTER_RESTORE, restored);
        self.authentication().await;
        self.unknown_stream().await;
        self.conforming(STORES_NEW, self.records.records(1..=5)).await;
        self.conforming(DUPLICATES, self.records.records(1..=5)).await;
        self.conforming(ANY_ORDER, self.records.records([8, 7, 6])).await;
        // Sequence 9 comes later.
        self.conforming(PREVIOUS_MISSING, self.records.records([10])).await;
        self.conforming(ANY_ORDER, self.records.records([9])).await;
        self.damaged().await;
        self.unknown_type().await;
        self.oversized().await;
        self.not_a_batch().await;
        self.two_at_once().await;
        self.waveform().await;
        self.have().await;
    }

    /// Offers records and judges the form of the answers; `None`: there is none to judge by.
    async fn offer(&mut self, records: &[Record]) -> Option<Said> {
        self.highest = records.iter().map(|one| one.sequence).fold(self.highest, u64::max);
        let reply = self.line.offer(records, self.within).await;
        self.read(&reply)
    }

    fn read(&mut self, reply: &Reply) -> Option<Said> {
        if let Some(trouble) = &reply.trouble {
            self.findings.broken(ANSWERS, trouble.clone());
            return None;
        }
        if reply.took > self.within {
            self.findings.broken(ANSWERS, format!("after {} ms", reply.took.as_millis()));
        }
        if let Some(status) = reply.status.filter(|status| *status >= 500) {
            self.findings.broken(ANSWERS, format!("with status {status}"));
        }
        let mut said = Said { status: reply.status, ..Said::default() };
        for answer in &reply.answers {
            self.read_answer(answer, &mut said);
        }
        if reply.status.is_none_or(|status| status < 300) && !reply.answers.is_empty() {
            self.findings.kept(ANSWERS);
        }
        Some(said)
    }

    fn read_answer(&mut self, answer: &[u8], said: &mut Said) {
        let answer = match Acknowledgement::parse(answer) {
            Ok(answer) => answer,
            Err(error) => return self.findings.broken(ANSWER_FORM, error.to_string()),
        };
        self.findings.kept(ANSWER_FORM);
        let same = (answer.stream == self.records.stream).then_some(());
        self.findings.judge(SAME_STREAM, same.ok_or("another stream".to_owned()));
        self.receiver_is(&answer.receiver_id);
        let beyond = answer.accepted.iter().find(|range| *range.end() > self.highest);
        let beyond = beyond.map_or(Ok(()), |range| {
            Err(format!("accepts up to {}, and {} was the highest", range.end(), self.highest))
        });
        self.findings.judge(ONLY_WHAT_CAME, beyond);
        for range in &answer.accepted {
            said.accepted.extend(range.clone().take_while(|sequence| *sequence <= self.highest));
        }
        for one in answer.rejected {
            said.rejected.insert(one.sequence.number(), (one.code, one.permanent));
        }
    }

    fn receiver_is(&mut self, id: &str) {
        let expected = self.receiver.get_or_insert_with(|| id.to_owned());
        let same = if expected == id { Ok(()) } else { Err("another id".to_owned()) };
        self.findings.judge(RECEIVER_ID, same);
    }

    /// Records that every core must take.
    async fn conforming(&mut self, clause: &'static str, records: Vec<Record>) {
        let Some(said) = self.offer(&records).await else { return };
        self.findings.judge(clause, said.accepts(&records));
        let offered = records.iter().map(|record| record.sequence);
        self.accepted.extend(offered.filter(|sequence| said.accepted.contains(sequence)));
    }

    async fn authentication(&mut self) {
        let Some(stranger) = &self.stranger else {
            let what = "no certificate or token was given to leave out, or it is the broker's work";
            return self.findings.not_testable(AUTHENTICATION, what);
        };
        // Of another stream: a core that lets it in has not seen ours by it.
        let bytes = Records::new(super::random()).record(1).bytes;
        let body = [b"[", bytes.as_slice(), b"]"].concat();
        let reply = post(stranger, body).await;
        // Over TLS a stranger is already refused by the handshake.
        let refused = reply.trouble.is_some() || matches!(reply.status, Some(401 | 403));
        let status = reply.status.unwrap_or_default();
        let found = if refused { Ok(()) } else { Err(format!("a stranger gets {status}")) };
        self.findings.judge(AUTHENTICATION, found);
    }

    async fn unknown_stream(&mut self) {
        let Line::Https(http) = &self.line else {
            return self.findings.not_testable(UNKNOWN_STREAM, OVER_HTTPS_ONLY);
        };
        let found = match have(http, &self.records.stream.to_string()).await {
            Ok((404, _)) => Ok(()),
            Ok((status, _)) => Err(format!("answers {status}")),
            Err(error) => Err(error.to_string()),
        };
        self.findings.judge(UNKNOWN_STREAM, found);
    }

    /// One record without its stream between two good ones.
    async fn damaged(&mut self) {
        let without = |event: &mut Json| {
            if let Some(data) = event["data"].as_object_mut() {
                data.remove("stream");
            }
        };
        let damaged = self.records.with(12, without);
        let good = self.records.records([11, 13]);
        if let Line::Https(_) = self.line {
            let batch = [good[0].clone(), damaged, good[1].clone()];
            let Some(said) = self.offer(&batch).await else { return };
            if said.accepted.contains(&12) {
                let why = "a batch is accepted with a record in it that has no stream";
                return self.findings.broken(DAMAGED_RECORD, why);
            }
            let in_words = said.is_refused() || !said.accepted.is_empty();
            if !in_words {
                let status = said.status.unwrap_or_default();
                return self.findings.broken(DAMAGED_RECORD, format!("answered {status}"));
            }
        } else {
            // Nothing can be answered to it; silence is right.
            self.highest = self.highest.max(12);
            let quick = self.within.min(std::time::Duration::from_millis(500));
            let reply = self.line.offer(&[damaged], quick).await;
            let mut said = Said::default();
            reply.answers.iter().for_each(|answer| self.read_answer(answer, &mut said));
            if said.accepted.contains(&12) {
                return self.findings.broken(DAMAGED_RECORD, "it is accepted");
            }
        }
        // The good ones again, as a gateway does that has found the damaged one.
        self.conforming(DAMAGED_RECORD, good).await;
    }

    async fn unknown_type(&mut self) {
        let unknown = |event: &mut Json| {
            event["type"] = json!("fi.wardgate.core-check.v1");
            event["dataschema"] = json!("urn:wardgate:schema:core-check:v1");
        };
        let record = self.records.with(14, unknown);
        self.taken_or_refused(UNKNOWN_TYPE, record).await;
    }

    async fn waveform(&mut self) {
        let Line::Https(_) = &self.line else {
            let what = "over MQTT a core that takes none need not subscribe to them";
            return self.findings.not_testable(WAVEFORM, what);
        };
        self.taken_or_refused(WAVEFORM, self.records.waveform(26)).await;
    }

    async fn oversized(&mut self) {
        let Some(spare) = &self.spare else {
            let what = "over MQTT the broker's packet limit speaks first";
            return self.findings.not_testable(OVERSIZED, what);
        };
        let large = |event: &mut Json| {
            event["data"]["remarks"] = json!([{ "text": "x".repeat(OVERSIZED_BYTES) }]);
        };
        let record = self.records.with(15, large);
        self.highest = self.highest.max(15);
        // A core may answer before it has read everything, and close the connection behind it.
        let reply = post(spare, [b"[", record.bytes.as_slice(), b"]"].concat()).await;
        if reply.trouble.is_some() && reply.status.is_none() {
            let what = "the connection ends before the answer can be read";
            return self.findings.not_testable(OVERSIZED, what);
        }
        let Some(said) = self.read(&reply) else { return };
        self.judge_taken_or_refused(OVERSIZED, &said, 15);
    }

    async fn taken_or_refused(&mut self, clause: &'static str, record: Record) {
        let sequence = record.sequence;
        let Some(said) = self.offer(&[record]).await else { return };
        self.judge_taken_or_refused(clause, &said, sequence);
    }

    fn judge_taken_or_refused(&mut self, clause: &'static str, said: &Said, sequence: u64) {
        let named = said.accepted.contains(&sequence) || said.rejected.contains_key(&sequence);
        if said.accepted.contains(&sequence) {
            self.accepted.insert(sequence);
        }
        let in_words = named || said.is_refused();
        let status = said.status.unwrap_or_default();
        let found = if in_words { Ok(()) } else { Err(format!("not named, status {status}")) };
        self.findings.judge(clause, found);
    }

    async fn not_a_batch(&mut self) {
        let Line::Https(http) = &self.line else {
            return self.findings.not_testable(NOT_A_BATCH, OVER_HTTPS_ONLY);
        };
        for body in [&b"{}"[..], b"[{]", b"MSH|^~\\&|", b""] {
            let reply = post(http, body.to_vec()).await;
            let found = match (reply.status, reply.trouble) {
                (Some(400 | 413 | 415 | 422), None) => Ok(()),
                (Some(status), _) => Err(format!("answers {status}")),
                (None, trouble) => Err(trouble.unwrap_or_default()),
            };
            self.findings.judge(NOT_A_BATCH, found);
        }
    }

    async fn two_at_once(&mut self) {
        let Line::Https(_) = &self.line else {
            return self.findings.not_testable(TWO_AT_ONCE, "one connection is used over MQTT");
        };
        let (one, other) = (self.records.records(16..=20), self.records.records(21..=25));
        self.highest = self.highest.max(25);
        let (first, second) =
            tokio::join!(self.line.offer(&one, self.within), self.line.offer(&other, self.within));
        for (reply, records) in [(first, one), (second, other)] {
            let Some(said) = self.read(&reply) else { continue };
            self.findings.judge(TWO_AT_ONCE, said.accepts(&records));
            let offered = records.iter().map(|record| record.sequence);
            self.accepted.extend(offered.filter(|sequence| said.accepted.contains(sequence)));
        }
    }

    async fn have(&mut self) {
        let Line::Https(http) = &self.line else {
            self.findings.not_testable(HAVE, OVER_HTTPS_ONLY);
            return self.findings.not_testable(KEEPS, OVER_HTTPS_ONLY);
        };
        let answer = have(http, &self.records.stream.to_string()).await;
        if self.accepted.is_empty() {
            return self.findings.not_testable(HAVE, "nothing was acknowledged");
        }
        let read = match &answer {
            Ok((200, body)) => Have::parse(body).map_err(|error| error.to_string()),
            Ok((status, _)) => Err(format!("answers {status}")),
            Err(error) => Err(error.to_string()),
        };
        let missing = |have: Option<&Have>| {
            let has = |sequence: &u64| {
                have.is_some_and(|have| have.ranges.iter().any(|range| range.contains(sequence)))
            };
            let lost = self.accepted.iter().find(|sequence| !has(sequence));
            lost.map_or(Ok(()), |lost| Err(format!("sequence {lost} was acknowledged and is gone")))
        };
        match read {
            Err(why) => {
                let gone = matches!(answer, Ok((404, _)));
                let kept = missing(None);
                self.findings.broken(HAVE, why);
                if gone {
                    self.findings.judge(KEEPS, kept);
                }
            }
            Ok(have) => {
                let kept = missing(Some(&have));
                let beyond = have.ranges.iter().any(|range| *range.end() > self.highest);
                let sound = have.stream == self.records.stream && !beyond && have.generation > 0;
                let what = "another stream, a range beyond what came, or generation 0";
                self.findings.judge(HAVE, sound.then_some(()).ok_or(what.to_owned()));
                self.findings.judge(KEEPS, kept);
                self.receiver_is(&have.receiver_id);
            }
        }
    }
}

const OVER_HTTPS_ONLY: &str = "over HTTPS only";
