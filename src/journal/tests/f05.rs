//! Fault 5, a corrupt store: every other record comes out, the range is named, the journal opens
//! and goes on, twice.

use super::*;
use crate::journal::scrub::Scrub;
use crate::journal::storage::segment_name;

/// Where a record stands.
struct Place {
    file: String,
    bytes: std::ops::Range<usize>,
}

/// A store of three segments with four records each, and where they stand.
fn store(keys: &Keys) -> (Memory, Vec<Place>) {
    let disk = Arc::new(Memory::default());
    let (mut writer, _, _) = open_with(&disk, keys.clone()).unwrap();
    let told = Told::default();
    for number in 1..=12 {
        told.commit(&mut writer, vec![vec![record(&payload(number))]]);
        if number % 4 == 0 && number < 12 {
            writer.roll().unwrap();
        }
    }
    let sealed = if keys.current.is_some() { 16 } else { 0 };
    let mut places = Vec::new();
    for segment in 1..=3 {
        let mut at = 4096;
        for number in segment * 4 - 3..=segment * 4 {
            let end = at + (96 + payload(number).len() + sealed).next_multiple_of(8);
            places.push(Place { file: segment_name(segment), bytes: at..end });
            at = end;
        }
    }
    (disk.copy(), places)
}

/// Of different lengths, so that padding has every length.
fn payload(number: u64) -> Vec<u8> {
    format!("payload {number:2}{}", "+".repeat(number as usize)).into_bytes()
}

fn tool(disk: &Arc<Memory>, keys: &Keys) -> (Reader, Recovery) {
    let storage = Arc::clone(disk) as Arc<dyn Storage>;
    let (shared, recovery) = recovery::look(storage, keys.clone(), &[]).unwrap();
    (Reader::new(Arc::new(shared)), recovery)
}

fn numbers(records: &[Record]) -> Vec<u64> {
    for record in records {
        assert_eq!(record.payload, payload(record.sequence.number()));
    }
    records.iter().map(|record| record.sequence.number()).collect()
}

/// The journal takes data after it, and again after the next start.
fn goes_on(disk: &Arc<Memory>, keys: &Keys, why: &str) {
    for _ in 0..2 {
        let (mut writer, mut reader, _) = open_with(disk, keys.clone()).expect(why);
        let told = Told::default();
        let next = writer.next();
        told.commit(&mut writer, vec![vec![record(&payload(next))]]);
        assert_eq!(told.count(), 1, "{why}");
        assert!(reader.read(Sequence::new(next).unwrap()).unwrap().is_some(), "{why}");
    }
}

/// The number of the record that stands there.
fn record_at(places: &[Place], file: &str, offset: usize) -> Option<u64> {
    let here = |place: &Place| place.file == file && place.bytes.contains(&offset);
    places.iter().position(here).map(|index| index as u64 + 1)
}

fn flip_every_byte(keys: &Keys) {
    let (good, places) = store(keys);
    for (file, bytes) in good.everything() {
        for offset in 0..bytes.len() {
            let written = offset < 256
                || (2048..2304).contains(&offset)
                || record_at(&places, &file, offset).is_some();
            // Zeros that were never written to: some of them stand for all.
            if !written && offset % 61 != 0 {
                continue;
            }
            let why = format!("{file}, byte {offset}");
            let disk = Arc::new(good.copy());
            disk.flip(&file, offset, 1 << (offset % 8));
            let hit = record_at(&places, &file, offset);
            let (mut reader, recovery) = tool(&disk, keys);
            let verified = reader.verify().unwrap();
            let (records, _) = everything(&mut reader);
            let found = numbers(&records);
            let others: Vec<u64> = (1..=12).filter(|number| Some(*number) != hit).collect();
            let lost = found == others;
            assert!(lost || found.len() == 12, "{why}: {found:?}");
            // Damage to nothing but padding or a header costs no record.
            let names = |range: &&DamagedRange| {
                range.file == file && range.bytes.contains(&(offset as u64))
            };
            let named = verified.damaged.iter().find(names);
            // What the last commit wrote is not proven: there it is an unfinished commit.
            assert!(named.is_some() || recovery.torn_bytes > 0, "{why}: {:?}", verified.damaged);
            if let (Some(named), Some(hit), true) = (named, hit, lost) {
                assert_eq!(named.sequences, Some(hit..=hit), "{why}");
            }
            assert_eq!(verified.records, found.len() as u64, "{why}");
            let (writer, mut reader, recovery) = open_with(&disk, keys.clone()).unwrap();
            assert!(!recovery.new_stream, "{why}");
            assert_eq!(numbers(&everything(&mut reader).0), found, "{why}");
            assert_eq!(writer.next(), if lost && hit == Some(12) { 12 } else { 13 }, "{why}");
            drop(writer);
            if offset % 16 == 0 {
                goes_on(&disk, keys, &why);
            }
        }
    }
}

