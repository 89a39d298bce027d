//! One connection: the self-test, then bundle after bundle.
//!
//! One bundle is in flight at a time, so none of a device ever overtakes another. Whatever ends a
//! request half-way is answered by sending the same again: every request of this room has the same
//! effect twice as once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::bundle::{Bundle, RECORDS_MAX, code_of, is_outcome};
use super::later::{self, Step};
use super::node::Node;
use super::observation::{coding, extension};
use super::render::{About, Outgoing, identifier};
use super::{Fhir, terms};
use crate::forward::http::{Answer, Http, Request};
use crate::forward::pump::{Ended, Pump, stopped_within};
use crate::forward::window::Verdict;

/// Records taken from the window at a time.
const TAKE_MAX: usize = 64;
/// The longest sleep between two looks at what is due.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// What FHIR's JSON is called.
const FHIR_JSON: &str = "application/fhir+json";
/// What the self-test's resource is called.
const SELF_TEST: &str = "self-test";
/// The record that it is said to be stated by: no record has this id.
const SELF_TEST_RECORD: &str = "00000000-1";

/// The server cannot be spoken to now; nothing is refused.
struct Away {
    why: String,
    wait: Option<Duration>,
}

/// What the server did not take, and whether parts of it may be taken.
struct NotTaken {
    code: String,
    permanent: bool,
}

enum Trouble {
    Away(Away),
    NotTaken(NotTaken),
}

