//! No value is charted twice. Three wards on one box: the core's app charts the first, the box's
//! page the second, and the third is the core's, the box's page in downtime. The core goes away, its
//! app and the nurse chart overlapping values meanwhile, the box is killed in the middle, and what
//! the core charted comes late, twice, and by two ways. Then everything that left the box for the
//! destination is counted by observation id.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use house::mllp::Mllp;
use house::phone::{Phone, Provider, now, with_token};
use house::{House, Plan, free_port, oximeter};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::{Value as Json, json};

const ROOT: &str = "1.2.246.10.1234567.22.2026";

const WARDS: [&str; 3] = ["3a", "3b", "3c"];

/// `oru`: where ORU messages are heard, if they are.
fn plan(provider: &Provider, port: u16, oru: Option<u16>) -> Plan {
    let device = |ward: &&str| {
        format!(
            "[[device]]\nname = \"oximeter-{ward}\"\nprofile = \"nordpuls/po-100\"\n\
             place = \"{ward}/bed-1\"\nfirmware = \"2.2\"\nmachine = \"machine-{ward}\"\n\
             link = {{ tcp_server = \"127.0.0.1:0\" }}\n\n"
        )
    };
    let devices: String = WARDS.iter().map(device).collect();
    let bedside = format!(
        "[charting]\nlisten = \"127.0.0.1:{port}\"\norigins = [\"http://127.0.0.1:{port}\"]\n\
         owner = \"core\"\nward.3b = \"box\"\nward.3c = \"core, box in downtime\"\n\n\
         [[charting.class]]\nof = [\"perfusion-index\"]\nowner = \"core\"\nwards = [\"3b\"]\n\n\
         [identity]\nissuer = \"{}\"\naudience = \"wardgate\"\nclients = [\"bedside\"]\n\
         core_clients = [\"core\"]\nroles_claim = [\"roles\"]\nwards_claim = [\"wards\"]\n\
         role = [{{ value = \"nurse\", role = \"registered-nurse\" }}, \
         {{ value = \"student\", role = \"student\" }}]\n\n\
         [association.scan]\ncode = [{{ means = \"wristband\", form = \"P{{8 digits}}\", \
         root = \"{ROOT}\" }}]\n\n",
        provider.issuer
    );
    let engine = oru.map(|oru| {
        let map = house::repository().join("destination-maps/pcd-01.toml");
        format!(
            "[charting.oru]\nlisten = \"127.0.0.1:{oru}\"\ndestination = \"engine\"\n\n\
             [[destination]]\nname = \"engine\"\nfiles = \"trial\"\nrequired = \"best-effort\"\n\
             proves = \"accepted-by-engine\"\n\
             hl7v2 = {{ host = \"127.0.0.1\", port = 1, map = \"{}\" }}\n\n",
            map.display()
        )
    });
    Plan::of(devices + &bedside + &engine.unwrap_or_default())
}

/// The box, and who speaks with it.
struct Site {
    house: House,
    provider: Provider,
    port: u16,
    lines: BTreeMap<&'static str, TcpStream>,
    /// By ward.
    patients: BTreeMap<&'static str, String>,
    said: u32,
}

impl Site {
    fn open() -> Self {
        let mut site = Self::with(None);
        site.house.caught_up();
        site
    }

    fn with(oru: Option<u16>) -> Self {
        let (provider, port) = (Provider::start(), free_port());
        let house = House::open(plan(&provider, port, oru));
        let (lines, patients) = (BTreeMap::new(), BTreeMap::new());
        Self { house, provider, port, lines, patients, said: 0 }
    }

    fn nurse(&self, name: &str) -> Phone {
        Phone::sign_in(&self.provider, self.port, name, "nurse")
    }

    fn core(&self, path: &str, body: &Json) -> (u16, Json) {
        with_token(self.port, &self.provider.token("core", "core-app", &[]), path, body)
    }

