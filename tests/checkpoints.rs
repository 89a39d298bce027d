//! Any rest of a journal that begins with a segment gives the same memory as the whole: which gaps
//! are open, what was routed last, what is a repeat, whose place a device is.

mod house;

use std::io::Write;
use std::net::TcpStream;

use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device, oximeter};
use wardgate::gateway::memory::Memory;
use wardgate::journal::{Journal, Kind, Reader, Record};

const SEGMENT_BYTES: u64 = 32 << 10;

fn records(reader: &mut Reader) -> Vec<Record> {
    let (mut records, mut next) = (Vec::new(), reader.first());
    loop {
        let read = reader.read_from(next, 1000, 16 << 20).expect("a readable journal");
        if read.next == next {
            return records;
        }
        next = read.next;
        records.extend(read.records);
    }
}

fn taken<'a>(records: impl IntoIterator<Item = &'a Record>) -> Memory {
    let mut memory = Memory::with_segments_of(SEGMENT_BYTES);
    records.into_iter().for_each(|record| memory.take(record));
    memory
}

/// Two runs with messages, repeats, corrections, a silent clockless device, links that go down.
fn a_day(house: &mut House) {
    for run in 0..2 {
        let mut client = Mllp::connect(house.listening("monitor")).unwrap();
        let mut line = TcpStream::connect(house.listening("oximeter")).unwrap();
        for number in 0..150 {
            let (minute, second) = (number / 60, number % 60);
            let time = format!("2026112{run}10{minute:02}{second:02}");
            let control_id = format!("{run}-{number}");
            let heart_rate = (60 + number % 40).to_string();
            let first = Vital {
                sent: &time,
                control_id: &control_id,
                time: &time,
                patient: "P-1",
                heart_rate: &heart_rate,
            };
            assert_eq!(client.ask(&vital(first)).unwrap().code, "AA");
            // A whole repeat, and a correction.
            if number % 10 == 0 {
                assert_eq!(client.ask(&vital(first)).unwrap().code, "AA");
            }
            if number % 25 == 0 {
                let corrected = Vital { heart_rate: "59", ..first };
                assert_eq!(client.ask(&vital(corrected)).unwrap().code, "AA");
            }
            line.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
        }
        house.wait("the last line is in", |house| house.device("oximeter").messages == 150);
        drop(client);
        house.wait("the monitor's link is down", |house| house.device("monitor").connections == 0);
        assert_eq!(house.stop().code(), Some(0));
        if run == 0 {
            house.start();
        }
    }
}

#[test]
fn every_rest_of_a_journal_gives_the_same_memory() {
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
        + &device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let gateway = format!("segment_bytes = {SEGMENT_BYTES}");
    let mut house = House::open(Plan { gateway, ..Plan::of(devices) });
    house.kill_core();
    a_day(&mut house);

    let (mut reader, _) = Journal::open_read_only(&house.journal()).unwrap();
    let all = records(&mut reader);
    let segments = reader.segments();
    assert!(segments.len() > 20, "{} segments", segments.len());
    // The oracle reads every record but the checkpoints.
    let whole = taken(all.iter().filter(|record| record.kind != Kind::Carried));
    assert!(whole.devices["monitor"].open_gaps.values().any(|gap| gap.cause == "link-down"));
    assert!(whole.last_routed["core"] > 0);
    assert_ne!(whole.devices["monitor"].window.bytes(), 8, "the window holds something");

    let rest = tempfile::tempdir().unwrap();
    for segment in &segments {
        let name = segment.file_name();
        std::fs::copy(house.journal().join(&name), rest.path().join(&name)).unwrap();
    }
    for (index, segment) in segments.iter().enumerate() {
        let from = all.iter().filter(|record| record.sequence >= segment.first);
        assert_eq!(taken(from), whole, "from segment {index} of {}", segments.len());
        let (mut reader, _) = Journal::open_read_only(rest.path()).unwrap();
        assert_eq!(reader.first(), segment.first);
        let rebuilt = Memory::rebuild(&mut reader, SEGMENT_BYTES).unwrap();
        assert_eq!(rebuilt, whole, "rebuilt from segment {index}");
        std::fs::remove_file(rest.path().join(segment.file_name())).unwrap();
    }
}
