use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::forward::stored::EventKind;
use crate::gateway::keeping::{self, Kept};
use crate::journal::{Appender, Disk, Journal, NewRecord, Opened, Options, Storage};

const SMALL: u64 = 64 << 10;

fn record(payload: Vec<u8>) -> Record {
    Record {
        sequence: Sequence::new(43).unwrap(),
        kind: Kind::Carried,
        time_us: 6_000_000,
        batch_index: 0,
        batch_records: 1,
        payload,
    }
}

/// A memory with something in every part, the windows at their bound.
fn full(segment_bytes: u64, devices: u64) -> Memory {
    let mut memory = Memory::with_segments_of(segment_bytes);
    for number in 0..20 * devices {
        let (name, wire) =
            (format!("device-{}", number % devices), Sequence::new(2 * number + 1).unwrap());
        memory.note_message(&name, Some(Digest::of(&number.to_be_bytes())), wire);
    }
    let oximeter = memory.devices.entry("device-0".to_owned()).or_default();
    oximeter.last = Some((5_000_000, 41));
    oximeter.association = Some(("icu/bed-1".to_owned(), 7));
    oximeter.clock_ahead_ms = Some(3_600_000);
    let gap = OpenGap { cause: "link-down".to_owned(), began_us: Some(4), after: Some(40) };
    oximeter.open_gaps.insert(42, gap);
    memory.last_routed.insert("core".to_owned(), 42);
    memory.profiles.insert("a digest".to_owned());
    memory.ended.insert(17, 40);
    memory.configuration = "digest".to_owned();
    memory
}

#[test]
fn a_checkpoint_in_any_number_of_parts_gives_the_same_memory() {
    let memory = full(SMALL, 10);
    for payload_bytes_max in [100, 1000, 1 << 20] {
        let mut rebuilt = Memory::with_segments_of(SMALL);
        // What stood in an older part of the journal is replaced, not mixed in.
        rebuilt.last_routed.insert("retired".to_owned(), 3);
        let parts = memory.checkpoint(payload_bytes_max);
        assert!(parts.iter().all(|part| part.len() <= payload_bytes_max));
        // One that stopped in the middle counts for nothing.
        rebuilt.take(&record(parts[0].clone()));
        parts.into_iter().for_each(|part| rebuilt.take(&record(part)));
        assert_eq!(rebuilt, memory);
    }
}

#[test]
fn a_checkpoint_without_one_of_its_parts_changes_nothing() {
    let parts = full(SMALL, 10).checkpoint(500);
    for missing in 0..parts.len() {
        let mut memory = Memory::with_segments_of(SMALL);
        memory.last_routed.insert("core".to_owned(), 1);
        let rest = parts.iter().enumerate().filter(|(index, _)| *index != missing);
        rest.for_each(|(_, part)| memory.take(&record(part.clone())));
        assert_eq!(memory.last_routed, [("core".to_owned(), 1)].into());
        assert!(memory.devices.is_empty());
    }
}

/// A hundred devices with full windows: what they take in memory and in a checkpoint is bounded,
/// and nobody is forgotten for the sake of another.
#[test]
fn a_hundred_devices_fit_in_a_checkpoint() {
    let mut memory = Memory::with_segments_of(SEGMENT_BYTES);
    let mut number = 0u64;
    let mut send = |memory: &mut Memory, device: &str, count: u64| {
        for _ in 0..count {
            number += 1;
            let wire = Sequence::new(number).unwrap();
            memory.note_message(device, Some(Digest::of(&number.to_be_bytes())), wire);
        }
        number
    };
    for device in 0..100 {
        send(&mut memory, &format!("monitor-{device}"), 400);
    }
    let last = send(&mut memory, "analyser", 20_000);
    let bytes: usize = memory.checkpoint(1 << 20).iter().map(Vec::len).sum();
    assert!(bytes as u64 <= SEGMENT_BYTES / 8 + 20_000, "{bytes} bytes");
    let known = |device: &str, number: u64| {
        memory.devices[device].window.earlier(&Digest::of(&number.to_be_bytes())).is_some()
    };
    assert!(known("monitor-0", 400), "the newest message of a quiet device");
    assert!(known("monitor-0", 1), "and its oldest: the loudest device gives way");
    assert!(!known("analyser", last - 4_000), "it is the loudest");
    assert!(known("analyser", last) && known("analyser", last - 3_500));
}