#[test]
fn f05_every_flipped_byte_of_a_plain_store_costs_at_most_its_own_record_and_is_named() {
    flip_every_byte(&Keys::default());
}

#[test]
fn f05_every_flipped_byte_of_an_encrypted_store_costs_at_most_its_own_record_and_is_named() {
    flip_every_byte(&Keys::of(key(1)));
}

/// Everything that comes out, of the journal or of the stream that was set aside.
fn comes_out(
    disk: &Arc<Memory>,
    keys: &Keys,
    recovery: &Recovery,
    reader: &mut Reader,
) -> Vec<u64> {
    let found = numbers(&everything(reader).0);
    let Some(folder) = &recovery.set_aside else { return found };
    assert!(found.is_empty());
    let aside = Arc::new(disk.folder(folder));
    let storage = Arc::clone(&aside) as Arc<dyn Storage>;
    match recovery::look(storage, keys.clone(), &[]) {
        Ok((shared, _)) => numbers(&everything(&mut Reader::new(Arc::new(shared))).0),
        Err(error) => panic!("{error}"),
    }
}

fn spoil_every_file(keys: &Keys) {
    let (good, places) = store(keys);
    let (foreign, _) = store(keys);
    for (file, bytes) in good.everything() {
        let others: Vec<u64> =
            (1..=12).filter(|number| places[*number as usize - 1].file != file).collect();
        let noise: Vec<u8> = (0..bytes.len()).map(|at| (at * 7 + 3) as u8).collect();
        let mut spoilt: Vec<(String, Option<Vec<u8>>)> = vec![
            ("deleted".to_owned(), None),
            ("zeros".to_owned(), Some(vec![0; bytes.len()])),
            ("noise".to_owned(), Some(noise)),
            ("of another journal".to_owned(), Some(foreign.contents(&file))),
        ];
        for other in good.names() {
            if other != file {
                spoilt.push((format!("a copy of {other}"), Some(good.contents(&other))));
            }
        }
        for length in [0, 1, 100, 4095, 4096, 4100, 4300, bytes.len() - 1] {
            spoilt.push((format!("cut to {length}"), Some(bytes[..length].to_vec())));
        }
        for (how, content) in spoilt {
            let why = format!("{file} {how}");
            let disk = Arc::new(good.copy());
            match content {
                Some(content) => disk.put(&file, &content),
                None => disk.remove(&file),
            }
            let (mut reader, _) = tool(&disk, keys);
            let seen = numbers(&everything(&mut reader).0);
            assert!(others.iter().all(|number| seen.contains(number)), "{why}: {seen:?}");
            let verified = reader.verify().unwrap();
            let (_, mut reader, recovery) = open_with(&disk, keys.clone()).unwrap();
            let found = comes_out(&disk, keys, &recovery, &mut reader);
            assert!(others.iter().all(|number| found.contains(number)), "{why}: {found:?}");
            // A first segment that is not there is one that was freed: readers are told so.
            let freed = how == "deleted" && file == segment_name(1);
            let counted = !recovery.damaged.is_empty() || !verified.damaged.is_empty();
            assert!(counted || freed, "{why}");
            goes_on(&disk, keys, &why);
        }
    }
}

