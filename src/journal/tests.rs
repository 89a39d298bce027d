//! The journal against a disk that fails and loses its power.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::memory::Memory;
use super::recovery::recover;
use super::writer::{Batch, Where, Writer};
use super::*;
use crate::vocabulary::chance::Chance;

mod f02;
mod f04;
mod f05;
mod f21;
mod pace;
mod sealed;
mod zeros;

fn small() -> Options {
    Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() }
}

fn record(payload: &[u8]) -> NewRecord {
    NewRecord { kind: Kind::Wire, time_us: 1_700_000_000_000_000, payload: payload.to_vec() }
}

fn key(number: u8) -> BoxKey {
    BoxKey::parse(&format!("{number:02x}").repeat(32)).unwrap()
}

fn open(disk: &Arc<Memory>) -> Result<(Writer, Reader, Recovery), Error> {
    open_with(disk, Keys::default())
}

fn open_with(disk: &Arc<Memory>, keys: Keys) -> Result<(Writer, Reader, Recovery), Error> {
    let options = Options { keys, ..small() };
    let (writer, recovery) = recover(Arc::clone(disk) as Arc<dyn Storage>, &options)?;
    let reader = Reader::new(writer.shared());
    Ok((writer, reader, recovery))
}

fn everything(reader: &mut Reader) -> (Vec<Record>, Vec<Missing>) {
    let (mut records, mut missing, mut next) = (Vec::new(), Vec::new(), Sequence::FIRST);
    loop {
        let read = reader.read_from(next, 7, 3000).unwrap();
        if read.records.is_empty() && read.missing.is_empty() {
            return (records, missing);
        }
        records.extend(read.records);
        missing.extend(read.missing);
        next = read.next;
    }
}

/// What the outside was told: payloads by sequence, and only for acknowledged batches.
#[derive(Default)]
struct Told(Arc<Mutex<Vec<Kept>>>);

/// A record's sequence and payload.
type Kept = (u64, Vec<u8>);

impl Told {
    /// Hands `batches` to the writer as one group and notes what it acknowledges.
    fn commit(&self, writer: &mut Writer, batches: Vec<Vec<NewRecord>>) {
        let mut first = writer.next();
        let mut group = Vec::new();
        for records in batches {
            let kept: Vec<Kept> =
                (first..).zip(records.iter().map(|record| record.payload.clone())).collect();
            first += records.len() as u64;
            let told = Arc::clone(&self.0);
            let done: Done = Box::new(move |fate| {
                if fate.is_ok() {
                    told.lock().unwrap().extend(kept);
                }
            });
            group.push(Batch { records, done, place: Where::Next });
        }
        writer.commit(group);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Nothing acknowledged is lost or changed, numbers have no gap, batches are whole.
    fn check(&self, reader: &mut Reader, why: &str) {
        let (records, missing) = everything(reader);
        assert_eq!(missing, Vec::<Missing>::new(), "{why}");
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record.sequence.number(), index as u64 + 1, "{why}");
        }
        for (sequence, payload) in self.0.lock().unwrap().iter() {
            let found = records.get(*sequence as usize - 1);
            assert_eq!(found.map(|record| &record.payload), Some(payload), "{why}: {sequence}");
        }
        let mut position = 0;
        for record in &records {
            assert_eq!(record.batch_index, position, "{why}: batches are whole");
            position = (position + 1) % record.batch_records;
        }
        assert_eq!(position, 0, "{why}: the last batch is whole");
        assert_eq!(reader.verify().unwrap().chain_breaks, [], "{why}");
    }
}

fn workload(chance: &mut Chance, serial: &mut u64) -> Vec<Vec<NewRecord>> {
    let batches = 1 + chance.below(4);
    let mut batch = || {
        let records = 1 + chance.below(4);
        let one = |_| {
            *serial += 1;
            let mut payload = serial.to_le_bytes().to_vec();
            payload.resize(8 + chance.below(900) as usize, *serial as u8);
            record(&payload)
        };
        (0..records).map(one).collect()
    };
    (0..batches).map(|_| batch()).collect()
}

