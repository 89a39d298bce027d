//! Twelve hours without core and without the provider, which is as long as a shift session lasts
//! (less two minutes, in which it is vouched for again): the round goes on for those who were
//! signed in, each act is marked, and when both are back everything is told once.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::disk::SimulatedDisk;
use super::super::life::{backlog, pause, runtime};
use super::super::ports::Sockets;
use super::back::{
    everything_was_told_once, is_vouched_for_again, nothing_goes_before_somebody_looked,
    the_core_charts, the_core_has_told_all, the_core_owns_again,
    who_is_not_vouched_for_stays_listed,
};
use super::lives::comes;
use super::phone::{Phone, Provider};
use super::seat::Seat;
use super::site::{ARCHIVE, CHART, with_bedside};
use super::story::{BEGAN_US, Clock, Value};
use crate::association::{By, DeviceId, EntryId, EntryRefused, Says, Span, Utc};
use crate::forward::simulated::core::{Core, KIND};
use crate::forward::simulated::{self as network, Cores};
use crate::gateway::committer::Request;
use crate::gateway::configuration::Configuration;
use crate::gateway::ledger::{NewEntry, NotAdded};
use crate::gateway::run::Lasting;
use crate::gateway::world::World;
use crate::link::clock;
use crate::link::simulated::{self as clocks, Clocks};
use crate::vocabulary::Certainty;
use crate::vocabulary::chance::Chance;

pub(super) const HOUR_S: i64 = 3600;
/// 07:00, when the shift begins.
pub(super) const SHIFT_S: i64 = 7 * HOUR_S;
/// The last round before both are back, and a box that is started anew in between.
pub(super) const ROUNDS: i64 = 11;
const RESTART_AFTER: i64 = 5;

const WRISTBANDS: [&str; 2] = ["P00000001", "P00000002"];

/// What is there, in and out of the house.
pub(super) struct Ward {
    seat: Arc<Seat>,
    pub provider: Provider,
    cores: Cores,
    disk: Arc<SimulatedDisk>,
    configuration: Configuration,
    /// Each with a patient and a device of her own.
    pub nurses: [Phone; 2],
    pub refs: Vec<String>,
    /// What was confirmed, by observation id: by which act.
    pub confirmed: BTreeMap<String, String>,
    /// The answer to each act.
    pub records: BTreeMap<String, Json>,
    /// The bodies of acts that were sent.
    pub sent: Vec<Json>,
    values: i64,
}

/// The clock of the house, so many seconds after midnight.
pub(super) fn clock_shows(second: i64) {
    let boot_us = u64::try_from(second * 1_000_000).unwrap();
    clocks::set(Clocks {
        at: Instant::now(),
        boot_us,
        offset_us: BEGAN_US,
        certainty: Certainty::Synchronised,
    });
}

pub(super) fn now_s() -> i64 {
    (clock::now().utc_us() - BEGAN_US) / 1_000_000
}

impl Ward {
    fn of(folder: &Path) -> Self {
        let mut chance = Chance(12);
        network::seed(chance.branch());
        crate::journal::simulated::switch_on(chance.branch(), 2);
        let cores = Cores::default();
        for name in [CHART, ARCHIVE] {
            cores.add(name, Core::new(name, chance.branch(), KIND));
        }
        let disk = Arc::new(SimulatedDisk::default());
        let synced = cores.lock().values().map(|core| Arc::clone(&core.synced)).collect();
        disk.journal.tell_synced(synced);
        let seat = Arc::new(Seat::default());
        let nurses = [("nurse-1", "Aino Esimerkki"), ("nurse-2", "Eeva Esimerkki")];
        Self {
            provider: Provider::of(&seat),
            cores,
            disk,
            configuration: with_bedside(folder),
            nurses: nurses.map(|(id, name)| Phone::of(&seat, id, name, "sh")),
            seat,
            refs: Vec::new(),
            confirmed: BTreeMap::new(),
            records: BTreeMap::new(),
            sent: Vec::new(),
            values: 0,
        }
    }