/// What the self-test found.
enum Tested {
    Good,
    Bad(&'static str),
}

type Due = (u64, Arc<Outgoing>);

impl Fhir {
    pub(super) async fn connection(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let (config, plain) = (self.destination.fhir.http(), self.destination.plain);
        let http = match Http::noting(&config, plain, &pump.counters.peer) {
            Ok(http) => http,
            // Files are replaced while we run: the next attempt may find them whole.
            Err(error) => return Ended::Lost(error.to_string()),
        };
        if !self.proven {
            let tested = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                tested = self.self_test(&http) => tested,
            };
            match tested {
                Ok(Tested::Good) => self.proven = true,
                Ok(Tested::Bad(why)) => return self.refuse(pump, why, stop).await,
                Err(away) => return lost(away, stop).await,
            }
        }
        pump.connected();
        loop {
            if let Err(why) = pump.fill(self).await {
                return Ended::Lost(why);
            }
            let highest = *durable.borrow_and_update();
            pump.count(highest);
            let due = pump.take_due(TAKE_MAX);
            if due.is_empty() {
                if pump.is_behind() && !pump.save().await {
                    return Ended::Lost("the cursor cannot be saved".to_owned());
                }
                pump.count(highest);
                let next = pump.window.next_due_ms().unwrap_or(u64::MAX);
                let wait = Duration::from_millis(next.saturating_sub(pump.now_ms()));
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                    changed = durable.changed() => if changed.is_err() {
                        return Ended::Stopped;
                    },
                    () = tokio::time::sleep(wait.min(LOOK_AFTER)) => {}
                }
                continue;
            }
            let delivering = self.deliver_all(&http, pump, due);
            let delivered = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                delivered = delivering => delivered,
            };
            if let Err(away) = delivered {
                return lost(away, stop).await;
            }
        }
    }

    /// A server that does not do what correctness rests on is not used: nothing is sent until a
    /// person has looked and the gateway is started again.
    async fn refuse(
        &self,
        pump: &Pump<Arc<Outgoing>>,
        why: &'static str,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let destination = &self.destination.name;
        tracing::error!(destination, why, "the server fails the self-test: nothing is sent to it");
        let _ = pump.counters.refused.set(why);
        pump.counters.connected.store(false, Ordering::Relaxed);
        // The sender gone means the same as a stop.
        let _ = stop.wait_for(|stop| *stop).await;
        Ended::Stopped
    }

    async fn deliver_all(
        &self,
        http: &Http,
        pump: &mut Pump<Arc<Outgoing>>,
        due: Vec<Due>,
    ) -> Result<(), Away> {
        for group in groups(due) {
            let verdicts = self.deliver(http, &group).await?;
            for ((sequence, _), verdict) in group.iter().zip(verdicts) {
                pump.settle(*sequence, verdict);
            }
        }
        Ok(())
    }

    /// Hands records over, in this order, outside of a session: for trying a server out, and for
    /// tests. Gives one verdict each, or why the server cannot be spoken to.
    ///
    /// # Errors
    /// A word that holds no data.
    pub async fn hand_over(
        &self,
        http: &Http,
        records: Vec<Arc<Outgoing>>,
    ) -> Result<Vec<Verdict>, String> {
        let mut verdicts = Vec::new();
        for group in groups((0..).zip(records).collect()) {
            verdicts.extend(self.deliver(http, &group).await.map_err(|away| away.why)?);
        }
        Ok(verdicts)
    }

    /// One verdict for each record of a group.
    async fn deliver(&self, http: &Http, group: &[Due]) -> Result<Vec<Verdict>, Away> {
        match self.send(http, group).await {
            Ok(verdicts) => return Ok(verdicts),
            Err(Trouble::Away(away)) => return Err(away),
            Err(Trouble::NotTaken(refused)) => {
                if let [_] = group {
                    return Ok(vec![refused.verdict()]);
                }
            }
        }
        // One of them is the reason; the others must not wait for it.
        let mut verdicts = Vec::new();
        for one in group {
            match self.send(http, std::slice::from_ref(one)).await {
                Ok(verdict) => verdicts.extend(verdict),
                Err(Trouble::Away(away)) => return Err(away),
                Err(Trouble::NotTaken(refused)) => verdicts.push(refused.verdict()),
            }
        }
        Ok(verdicts)
    }

    async fn send(&self, http: &Http, group: &[Due]) -> Result<Vec<Verdict>, Trouble> {
        let mut bundle = Bundle::new(&self.rules.system);
        for (_, outgoing) in group {
            let mut steps = Vec::new();
            for about in &outgoing.about {
                let step = match outgoing.first {
                    true => Step::Create,
                    false => {
                        let found = self.search(http, about.kind, &about.key).await?;
                        later::step(about, &outgoing.record, &found)
                    }
                };
                if let Step::Wrong(code) = step {
                    let code = code.to_owned();
                    return Err(Trouble::NotTaken(NotTaken { code, permanent: true }));
                }
                steps.push(step);
            }
            bundle.add(outgoing, &steps);
        }
        if !bundle.is_empty() {
            let answer = self.post(http, &bundle).await?;
            let Some(statuses) = bundle.done(&answer.body) else {
                let code = "answer-not-understood".to_owned();
                return Err(Trouble::NotTaken(NotTaken { code, permanent: false }));
            };
            self.check_sets(http, group, &statuses).await?;
        }
        Ok(vec![Verdict::Accepted; group.len()])
    }

    /// A set of which the server has a part under another statement is not there as a set.
    async fn check_sets(
        &self,
        http: &Http,
        group: &[Due],
        statuses: &[u16],
    ) -> Result<(), Trouble> {
        let about: Vec<&About> = group.iter().flat_map(|(_, one)| &one.about).collect();
        let all_first = group.iter().all(|(_, one)| one.first);
        for (about, status) in about.iter().zip(statuses) {
            if !all_first || *status == 201 || about.identifiers.len() < 2 {
                continue;
            }
            let found = self.search(http, about.kind, &about.key).await?;
            if !later::covers(about, &found) {
                let code = "a-part-of-the-set-stands-alone".to_owned();
                return Err(Trouble::NotTaken(NotTaken { code, permanent: true }));
            }
        }
        Ok(())
    }

    async fn post(&self, http: &Http, bundle: &Bundle) -> Result<Answer, Trouble> {
        let request = Request::post("", FHIR_JSON, bundle.to_json())
            .with("accept", FHIR_JSON)
            .with("prefer", "return=minimal");
        let answer = http.send(request).await;
        judged(answer.map_err(|error| away(error.to_string(), error.retry_after()))?)
    }

    async fn search(
        &self,
        http: &Http,
        kind: &str,
        value: &str,
    ) -> Result<Vec<later::Found>, Trouble> {
        let criteria = Bundle::criteria(&self.rules.system, value).replace('|', "%7C");
        // What was written a moment ago must be in the answer.
        let request = Request::get(format!("/{kind}?{criteria}"))
            .with("accept", FHIR_JSON)
            .with("cache-control", "no-cache");
        let answer = http.send(request).await;
        let answer = judged(answer.map_err(|error| away(error.to_string(), error.retry_after()))?)?;
        later::found(&answer.body, kind).ok_or_else(|| {
            let code = "search-not-understood".to_owned();
            Trouble::NotTaken(NotTaken { code, permanent: false })
        })
    }

    /// Creates the same twice on condition that it is not there, and looks that there is one, with
    /// its extension. It stays, as `entered-in-error`, and is the same one at the next start.
    async fn self_test(&self, http: &Http) -> Result<Tested, Away> {
        let outgoing = self.self_test_record();
        for _ in 0..2 {
            let mut bundle = Bundle::new(&self.rules.system);
            bundle.add(&outgoing, &[Step::Create]);
            match self.post(http, &bundle).await {
                Ok(answer) if bundle.done(&answer.body).is_some() => {}
                Ok(_) => return Ok(Tested::Bad("transactions-not-honoured")),
                Err(Trouble::Away(away)) => return Err(away),
                Err(Trouble::NotTaken(refused)) if refused.permanent => {
                    return Ok(Tested::Bad("conditional-create-refused"));
                }
                Err(Trouble::NotTaken(refused)) if refused.code.starts_with("fhir-412") => {
                    // More than one is there: the criteria were ignored once before.
                    return Ok(Tested::Bad("conditional-create-not-honoured"));
                }
                Err(Trouble::NotTaken(refused)) => {
                    return Err(Away { why: refused.code, wait: None });
                }
            }
        }
        let found = match self.search(http, "Observation", SELF_TEST).await {
            Ok(found) => found,
            Err(Trouble::Away(away)) => return Err(away),
            Err(Trouble::NotTaken(_)) => return Ok(Tested::Bad("search-not-honoured")),
        };
        Ok(match found.as_slice() {
            [one] if one.stated_by.as_ref() == Some(&outgoing.record) => Tested::Good,
            [_] => Tested::Bad("extensions-not-kept"),
            [] => Tested::Bad("search-not-honoured"),
            [..] => Tested::Bad("conditional-create-not-honoured"),
        })
    }

    fn self_test_record(&self) -> Outgoing {
        let system = &self.rules.system;
        let stated = Node::text(SELF_TEST_RECORD);
        let code = coding(Some(terms::PARAMETER), SELF_TEST, "Self-test of a gateway");
        let reason = coding(Some(terms::ABSENT), "not-applicable", "");
        let concept = |one: Node| Node::object([("coding", Node::list(vec![one]))]);
        let body = Node::object([
            ("resourceType", Some(Node::text("Observation"))),
            ("extension", Node::list(vec![extension(terms::STATED_BY, "valueString", stated)])),
            ("identifier", Node::list(vec![identifier(system, SELF_TEST)])),
            ("status", Some(Node::text("entered-in-error"))),
            ("code", Some(concept(code))),
            ("dataAbsentReason", Some(concept(reason))),
        ]);
        let record = crate::vocabulary::RecordId::parse(SELF_TEST_RECORD)
            .expect("eight digits, a hyphen and a number in base 36");
        Outgoing {
            device: String::new(),
            record,
            first: true,
            about: vec![About {
                kind: "Observation",
                full_url: super::render::full_url(system, "Observation", SELF_TEST),
                key: SELF_TEST.to_owned(),
                identifiers: vec![SELF_TEST.to_owned()],
                subject: None,
                body: body.to_json(),
                withdraws: false,
            }],
            support: Vec::new(),
            provenance: None,
        }
    }
}

