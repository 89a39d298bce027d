//! Acts: each is durable before it is answered, and the same act again is answered the same.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::super::acts::{
    Associate, CHARTED_TWICE, Confirm, CoreCharted, CoreCharting, Countersign, Decide, End,
    Refused, Release, Seen, Settle, Signed, SpotCheck, Withdraw,
};
use super::super::identity::{May, Person};
use super::super::set::Wanted;
use super::answers::{Answered, Refusal, body, made, ok};
use super::asking::{Peer, address, time, values};
use super::{Audit, Server};
use crate::vocabulary::PatientId;

/// Writes down what came of an act.
fn audited<T>(
    server: &Server,
    act: &str,
    person: &Person,
    patient: Option<&PatientId>,
    came: Result<T, Refused>,
) -> Result<T, Refusal> {
    let outcome = came.as_ref().err().map_or("done", |refused| refused.code().0);
    let person = Some(person);
    server.door.audit(Audit { act, person, patient, outcome, scanned: None, reason: None });
    came.map_err(Refusal::from)
}

/// A device on a patient.
pub async fn associate(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Associate).await?;
    let asked: Associate = body(&bytes)?;
    let patient = server.bedside.patient(&asked.patient)?;
    server.door.cares(&person, &patient, reason(&parts).as_deref())?;
    let came = server.bedside.associate(&person, &asked).await;
    let linked = audited(&server, "associate", &person, Some(&patient), came)?;
    Ok(made(json!({ "association": linked.association })))
}

/// One measurement of a device goes to a patient.
pub async fn spot_check(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Associate).await?;
    let asked: SpotCheck = body(&bytes)?;
    let patient = server.bedside.patient(&asked.patient)?;
    server.door.cares(&person, &patient, reason(&parts).as_deref())?;
    let came = server.bedside.spot_check(&person, &asked).await;
    let linked = audited(&server, "spot-check", &person, Some(&patient), came)?;
    Ok(made(json!({ "association": linked.association })))
}

/// Whether the person has to do with the patient of an act or association; one that is not there is
/// told by the act itself.
fn cares(
    server: &Server,
    parts: &Parts,
    person: &Person,
    patient: Option<&PatientId>,
) -> Result<(), Refusal> {
    patient.map_or(Ok(()), |patient| server.door.cares(person, patient, reason(parts).as_deref()))
}

/// The reason for looking at a patient of another ward, behind the address.
fn reason(parts: &Parts) -> Option<String> {
    let query = axum::extract::Query::<super::asking::Asked>::try_from_uri(&parts.uri).ok()?;
    query.0.reason
}

/// An association ends.
pub async fn end(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Associate).await?;
    let asked: End = body(&bytes)?;
    let patient = server.bedside.patient_of_association(&id);
    cares(&server, &parts, &person, patient.as_ref())?;
    let came = server.bedside.end(&person, &id, &asked).await;
    let linked = audited(&server, "end", &person, patient.as_ref(), came)?;
    Ok(ok(json!({ "association": linked.association })))
}

/// A person looked, and it holds.
pub async fn seen(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Associate).await?;
    let asked: Seen = body(&bytes)?;
    let patient = server.bedside.patient_of_association(&id);
    cares(&server, &parts, &person, patient.as_ref())?;
    let came = server.bedside.seen(&person, &id, &asked).await;
    let linked = audited(&server, "seen", &person, patient.as_ref(), came)?;
    Ok(ok(json!({ "association": linked.association })))
}

/// A set is signed.
pub async fn confirm(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Confirm).await?;
    let asked: Confirm = body(&bytes)?;
    let patient = server.bedside.patient(&asked.patient)?;
    server.door.cares(&person, &patient, reason(&parts).as_deref())?;
    let came = server.bedside.confirm(&person, &asked).await;
    let signed = audited(&server, "confirm", &person, Some(&patient), came)?;
    Ok(made(signed_json(&signed)))
}