    /// A house from here until what happens in it is over.
    async fn house(&mut self, happens: impl AsyncFnOnce(&mut Self, &Requests)) {
        let world = World {
            delivery: tokio::runtime::Handle::current(),
            has_background: false,
            disk: Arc::new(Arc::clone(&self.disk)),
            ports: Arc::new(Sockets::default()),
            cores: Some(self.cores.clone()),
            bedside: Some(Arc::clone(&self.seat)),
        };
        let house = Lasting::of(self.configuration.clone(), world).without_status();
        let once = std::cell::Cell::new(Some((self, happens)));
        let house = pin!(house.run(async |requests| {
            let (ward, happens) = once.take().expect("asked once");
            // Until what was charted is read back.
            pause(1_000).await;
            happens(ward, requests).await;
        }));
        house.await.expect("the house ends as it was told");
    }

    fn core_is_there(&self, is_up: bool) {
        for core in self.cores.lock().values_mut() {
            core.is_up = is_up;
            core.cut();
        }
    }

    async fn value_comes(&mut self, line: usize, requests: &Requests) {
        self.values += 1;
        let received = clock::now().utc_us();
        let value = Value { line, received, chart: received, clock: Clock::None };
        comes(&value, requests).await;
        pause(1_000).await;
    }

    /// One nurse at her patient: scan, set, sign with a pain score.
    async fn round(&mut self, nurse: usize, requests: &Requests) {
        self.value_comes(nurse, requests).await;
        let phone = &mut self.nurses[nurse];
        let scan = |text: String| json!({ "text": text, "method": "camera" });
        let scanned = phone.post("/v1/scan", &scan(WRISTBANDS[nurse].to_owned())).await.is(200);
        let patient = scanned["patient"]["ref"].as_str().unwrap().to_owned();
        let device = phone.post("/v1/scan", &scan(format!("D00000{nurse}"))).await.is(200);
        if device["device"]["on"].is_null() {
            let mut on = phone.stated();
            let both = json!({ "patient": true, "device": true });
            let more = [
                ("patient", json!(patient)),
                ("device", device["device"]["id"].clone()),
                ("scanned", both),
            ];
            for (key, value) in more {
                on[key] = value;
            }
            phone.post("/v1/associations", &on).await.is(201);
            self.refs.push(patient);
            self.value_comes(nurse, requests).await;
        }
        let act = self.act(nurse).await;
        self.confirms(nurse, act).await;
    }

    /// The set of a nurse's patient as it stands, ready to be signed.
    async fn act(&mut self, nurse: usize) -> Json {
        let patient = self.refs[nurse].clone();
        let phone = &mut self.nurses[nurse];
        let set = phone.get(&format!("/v1/patients/{patient}/values")).await.is(200);
        let rows = set["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{set}");
        let mut act = phone.stated();
        let confirm =
            |row: &Json| json!({ "observation_id": row["observation_id"], "act": "confirm" });
        act["patient"] = json!(patient);
        act["at"] = set["at"].clone();
        act["version"] = set["version"].clone();
        act["values"] = rows.iter().map(confirm).collect();
        act["entries"] = json!([{ "parameter": "pain-nrs", "value": "3" }]);
        act
    }

    async fn confirms(&mut self, nurse: usize, act: Json) {
        let client_id = act["client_id"].as_str().unwrap().to_owned();
        let answer = self.nurses[nurse].post("/v1/confirmations", &act).await.is(201);
        for value in act["values"].as_array().unwrap() {
            let id = value["observation_id"].as_str().unwrap().to_owned();
            let before = self.confirmed.insert(id, client_id.clone());
            assert_eq!(before, None, "no value is offered twice");
        }
        self.records.insert(client_id, answer);
        self.sent.push(act);
    }

