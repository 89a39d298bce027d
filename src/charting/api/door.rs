//! Who asks, and whether they may; signing in and out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc;

use super::super::acts::person_json;
use super::super::house::House;
use super::super::identity::{self, Gatekeeper, Headers, May, Person, Role, Whereabouts};
use super::answers::{Answered, Refusal, body, made, ok};
use super::asking::{Peer, address};
use super::{Audit, Server};
use crate::association::{PersonId, Utc};
use crate::vocabulary::PatientId;
use crate::vocabulary::moment::utc_text;

/// Rows of the audit that wait for the journal; more are counted and lost, and the log says so.
const AUDIT_ROWS_MAX: usize = 4096;

/// Looks of one session at one patient within this are one row of the audit.
const LOOKS_AS_ONE_US: u64 = 600_000_000;
const LOOKS_MAX: usize = 10_000;

/// Who stands at the door, and where rows of the audit go.
pub struct Door {
    gatekeeper: Arc<Gatekeeper>,
    house: Arc<dyn House>,
    rows: mpsc::Sender<Map<String, Json>>,
    /// Who looked at whom a moment ago: the page asks for the set every few seconds.
    looked: Mutex<BTreeMap<(String, PatientId), u64>>,
}

impl From<identity::Refused> for Refusal {
    fn from(refused: identity::Refused) -> Self {
        let retry_after_s = if let identity::Refused::TooMany { retry_after_s } = refused {
            Some(u64::from(retry_after_s))
        } else {
            None
        };
        let refusal = Self::new(refused.status(), refused.code(), refused.to_string());
        Self { retry_after_s, ..refusal }
    }
}

/// What of a request the gatekeeper looks at.
fn headers<'a>(parts: &'a Parts, peer: Option<SocketAddr>) -> Headers<'a> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    Headers {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        authorization: text("authorization"),
        proof: text("dpop"),
        from: peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip()),
    }
}

impl Door {
    /// The door, and the rows of the audit as they come.
    pub fn of(
        gatekeeper: Arc<Gatekeeper>,
        house: Arc<dyn House>,
    ) -> (Self, mpsc::Receiver<Map<String, Json>>) {
        let (rows, taken) = mpsc::channel(AUDIT_ROWS_MAX);
        (Self { gatekeeper, house, rows, looked: Mutex::default() }, taken)
    }

    /// Who asks, if they may do that now.
    ///
    /// # Errors
    /// Why not.
    pub async fn person(
        &self,
        parts: &Parts,
        peer: Option<SocketAddr>,
        act: May,
    ) -> Result<Person, Refusal> {
        // Who is not let in stands in the gatekeeper's own rows, which are bounded.
        let person = self.gatekeeper.person(&headers(parts, peer), self.house.now()).await?;
        self.allowed(person, act)
    }

    /// Who asks for a set: a person who may see, or the core itself.
    ///
    /// # Errors
    /// Why not.
    pub async fn reader(&self, parts: &Parts, peer: Option<SocketAddr>) -> Result<Person, Refusal> {
        let person = self.gatekeeper.person(&headers(parts, peer), self.house.now()).await?;
        let act = if person.role == Role::CoreSystem { May::Chart } else { May::See };
        self.allowed(person, act)
    }

    fn allowed(&self, person: Person, act: May) -> Result<Person, Refusal> {
        // A student's act waits for another hand; who may not do it at all is told so.
        if let Err(refused) = person.may(act) {
            self.audit(Audit {
                act: act.word(),
                person: Some(&person),
                patient: None,
                outcome: refused.code(),
                scanned: None,
                reason: None,
            });
            return Err(refused.into());
        }
        Ok(person)
    }

    /// Whether the person has to do with the patient; `reason` is what they say. A patient of whom
    /// the administration says nothing was brought here a moment ago.
    ///
    /// # Errors
    /// Not without a reason.
    pub fn cares(
        &self,
        person: &Person,
        patient: &PatientId,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = Utc::from_us(self.house.now().utc_us());
        let Some(place) = self.house.ledger().place_of_patient(patient, now) else { return Ok(()) };
        let ward = place.as_str().split('/').next().unwrap_or_default();
        let whereabouts = Whereabouts { ward: Some(ward), encounters: &[] };
        person.care(whereabouts, reason).map(drop).map_err(Refusal::from)
    }

    /// When the provider vouched for this person last, in microseconds since 1970.
    pub fn vouched_us(&self, person: &str) -> Option<i64> {
        let person = PersonId::parse(person).ok()?;
        Some(self.gatekeeper.vouched_s(&person)?.saturating_mul(1_000_000))
    }