#[test]
fn f05_every_file_deleted_cut_or_replaced_costs_no_record_of_another_file() {
    spoil_every_file(&Keys::default());
    spoil_every_file(&Keys::of(key(1)));
}

/// The last file may be the only one that says how far numbers were used.
#[test]
fn f05_a_lost_end_uses_no_number_twice() {
    let (good, _) = store(&Keys::default());
    for spoil in [None, Some(4300), Some(16_000)] {
        let disk = Arc::new(good.copy());
        match spoil {
            None => disk.remove(&segment_name(3)),
            Some(length) => disk.put(&segment_name(3), &good.contents(&segment_name(3))[..length]),
        }
        let before = tool(&disk, &Keys::default()).0.stream();
        let (writer, reader, recovery) = open(&disk).unwrap();
        let number = if spoil.is_none() { 2 } else { 3 };
        assert_eq!(recovery.damaged, [Damage::EndCut { number }]);
        assert_eq!(recovery.set_aside, Some(format!("stream-{before}")));
        assert_ne!(reader.stream(), before);
        assert_eq!(writer.next(), 1);
    }
}

/// A commit that failed may have left whole records that nobody was told of. The segment that says
/// so is lost; they must still not come out.
#[test]
fn f05_what_a_failed_commit_left_does_not_come_out_when_the_next_segment_is_lost() {
    let disk = Arc::new(Memory::default());
    let (mut writer, _, _) = open(&disk).unwrap();
    let told = Told::default();
    told.commit(&mut writer, vec![vec![record(&payload(1))]]);
    let stale = ["stale, cut", "stale, whole"].map(|text| vec![record(text.as_bytes())]);
    told.commit(&mut writer, stale.into());
    // Of the last commit the first record is torn.
    let torn = 4096 + (96 + payload(1).len()).next_multiple_of(8);
    disk.flip(&segment_name(1), torn + 3, 0xFF);
    let (mut writer, _, recovery) = open(&disk).unwrap();
    assert_eq!((recovery.last, writer.next()), (Sequence::new(1), 2));
    for number in 2..=5 {
        told.commit(&mut writer, vec![vec![record(&payload(number))]]);
    }
    writer.roll().unwrap();
    told.commit(&mut writer, vec![vec![record(&payload(6))]]);
    disk.remove(&segment_name(2));
    let (mut reader, recovery) = tool(&disk, &Keys::default());
    assert_eq!(recovery.damaged, [Damage::SegmentMissing { number: 2 }]);
    let (records, missing) = everything(&mut reader);
    assert_eq!((numbers(&records), missing), (vec![1, 6], vec![2..=5]));
    let verified = reader.verify().unwrap();
    let expected = DamagedRange { file: segment_name(2), bytes: 0..0, sequences: Some(2..=5) };
    assert_eq!(verified.damaged, [expected]);
}