    /// What a core has, of one kind.
    pub fn told(&self, core: &str, kind: &str) -> Vec<Json> {
        let kind = format!("fi.wardgate.{kind}.v1");
        let all: Vec<Json> = self.cores.with(core, |core| {
            let stored = core.store.values();
            stored.map(|one| serde_json::from_slice(&one.payload).unwrap()).collect()
        });
        all.into_iter().filter(|one| one["type"] == kind.as_str()).collect()
    }

    async fn everything_is_told(&self) {
        let names = [CHART.to_owned(), ARCHIVE.to_owned()];
        for _ in 0..300 {
            pause(1_000).await;
            if backlog(&self.disk, &names) == Some(0) {
                return;
            }
        }
        panic!("life does not go on");
    }
}

type Requests = mpsc::UnboundedSender<Request>;

#[test]
fn twelve_hours_without_core_and_provider() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = Ward::of(folder.path());
    runtime().block_on(async {
        clock_shows(SHIFT_S - 60);
        ward.house(async |ward, requests| morning(ward, requests).await).await;
    });
    // The box is started anew in the middle of it; no phone notices.
    runtime().block_on(async {
        clock_shows(SHIFT_S + RESTART_AFTER * HOUR_S + 600);
        ward.house(async |ward, requests| afternoon(ward, requests).await).await;
    });
}

async fn morning(ward: &mut Ward, requests: &Requests) {
    clock_shows(SHIFT_S);
    for nurse in 0..2 {
        let phone = &mut ward.nurses[nurse];
        let token = ward.provider.token(phone.person, phone.name, phone.role).unwrap();
        phone.signs_in(&token).await.is(201);
    }
    let late = ward.provider.token("nurse-3", "Oili Esimerkki", "sh").unwrap();
    // While the core is there it charts itself.
    ward.value_comes(0, requests).await;
    ward.provider.goes_away();
    ward.core_is_there(false);
    pause(10_000).await;
    for hour in 1..=RESTART_AFTER {
        clock_shows(SHIFT_S + hour * HOUR_S);
        pause(10_000).await;
        for nurse in 0..2 {
            ward.round(nurse, requests).await;
        }
        if hour == 2 {
            nobody_else_comes_in(ward, &late).await;
        }
    }
    assert!(ward.told(CHART, "confirmation").is_empty(), "the core is away");
}

/// Somebody tries to put an analyser on a patient: at the bedside, and as another system.
#[test]
fn an_analyser_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = Ward::of(folder.path());
    runtime().block_on(async {
        clock_shows(SHIFT_S);
        ward.house(async |ward, requests| {
            let phone = &mut ward.nurses[0];
            let token = ward.provider.token(phone.person, phone.name, phone.role).unwrap();
            phone.signs_in(&token).await.is(201);
            let scan = |text: &str| json!({ "text": text, "method": "camera" });
            let patient = phone.post("/v1/scan", &scan(WRISTBANDS[0])).await.is(200);
            let device = phone.post("/v1/scan", &scan("D000009")).await.is(200);
            assert_eq!(device["device"]["analyser"], true);
            let mut on = phone.stated();
            on["patient"] = patient["patient"]["ref"].clone();
            on["device"] = device["device"]["id"].clone();
            on["scanned"] = json!({ "patient": true, "device": true });
            assert_eq!(phone.post("/v1/associations", &on).await.refused(409), "analyser");
            for (number, by) in [By::Core, By::Device].into_iter().enumerate() {
                let from = Utc::from_us(clock::now().utc_us());
                let says = Says::Associated {
                    device: DeviceId::parse("box-1/analyser").unwrap(),
                    channel: None,
                    patient: super::story::patient(0),
                    span: Span { from, until: None },
                };
                let id = EntryId::parse(&format!("claim-{number}")).unwrap();
                let claim = NewEntry { id: id.clone(), stated: from, by, says };
                let (done, answer) = oneshot::channel();
                let now = clock::now();
                requests.send(Request::Ledger { entries: vec![claim], now, done }).unwrap();
                let refused = NotAdded::Refused { entry: id, why: EntryRefused::Analyser };
                assert_eq!(answer.await.unwrap(), Err(refused));
            }
        })
        .await;
    });
}