/// A disk that counts what is read.
struct Counting {
    disk: Disk,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Storage for Counting {
    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        self.disk.create(name, size)
    }
    fn opens_for_writing(&self, name: &str) -> io::Result<()> {
        self.disk.opens_for_writing(name)
    }
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(name, offset, bytes)
    }
    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let count = self.disk.read_at(name, offset, into)?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
    fn size(&self, name: &str) -> io::Result<u64> {
        self.disk.size(name)
    }
    fn trim(&self, name: &str, size: u64) -> io::Result<()> {
        self.disk.trim(name, size)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn unlink(&self, name: &str) -> io::Result<()> {
        self.disk.unlink(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn make_folder(&self, name: &str) -> io::Result<()> {
        self.disk.make_folder(name)
    }
    fn sync_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

fn open(folder: &Path, segment_bytes: u64) -> (Opened, Arc<Counting>) {
    let disk = Disk::open(folder).unwrap();
    let counting = Arc::new(Counting { disk, reads: AtomicU64::new(0), bytes: AtomicU64::new(0) });
    let options = Options { segment_bytes, ..Options::default() };
    let storage = Arc::clone(&counting) as Arc<dyn Storage>;
    (Journal::open_on(storage, options, None).unwrap(), counting)
}

/// Appends as the committer does: the checkpoint first where a segment begins.
fn append(appender: &mut Appender, memory: &Memory, records: Vec<NewRecord>) {
    let keep = |appender: &mut Appender, records: Vec<NewRecord>, begins: bool| {
        let (told, fate) = std::sync::mpsc::channel();
        let done = Box::new(move |how| told.send(how).unwrap());
        let taken = if begins {
            appender.try_begin_segment(records, done)
        } else {
            appender.try_append(records, done)
        };
        taken.unwrap();
        fate.recv().unwrap().unwrap();
    };
    if appender.begins_segment(&records, 0) {
        let mut begins = true;
        for payload in memory.checkpoint(appender.batch_bytes_max() - 200) {
            let part = NewRecord { kind: Kind::Carried, time_us: 1, payload };
            keep(appender, vec![part], begins);
            begins = false;
        }
    }
    keep(appender, records, false);
}

fn filler(bytes: usize) -> Vec<NewRecord> {
    vec![NewRecord { kind: Kind::ClockStep, time_us: 1, payload: vec![b'x'; bytes] }]
}

/// A large store is opened by the headers of its segments and what the last few hold.
#[test]
fn only_the_last_segments_of_a_large_store_are_read() {
    const SEGMENTS: usize = 1250;
    let folder = tempfile::tempdir().unwrap();
    let memory = full(SMALL, 10);
    let (mut opened, _) = open(folder.path(), SMALL);
    while opened.reader.segments().len() < SEGMENTS {
        append(&mut opened.appender, &memory, filler(20_000));
    }
    opened.appender.close();
    drop(opened.reader);

    let begun = Instant::now();
    let (mut opened, counting) = open(folder.path(), SMALL);
    let rebuilt = Memory::rebuild(&mut opened.reader, SMALL).unwrap();
    let took = begun.elapsed();
    assert_eq!(rebuilt, memory);
    let (reads, bytes) =
        (counting.reads.load(Ordering::Relaxed), counting.bytes.load(Ordering::Relaxed));
    println!("{SEGMENTS} segments: ready after {took:?}, {reads} reads, {bytes} bytes");
    // One header per segment; the tail, the newest checkpoint, and what follows it.
    let headers = SEGMENTS as u64;
    assert!(reads <= headers + 40, "{reads} reads");
    assert!(bytes <= headers * 4096 + 8 * SMALL, "{bytes} bytes");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

fn observation(held: &[&str], mode: &str) -> NewRecord {
    let data = serde_json::json!({ "held": held, "mode": mode });
    let stored = Stored {
        kind: EventKind::Observation,
        time: "2026-11-23T08:00:00Z".to_owned(),
        subject: "bed-3".to_owned(),
        routes: BTreeMap::new(),
        data: data.as_object().unwrap().clone(),
    };
    NewRecord { kind: Kind::Observation, time_us: 7, payload: stored.to_bytes() }
}

fn message(observations: &[NewRecord]) -> Vec<NewRecord> {
    let wire = NewRecord { kind: Kind::Wire, time_us: 7, payload: b"{}\nraw".to_vec() };
    [wire].into_iter().chain(observations.iter().cloned()).collect()
}

#[test]
fn what_waits_for_a_person_is_carried_with_its_own_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let (mut opened, _) = open(folder.path(), SMALL);
    let memory = Memory::with_segments_of(SMALL);
    let appender = &mut opened.appender;
    // 1 and 2: firmware; 3 and 4: training; 5 and 6: unclassified; 7 and 8: rejected by a core;
    // 9 and 10: delivered.
    append(appender, &memory, message(&[observation(&["firmware-not-proven"], "production")]));
    append(appender, &memory, message(&[observation(&["not-production"], "training")]));
    append(appender, &memory, message(&[observation(&["not-production"], "unclassified")]));
    append(appender, &memory, message(&[observation(&[], "production")]));
    append(appender, &memory, message(&[observation(&[], "production")]));
    while opened.reader.segments().len() < 3 {
        append(appender, &memory, filler(9_000));
    }
    let (mut reader, segments) = (opened.reader.clone(), opened.reader.segments());
    let last = segments[2].first;
    let plan = keeping::plan(&mut reader, last, &[8].into()).unwrap().unwrap();
    assert_eq!(plan.before, last, "all but the active segment");
    let kept: Vec<u64> = plan.keep.iter().map(|one| one.sequence.number()).collect();
    assert_eq!(kept, [1, 2, 5, 6, 7, 8], "each with its raw bytes");
    let first = Kept::from_carried(&plan.keep[0].to_bytes()).unwrap();
    assert_eq!(first, plan.keep[0]);
    assert_eq!(first.payload, b"{}\nraw");
    assert_eq!(
        keeping::plan(&mut reader, segments[1].first, &[].into()).unwrap().unwrap().before,
        segments[1].first
    );

    // They are written again, found again when their new segment goes, and no checkpoint.
    let carried =
        |kept: &Kept| NewRecord { kind: Kind::Carried, time_us: 9, payload: kept.to_bytes() };
    for kept in &plan.keep {
        append(appender, &memory, vec![carried(kept)]);
    }
    assert_eq!(appender.free_before(plan.before), Ok(2));
    while opened.reader.segments().len() < 3 {
        append(appender, &memory, filler(9_000));
    }
    let last = opened.reader.segments()[2].first;
    let again = keeping::plan(&mut reader, last, &[].into()).unwrap().unwrap();
    assert_eq!(again.keep, plan.keep);
}

#[test]
fn nothing_is_freed_up_to_a_segment_without_a_complete_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (mut opened, _) = open(folder.path(), SMALL);
    let keep = |appender: &mut Appender, records: Vec<NewRecord>| {
        let (told, fate) = std::sync::mpsc::channel();
        let done = Box::new(move |how| told.send(how).unwrap());
        appender.try_append(records, done).unwrap();
        fate.recv().unwrap().unwrap();
    };
    while opened.reader.segments().len() < 3 {
        keep(&mut opened.appender, filler(9_000));
    }
    let last = opened.reader.segments()[2].first;
    assert_eq!(keeping::plan(&mut opened.reader, last, &[].into()), Ok(None));
}