/// A journal of `count` batches of one record, each in a commit of its own.
fn filled(count: u64) -> Arc<Memory> {
    let disk = Arc::new(Memory::default());
    let (mut writer, _, recovery) = open(&disk).unwrap();
    assert!(recovery.new_stream);
    let told = Told::default();
    for number in 1..=count {
        told.commit(&mut writer, vec![vec![record(format!("payload {number:4}").as_bytes())]]);
    }
    disk
}

/// Each record of [`filled`] takes 96 + 12 bytes, padded to 112.
const FILLED_RECORD: usize = 112;

#[test]
fn damage_inside_the_last_segment_costs_only_what_it_hit() {
    let disk = filled(10);
    disk.flip(&storage::segment_name(1), 4096 + 3 * FILLED_RECORD + 100, 0x10);
    let (writer, mut reader, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damaged, [Damage::RecordsMissing(4..=4)]);
    assert_eq!((recovery.last, writer.next()), (Sequence::new(10), 11));
    assert!(!recovery.new_stream);
    let (records, missing) = everything(&mut reader);
    assert_eq!(missing, [4..=4]);
    let numbers: Vec<u64> = records.iter().map(|record| record.sequence.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_missing_segment_and_damage_in_an_old_one_are_reported_and_the_rest_comes_out() {
    // 12288 bytes of records are 109 records in a segment of 16 KiB.
    let disk = filled(400);
    disk.remove(&storage::segment_name(2));
    disk.flip(&storage::segment_name(3), 4096 + 4, 0xFF);
    let (_, mut reader, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damaged, [Damage::SegmentMissing { number: 2 }]);
    let (records, missing) = everything(&mut reader);
    assert_eq!(missing, [110..=218, 219..=219]);
    assert_eq!(records.len(), 400 - 110);
    assert_eq!(reader.verify().unwrap().missing, [110..=218, 219..=219]);
}

#[test]
fn an_end_that_is_not_proven_starts_a_new_stream() {
    let disk = filled(10);
    let before = open(&disk).unwrap().1.stream();
    let other = (StreamId::from_bytes([9; 16]), Sequence::new(99).unwrap());
    let highest_known = vec![(before, Sequence::new(11).unwrap()), other];
    let options = Options { highest_known, ..small() };
    let (writer, recovery) = recover(Arc::clone(&disk) as Arc<dyn Storage>, &options).unwrap();
    let known = Sequence::new(11).unwrap();
    assert_eq!(recovery.damaged, [Damage::EndMissing { known }]);
    assert_eq!(recovery.set_aside, Some(format!("stream-{before}")));
    assert!(recovery.new_stream);
    assert_ne!(writer.shared().stream, before);
    assert_eq!(writer.next(), 1);
    assert!(disk.names().contains(&format!("stream-{before}/{}", storage::segment_name(1))));
}

#[test]
fn a_lost_header_costs_no_record() {
    for number in 1..=4 {
        let disk = filled(400);
        disk.overwrite(&storage::segment_name(number), 0, &[0x55; 4096]);
        let (writer, mut reader, recovery) = open(&disk).unwrap();
        assert_eq!(recovery.damaged, [Damage::HeaderLost { number }]);
        assert!(!recovery.new_stream);
        assert_eq!((everything(&mut reader).0.len(), writer.next()), (400, 401));
    }
}

#[test]
fn an_end_of_which_nothing_can_be_read_starts_a_new_stream() {
    let disk = filled(400);
    disk.overwrite(&storage::segment_name(4), 0, &[0x55; 16 << 10]);
    let (_, _, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damaged, [Damage::SegmentUnreadable { number: 4 }]);
    assert!(recovery.new_stream);
}

#[test]
fn unproven_records_are_copied_byte_for_byte() {
    let disk = filled(3);
    let old = disk.contents(&storage::segment_name(1));
    let (_, mut reader, recovery) = open(&disk).unwrap();
    // The third record is in no later commit's durable mark.
    assert_eq!((recovery.copied_records, recovery.torn_bytes), (1, 0));
    let new = disk.contents(&storage::segment_name(2));
    let third = 4096 + 2 * FILLED_RECORD;
    assert_eq!(new[4096..4096 + FILLED_RECORD], old[third..third + FILLED_RECORD]);
    assert_eq!(everything(&mut reader).0.len(), 3);
    assert_eq!(reader.verify().unwrap().chain_breaks, []);
}

#[test]
fn starting_often_does_not_pile_up_empty_segments() {
    let disk = Arc::new(Memory::default());
    for _ in 0..5 {
        drop(open(&disk).unwrap());
    }
    assert_eq!(disk.names().len(), 1);
}

#[test]
fn freeing_removes_whole_segments_and_never_the_active_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), small()).unwrap();
    for number in 0..300 {
        append(&mut opened.appender, format!("payload {number:4}").as_bytes()).unwrap();
    }
    let first_of_last = opened.reader.segments().last().unwrap().first;
    assert_eq!(opened.appender.free_before(Sequence::new(109).unwrap()), Ok(0));
    assert_eq!(opened.appender.free_before(Sequence::new(110).unwrap()), Ok(1));
    assert_eq!(opened.reader.first().number(), 110);
    let read = opened.reader.read_from(Sequence::FIRST, 1, 1).unwrap();
    assert_eq!(read.records[0].sequence.number(), 110);
    assert_eq!(opened.reader.read(Sequence::FIRST), Ok(None));
    assert_eq!(opened.appender.free_before(Sequence::new(1000).unwrap()), Ok(1));
    assert_eq!(opened.reader.first(), first_of_last);
    opened.appender.close();
    let (mut reader, recovery) = Journal::open_read_only(folder.path()).unwrap();
    assert_eq!(recovery.last, Sequence::new(300));
    assert_eq!(reader.read(Sequence::new(300).unwrap()).unwrap().unwrap().payload.len(), 12);
}

