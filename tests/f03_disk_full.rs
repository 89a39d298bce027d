//! Row 3 of the fault matrix: the disk is full. Nobody is acknowledged, it is said, nothing that
//! was acknowledged is lost, delivery goes on, and service resumes by itself within five seconds
//! once there is room.

mod house;

use std::time::{Duration, Instant};

use house::monitor::{Monitor, gaps};
use house::{House, Plan, SmallDisk, TCP_SERVER, device};

const SEGMENT_BYTES: u64 = 262_144;

/// From room to the first acknowledgement.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

/// From the first refusal to the reason in the status.
const SAID_WITHIN: Duration = Duration::from_secs(1);

fn plan(more: &str) -> Plan {
    let gateway = format!("segment_bytes = {SEGMENT_BYTES}\n{more}");
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    Plan { gateway, survives_full_disk: true, ..Plan::of(devices) }
}

/// Sends until the gateway refuses; then it says why, and goes on refusing.
fn fill(house: &mut House, monitor: &mut Monitor) {
    let at = house.listening("monitor");
    while monitor.send(at).expect("an answer") == "AA" {
        assert!(monitor.acknowledged.len() < 20_000, "the disk has an end");
    }
    let refused = Instant::now();
    house.wait("the status says why", |house| house.status().journal.reason.is_some());
    let said = refused.elapsed();
    for _ in 0..3 {
        assert_eq!(monitor.send(at).expect("an answer"), "AE", "to be sent again, not lost");
    }
    let reason = house.status().journal.reason.expect("a reason");
    assert!(reason.contains("no device is acknowledged"), "{reason}");
    assert!(house.log().contains("no device is acknowledged any more"), "{}", house.log());
    assert!(said <= SAID_WITHIN, "said after {said:?}");
    let people = String::from_utf8(house.verb(&["status"]).stdout).expect("text");
    assert!(people.contains("ATTENTION no device is acknowledged"), "{people}");
}

/// From `room` on, how long until a message is acknowledged.
fn resumes(house: &mut House, monitor: &mut Monitor, room: Instant) {
    monitor.send_until_acknowledged(house, "monitor");
    let after = room.elapsed();
    println!("acknowledged again {after:?} after there was room");
    assert!(after <= RESUMES_WITHIN, "{after:?}\n{}", house.log());
    house.wait("nothing is wrong any more", |house| {
        !house.status().journal.reason.is_some_and(|why| why.contains("no device"))
    });
}

/// The configured quota is used up because the core is away. When it is back, what it has makes
/// room, although it is younger than the retention.
#[test]
fn f03_a_used_up_quota_is_refused_at_the_door_and_resumes_when_the_core_has_the_data() {
    let mut house = House::open(plan("[gateway.retention]\nbytes = 2097152\n"));
    house.kill_core();
    let mut monitor = Monitor::default();
    fill(&mut house, &mut monitor);
    let status = house.status().journal;
    assert_eq!(status.door, "open", "the disk itself is well");
    assert_eq!(status.quota_bytes, Some(2_097_152));
    assert!(status.bytes <= 2_097_152, "{status:?}");
    house.wait("the figures are measured", |house| {
        let journal = house.status().journal;
        journal.pinned_bytes > 1_000_000 && journal.autonomy_seconds.is_some_and(|one| one < 3600)
    });
    house.start_core();
    let count = monitor.acknowledged.len();
    house.observations("monitor", count - count / 4);
    let room = Instant::now();
    resumes(&mut house, &mut monitor, room);
    house.settle();
    monitor.is_all_in_the_core(&house, "monitor");
    house.wait("the gap has its end", |house| {
        gaps(house, "monitor") == ["room-short began", "room-short ended"]
    });
    assert_eq!(house.stop().code(), Some(0));
}

/// Somebody else fills the disk: the gateway stops in order before the disk does it, and writes
/// the gap into its reserve.
#[test]
fn f03_a_disk_filled_by_others_is_refused_in_order() {
    let test = "f03_a_disk_filled_by_others_is_refused_in_order";
    let mut house = House::build(plan("[gateway.retention]\nbytes = 67108864\n"));
    let Some(_disk) = SmallDisk::mount(test, house.path("data"), 8 << 20) else { return };
    let ballast = house.path("data").join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).expect("ballast");
    house.start();
    house.kill_core();
    let mut monitor = Monitor::default();
    fill(&mut house, &mut monitor);
    assert_eq!(house.status().journal.door, "open", "it stopped before the disk did");
    std::fs::remove_file(&ballast).expect("room");
    let room = Instant::now();
    resumes(&mut house, &mut monitor, room);
    house.start_core();
    house.settle();
    monitor.is_all_in_the_core(&house, "monitor");
    house.wait("the gap has its end", |house| {
        gaps(house, "monitor") == ["room-short began", "room-short ended"]
    });
    assert_eq!(house.stop().code(), Some(0));
}

/// A write fails for want of room before it was foreseen: the door shuts, what was kept still goes
/// out, and the journal is opened anew in the same process.
#[test]
fn f03_a_write_without_room_shuts_the_door_and_opens_it_in_the_same_process() {
    let mut house = House::open(plan(""));
    let process = house.gateway_id();
    let mut monitor = Monitor::default();
    monitor.send_until_acknowledged(&mut house, "monitor");
    house.fill_disk(SEGMENT_BYTES - 1);
    fill(&mut house, &mut monitor);
    assert!(house.status().journal.door.starts_with("shut"), "{:?}", house.status().journal);
    let count = monitor.acknowledged.len();
    assert_eq!(house.observations("monitor", count).len(), count, "delivery goes on");
    house.empty_disk();
    let room = Instant::now();
    resumes(&mut house, &mut monitor, room);
    assert_eq!(house.gateway_id(), process);
    house.settle();
    monitor.is_all_in_the_core(&house, "monitor");
    let gaps = gaps(&house, "monitor");
    for phase in ["storage-failed began", "storage-failed ended"] {
        assert!(gaps.iter().any(|gap| gap == phase), "{phase}: {gaps:?}");
    }
    assert_eq!(house.stop().code(), Some(0));
}
