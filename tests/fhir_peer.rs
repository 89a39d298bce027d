//! Promise 2 towards a FHIR server: what a house keeps arrives once, through crashes before and
//! after the commit, a busy server and a record that is refused; a server that does not honour
//! conditional create gets nothing. Every bundle passes the judges of others.

mod house;

use std::io::Write;
use std::net::TcpStream;

use house::fhir::FhirServer;
use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device};

fn destination(port: u16, more: &str) -> String {
    format!(
        "[[destination]]\nname = \"fhir\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         fhir = {{ url = \"http://127.0.0.1:{port}\", resend_after_s = 1{more} }}\n"
    )
}

fn plan(port: u16) -> Plan {
    let oximeter = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let devices = format!("{oximeter}{}", monitor());
    Plan { destinations: Some(destination(port, "")), ..Plan::of(devices) }
}

fn monitor() -> String {
    device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
}

fn send(house: &mut House, spo2: &[&str]) {
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    for value in spo2 {
        stream.write_all(&house::oximeter::line(value, "60", "2.5")).unwrap();
    }
}

/// Waits until every record is done at the destination.
fn settled(house: &mut House) {
    house.wait("the cursor knows it", |house| house.status().destinations[0].backlog == 0);
}

fn spo2(server: &FhirServer) -> Vec<String> {
    let held = server.held("Observation").into_values();
    let oximetry = held.filter(|one| one.to_string().contains("\"59408-5\""));
    oximetry.map(|one| one["valueQuantity"]["extension"][0]["valueString"].to_string()).collect()
}

#[test]
fn what_a_house_keeps_arrives_once_and_passes_the_judges() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let mut server = FhirServer::start(&store, 0, &["--die-before", "4", "--busy", "1"]);
    let port = server.port;
    let mut house = House::open(plan(port));
    let mut mllp = Mllp::connect(house.listening("monitor")).unwrap();
    let message = vital(Vital {
        sent: "20261120101012+0200",
        control_id: "M-1",
        time: "20261120101010+0200",
        patient: "P-1",
        heart_rate: "080",
    });
    mllp.ask(&message).unwrap();
    send(&mut house, &["97"]);
    // It dies before it commits, then after it has committed and before it answers.
    let _ = server.process.wait();
    server = FhirServer::start(&store, port, &["--die-after", "1"]);
    send(&mut house, &["96", "95"]);
    let _ = server.process.wait();
    server = FhirServer::start(&store, port, &[]);
    send(&mut house, &["94"]);
    house.wait("the server has every value", |_| spo2(&server).len() == 4);
    settled(&mut house);
    let mut values = spo2(&server);
    values.sort();
    assert_eq!(values, ["\"94\"", "\"95\"", "\"96\"", "\"97\""], "each once");
    let held = server.held("Observation");
    let heart = held.values().find(|one| one.to_string().contains("147842")).expect("a heart rate");
    assert_eq!(heart["valueQuantity"]["value"], 80);
    assert_eq!(heart["valueQuantity"]["extension"][0]["valueString"], "080");
    assert!(heart.get("subject").is_none(), "nobody has said whose it is: {heart}");
    assert!(!heart.to_string().contains("P-1"), "what the device states is no identity");
    let devices = server.held("Device");
    assert!(devices.contains_key("device.oximeter") && devices.contains_key("gateway"));
    server.judged("fhir_peer");
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_refused_record_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        FhirServer::start(&folder.path().join("store"), 0, &["--refuse", "\"valueString\":\"93\""]);
    let mut house = House::open(plan(server.port));
    send(&mut house, &["94", "93", "92", "91"]);
    house.wait("one is set aside and the others are there", |house| {
        let destination = &house.status().destinations[0];
        destination.set_aside == 1 && destination.backlog == 0 && spo2(&server).len() >= 3
    });
    let mut values = spo2(&server);
    values.sort();
    assert_eq!(values, ["\"91\"", "\"92\"", "\"94\""]);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_server_that_makes_two_of_one_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = FhirServer::start(&folder.path().join("store"), 0, &["--duplicates"]);
    let mut house = House::open(plan(server.port));
    send(&mut house, &["97"]);
    house.wait("the server is refused", |house| {
        house.status().destinations[0].refused.as_deref() == Some("conditional-create-not-honoured")
    });
    assert_eq!(house.status().destinations[0].sent, 0);
    assert!(!house.status().destinations[0].connected);
    let bundles = std::fs::read_to_string(server.bundles()).unwrap();
    assert_eq!(bundles.lines().count(), 2, "the self-test and nothing else");
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn what_is_wrong_with_the_table_is_named_with_its_place() {
    let destinations = Some(destination(1, ", patient_system = \"1.2.3\""));
    let oximeter = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let house = House::build(Plan { destinations, ..Plan::of(oximeter) });
    let checked = house.verb(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned()
        + &String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success());
    assert!(said.contains("patient_system") && said.contains("expected a URI"), "{said}");
}
