//! Core and provider are back: who is vouched for, what waits until somebody has looked, and what
//! was told in the end.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::outage::{HOUR_S, ROUNDS, SHIFT_S, Ward, clock_shows, now_s};
use super::site::{ARCHIVE, CHART};
use super::story::BEGAN_US;
use crate::gateway::simulation::life::pause;
use crate::link::clock;

/// The provider vouches for the one nurse again, in the session that she has.
pub(super) async fn is_vouched_for_again(ward: &mut Ward) {
    let token = ward.provider.token("nurse-1", "Aino Esimerkki", "sh").unwrap();
    let verified = ward.nurses[0].post("/v1/session/verify", &json!({ "token": token })).await;
    let verified = verified.is(200);
    assert_eq!(verified["verified"], true);
    let since: jiff::Timestamp = verified["unverified_since"].as_str().unwrap().parse().unwrap();
    let since_s = (since.as_microsecond() - BEGAN_US) / 1_000_000;
    assert!((SHIFT_S..SHIFT_S + 2 * HOUR_S).contains(&since_s), "{since}");
    assert!(ward.provider.token("nurse-2", "Eeva Esimerkki", "sh").is_none());
}

/// The core's app has charted a value that a phone is about to hand in, and one that a nurse
/// confirmed on the page; the latter is given back.
pub(super) async fn the_core_charts(ward: &mut Ward, held_back: &Json) -> String {
    let token = ward.provider.core_token();
    let id = held_back["values"][0]["observation_id"].clone();
    let twice = ward.sent.last().unwrap()["values"][0]["observation_id"].clone();
    let charted = |id: &Json| {
        json!({ "observation_id": id, "act": "confirmed", "person": "nurse-9",
            "time": clock::now().utc_text() })
    };
    let phone = &ward.nurses[0];
    let told = json!([charted(&id), charted(&twice)]);
    let told = phone.post_as_core("/v1/chartings", &token, &told).await.is(200);
    assert_eq!(told, json!({ "kept": 2, "conflicts": 1, "released": 0 }));
    let refused = phone.post("/v1/confirmations", held_back).await;
    assert_eq!(refused.body["observation_id"], id);
    assert_eq!(refused.body["charted"], "confirmed");
    assert_eq!(refused.refused(409), "already-charted");
    let path = format!("/v1/patients/{}/values", ward.refs[0]);
    let set = phone.get(&path).await.is(200);
    let fate = |row: &Json| (row["observation_id"].clone(), row["charted"].clone());
    let fates: Vec<(Json, Json)> = set["rows"].as_array().unwrap().iter().map(fate).collect();
    assert!(fates.contains(&(id, json!("confirmed"))), "{set}");
    twice.as_str().unwrap().to_owned()
}

async fn rows(ward: &Ward, list: &str) -> Vec<Json> {
    let list = ward.nurses[0].get(&format!("/v1/worklists/{list}")).await.is(200);
    list["rows"].as_array().unwrap().clone()
}

/// The core is back, and nobody knows yet what its app has charted.
pub(super) async fn nothing_goes_before_somebody_looked(ward: &Ward) {
    for core in [CHART, ARCHIVE] {
        assert_eq!(ward.told(core, "confirmation").len(), 0);
        assert!(ward.told(core, "observation").len() as i64 >= 2 * ROUNDS || core == CHART);
    }
    let waiting = rows(ward, "recovery").await;
    assert_eq!(waiting.len() as i64, 2 * ROUNDS, "{waiting:?}");
    let clashing = waiting.iter().filter(|row| row["conflicts"] == 1).count();
    assert_eq!(clashing, 1, "{waiting:?}");
    let conflicts = rows(ward, "conflicts").await;
    let twice = conflicts.iter().filter(|row| row["kind"] == "charted-twice").count();
    assert_eq!(twice, 1, "{conflicts:?}");
}