impl NotTaken {
    fn verdict(self) -> Verdict {
        Verdict::Refused { code: self.code, permanent: self.permanent }
    }
}

fn away(why: String, wait: Option<Duration>) -> Trouble {
    Trouble::Away(Away { why, wait })
}

async fn lost(away: Away, stop: &mut watch::Receiver<bool>) -> Ended {
    if let Some(wait) = away.wait
        && stopped_within(stop, wait).await
    {
        return Ended::Stopped;
    }
    Ended::Lost(away.why)
}

/// What a status means. A server that is busy, being restarted or shut to us refuses no record;
/// one that breaks over what it is sent does, for now, so that one record cannot stop all others.
fn judged(answer: Answer) -> Result<Answer, Trouble> {
    let status = answer.status;
    let refused = |permanent| {
        let code = code_of(status, &answer.body);
        Trouble::NotTaken(NotTaken { code, permanent })
    };
    match status {
        200..300 => Ok(answer),
        // What the server itself says of a record comes with an outcome; the rest is said by
        // whoever stands before a server that is away.
        404 | 410 if is_outcome(&answer.body) => Err(refused(false)),
        401 | 403 | 404 | 405 | 407 | 408 | 410 | 425 | 429 | 502..=504 => {
            Err(away(format!("status {status}"), answer.retry_after))
        }
        409 | 412 | 423 | 500 => Err(refused(false)),
        400..500 => Err(refused(true)),
        _ => Err(away(format!("status {status}"), answer.retry_after)),
    }
}

/// Records that may share a bundle: of one device, all of them first statements, no two about the
/// same. Everything else goes alone, in order.
fn groups(due: Vec<Due>) -> Vec<Vec<Due>> {
    let mut groups: Vec<Vec<Due>> = Vec::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for one in due {
        let fits = groups.last().and_then(|group| group.last()).is_some_and(|(_, last)| {
            last.first
                && one.1.first
                && last.device == one.1.device
                && !one.1.about.iter().any(|about| keys.contains(&about.key))
        });
        let full = groups.last().is_some_and(|group| group.len() >= RECORDS_MAX);
        if !fits || full {
            keys.clear();
            groups.push(Vec::new());
        }
        keys.extend(one.1.about.iter().map(|about| about.key.clone()));
        if let Some(group) = groups.last_mut() {
            group.push(one);
        }
    }
    groups
}
