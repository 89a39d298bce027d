//! Encrypted journals: keys, key changes, altered records.

use super::*;
use crate::journal::storage::segment_name;

fn sealed(count: u64, keys: &Keys) -> Arc<Memory> {
    let disk = Arc::new(Memory::default());
    let (mut writer, _, _) = open_with(&disk, keys.clone()).unwrap();
    keep(&mut writer, 1..=count);
    disk
}

fn payload(number: u64) -> Vec<u8> {
    format!("payload {number:4}").into_bytes()
}

fn keep(writer: &mut Writer, numbers: RangeInclusive<u64>) {
    let told = Told::default();
    numbers.for_each(|number| told.commit(writer, vec![vec![record(&payload(number))]]));
}

fn check(reader: &mut Reader, count: u64) {
    let (records, missing) = everything(reader);
    assert_eq!(missing, []);
    let payloads: Vec<Vec<u8>> = records.into_iter().map(|record| record.payload).collect();
    assert_eq!(payloads, (1..=count).map(payload).collect::<Vec<_>>());
    let verified = reader.verify().unwrap();
    assert_eq!((verified.chain_breaks, verified.key_faults), (vec![], vec![]));
    assert_eq!((verified.records, verified.damaged), (count, vec![]));
}

#[test]
fn nothing_of_a_payload_stands_on_the_disk() {
    let disk = sealed(3, &Keys::of(key(1)));
    let bytes = disk.contents(&segment_name(1));
    assert!(!bytes.windows(7).any(|window| window == b"payload"));
    // Each record has a nonce of its own: equal payloads are stored differently.
    let (mut writer, _, _) = open_with(&disk, Keys::of(key(1))).unwrap();
    keep(&mut writer, 1..=1);
    let again = disk.contents(&segment_name(2));
    assert_ne!(bytes[4096 + 96..4096 + 124], again[4096 + 96..4096 + 124]);
}

#[test]
fn another_key_or_none_is_refused_before_anything_changes() {
    let disk = sealed(5, &Keys::of(key(1)));
    let before = disk.everything();
    for (keys, has) in [(Keys::default(), None), (Keys::of(key(2)), Some(key(2).id()))] {
        let refused = open_with(&disk, keys).err().unwrap();
        assert_eq!(refused, Error::WrongKey { number: 1, needs: key(1).id(), has });
    }
    assert_eq!(disk.everything(), before);
    let storage = Arc::clone(&disk) as Arc<dyn Storage>;
    let (shared, recovery) = recovery::look(storage, Keys::default(), &[]).unwrap();
    assert_eq!(recovery.last, Sequence::new(5));
    let mut reader = Reader::new(Arc::new(shared));
    let needs = Error::NeedsKey { sequence: Sequence::FIRST, needs: key(1).id() };
    assert_eq!(reader.read(Sequence::FIRST), Err(needs));
    // Checking needs no key.
    let verified = reader.verify().unwrap();
    assert_eq!((verified.records, verified.damaged), (5, vec![]));
}

#[test]
fn keys_change_with_the_next_segment_and_old_ones_stay_readable() {
    let disk = Arc::new(Memory::default());
    let (mut writer, _, _) = open(&disk).unwrap();
    keep(&mut writer, 1..=3);
    let mut previous = Vec::new();
    for (life, number) in [(1, 1), (2, 2), (3, 2), (4, 3)] {
        let keys = Keys { current: Some(key(number)), previous: previous.clone() };
        let (mut writer, mut reader, recovery) = open_with(&disk, keys.clone()).unwrap();
        // The last record of the life before is in no later commit.
        assert_eq!(recovery.copied_records, 1);
        check(&mut reader, life * 3);
        keep(&mut writer, life * 3 + 1..=life * 3 + 3);
        check(&mut reader, life * 3 + 3);
        previous.insert(0, key(number));
    }
    // Back to no encryption: what is there needs its keys, what comes is plain.
    let keys = Keys { current: None, previous };
    let (mut writer, mut reader, _) = open_with(&disk, keys).unwrap();
    keep(&mut writer, 16..=18);
    check(&mut reader, 18);
    let last = disk.names().into_iter().max().unwrap();
    assert!(disk.contents(&last).windows(12).any(|window| window == payload(18)));
}

#[test]
fn a_key_that_is_missing_for_an_old_segment_is_named() {
    let disk = sealed(3, &Keys::of(key(1)));
    let keys = Keys { current: Some(key(2)), previous: vec![key(1)] };
    drop(open_with(&disk, keys).unwrap());
    let before = disk.everything();
    let refused = open_with(&disk, Keys::of(key(2))).err().unwrap();
    let expected = Error::WrongKey { number: 1, needs: key(1).id(), has: Some(key(2).id()) };
    assert_eq!(refused, expected);
    let text = refused.to_string();
    assert!(text.contains(&format!("needs key {}, has key {}", key(1).id(), key(2).id())));
    assert_eq!(disk.everything(), before);
}