    /// What the page has to know of the provider before anybody has signed in.
    pub fn settings(&self) -> Map<String, Json> {
        let settings = self.gatekeeper.settings();
        let endpoints = self.gatekeeper.endpoints();
        let (authorization, token) =
            endpoints.map_or((None, None), |one| (one.authorization, one.token));
        let shown = json!({
            "issuer": settings.issuer,
            "client_id": settings.clients.first(),
            "scope": settings.scope.as_deref().map(|scope| format!("openid {scope}")),
            "resource": settings.audience,
            "authorization_endpoint": authorization,
            "token_endpoint": token,
        });
        shown.as_object().cloned().unwrap_or_default()
    }

    /// Whether a look of this session at this patient is news for the audit.
    pub fn is_first_look(&self, person: &Person, patient: &PatientId) -> bool {
        let now_us = self.house.now().monotonic_us();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.retain(|_, at| now_us.saturating_sub(*at) < LOOKS_AS_ONE_US);
        if looked.len() >= LOOKS_MAX {
            return true;
        }
        looked.insert((person.session.clone(), patient.clone()), now_us).is_none()
    }

    /// Writes a row of the audit, behind whoever acts.
    pub fn audit(&self, row: Audit<'_>) {
        let mut data = Map::new();
        data.insert("act".to_owned(), json!(format!("audit:{}", row.act)));
        data.insert("at".to_owned(), json!(self.house.now().utc_text()));
        data.insert("by".to_owned(), row.person.map_or(Json::Null, person_json));
        data.insert("outcome".to_owned(), json!(row.outcome));
        let patient = row.patient.map(super::super::acts::patient_json);
        data.insert("patient".to_owned(), patient.unwrap_or(Json::Null));
        data.extend(row.scanned.map(|scanned| ("scanned".to_owned(), json!(scanned))));
        data.extend(row.reason.map(|reason| ("reason".to_owned(), json!(reason))));
        if self.rows.try_send(data).is_err() {
            tracing::error!(act = row.act, "a row of the audit is lost: too many wait");
        }
    }
}

/// Opens a shift session for whom the provider vouches.
pub async fn open_session(State(server): State<Server>, peer: Peer, parts: Parts) -> Answered {
    let door = &server.door;
    let now = door.house.now();
    let opened = door.gatekeeper.open_session(&headers(&parts, address(&peer)), now).await;
    let opened = opened?;
    Ok(made(json!({
        "session": opened.secret,
        "expires": utc_text(opened.ends_s.saturating_mul(1_000_000)),
        "person": { "name": opened.person.name, "role": opened.person.role.word() },
        "student": opened.person.student,
    })))
}

/// A new token of the provider for a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vouched {
    token: String,
}

/// The provider vouches for a session again.
pub async fn verify_session(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let asked: Vouched = body(&bytes)?;
    let (door, headers) = (&server.door, headers(&parts, address(&peer)));
    let now = door.house.now();
    let verified = door.gatekeeper.verify_session(&headers, &asked.token, now).await?;
    let since = verified.unverified_since_s.map(|s| utc_text(s.saturating_mul(1_000_000)));
    Ok(ok(json!({ "verified": true, "unverified_since": since })))
}

/// Signs out.
pub async fn sign_out(State(server): State<Server>, peer: Peer, parts: Parts) -> Answered {
    let (door, headers) = (&server.door, headers(&parts, address(&peer)));
    door.gatekeeper.sign_out(&headers, door.house.now()).await?;
    Ok(ok(json!({})))
}

/// The made-up people of a box in development.
pub async fn persons(State(server): State<Server>, peer: Peer) -> Answered {
    let issuer = development(&server, &peer)?;
    let people = issuer.people().iter();
    let rules = &server.door.gatekeeper.settings().roles;
    let role = |values: &[String]| {
        rules.iter().find(|rule| values.contains(&rule.value)).map(|rule| rule.role.word())
    };
    let people: Json = people
        .map(|one| json!({ "id": one.id, "name": one.name, "role": role(&one.roles) }))
        .collect();
    Ok(ok(json!({ "persons": people })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsWhom {
    person: String,
}

/// A token for one of them.
pub async fn token(State(server): State<Server>, peer: Peer, bytes: Bytes) -> Answered {
    let issuer = development(&server, &peer)?;
    let asked: AsWhom = body(&bytes)?;
    Ok(ok(issuer.token(&asked.person, server.door.house.now())?))
}

fn development(
    server: &Server,
    peer: &Peer,
) -> Result<Arc<identity::development::Issuer>, Refusal> {
    let from = address(peer).map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
    server.door.gatekeeper.admit(from, server.door.house.now())?;
    let issuer = server.door.gatekeeper.development();
    issuer.cloned().ok_or_else(|| Refusal::new(404, "no-such-address", "there is nothing there"))
}
