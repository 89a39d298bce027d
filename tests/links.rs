//! Promise 2 where links break: a device comes back by the same path or address without anybody's
//! help, a gap record covers the time in between, and half of a message never becomes a value.

mod house;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use house::pty::Line;
use house::{House, Plan, device, free_port, oximeter, value};
use serde_json::Value as Json;

fn saturations(records: &[Json]) -> Vec<String> {
    records.iter().map(|one| value(one, "spo2")).collect()
}

/// The phases of a device's gaps with their cause, in order.
fn phases(house: &House, device: &str) -> Vec<String> {
    let text = |record: &Json| {
        let part = |key: &str| record["data"][key].as_str().unwrap().to_owned();
        format!("{} {}", part("cause"), part("phase"))
    };
    house.stored_of("gap", device).iter().map(text).collect()
}

fn gap_is_closed(house: &mut House, device: &str) {
    house.wait("the gap has ended", |house| {
        house.stored_of("gap", device).iter().any(|one| one["data"]["phase"] == "ended")
    });
    assert_eq!(phases(house, device), ["link-down began", "link-down ended"]);
    let gap = house.stored_of("gap", device);
    assert_eq!(gap[1]["data"]["gap"], gap[0]["data"]["sequence"], "the end names the beginning");
    assert_eq!(gap[1]["data"]["began_us"], gap[0]["data"]["began_us"]);
    let us = |key: &str| gap[1]["data"][key].as_i64().unwrap();
    assert!(us("began_us") <= us("ended_us"));
    let records = house.stored_of("observation", device);
    let sequence = |record: &Json| record["data"]["sequence"].as_u64().unwrap();
    assert!(sequence(&records[0]) < sequence(&gap[0]));
    assert!(sequence(&gap[1]) < sequence(records.last().unwrap()));
}

#[test]
fn a_serial_adapter_is_unplugged_and_plugged_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("by-id-oximeter");
    let mut line = Line::plug(&path);
    let serial = format!("serial = \"{}\"", path.display());
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &serial)));
    house.wait("the port is open", |_| line.is_open());
    // Unplugged in the middle of a line: what is left of it is a refusal and no value. The half
    // goes out in one write with a whole line, so that it has been read once that one has come.
    let half = oximeter::line("98", "61", "2.5");
    line.send(&[&oximeter::line("97", "60", "2.5"), &half[..20]].concat()).unwrap();
    house.observations("oximeter", 1);
    drop(line);
    house.wait("the link is down", |house| house.device("oximeter").connections == 0);
    assert!(!house.device("oximeter").trouble.is_empty(), "status says why");

    let mut line = Line::plug(&path);
    house.wait("the port is open again", |_| line.is_open());
    line.send(&oximeter::line("99", "62", "2.5")).unwrap();
    assert_eq!(saturations(&house.observations("oximeter", 2)), ["97", "99"]);
    house.wait("the half is refused", |house| house.device("oximeter").refused == 1);
    gap_is_closed(&mut house, "oximeter");
    assert_eq!(house.stop().code(), Some(0));
    let wires = house.wires("oximeter");
    let (head, raw) = wires.iter().find(|(head, _)| head["complete"] == false).unwrap();
    assert_eq!((head["refusals"][0]["why"].as_str(), &raw[..]), (Some("incomplete"), &half[..20]));
}

fn comes_and_goes(profile_link: impl Fn(SocketAddr) -> String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let link = profile_link(address);
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &link)));
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    house.observations("oximeter", 1);
    let half = oximeter::line("98", "61", "2.5");
    stream.write_all(&half[..20]).unwrap();
    drop((stream, listener));
    house.wait("the link is down", |house| house.device("oximeter").connections == 0);

    let listener = TcpListener::bind(address).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&half[20..]).unwrap();
    stream.write_all(&oximeter::line("99", "62", "2.5")).unwrap();
    assert_eq!(saturations(&house.observations("oximeter", 2)), ["97", "99"]);
    // The beginning of the line, and its end after the pause: two halves make no whole.
    house.wait("both halves are refused", |house| house.device("oximeter").refused == 2);
    gap_is_closed(&mut house, "oximeter");
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_device_that_listens_comes_and_goes() {
    comes_and_goes(|address| format!("tcp_client = \"{address}\""));
}