/// Changes a byte of the second record's payload and makes its CRCs right again, as somebody does
/// who wants to change a value and has no key.
fn altered() -> Arc<Memory> {
    let disk = sealed(3, &Keys::of(key(1)));
    let name = segment_name(1);
    let stream = open_with(&disk, Keys::of(key(1))).unwrap().1.stream();
    let disk = sealed_again(&disk);
    // A record takes 96 + 12 + 16 bytes, padded to 128.
    let at = 4096 + 128;
    let mut bytes = disk.contents(&name)[at..at + 128].to_vec();
    bytes[100] ^= 1;
    let crc = crc32fast::hash(&bytes[96..124]);
    bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(stream.as_bytes());
    crc.update(&bytes[..92]);
    bytes[92..96].copy_from_slice(&crc.finalize().to_le_bytes());
    disk.overwrite(&name, at, &bytes);
    disk
}

/// Only the first file of `disk`, with its whole size: the journal before it was opened again.
fn sealed_again(disk: &Memory) -> Arc<Memory> {
    let name = segment_name(1);
    let mut bytes = disk.contents(&name);
    bytes.resize(SEGMENT_BYTES_MIN as usize, 0);
    let one = Memory::default();
    one.put(&name, &bytes);
    Arc::new(one)
}

#[test]
fn a_whole_record_that_its_key_does_not_open_is_a_key_fault_and_nothing_is_touched() {
    let disk = altered();
    let before = disk.everything();
    let refused = open_with(&disk, Keys::of(key(1))).err();
    assert_eq!(refused, Some(Error::KeyFault(Sequence::new(2).unwrap())));
    assert_eq!(disk.everything(), before);
    let storage = Arc::clone(&disk) as Arc<dyn Storage>;
    let (shared, _) = recovery::look(storage, Keys::of(key(1)), &[]).unwrap();
    let mut reader = Reader::new(Arc::new(shared));
    let second = Sequence::new(2).unwrap();
    assert_eq!(reader.read(second), Err(Error::KeyFault(second)));
    let verified = reader.verify().unwrap();
    assert_eq!((verified.damaged, verified.key_faults), (vec![], vec![second]));
    assert!(reader.read(Sequence::new(3).unwrap()).unwrap().is_some());
}

#[test]
fn a_record_that_is_not_encrypted_is_none_of_an_encrypted_segment() {
    let disk = sealed(1, &Keys::of(key(1)));
    let stream = open_with(&disk, Keys::of(key(1))).unwrap().1.stream();
    let disk = sealed_again(&disk);
    let header = format::RecordHeader {
        flags: 0,
        kind: Kind::Wire,
        batch_index: 0,
        batch_records: 1,
        sequence: 1,
        time_us: 0,
        durable_through: 0,
        payload_length: 5,
        payload_crc: crc32fast::hash(b"false"),
        previous: [0; 16],
        nonce: [0; 24],
    };
    let mut forged = header.encode(stream).to_vec();
    forged.extend(b"false");
    forged.resize(128, 0);
    disk.overwrite(&segment_name(1), 4096, &forged);
    let refused = open_with(&disk, Keys::of(key(1))).err();
    assert_eq!(refused, Some(Error::KeyFault(Sequence::FIRST)));
}

#[test]
fn the_salt_of_a_lost_header_stands_in_the_next_one() {
    let keys = Keys::of(key(1));
    let disk = sealed(200, &keys);
    assert!(disk.names().len() > 2);
    disk.overwrite(&segment_name(1), 0, &[0; 4096]);
    let (_, mut reader, recovery) = open_with(&disk, keys).unwrap();
    assert_eq!(recovery.damaged, [Damage::HeaderLost { number: 1 }]);
    assert_eq!(everything(&mut reader).0.len(), 200);
}

/// The last header holds the only copy of its salt: its records are lost with it, and no number is
/// used twice.
#[test]
fn the_records_of_a_last_segment_without_its_salt_are_counted_as_lost() {
    let keys = Keys::of(key(1));
    let disk = sealed(200, &keys);
    let last = disk.names().len() as u64;
    disk.overwrite(&segment_name(last), 0, &[0; 4096]);
    let (mut writer, mut reader, recovery) = open_with(&disk, keys).unwrap();
    assert_eq!(recovery.damaged, [Damage::HeaderLost { number: last }]);
    assert_eq!(writer.next(), 201);
    keep(&mut writer, 201..=201);
    let (records, missing) = everything(&mut reader);
    let lost: u64 = missing.iter().map(|range| range.end() - range.start() + 1).sum();
    assert!(lost > 0);
    assert_eq!(records.len() as u64 + lost, 201);
    assert_eq!(records.last().unwrap().payload, payload(201));
    let verified = reader.verify().unwrap();
    assert_eq!(verified.records, records.len() as u64);
}

#[test]
fn a_key_file_is_read_only_if_nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, key(7).file_text()).unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&file, mode(0o644)).unwrap();
    assert_eq!(BoxKey::read(&file).err(), Some(KeyProblem::Open));
    std::fs::set_permissions(&file, mode(0o400)).unwrap();
    assert_eq!(BoxKey::read(&file).unwrap().id(), key(7).id());
    let none = BoxKey::read(&folder.path().join("none")).err();
    assert_eq!(none, Some(KeyProblem::Unreadable(io::ErrorKind::NotFound)));
    assert_eq!(BoxKey::parse(&"0".repeat(64)).err(), Some(KeyProblem::Zero));
    assert!(!format!("{:?}", Keys::of(key(7))).contains("0707"));
}