/// The core has told all that its app charted: what was confirmed here goes out.
pub(super) async fn the_core_has_told_all(ward: &mut Ward) {
    let token = ward.provider.core_token();
    let told = json!({ "chartings": [], "through": clock::now().utc_text() });
    let told = ward.nurses[0].post_as_core("/v1/chartings", &token, &told).await.is(200);
    assert_eq!(told["released"], 2 * ROUNDS);
    assert_eq!(rows(ward, "recovery").await, Vec::<Json>::new());
}

pub(super) async fn the_core_owns_again(ward: &Ward, held_back: &Json) {
    let mut held_back = held_back.clone();
    held_back["values"].as_array_mut().unwrap().remove(0);
    let refused = ward.nurses[0].post("/v1/confirmations", &held_back).await;
    assert_eq!(refused.refused(409), "charting-owned-by-core");
}

/// Every act once, marked with how old the identity was; every value once.
pub(super) fn everything_was_told_once(ward: &Ward, held_back: &Json, twice: &str) {
    for core in [CHART, ARCHIVE] {
        let told = ward.told(core, "confirmation");
        let acts: Vec<&Json> = told.iter().filter(|one| one["data"]["act"] == "confirm").collect();
        assert_eq!(acts.len() as i64, 2 * ROUNDS);
        for client_id in ward.records.keys() {
            let own = acts.iter().filter(|one| one["data"]["releases"] == client_id.as_str());
            let own: Vec<&&Json> = own.collect();
            assert_eq!(own.len(), 1, "{core}: {client_id}");
            let verified = &own[0]["data"]["by"]["verified"];
            assert_eq!(verified["identity"], "offline", "{client_id}");
            let stated: jiff::Timestamp =
                own[0]["data"]["stated"].as_str().unwrap().parse().unwrap();
            let since_s = (stated.as_microsecond() - BEGAN_US) / 1_000_000 - SHIFT_S;
            let age_s = verified["identity_age_s"].as_i64().unwrap();
            assert!((age_s - since_s).abs() <= 2, "{client_id}: {age_s} and {since_s}");
            assert_eq!(own[0]["data"]["entries"].as_array().unwrap().len(), 1);
        }
        let mut finals: BTreeMap<String, usize> = BTreeMap::new();
        for statement in told.iter().filter(|one| one["data"]["act"] == "statement") {
            for metric in statement["data"]["metrics"].as_array().unwrap() {
                assert_eq!(metric["status"], "final");
                let id = metric["observation_id"].as_str().unwrap().to_owned();
                *finals.entry(id).or_default() += 1;
            }
        }
        // Whatever both have signed is the core's.
        assert_eq!(finals.remove(twice), None, "{core}: filed twice");
        let once = |id: &String| id == twice || finals.get(id) == Some(&1);
        assert!(ward.confirmed.keys().all(once), "{core}: {finals:?}");
        assert_eq!(finals.len() as i64, 2 * 2 * ROUNDS - 1);
        for value in held_back["values"].as_array().unwrap() {
            let id = value["observation_id"].as_str().unwrap();
            assert!(!finals.contains_key(id), "{core}: filed twice");
        }
    }
}

/// Whose account was closed meanwhile stays listed, and nothing of hers is lost.
pub(super) async fn who_is_not_vouched_for_stays_listed(ward: &mut Ward) {
    let unverified = rows(ward, "unverified").await;
    assert_eq!(unverified.len() as i64, ROUNDS, "{unverified:?}");
    for row in &unverified {
        assert_eq!(row["by"], "Eeva Esimerkki");
        assert!(row["client_id"].as_str().unwrap().starts_with("nurse-2"));
        assert!(row["identity_age_s"].as_i64().unwrap() >= HOUR_S, "{row}");
    }
    // Her session is over: a shift has an end, and nobody vouches for her.
    clock_shows(now_s() + 20 * 60);
    pause(10_000).await;
    let over = ward.nurses[1].get("/v1/acts").await.refused(401);
    assert!(over.starts_with("token-session-"), "{over}");
    // The other one signs in for what is left to do, and still sees whose acts wait.
    let token = ward.provider.token("nurse-1", "Aino Esimerkki", "sh").unwrap();
    ward.nurses[0].signs_in(&token).await.is(201);
    assert_eq!(rows(ward, "unverified").await, unverified);
}
