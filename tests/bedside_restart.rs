//! A box that was started anew shows the set of a time before the start, as it stood then; and what
//! it cannot show it refuses, rather than showing nothing.

mod house;

use std::io::Write as _;
use std::net::TcpStream;

use house::phone::{Phone, Provider, now};
use house::{House, Plan, free_port, oximeter};
use serde_json::{Value as Json, json};

const ROOT: &str = "1.2.246.10.1234567.22.2026";

fn plan(provider: &Provider, port: u16) -> Plan {
    Plan::of(format!(
        "[[device]]\nname = \"oximeter\"\nprofile = \"nordpuls/po-100\"\nplace = \"3b/bed-1\"\n\
         firmware = \"2.2\"\nmachine = \"machine-1\"\nlink = {{ tcp_server = \"127.0.0.1:0\" }}\n\n\
         [charting]\nlisten = \"127.0.0.1:{port}\"\norigins = [\"http://127.0.0.1:{port}\"]\n\
         owner = \"box\"\n\n\
         [identity]\nissuer = \"{}\"\naudience = \"wardgate\"\nclients = [\"bedside\"]\n\
         roles_claim = [\"roles\"]\nwards_claim = [\"wards\"]\n\
         role = [{{ value = \"nurse\", role = \"registered-nurse\" }}]\n\n\
         [association.scan]\ncode = [{{ means = \"wristband\", form = \"P{{8 digits}}\", \
         root = \"{ROOT}\" }}]\n\n",
        provider.issuer
    ))
}

/// Parameter, value and time of each row.
fn shown(set: &Json) -> Vec<[Json; 3]> {
    let rows = set["rows"].as_array().unwrap().iter();
    rows.map(|row| ["parameter", "value", "measured"].map(|key| row[key].clone())).collect()
}

#[test]
fn a_set_of_before_the_start_is_shown_as_it_stood() {
    let (provider, port) = (Provider::start(), free_port());
    let mut house = House::open(plan(&provider, port));
    house.caught_up();
    let nurse = Phone::sign_in(&provider, port, "nurse-1", "nurse");
    let wristband = json!({ "text": "P00000001", "method": "camera" });
    let scanned = nurse.does("/v1/scan", &wristband, 200);
    let patient = scanned["patient"]["ref"].as_str().unwrap().to_owned();
    let mut act = Phone::stated();
    act["patient"] = json!(patient);
    act["device"] = json!("machine-1");
    act["scanned"] = json!({ "patient": true, "device": true });
    nurse.does("/v1/associations", &act, 201);

    let at = house.listening("oximeter");
    let mut line = TcpStream::connect(at).unwrap();
    line.write_all(&oximeter::line("097", "072", "04.5")).unwrap();
    let values = |at: &str| format!("/v1/patients/{patient}/values?at={at}");
    house.wait("the set has it", |_| !shown(&nurse.get(&values(""))).is_empty());
    let then = now();
    let before = shown(&nurse.get(&values(&then)));
    let measured: Vec<&Json> = before.iter().map(|[_, value, _]| value).collect();
    assert_eq!(measured.len(), 3, "{before:?}");
    assert!(measured.contains(&&json!("097")) && measured.contains(&&json!("072")), "{before:?}");

    house.kill_nine();
    house.start();
    // While it is read back the answer is 503, and the phone asks again.
    assert_eq!(shown(&nurse.get(&values(&then))), before);
    // Before there was a box nobody knows what was measured.
    let (status, refused) = nurse.ask("GET", &values("2026-01-01T08:00:00Z"), None);
    assert_eq!((status, refused["error"].as_str()), (422, Some("too-long-ago")), "{refused}");
    assert!(house.stop().success());
}
