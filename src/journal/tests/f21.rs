//! Fault 21, formats: what version 1 wrote is read and continued, what version 2 writes is pinned
//! by bytes of an independent implementation, what a later version writes is not touched.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::journal::storage::segment_name;

const STREAM: &[u8; 16] = b"0123456789abcdef";

/// A segment header as version 1 wrote it. Frozen: uses none of today's code.
fn header_1(number: u64, first: u64, tag: [u8; 16], predecessor: u64) -> Vec<u8> {
    let mut bytes = b"WARDGATE\x01\0\0\0\0\x10\0\0".to_vec();
    bytes.extend(STREAM);
    bytes.extend(number.to_le_bytes());
    bytes.extend(first.to_le_bytes());
    bytes.extend(tag);
    bytes.extend([0; 48]);
    bytes.extend(predecessor.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(4096, 0);
    bytes
}

/// A record as version 1 wrote it, and its tag. Frozen, as above.
fn record_1(sequence: u64, payload: &[u8], previous: [u8; 16]) -> (Vec<u8>, [u8; 16]) {
    let mut bytes = b"WGRC\x01\0\x60\0\x01\0\0\0\x01\0\0\0".to_vec();
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(1_700_000_000_000_000_u64.to_le_bytes());
    bytes.extend((sequence - 1).to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32fast::hash(payload).to_le_bytes());
    bytes.extend(previous);
    bytes.extend([0; 28]);
    let tag = Sha256::digest(&bytes)[..16].try_into().unwrap();
    let crc = crc32fast::hash(&[&STREAM[..], &bytes].concat());
    bytes.extend(crc.to_le_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    (bytes, tag)
}

/// Two segments of version 1, each of 16 KiB, with two records each.
fn version_1() -> Arc<Memory> {
    let disk = Memory::default();
    let (mut tag, mut sequence) = ([0; 16], 1);
    for number in 1..=2 {
        let mut file = header_1(number, sequence, tag, number - 1);
        for _ in 0..2 {
            let (bytes, next) = record_1(sequence, format!("v1 {sequence}").as_bytes(), tag);
            file.extend(bytes);
            (tag, sequence) = (next, sequence + 1);
        }
        file.resize(SEGMENT_BYTES_MIN as usize, 0);
        disk.put(&segment_name(number), &file);
    }
    Arc::new(disk)
}

/// The CRC that the pinned header of version 1 had in its own release's test.
#[test]
fn f21_the_frozen_writer_writes_version_1() {
    let header = header_1(2, 0x0102, [0xAA; 16], 1);
    assert_eq!(header[124..128], 0x883C_2F63_u32.to_le_bytes());
}

#[test]
fn f21_a_store_of_version_1_is_read_and_continued_in_version_2() {
    for keys in [Keys::default(), Keys::of(key(1))] {
        let disk = version_1();
        let before = disk.everything();
        let (mut writer, mut reader, recovery) = open_with(&disk, keys.clone()).unwrap();
        assert_eq!((recovery.damaged, recovery.new_stream), (vec![], false));
        assert_eq!(reader.stream(), StreamId::from_bytes(*STREAM));
        let told = Told::default();
        told.commit(&mut writer, vec![vec![record(b"v2 5")]]);
        let (records, missing) = everything(&mut reader);
        let payloads: Vec<&[u8]> = records.iter().map(|record| &record.payload[..]).collect();
        assert_eq!(payloads, [&b"v1 1"[..], b"v1 2", b"v1 3", b"v1 4", b"v2 5"]);
        assert_eq!(missing, []);
        let verified = reader.verify().unwrap();
        assert_eq!((verified.damaged, verified.chain_breaks), (vec![], vec![]));
        assert_eq!(disk.contents(&segment_name(1)), before[0].1, "old segments stay");
        let last = disk.names().into_iter().max().unwrap();
        assert_eq!(disk.contents(&last)[8..10], [2, 0]);
        drop(writer);
        assert_eq!(everything(&mut open_with(&disk, keys).unwrap().1).0.len(), 5);
    }
}

#[test]
fn f21_a_store_of_a_later_version_is_refused_and_not_touched() {
    for number in [1, 2] {
        let disk = version_1();
        let name = segment_name(number);
        let mut header = disk.contents(&name)[..124].to_vec();
        header[8] = 3;
        header.extend(crc32fast::hash(&header).to_le_bytes());
        disk.overwrite(&name, 0, &header);
        let before = disk.everything();
        let refused = open(&disk).err().unwrap();
        assert_eq!(refused, Error::Newer { number, version: 3 });
        assert!(refused.to_string().contains("needs a later version"));
        assert_eq!(disk.everything(), before);
    }
}

/// Written by an independent implementation in Python, from the tables at the head of the module:
/// HKDF by `hmac`, XChaCha20-Poly1305 by hand, checked with the example of
/// draft-irtf-cfrg-xchacha-03 A.3.1. Box key 00 to 1f, salt 20 to 3f, nonce 40 to 57.
const SEALED_HEADER: &str = "5741524447415445020000000010000030313233343536373839616263646566010000000000000001000000\
     0000000000000000000000000000000000000000202122232425262728292a2b2c2d2e2f3031323334353637\
     38393a3b3c3d3e3f00000000000000000000000000000000000000000000000000000000af447b4000400000\
     0000000026d95ed4bdcd60300000000000000000000000000000000000000000000000000000000000000000\
     0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
     00000000000000000000000000000000000000000000000000000000000000007ed04fdc";
const SEALED_RECORD: &str = "57475243010160000100000001000000010000000000000000401e18240a0600000000000000000017000000\
     32ec655d00000000000000000000000000000000404142434445464748494a4b4c4d4e4f5051525354555657\
     000000007f548a26ff259276ac8ab22137cf935bfe61404fd423dffaeb085300";

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn golden_key() -> BoxKey {
    let digits: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    BoxKey::parse(&digits).unwrap()
}

#[test]
fn f21_an_encrypted_store_of_version_2_is_read() {
    assert_eq!(golden_key().id().to_string(), "26d95ed4bdcd6030");
    let header = bytes_of(SEALED_HEADER);
    let mut file = header.clone();
    file.resize(2048, 0);
    file.extend(&header);
    file.resize(4096, 0);
    file.extend(bytes_of(SEALED_RECORD));
    file.resize(SEGMENT_BYTES_MIN as usize, 0);
    let disk = Arc::new(Memory::default());
    disk.put(&segment_name(1), &file);
    let (_, mut reader, recovery) = open_with(&disk, Keys::of(golden_key())).unwrap();
    assert_eq!((recovery.damaged, recovery.last), (vec![], Some(Sequence::FIRST)));
    let found = reader.read(Sequence::FIRST).unwrap().unwrap();
    assert_eq!((&found.payload[..], found.time_us), (&b"SpO2 97"[..], 1_700_000_000_000_000));
    assert_eq!(reader.verify().unwrap().damaged, []);
    // The header of the file that follows names the same salt and key.
    let next = disk.contents(&segment_name(2));
    assert_eq!((&next[64..96], &next[136..144]), (&header[64..96], &header[136..144]));
}