    /// Each ward has a patient on its device.
    fn associate(&mut self, nurse: &Phone) {
        for (number, ward) in WARDS.into_iter().enumerate() {
            let wristband = json!({ "text": format!("P0000000{number}"), "method": "camera" });
            let (status, scanned) = nurse.ask("POST", "/v1/scan", Some(&wristband));
            assert_eq!(status, 200, "{scanned}");
            let patient = scanned["patient"]["ref"].as_str().unwrap().to_owned();
            let mut act = Phone::stated();
            act["patient"] = json!(patient);
            act["device"] = json!(format!("machine-{ward}"));
            act["scanned"] = json!({ "patient": true, "device": true });
            let (status, linked) = nurse.ask("POST", "/v1/associations", Some(&act));
            assert_eq!(status, 201, "{linked}");
            self.patients.insert(ward, patient);
        }
    }

    /// A line of the device of a ward, with a saturation of its own; the set has it when this
    /// comes back.
    fn measures(&mut self, ward: &'static str, nurse: &Phone) -> Json {
        self.said += 1;
        let spo2 = format!("{:03}", 80 + self.said % 20);
        let line = oximeter::line(&spo2, "072", "04.5");
        let name = format!("oximeter-{ward}");
        let is_sent = self.lines.get_mut(ward).is_some_and(|link| link.write_all(&line).is_ok());
        if !is_sent {
            let at = self.house.listening(&name);
            let mut link = TcpStream::connect(at).unwrap();
            link.write_all(&line).unwrap();
            self.lines.insert(ward, link);
        }
        let path = format!("/v1/patients/{}/values", self.patients[ward]);
        let shows = |set: &Json| {
            let rows = set["rows"].as_array().unwrap();
            rows.len() == 3 && rows.iter().any(|row| row["value"] == *spo2)
        };
        self.house.wait("the set has it", |_| shows(&nurse.get(&path)));
        nurse.get(&path)
    }

    fn values(&self, ward: &str, nurse: &Phone) -> Json {
        nurse.get(&format!("/v1/patients/{}/values", self.patients[ward]))
    }

    /// Downtime begins.
    fn core_goes(&mut self) {
        self.house.kill_core();
        self.house.wait("the core is away", |house| {
            house.status().destinations.iter().all(|one| !one.connected)
        });
    }

    /// Downtime ends, and the core has what waited for it.
    fn core_comes(&mut self) {
        self.house.start_core();
        self.house.settle();
    }

    /// The box is killed and comes back, with everything read back.
    fn killed(&mut self) {
        self.lines.clear();
        self.house.kill_nine();
        self.house.start();
    }
}

/// The whole set signed, with this act for those that are signed.
fn signing(patient: &str, set: &Json, act: impl Fn(&Json) -> &'static str) -> Json {
    let mut asked = Phone::stated();
    let values: Vec<Json> = set["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!({ "observation_id": row["observation_id"], "act": act(row) }))
        .collect();
    asked["patient"] = json!(patient);
    asked["at"] = set["at"].clone();
    asked["version"] = set["version"].clone();
    asked["values"] = json!(values);
    asked
}

/// What is signed here is confirmed.
fn ours(row: &Json) -> &'static str {
    if row["signed_here"] == true { "confirm" } else { "leave" }
}

fn id_of(set: &Json, parameter: &str) -> String {
    let rows = set["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["parameter"] == *parameter).unwrap();
    row["observation_id"].as_str().unwrap().to_owned()
}

/// What the core's app charted, as it tells it.
fn charted(values: &[(String, &str)]) -> Json {
    let person = "core-nurse-1";
    values
        .iter()
        .map(|(id, act)| {
            json!({ "observation_id": id, "act": act, "person": person, "time": now() })
        })
        .collect()
}

/// Says it over MQTT until it is answered.
fn told_over_mqtt(port: u16, message: &Json) -> Json {
    let base = "wardgate/v1/demo/site/icu/box-1";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = MqttOptions::new("core-app", ("127.0.0.1".to_owned(), port));
        let (client, mut events) = AsyncClient::builder(options).capacity(16).build();
        client.try_subscribe(format!("{base}/charted-answer/core"), QoS::AtLeastOnce).unwrap();
        let publish = || {
            let options = PublishOptions::at_least_once();
            let payload = message.to_string().into_bytes();
            client.try_publish(format!("{base}/charted/core"), payload, options).unwrap();
        };
        let mut again = tokio::time::interval(Duration::from_secs(2));
        let answered = async {
            loop {
                tokio::select! {
                    event = events.poll() => {
                        if let Event::Incoming(Packet::Publish(publish)) = event.unwrap() {
                            return serde_json::from_slice(&publish.payload).unwrap();
                        }
                    }
                    _ = again.tick() => publish(),
                }
            }
        };
        tokio::time::timeout(house::PATIENCE, answered).await.expect("an answer")
    })
}