#[test]
fn a_serial_server_comes_and_goes() {
    comes_and_goes(|address| format!("serial_server = \"{address}\""));
}

#[test]
fn a_device_that_is_not_there_at_first_has_a_gap_from_the_start() {
    let address = format!("127.0.0.1:{}", free_port());
    let link = format!("tcp_client = \"{address}\"");
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &link)));
    house.wait("the gap has begun", |house| !phases(house, "oximeter").is_empty());
    assert_eq!(phases(&house, "oximeter"), ["link-down began"]);
    let listener = TcpListener::bind(&address).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    house.observations("oximeter", 1);
    assert_eq!(phases(&house, "oximeter"), ["link-down began", "link-down ended"]);
}

#[test]
fn datagrams_of_two_senders_do_not_mix() {
    let mut house = House::open(Plan::of(device(
        "oximeters",
        "nordpuls/po-100",
        "2.2",
        "udp = \"127.0.0.1:0\"",
    )));
    let address = house.listening("oximeters");
    let senders = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let lines = [oximeter::line("97", "60", "2.5"), oximeter::line("88", "140", "0.4")];
    // Each line in three datagrams, those of the other sender between them.
    for part in 0..3 {
        for (sender, line) in senders.iter().zip(&lines) {
            let cut = [0, 9, 18, line.len()];
            sender.send_to(&line[cut[part]..cut[part + 1]], address).unwrap();
        }
    }
    let mut found = saturations(&house.observations("oximeters", 2));
    found.sort();
    assert_eq!(found, ["88", "97"]);
    assert_eq!(house.device("oximeters").refused, 0);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_capture_is_played_once_at_its_own_pace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oximeter.capture");
    let hex =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02X} ")).collect() };
    let line = |spo2: &str| oximeter::line(spo2, "60", "2.5");
    let text = format!(
        "# capture-format: 1\n# firmware: 2.2\n+000.000 < {}| whole\n+000.100 < {}| half\n\
         +000.300 < {}| rest\n+000.350 ! disconnect\n",
        hex(&line("97")),
        hex(&line("98")[..12]),
        hex(&line("98")[12..]),
    );
    std::fs::write(&path, text).unwrap();
    let link = format!("replay = \"{}\"", path.display());
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &link)));
    let records = house.observations("oximeter", 2);
    assert_eq!(saturations(&records), ["97", "98"]);
    house.wait("the capture is over", |house| house.device("oximeter").connections == 0);
    house.settle();
    assert_eq!(house.stored_of("observation", "oximeter").len(), 2, "not again from the start");
    assert_eq!(house.device("oximeter").refused, 0);
    assert_eq!(house.stop().code(), Some(0));
    let received = |index: usize| house.wires("oximeter")[index].0["received_us"].as_i64().unwrap();
    assert!(received(1) - received(0) >= 290_000, "at its own pace");
}

/// A port of the box that is taken: the device says so, the others run.
#[test]
fn a_port_that_is_taken_is_shown_and_stops_nobody_else() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("tcp_server = \"{}\"", taken.local_addr().unwrap());
    let mut house = House::open(Plan::of(
        device("first", "nordpuls/po-100", "2.2", &link)
            + &device("second", "nordpuls/po-100", "2.2", house::TCP_SERVER),
    ));
    house.wait("the trouble is shown", |house| house.device("first").trouble.contains("in use"));
    let mut stream = TcpStream::connect(house.listening("second")).unwrap();
    stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    house.observations("second", 1);
    drop(taken);
    let mut first = TcpStream::connect(house.listening("first")).unwrap();
    first.write_all(&oximeter::line("96", "60", "2.5")).unwrap();
    house.observations("first", 1);
}