fn append(appender: &mut Appender, payload: &[u8]) -> Result<Sequence, NotKept> {
    let (told, fate) = channel();
    let done: Done = Box::new(move |how| told.send(how).unwrap());
    let sequence = appender.try_append(vec![record(payload)], done).unwrap();
    fate.recv().unwrap().map(|()| sequence)
}

#[test]
fn a_folder_has_one_writer_and_a_closed_one_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Journal::open(folder.path(), small()).unwrap();
    let second = Journal::open(folder.path(), small());
    assert_eq!(second.err(), Some(Error::InUse));
    let stream = opened.reader.stream();
    // A tool may look while the daemon has the lock.
    let (reader, _) = Journal::open_read_only(folder.path()).unwrap();
    assert_eq!(reader.stream(), stream);
    opened.appender.close();
    assert_eq!(opened.reader.door(), Door::Closed);
    let again = Journal::open(folder.path(), small()).unwrap();
    assert_eq!(again.reader.stream(), stream);
}

#[test]
fn after_a_failure_a_new_opening_goes_on_and_the_readers_of_the_old_one_stay_where_they_were() {
    let disk = Arc::new(Memory::default());
    let storage = || Arc::clone(&disk) as Arc<dyn Storage>;
    let mut old = Journal::open_on(storage(), small(), None).unwrap();
    for number in 0..250 {
        append(&mut old.appender, format!("payload {number:4}").as_bytes()).unwrap();
    }
    // The write goes through; the sync that follows fails, and its pages are clean all the same.
    disk.fail_at(Some(disk.operations() + 2));
    assert!(matches!(append(&mut old.appender, b"not told"), Err(NotKept::Failed(_))));
    let mut forwarder = old.reader.clone();
    assert!(matches!(forwarder.door(), Door::Shut(_)));
    old.appender.close();

    let mut new = Journal::open_on(storage(), small(), None).unwrap();
    assert_eq!((new.reader.stream(), new.reader.door()), (forwarder.stream(), Door::Open));
    let next = append(&mut new.appender, b"goes on").unwrap();
    let (records, missing) = everything(&mut new.reader);
    assert_eq!((records.len() as u64, missing), (next.number(), vec![]));
    assert_eq!(records.last().map(|last| &*last.payload), Some(&b"goes on"[..]));

    // The old reader: no new record, its door still shut, and every record as it was.
    assert!(matches!(forwarder.door(), Door::Shut(_)));
    assert_eq!(forwarder.durable(), Sequence::new(250));
    let (seen, missing) = everything(&mut forwarder);
    assert_eq!((&seen[..], missing), (&records[..250], vec![]));
    // What is freed under it is a failure, never another record.
    assert!(new.appender.free_before(next).unwrap() > 0);
    assert!(matches!(forwarder.read_from(Sequence::FIRST, 1, 1), Err(Error::Storage(_))));
    disk.cut_power(&mut Chance(1));
    let (_, mut reader, _) = open(&disk).unwrap();
    assert_eq!(everything(&mut reader).0.last(), records.last());
}