/// How often each observation id left with this status, as the core has stored it.
fn left_as(status: &str, house: &House) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for record in house.stored() {
        // Sent again is the same record.
        let is_new = seen.insert(record["data"]["sequence"].as_u64());
        let metrics = record["data"]["metrics"].as_array().cloned().unwrap_or_default();
        for metric in metrics.iter().filter(|metric| is_new && metric["status"] == *status) {
            *count.entry(metric["observation_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    count
}

fn finals(house: &House) -> BTreeMap<String, usize> {
    left_as("final", house)
}

#[test]
fn the_owner_of_each_value_signs_it_and_nobody_else() {
    let mut site = Site::open();
    let nurse = site.nurse("nurse-1");
    site.associate(&nurse);
    let sets: BTreeMap<&str, Json> =
        WARDS.into_iter().map(|ward| (ward, site.measures(ward, &nurse))).collect();
    let here = |ward: &str, parameter: &str| {
        let rows = sets[ward]["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["parameter"] == *parameter).unwrap();
        (row["owner"].as_str().unwrap().to_owned(), row["signed_here"].as_bool().unwrap())
    };
    let owned = |owner: &str, is_here: bool| (owner.to_owned(), is_here);
    assert_eq!(here("3a", "spo2"), owned("core", false));
    assert_eq!(here("3b", "spo2"), owned("box", true));
    assert_eq!(here("3b", "perfusion-index"), owned("core", false));
    assert_eq!(here("3c", "spo2"), owned("core, box in downtime", false));

    // The core's are refused if signed, whole sets and single values; nothing of the set is kept.
    let confirm = |ward: &str, act: &dyn Fn(&Json) -> &'static str| {
        let asked = signing(&site.patients[ward], &sets[ward], act);
        nurse.ask("POST", "/v1/confirmations", Some(&asked))
    };
    for ward in WARDS {
        let (status, refused) = confirm(ward, &|_| "confirm");
        assert_eq!((status, &refused["error"]), (409, &json!("charting-owned-by-core")), "{ward}");
    }
    let (status, refused) = confirm("3b", &|_| "confirm");
    let index = id_of(&sets["3b"], "perfusion-index");
    assert_eq!((status, refused["observation_id"].as_str()), (409, Some(index.as_str())));
    let (_, refused) = confirm("3a", &|_| "leave");
    assert_eq!(refused["error"], "charting-owned-by-core", "nothing of it is the box's");
    let mut pain = signing(&site.patients["3a"], &sets["3a"], |_| "leave");
    pain["entries"] = json!([{ "parameter": "pain-nrs", "value": "3" }]);
    let (status, refused) = nurse.ask("POST", "/v1/confirmations", Some(&pain));
    assert_eq!((status, &refused["entries"]), (409, &json!(true)), "{refused}");

    // Of a mixed set the box's are signed, and the others stay untouched.
    let (status, signed) = confirm("3b", &ours);
    assert_eq!((status, &signed["held"]), (201, &json!(false)), "{signed}");
    let path = format!("/v1/patients/{}/values", site.patients["3b"]);
    let after = nurse.get(&path);
    for row in after["rows"].as_array().unwrap() {
        let is_ours = row["parameter"] != "perfusion-index";
        let charted = if is_ours { json!("confirmed") } else { Json::Null };
        assert_eq!(row["charted"], charted, "{row}");
        assert_eq!(row["charted_by"], if is_ours { json!("box") } else { Json::Null });
    }
    site.house.settle();
    let expected: BTreeMap<String, usize> =
        ["spo2", "pulse-rate-pleth"].map(|name| (id_of(&sets["3b"], name), 1)).into();
    assert_eq!(finals(&site.house), expected);

    // The core's app asks and tells with a credential of its own, and nobody else may.
    let asks = json!({ "root": ROOT, "id": "P00000000" });
    let (status, set) = site.core("/v1/core/values", &asks);
    let ids = |set: &Json| -> BTreeSet<String> {
        let rows = set["rows"].as_array().unwrap().iter();
        rows.map(|row| row["observation_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((status, ids(&set)), (200, ids(&sets["3a"])), "{set}");
    let core = site.provider.token("core", "core-app", &[]);
    let asked_by_core = |path: &str| {
        let headers = || vec![("authorization", format!("Bearer {core}"))];
        house::phone::ask(site.port, ("GET", path), headers, None)
    };
    let reference = set["patient_ref"].as_str().unwrap();
    for path in [
        format!("/v1/patients/{reference}/values?at={}", set["at"].as_str().unwrap()),
        format!("/v1/devices/machine-3a/values?at={}", set["at"].as_str().unwrap()),
    ] {
        let (status, same) = asked_by_core(&path);
        assert_eq!((status, ids(&same)), (200, ids(&set)), "{path}");
    }
    for path in ["/v1/acts", "/v1/worklists/conflicts", &format!("/v1/patients/{reference}")] {
        assert_eq!(asked_by_core(path).0, 403, "{path}");
    }
    let told = charted(&[(id_of(&sets["3a"], "spo2"), "confirmed")]);
    let nobody = site.provider.token("wiki", "core-app", &[]);
    for path in ["/v1/core/values", "/v1/chartings"] {
        let body = if path.ends_with("values") { &asks } else { &told };
        assert_eq!(nurse.ask("POST", path, Some(body)).0, 403, "{path}");
        assert_eq!(with_token(site.port, &nobody, path, body).0, 401, "{path}");
        let without = house::phone::ask(site.port, ("POST", path), Vec::new, Some(body));
        assert_eq!(without.0, 401, "{path}");
    }
    assert_eq!(with_token(site.port, &core, "/v1/scan", &json!({})).0, 403, "a core is no nurse");
    assert_eq!(site.core("/v1/chartings", &told).1["kept"], 1);
    let (_, set) = site.core("/v1/core/values", &asks);
    let rows = set["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["parameter"] == "spo2").unwrap();
    assert_eq!((&row["charted"], &row["charted_by"]), (&json!("confirmed"), &json!("core")));
    assert_eq!(site.house.stop().code(), Some(0));
}

#[test]
fn no_value_is_charted_twice_with_the_core_away() {
    let mut site = Site::open();
    let nurse = site.nurse("nurse-1");
    site.associate(&nurse);
    let first: BTreeMap<&str, Json> =
        WARDS.into_iter().map(|ward| (ward, site.measures(ward, &nurse))).collect();
    site.house.settle();
    // Downtime begins: the core's app has what came until then, and goes on charting it.
    site.core_goes();
    let confirm = |nurse: &Phone, asked: &Json| -> Json {
        // A double touch: the same act twice at the same time is one.
        let both: Vec<(u16, Json)> = std::thread::scope(|scope| {
            let send = || nurse.ask("POST", "/v1/confirmations", Some(asked));
            let sent = [scope.spawn(send), scope.spawn(send)];
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(both.iter().all(|one| one == &both[0] && one.0 == 201), "{both:?}");
        let acts = nurse.get("/v1/acts");
        let same = |one: &&Json| one["client_id"] == asked["client_id"];
        assert_eq!(acts["acts"].as_array().unwrap().iter().filter(same).count(), 1);
        both[0].1.clone()
    };
    // The nurse in the ward of the box, and in the one of downtime.
    let of_box = site.values("3b", &nurse);
    let signed_b = confirm(&nurse, &signing(&site.patients["3b"], &of_box, ours));
    assert_eq!(signed_b["held"], false);
    let in_downtime = site.values("3c", &nurse);
    assert!(in_downtime["rows"].as_array().unwrap().iter().all(|row| row["signed_here"] == true));
    let asked_c = signing(&site.patients["3c"], &in_downtime, ours);
    let signed_c = confirm(&nurse, &asked_c);
    assert_eq!(signed_c["held"], true);
    let (status, refused) = nurse.ask(
        "POST",
        "/v1/confirmations",
        Some(&signing(&site.patients["3a"], &first["3a"], |_| "confirm")),
    );
    assert_eq!((status, &refused["error"]), (409, &json!("charting-owned-by-core")));
    let path = format!("/v1/confirmations/{}/release", signed_c["confirmation"].as_str().unwrap());
    let (status, refused) = nurse.ask("POST", &path, Some(&json!({ "stated": now() })));
    assert_eq!((status, &refused["error"]), (409, &json!("core-still-away")));

    // The box is killed in the middle; another set of the same patient comes and is signed, by the
    // same act sent again and by another.
    site.killed();
    let (status, again) = nurse.ask("POST", "/v1/confirmations", Some(&asked_c));
    assert_eq!((status, &again), (201, &signed_c), "the same act after a restart");
    let second = site.measures("3c", &nurse);
    let signed_2 = confirm(&nurse, &signing(&site.patients["3c"], &second, ours));
    let rows = nurse.get("/v1/worklists/recovery")["rows"].as_array().unwrap().len();
    assert_eq!(rows, 2, "both wait");

    // The core comes back. What its app charted meanwhile: of the first ward all, of the third one
    // value confirmed and one rejected that the nurse has signed, too.
    let of_core = [
        (id_of(&first["3a"], "spo2"), "confirmed"),
        (id_of(&first["3a"], "pulse-rate-pleth"), "confirmed"),
        (id_of(&first["3c"], "spo2"), "confirmed"),
        (id_of(&first["3c"], "pulse-rate-pleth"), "rejected"),
    ];
    site.core_comes();
    let c_before: Vec<String> = ["spo2", "pulse-rate-pleth", "perfusion-index"]
        .iter()
        .flat_map(|name| [id_of(&first["3c"], name), id_of(&second, name)])
        .collect();
    let sent = finals(&site.house);
    assert!(c_before.iter().all(|id| !sent.contains_key(id)), "nothing of it has left: {sent:?}");
    // Told late, twice, and by two ways.
    let told = charted(&of_core);
    for _ in 0..2 {
        let (status, answer) = site.core("/v1/chartings", &told);
        assert_eq!((status, &answer["kept"], &answer["conflicts"]), (200, &json!(4), &json!(2)));
        assert_eq!(answer["released"], 0);
    }
    site.killed();
    let message = json!({ "id": "m-1", "receiver_id": "core", "chartings": told });
    site.house.caught_up();
    let answer = told_over_mqtt(site.house.core_port(), &message);
    assert_eq!(
        (&answer["id"], &answer["kept"], &answer["conflicts"]),
        (&json!("m-1"), &json!(4), &json!(2)),
        "{answer}"
    );

    // Both are shown to a person; until the core says that this was all, nothing goes out.
    let conflicts = nurse.get("/v1/worklists/conflicts")["rows"].as_array().unwrap().clone();
    let twice: BTreeSet<&str> =
        conflicts.iter().map(|row| row["observation_id"].as_str().unwrap()).collect();
    let expected: BTreeSet<&str> = [of_core[2].0.as_str(), of_core[3].0.as_str()].into();
    assert_eq!(twice, expected);
    assert!(conflicts.iter().all(|row| row["kind"] == "charted-twice"), "{conflicts:?}");
    let recovery = nurse.get("/v1/worklists/recovery");
    let of_first =
        recovery["rows"].as_array().unwrap().iter().find(|row| row["act"] == asked_c["client_id"]);
    assert_eq!(of_first.map(|row| &row["conflicts"]), Some(&json!(2)), "{recovery}");
    site.house.settle();
    assert_eq!(finals(&site.house), sent);

    // The core says that this was all, twice, with a kill between.
    let through = json!({ "chartings": [], "through": now() });
    let (_, answer) = site.core("/v1/chartings", &through);
    assert_eq!(answer["released"], 2, "{answer}");
    site.killed();
    assert_eq!(site.core("/v1/chartings", &through).1["released"], 0);
    assert_eq!(nurse.get("/v1/worklists/recovery")["rows"], json!([]));
    // The phone sends its acts again.
    let (status, again) = nurse.ask("POST", "/v1/confirmations", Some(&asked_c));
    assert_eq!((status, &again["confirmation"]), (201, &signed_c["confirmation"]));
    assert_ne!(signed_2["confirmation"], signed_c["confirmation"]);
    for row in &conflicts {
        let path = format!("/v1/conflicts/{}/decide", row["id"].as_str().unwrap());
        let mut settles = Phone::stated();
        settles["holds"] = json!("core");
        settles["reason"] = json!("looked in the app");
        let (status, answer) = nurse.ask("POST", &path, Some(&settles));
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(nurse.get("/v1/worklists/conflicts")["rows"], json!([]));

    site.house.settle();
    let finals = finals(&site.house);
    let core: BTreeSet<&String> = of_core.iter().map(|(id, _)| id).collect();
    let of_set = |set: &Json, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| id_of(set, name)).collect()
    };
    let mut expected: BTreeSet<String> =
        of_set(&first["3b"], &["spo2", "pulse-rate-pleth"]).into_iter().collect();
    expected.extend(of_set(&first["3c"], &["perfusion-index"]));
    expected.extend(of_set(&second, &["spo2", "pulse-rate-pleth", "perfusion-index"]));
    println!(
        "{} observation ids charted by the box, {} by the core, by both: {}",
        finals.len(),
        core.len(),
        finals.keys().filter(|id| core.contains(id)).count()
    );
    assert!(finals.values().all(|&times| times == 1), "{finals:?}");
    assert!(finals.keys().all(|id| !core.contains(id)), "filed by both: {finals:?}");
    assert_eq!(finals.into_keys().collect::<BTreeSet<String>>(), expected);
    assert_eq!(site.house.stop().code(), Some(0));
}

#[test]
fn what_is_held_goes_out_by_a_person_or_not_at_all() {
    let mut site = Site::open();
    let (nurse, other) = (site.nurse("nurse-1"), site.nurse("nurse-2"));
    let student = Phone::sign_in(&site.provider, site.port, "student-1", "student");
    site.associate(&nurse);
    site.measures("3c", &nurse);
    site.core_goes();
    let first = site.values("3c", &nurse);
    let patient = site.patients["3c"].clone();

    // A student's set waits for another hand, and then for the core.
    let asked = signing(&patient, &first, ours);
    let signed = student.does("/v1/confirmations", &asked, 201);
    assert_eq!((&signed["state"], &signed["held"]), (&json!("needs-countersign"), &json!(true)));
    let client_id = asked["client_id"].as_str().unwrap();
    let path = format!("/v1/confirmations/{client_id}/countersign");
    assert_eq!(nurse.does(&path, &Phone::stated(), 201)["held"], true);
    // Another set is taken back before it went anywhere.
    let second = site.measures("3c", &nurse);
    let taken_back = nurse.does("/v1/confirmations", &signing(&patient, &second, ours), 201);
    let withdraw = |record: &Json| {
        let path = format!("/v1/confirmations/{}/withdraw", record.as_str().unwrap());
        let mut act = Phone::stated();
        act["reason"] = json!("wrong-values");
        nurse.does(&path, &act, 201);
    };
    withdraw(&taken_back["confirmation"]);
    site.killed();
    assert_eq!(nurse.get("/v1/worklists/recovery")["rows"].as_array().unwrap().len(), 1);

    // A person who has looked in the core's app lets it go, once.
    site.core_comes();
    assert_eq!(finals(&site.house), BTreeMap::new());
    let path = format!("/v1/confirmations/{client_id}/release");
    let release = json!({ "stated": now() });
    let released = other.does(&path, &release, 200);
    assert_eq!(other.does(&path, &release, 200), released);
    site.house.settle();
    let ids = |names: &[&str]| -> BTreeMap<String, usize> {
        names.iter().map(|name| (id_of(&first, name), 1)).collect()
    };
    let all = ["spo2", "pulse-rate-pleth", "perfusion-index"];
    assert_eq!(finals(&site.house), ids(&all));
    assert_eq!(left_as("withdrawn", &site.house), BTreeMap::new());

    // The core tells of one of them only now: it is a conflict, and nothing is taken back for it,
    // not even when the nurse withdraws what was signed here.
    let told = charted(&[(id_of(&first, "spo2"), "confirmed")]);
    assert_eq!(site.core("/v1/chartings", &told).1["conflicts"], 1);
    let conflicts = nurse.get("/v1/worklists/conflicts")["rows"].as_array().unwrap().clone();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    withdraw(&signed["confirmation"]);
    site.house.settle();
    assert_eq!(finals(&site.house), ids(&all));
    assert_eq!(left_as("withdrawn", &site.house), ids(&all[1..]));
    assert_eq!(nurse.get("/v1/worklists/conflicts")["rows"], json!([]));
    assert_eq!(site.house.stop().code(), Some(0));
}

/// A core that speaks HL7 v2: the value is named as it went out, here by the map for IHE PCD-01
/// (spo2 and pulse rate by their codes of ISO/IEEE 11073-10101).
#[test]
fn the_core_tells_in_an_oru_what_its_app_charted() {
    let oru = free_port();
    let mut site = Site::with(Some(oru));
    let nurse = site.nurse("nurse-1");
    site.associate(&nurse);
    let set = site.measures("3a", &nurse);
    let spo2 = id_of(&set, "spo2");
    // OBX-4 as this map writes it: the containment of IHE DEC, and the value's number in its record.
    let (record, index) = spo2.rsplit_once('.').unwrap();
    let sub_id = format!("1.1.1.{}", index.parse::<u32>().unwrap() + 1);
    let message = |control_id: &str, code: &str, status: &str| {
        format!(
            "MSH|^~\\&|CORE||WARDGATE||20261129100500+0000||ORU^R01^ORU_R01|{control_id}|P|2.6\r\
             OBR|1||{record}^WARDGATE\r\
             OBX|1|NM|{code}|{sub_id}|97||||||{status}|||20261129050000+0000||core-nurse-1\r"
        )
    };
    let mut engine = Mllp::connect(format!("127.0.0.1:{oru}").parse().unwrap()).unwrap();
    let mut told = |text: String| engine.ask(text.as_bytes()).unwrap().code;
    // What names no value of the box, or does not say what became of it, is refused as a whole.
    assert_eq!(told(message("c-1", "147842^MDC_ECG_HEART_RATE^MDC", "F")), "AR");
    assert_eq!(told(message("c-2", "150456^MDC_PULS_OXIM_SAT_O2^MDC", "P")), "AR");
    let path = format!("/v1/patients/{}/values", site.patients["3a"]);
    let charted = |nurse: &Phone| {
        let set = nurse.get(&path);
        let rows = set["rows"].as_array().unwrap().clone();
        let row = rows.into_iter().find(|row| row["observation_id"] == *spo2).unwrap();
        (row["charted"].clone(), row["charted_by"].clone())
    };
    assert_eq!(charted(&nurse), (Json::Null, Json::Null));
    // Told twice, and again after a kill, it is charted once, by the core.
    for _ in 0..2 {
        assert_eq!(told(message("c-3", "150456^MDC_PULS_OXIM_SAT_O2^MDC", "F")), "AA");
    }
    assert_eq!(charted(&nurse), (json!("confirmed"), json!("core")));
    let told_again = charted_over_http(&site, &spo2);
    assert_eq!(told_again, json!({ "kept": 1, "conflicts": 0, "released": 0 }));
    assert_eq!(finals(&site.house), BTreeMap::new());
}

fn charted_over_http(site: &Site, observation_id: &str) -> Json {
    let told = charted(&[(observation_id.to_owned(), "confirmed")]);
    site.core("/v1/chartings", &told).1
}