fn signed_json(signed: &Signed) -> Json {
    let state = if signed.needs_countersign { "needs-countersign" } else { "kept" };
    json!({ "confirmation": signed.record, "state": state, "held": signed.is_held })
}

/// A confirmation is taken back.
pub async fn withdraw(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Withdraw).await?;
    let asked: Withdraw = body(&bytes)?;
    let patient = server.bedside.patient_of_act(&id);
    cares(&server, &parts, &person, patient.as_ref())?;
    let came = server.bedside.withdraw(&person, &id, &asked).await;
    let signed = audited(&server, "withdraw", &person, patient.as_ref(), came)?;
    Ok(made(json!({ "withdrawal": signed.record, "state": "kept" })))
}

/// A student's confirmation is signed by another hand.
pub async fn countersign(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Confirm).await?;
    let asked: Countersign = body(&bytes)?;
    let patient = server.bedside.patient_of_act(&id);
    cares(&server, &parts, &person, patient.as_ref())?;
    let came = server.bedside.countersign(&person, &id, &asked).await;
    let signed = audited(&server, "countersign", &person, patient.as_ref(), came)?;
    Ok(made(signed_json(&signed)))
}

/// A conflict is settled.
pub async fn decide(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Decide).await?;
    let asked: Decide = body(&bytes)?;
    let came = match id.strip_prefix(CHARTED_TWICE) {
        Some(observation_id) => {
            let Decide { client_id, stated, holds, reason, .. } = &asked;
            let settle = Settle { client_id, stated, holds, reason };
            server.bedside.settle(&person, observation_id, settle).await
        }
        None => server.bedside.decide(&person, &id, &asked).await,
    };
    audited(&server, "decide", &person, None, came)?;
    Ok(ok(json!({ "state": "kept" })))
}

/// What was confirmed while the core was away goes out: a person has looked in the core's app.
pub async fn release(
    State(server): State<Server>,
    Path(id): Path<String>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Confirm).await?;
    let asked: Release = body(&bytes)?;
    let patient = server.bedside.patient_of_act(&id);
    cares(&server, &parts, &person, patient.as_ref())?;
    let came = server.bedside.release(&person, &id, &asked).await;
    let record = audited(&server, "release", &person, patient.as_ref(), came)?;
    Ok(ok(json!({ "confirmation": record, "state": "kept", "held": false })))
}

/// Whose set the core asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoreAsks {
    root: String,
    id: String,
    #[serde(default)]
    at: Option<String>,
}

/// The set of a patient for the core's own app, by the identifier: in the body, never in an
/// address.
pub async fn core_values(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    server.door.person(&parts, address(&peer), May::Chart).await?;
    let CoreAsks { root, id, at } = body(&bytes)?;
    let house = &server.bedside.house;
    let patient = PatientId::given(&root, &id, house.purpose())
        .map_err(|why| Refusal::new(422, "identifier", why.to_string()))?;
    let wanted = Wanted {
        patient: Some(&patient),
        machine: None,
        at_us: time(at.as_deref())?,
        now_us: house.now().utc_us(),
    };
    Ok(ok(values(&server.bedside, &wanted)?))
}

/// A list of what was charted, or the same with the time up to which all has been told.
#[derive(Deserialize)]
#[serde(untagged)]
enum Chartings {
    Of(Vec<CoreCharting>),
    With(CoreCharted),
}

/// What the core charted: never offered again, never sent as new.
pub async fn chartings(
    State(server): State<Server>,
    peer: Peer,
    parts: Parts,
    bytes: Bytes,
) -> Answered {
    let person = server.door.person(&parts, address(&peer), May::Chart).await?;
    let told = match body(&bytes)? {
        Chartings::Of(chartings) => CoreCharted { chartings, through: None },
        Chartings::With(told) => told,
    };
    let id = server.bedside.refs.hash(&bytes);
    let came = server.bedside.charted_by_core(&id, &told).await;
    let told = audited(&server, "charted-by-core", &person, None, came)?;
    Ok(ok(json!({ "kept": told.kept, "conflicts": told.conflicts, "released": told.released })))
}