#[test]
fn f05_salvage_writes_every_readable_record_under_its_own_number_and_needs_no_key() {
    for keys in [Keys::default(), Keys::of(key(1))] {
        let (good, places) = store(&keys);
        let disk = Arc::new(good.copy());
        let stream = tool(&disk, &keys).0.stream();
        disk.overwrite(&segment_name(2), 0, &[0xEE; 4096]);
        disk.flip(&segment_name(1), places[2].bytes.start + 20, 0x40);
        let before = disk.everything();
        let (reader, recovery) = tool(&disk, &Keys::default());
        let into = Arc::new(Memory::default());
        let salvaged = salvage::salvage(&reader, recovery, &*into).unwrap();
        assert_eq!((salvaged.records, salvaged.segments), (11, 3));
        assert_eq!(salvaged.found, [Damage::HeaderLost { number: 2 }]);
        let lost: Vec<_> =
            salvaged.damaged.iter().filter_map(|one| one.sequences.clone()).collect();
        assert_eq!(lost, [3..=3]);
        assert_eq!(disk.everything(), before, "the source is only read");
        let (mut reader, recovery) = tool(&into, &keys);
        assert_eq!((reader.stream(), recovery.damaged), (stream, vec![]));
        assert_eq!(numbers(&everything(&mut reader).0), [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let (reader, recovery) = tool(&disk, &Keys::default());
        let again = salvage::salvage(&reader, recovery, &*into);
        assert_eq!(again, Err(Error::NotEmpty));
    }
}

#[test]
fn f05_a_store_without_any_header_is_salvaged_by_its_streams_name() {
    let (good, _) = store(&Keys::default());
    let disk = Arc::new(good.copy());
    let stream = tool(&disk, &Keys::default()).0.stream();
    for name in disk.names() {
        disk.overwrite(&name, 0, &[0; 4096]);
    }
    let look = |candidates: &[StreamId]| {
        recovery::look(Arc::clone(&disk) as Arc<dyn Storage>, Keys::default(), candidates)
    };
    assert_eq!(look(&[]).err(), Some(Error::NothingThere));
    let (shared, _) = look(&[StreamId::from_bytes([1; 16]), stream]).unwrap();
    let mut reader = Reader::new(Arc::new(shared));
    assert_eq!(numbers(&everything(&mut reader).0).len(), 12);
    // The daemon knows the stream from its cursors.
    let highest_known = vec![(stream, Sequence::new(12).unwrap())];
    let options = Options { highest_known, ..small() };
    let storage = Arc::clone(&disk) as Arc<dyn Storage>;
    let (writer, recovery) = recover(storage, &options).unwrap();
    assert_eq!((writer.next(), recovery.new_stream), (13, false));
}

#[test]
fn f05_the_scrub_finds_damage_once_and_counts_it() {
    use std::sync::atomic::Ordering::Relaxed;
    let (good, places) = store(&Keys::default());
    let disk = Arc::new(good);
    let (_writer, reader, _) = open(&disk).unwrap();
    let mut scrub = Scrub::new(reader);
    let counters = scrub.counters();
    let mut pass = || {
        let mut found = Vec::new();
        loop {
            let step = scrub.step(500).unwrap();
            found.extend(step.found);
            if step.pass_ended {
                return found;
            }
        }
    };
    assert_eq!(pass(), []);
    let hit = &places[5];
    disk.flip(&hit.file, hit.bytes.start + 99, 4);
    let bytes = hit.bytes.start as u64..hit.bytes.end as u64;
    let expected = DamagedRange { file: hit.file.clone(), bytes, sequences: Some(6..=6) };
    assert_eq!(pass(), [expected]);
    assert_eq!(pass(), [], "each range is told once");
    // A sector that the medium does not give: all that may lie behind it is told.
    disk.unreadable(Some((segment_name(1), 4096)));
    let unread = DamagedRange { file: segment_name(1), bytes: 0..4400, sequences: Some(1..=4) };
    let found = pass();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].file, &found[0].sequences), (&unread.file, &unread.sequences));
    let counted = [&counters.passes, &counters.damaged_ranges, &counters.lost_records];
    assert_eq!(counted.map(|counter| counter.load(Relaxed)), [4, 2, 5]);
    assert_eq!(counters.read_failures.load(Relaxed), 1);
}

#[test]
fn f05_the_scrub_runs_beside_the_journal_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(folder.path(), small()).unwrap();
    for number in 0..300 {
        append(&mut opened.appender, format!("payload {number:4}").as_bytes()).unwrap();
    }
    let file = folder.path().join(segment_name(1));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096 + 100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (told, found) = channel();
    let pace = ScrubPace { bytes_per_second: u64::MAX, ..ScrubPace::default() };
    let on_damage = Box::new(move |range| drop(told.send(range)));
    let thread = Scrub::new(opened.reader.clone()).start(pace, on_damage).unwrap();
    let first = found.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!(first.sequences, Some(1..=1));
    drop(thread);
    assert!(found.recv().is_err(), "the thread has ended");
}
