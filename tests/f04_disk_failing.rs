//! Row 4 of the fault matrix: the disk is read-only, or `fdatasync` fails. Nothing is acknowledged
//! after the first error, it is said, what is there is delivered, and service resumes by itself.

mod house;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use house::monitor::{Monitor, gaps};
use house::{House, Plan, SmallDisk, TCP_SERVER, device};

const RESUMES_WITHIN: Duration = Duration::from_secs(5);

fn plan() -> Plan {
    Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER))
}

#[test]
fn f04_a_disk_that_is_read_only_at_the_start_is_delivered_from_and_resumes() {
    let test = "f04_a_disk_that_is_read_only_at_the_start_is_delivered_from_and_resumes";
    let mut house = House::build(plan());
    let Some(disk) = SmallDisk::mount(test, house.path("data"), 256 << 20) else { return };
    house.start();
    house.kill_core();
    let mut monitor = Monitor::default();
    for _ in 0..50 {
        monitor.send_until_acknowledged(&mut house, "monitor");
    }
    monitor.hang_up();
    assert_eq!(house.stop().code(), Some(0));

    disk.remount("ro");
    house.start_core();
    house.start();
    let journal = house.status().journal;
    assert!(journal.door.starts_with("shut"), "{journal:?}");
    let reason = journal.reason.expect("a reason");
    assert!(reason.contains("no device is acknowledged"), "{reason}");
    let listening = house.device("monitor").listening;
    assert_eq!(listening, "", "no link is opened, so nothing is acknowledged");
    assert_eq!(house.observations("monitor", 50).len(), 50, "it delivers all the same");
    let process = house.gateway_id();

    disk.remount("rw");
    let room = Instant::now();
    monitor.send_until_acknowledged(&mut house, "monitor");
    let after = room.elapsed();
    println!("acknowledged again {after:?} after the disk took writes");
    assert!(after <= RESUMES_WITHIN, "{after:?}\n{}", house.log());
    assert_eq!(house.gateway_id(), process, "in the same process");
    house.settle();
    monitor.is_all_in_the_core(&house, "monitor");
    assert_eq!(house.stop().code(), Some(0));
}

/// strace makes every `fdatasync` of the gateway fail; it lets go when it is dropped.
struct FailingSync(Child);

impl FailingSync {
    fn attach(test: &str, house: &mut House) -> Option<Self> {
        let log = house.path("strace");
        let strace = Command::new("strace")
            .args(["-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-p"])
            .arg(house.gateway_id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a file"))
            .spawn();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        if let Ok(mut strace) = strace {
            let begun = Instant::now();
            while begun.elapsed() < house::PATIENCE {
                if said().contains("attached") {
                    return Some(Self(strace));
                }
                if strace.try_wait().expect("strace can be asked").is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = strace.kill();
            let _ = strace.wait();
        }
        let no_skip = std::env::var("WARDGATE_NO_SKIP").is_ok_and(|value| value == "1");
        assert!(!no_skip, "{test}: strace cannot attach: {}", said());
        println!("SKIPPED {test}: strace cannot attach");
        None
    }
}

impl Drop for FailingSync {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // An interrupted strace detaches; a killed one might take the gateway along.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

#[test]
fn f04_after_a_failed_fdatasync_nothing_is_acknowledged_until_the_journal_is_opened_anew() {
    let test = "f04_after_a_failed_fdatasync_nothing_is_acknowledged";
    let mut house = House::open(plan());
    let process = house.gateway_id();
    let mut monitor = Monitor::default();
    for _ in 0..20 {
        monitor.send_until_acknowledged(&mut house, "monitor");
    }
    let Some(failing) = FailingSync::attach(test, &mut house) else { return };
    let at = house.listening("monitor");
    let failed = Instant::now();
    assert_ne!(monitor.send(at).ok().as_deref(), Some("AA"), "not on stable storage");
    house.wait("the status says why", |house| {
        let reason = house.status().journal.reason;
        reason.is_some_and(|reason| reason.contains("no device is acknowledged"))
    });
    let said = failed.elapsed();
    println!("said after {said:?}");
    // The door is tried again meanwhile, and nothing is acknowledged.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        if let Ok(at) = house.device("monitor").listening.parse() {
            assert_ne!(monitor.send(at).ok().as_deref(), Some("AA"), "not on stable storage");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(said <= Duration::from_secs(1), "said after {said:?}");
    drop(failing);
    let well = Instant::now();
    monitor.send_until_acknowledged(&mut house, "monitor");
    let after = well.elapsed();
    println!("acknowledged again {after:?} after the disk was well");
    assert!(after <= RESUMES_WITHIN, "{after:?}\n{}", house.log());
    assert_eq!(house.gateway_id(), process, "in the same process");
    house.settle();
    monitor.is_all_in_the_core(&house, "monitor");
    house.wait("the gap has its end", |house| {
        gaps(house, "monitor").iter().any(|gap| gap == "storage-failed ended")
    });
    assert_eq!(house.stop().code(), Some(0));
}