#[test]
fn a_stream_that_was_set_aside_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), small()).unwrap();
    append(&mut opened.appender, b"kept").unwrap();
    let old = opened.reader.stream();
    opened.appender.close();
    let highest_known = vec![(old, Sequence::new(2).unwrap())];
    let again = Journal::open(folder.path(), Options { highest_known, ..small() }).unwrap();
    let aside = folder.path().join(again.recovery.set_aside.unwrap());
    let (mut reader, _) = Journal::open_read_only(&aside).unwrap();
    assert_eq!(reader.stream(), old);
    assert_eq!(reader.read(Sequence::FIRST).unwrap().unwrap().payload, b"kept");
}

#[test]
fn a_batch_that_can_never_be_kept_uses_no_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), small()).unwrap();
    let large = vec![0; SEGMENT_BYTES_MIN as usize / 2];
    let refused = opened.appender.try_append(vec![record(&large)], Box::new(|_| ()));
    assert!(matches!(refused, Err(Refused::Size { .. })));
    let refused = opened.appender.try_append(Vec::new(), Box::new(|_| ()));
    assert!(matches!(refused, Err(Refused::Size { .. })));
    assert_eq!(append(&mut opened.appender, b"small"), Ok(Sequence::FIRST));
}

#[test]
fn what_waits_is_bounded_and_closing_keeps_what_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { waiting_bytes_max: 4096, ..small() };
    let mut opened = Journal::open(folder.path(), options).unwrap();
    // The first batch's `done` holds the writer, so the others wait.
    let (release, held) = channel::<()>();
    let (taken, began) = channel::<()>();
    let hold: Done = Box::new(move |_| {
        taken.send(()).unwrap();
        held.recv().unwrap();
    });
    opened.appender.try_append(vec![record(b"first")], hold).unwrap();
    began.recv().unwrap();
    let mut accepted = 1;
    let full = loop {
        match opened.appender.try_append(vec![record(&[1; 400])], Box::new(|_| ())) {
            Ok(_) => accepted += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(full, Refused::Full { .. }));
    // 400 bytes of payload take at most 512 bytes: 8 of them fit in 4096.
    assert_eq!(accepted, 9);
    release.send(()).unwrap();
    opened.appender.close();
    assert_eq!(everything(&mut opened.reader).0.len(), accepted);
}

#[test]
fn kinds_have_fixed_numbers() {
    for code in 0..=20 {
        assert_eq!(Kind::from_code(code).code(), code);
    }
    assert_eq!(Kind::Stop.code(), 11);
    assert_eq!(Kind::Carried.code(), 12);
    assert_eq!(Kind::Manifest.code(), 13);
    assert_eq!(Kind::Waveform.code(), 15);
    assert_eq!(Kind::Destination.code(), 14);
    assert_eq!(Kind::Audit.code(), 16);
    assert_eq!(Kind::Register.code(), 17);
    assert_eq!(Kind::from_code(18), Kind::Other(18));
}