/// Who had not signed in before is told why, in words.
async fn nobody_else_comes_in(ward: &Ward, late: &str) {
    let mut phone = Phone::of(&ward.seat, "nurse-3", "Oili Esimerkki", "sh");
    assert_eq!(phone.get("/v1/acts").await.refused(401), "token-missing");
    assert_eq!(phone.signs_in(late).await.refused(401), "token-expired");
    assert_eq!(phone.get("/v1/acts").await.refused(401), "token-missing");
    let confirm = json!({ "client_id": "c-1" });
    assert_eq!(phone.post("/v1/confirmations", &confirm).await.refused(401), "token-missing");
}

async fn afternoon(ward: &mut Ward, requests: &Requests) {
    for hour in RESTART_AFTER + 1..=ROUNDS {
        clock_shows(SHIFT_S + hour * HOUR_S);
        pause(10_000).await;
        for nurse in 0..2 {
            ward.round(nurse, requests).await;
        }
    }
    sent_again_is_the_same(ward).await;
    for phone in &ward.nurses {
        the_sheet_has_the_round(ward, phone).await;
    }
    every_act_is_marked(ward).await;

    // A set that a phone has not handed in yet, and what the core's own app charts meanwhile.
    clock_shows(SHIFT_S + 12 * HOUR_S - 120);
    ward.value_comes(0, requests).await;
    let held_back = ward.act(0).await;
    ward.provider.comes_back();
    ward.provider.closes("nurse-2");
    pause(10_000).await;
    is_vouched_for_again(ward).await;
    let twice = the_core_charts(ward, &held_back).await;
    ward.core_is_there(true);
    ward.everything_is_told().await;
    nothing_goes_before_somebody_looked(ward).await;
    the_core_has_told_all(ward).await;
    ward.everything_is_told().await;
    the_core_owns_again(ward, &held_back).await;
    everything_was_told_once(ward, &held_back, &twice);
    the_sheet_has_the_round(ward, &ward.nurses[0]).await;
    who_is_not_vouched_for_stays_listed(ward).await;
}

/// A phone that did not hear the answer, and a box that was started anew.
async fn sent_again_is_the_same(ward: &mut Ward) {
    for act in ward.sent.clone().into_iter().take(4) {
        let client_id = act["client_id"].as_str().unwrap();
        let nurse = usize::from(client_id.starts_with("nurse-2"));
        let again = ward.nurses[nurse].post("/v1/confirmations", &act).await.is(201);
        assert_eq!(again, ward.records[client_id]);
    }
}

pub(super) async fn the_sheet_has_the_round(ward: &Ward, phone: &Phone) {
    let nurse = usize::from(phone.person == "nurse-2");
    let path = format!("/v1/patients/{}/sheet?lang=fi", ward.refs[nurse]);
    let sheet = phone.get(&path).await;
    assert_eq!(sheet.status, 200, "{}", sheet.text);
    let count = |text: &str| sheet.text.matches(text).count() as i64;
    assert_eq!(count("Kipu (NRS)"), ROUNDS, "{}", sheet.text);
    assert_eq!(count(phone.name), 3 * ROUNDS);
    // 09:00 UTC is eleven in Helsinki.
    assert!(sheet.text.contains("29.11.2026 11.00"), "{}", sheet.text);
}

async fn every_act_is_marked(ward: &Ward) {
    let rows = ward.nurses[0].get("/v1/worklists/unverified").await;
    // Worklists are not part of the round.
    assert_eq!(rows.refused(403), "offline");
    for phone in &ward.nurses {
        let acts = phone.get("/v1/acts").await.is(200);
        let acts = acts["acts"].as_array().unwrap();
        assert_eq!(acts.len() as i64, ROUNDS, "{acts:?}");
        let waits = |act: &Json| act["state"] == "kept" && act["held"] == true;
        assert!(acts.iter().all(waits), "{acts:?}");
    }
}
