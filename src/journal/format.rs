//! Bytes of segment and record headers; the tables stand at the head of the module above.

// All positions here are constants inside arrays and slices of known length.
#![allow(clippy::indexing_slicing)]

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::Kind;
use super::keys::{KeyId, Seal};
use crate::vocabulary::StreamId;

pub(super) const SEGMENT_HEADER_BYTES: u64 = 4096;
pub(super) const RECORD_HEADER_BYTES: usize = 96;
pub(super) const RECORD_MAGIC: [u8; 4] = *b"WGRC";
pub(super) const FLAG_ENCRYPTED: u8 = 1;
/// Records start at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"WARDGATE";
const FORMAT_VERSION: u16 = 2;
/// The version before this one, which had no copy of the header and no encryption.
const FORMAT_VERSION_BEFORE: u16 = 1;
const PREDECESSOR_AT: usize = 112;
/// Where every version has the CRC of the bytes before, so that a newer one can be told.
const COMMON_CRC_AT: usize = 124;
const COMMON_BYTES: usize = 128;
const SIZE_AT: usize = 128;
const SALT_AT: usize = 64;
const KEY_AT: usize = 136;
const SALT_BEFORE_AT: usize = 144;
const KEY_BEFORE_AT: usize = 176;
const WHOLE_CRC_AT: usize = 252;
const WHOLE_BYTES: usize = 256;
/// Where the header stands a second time: in another sector than the first.
const COPY_AT: usize = 2048;
const RECORD_VERSION: u8 = 1;
const RECORD_CRC_AT: usize = 92;

/// What a record is chained by.
pub(super) type Tag = [u8; 16];
/// What makes each encryption with one key another.
pub(super) type Nonce = [u8; 24];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub stream: StreamId,
    pub number: u64,
    pub first: u64,
    pub previous: Tag,
    /// The number of the segment before this one, 0 for none.
    pub predecessor: u64,
    /// The size of the file as it was made; 0 where that is not known (version 1).
    pub size: u64,
    /// How its records are encrypted; `None`: they are not.
    pub seal: Option<Seal>,
    /// The same of the segment before, so that the loss of its header does not cost its records.
    pub seal_before: Option<Seal>,
}

/// What the first 4096 bytes of a segment say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A header. `harm` is which of its bytes are not as they were written.
    Good { header: SegmentHeader, harm: Vec<Range<u64>> },
    /// A later version of this program wrote it.
    Newer(u16),
    /// No header that can be read.
    Bad,
}

impl Head {
    pub fn decode(bytes: &[u8]) -> Self {
        let Some(block) = bytes.first_chunk::<{ SEGMENT_HEADER_BYTES as usize }>() else {
            return Head::Bad;
        };
        let (first, second) = (&block[..WHOLE_BYTES], &block[COPY_AT..COPY_AT + WHOLE_BYTES]);
        let (own, copy) = (SegmentHeader::whole(first), SegmentHeader::whole(second));
        if let Some(header) = own.or(copy) {
            let mut harm = Vec::new();
            let mut check = |from: usize, until: usize, good: bool| {
                if !good {
                    harm.push(from as u64..until as u64);
                }
            };
            check(0, WHOLE_BYTES, own.is_some());
            check(WHOLE_BYTES, COPY_AT, is_zero(&block[WHOLE_BYTES..COPY_AT]));
            check(COPY_AT, COPY_AT + WHOLE_BYTES, copy == Some(header));
            check(COPY_AT + WHOLE_BYTES, block.len(), is_zero(&block[COPY_AT + WHOLE_BYTES..]));
            return Head::Good { header, harm };
        }
        for part in [first, second].into_iter().filter(|part| is_common(part)) {
            match u16_at(part, 8) {
                FORMAT_VERSION_BEFORE => {
                    let Some(header) = SegmentHeader::common(part) else { continue };
                    let rest = COMMON_BYTES as u64..SEGMENT_HEADER_BYTES;
                    let clean = is_zero(&block[COMMON_BYTES..]);
                    return Head::Good {
                        header,
                        harm: Some(rest).filter(|_| !clean).into_iter().collect(),
                    };
                }
                newer if newer > FORMAT_VERSION => return Head::Newer(newer),
                _ => {}
            }
        }
        Head::Bad
    }
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &SEGMENT_MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(12, &(SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        put(16, self.stream.as_bytes());
        put(32, &self.number.to_le_bytes());
        put(40, &self.first.to_le_bytes());
        put(48, &self.previous);
        put(PREDECESSOR_AT, &self.predecessor.to_le_bytes());
        put(SIZE_AT, &self.size.to_le_bytes());
        if let Some(seal) = &self.seal {
            put(SALT_AT, &seal.salt);
            put(KEY_AT, seal.key.as_bytes());
        }
        if let Some(seal) = &self.seal_before {
            put(SALT_BEFORE_AT, &seal.salt);
            put(KEY_BEFORE_AT, seal.key.as_bytes());
        }
        let crc = crc32fast::hash(&bytes[..COMMON_CRC_AT]);
        bytes[COMMON_CRC_AT..COMMON_BYTES].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..WHOLE_CRC_AT]);
        bytes[WHOLE_CRC_AT..WHOLE_BYTES].copy_from_slice(&crc.to_le_bytes());
        bytes.copy_within(..WHOLE_BYTES, COPY_AT);
        bytes
    }

    /// From the 256 bytes of this version.
    fn whole(bytes: &[u8]) -> Option<Self> {
        let good = is_common(bytes)
            && u16_at(bytes, 8) == FORMAT_VERSION
            && u32_at(bytes, WHOLE_CRC_AT) == crc32fast::hash(&bytes[..WHOLE_CRC_AT]);
        let common = Self::common(bytes).filter(|_| good)?;
        Some(Self {
            size: u64_at(bytes, SIZE_AT),
            seal: seal_at(bytes, SALT_AT, KEY_AT),
            seal_before: seal_at(bytes, SALT_BEFORE_AT, KEY_BEFORE_AT),
            ..common
        })
    }

    /// What every version has.
    fn common(bytes: &[u8]) -> Option<Self> {
        (1..1 << 53).contains(&u64_at(bytes, 40)).then(|| Self {
            stream: StreamId::from_bytes(bytes_at(bytes, 16)),
            number: u64_at(bytes, 32),
            first: u64_at(bytes, 40),
            previous: bytes_at(bytes, 48),
            predecessor: u64_at(bytes, PREDECESSOR_AT),
            size: 0,
            seal: None,
            seal_before: None,
        })
    }
}

/// Whether this starts a segment of any version.
fn is_common(bytes: &[u8]) -> bool {
    bytes.starts_with(&SEGMENT_MAGIC)
        && u64::from(u32_at(bytes, 12)) == SEGMENT_HEADER_BYTES
        && u32_at(bytes, COMMON_CRC_AT) == crc32fast::hash(&bytes[..COMMON_CRC_AT])
}

fn seal_at(bytes: &[u8], salt: usize, key: usize) -> Option<Seal> {
    let seal = Seal { salt: bytes_at(bytes, salt), key: KeyId::from_bytes(bytes_at(bytes, key)) };
    (!is_zero(&seal.salt)).then_some(seal)
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub flags: u8,
    pub kind: Kind,
    pub batch_index: u16,
    pub batch_records: u16,
    pub sequence: u64,
    pub time_us: i64,
    pub durable_through: u64,
    pub payload_length: u32,
    pub payload_crc: u32,
    pub previous: Tag,
    /// Zero: not encrypted.
    pub nonce: Nonce,
}

impl RecordHeader {
    pub fn encode(&self, stream: StreamId) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &RECORD_MAGIC);
        put(4, &[RECORD_VERSION, self.flags]);
        put(6, &(RECORD_HEADER_BYTES as u16).to_le_bytes());
        put(8, &self.kind.code().to_le_bytes());
        put(10, &self.batch_index.to_le_bytes());
        put(12, &self.batch_records.to_le_bytes());
        put(16, &self.sequence.to_le_bytes());
        put(24, &self.time_us.to_le_bytes());
        put(32, &self.durable_through.to_le_bytes());
        put(40, &self.payload_length.to_le_bytes());
        put(44, &self.payload_crc.to_le_bytes());
        put(48, &self.previous);
        put(64, &self.nonce);
        let crc = header_crc(stream, &bytes);
        bytes[RECORD_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` for anything but a whole header of this version and this stream.
    pub fn decode(bytes: &[u8], stream: StreamId) -> Option<Self> {
        let header: &[u8; RECORD_HEADER_BYTES] = bytes.first_chunk()?;
        let good = header.starts_with(&RECORD_MAGIC)
            && header[4] == RECORD_VERSION
            && usize::from(u16_at(header, 6)) == RECORD_HEADER_BYTES
            && u32_at(header, RECORD_CRC_AT) == header_crc(stream, header);
        let found = Self {
            flags: header[5],
            kind: Kind::from_code(u16_at(header, 8)),
            batch_index: u16_at(header, 10),
            batch_records: u16_at(header, 12),
            sequence: u64_at(header, 16),
            time_us: i64::from_le_bytes(bytes_at(header, 24)),
            durable_through: u64_at(header, 32),
            payload_length: u32_at(header, 40),
            payload_crc: u32_at(header, 44),
            previous: bytes_at(header, 48),
            nonce: bytes_at(header, 64),
        };
        let sound = (1..1 << 53).contains(&found.sequence)
            && found.batch_index < found.batch_records
            && found.durable_through < found.sequence;
        (good && sound).then_some(found)
    }
}

/// The tag of the record with this header and this payload as stored.
pub(super) fn tag(header: &[u8; RECORD_HEADER_BYTES], payload: &[u8]) -> Tag {
    match payload.last_chunk() {
        Some(tag) if header[5] & FLAG_ENCRYPTED != 0 => *tag,
        Some(_) | None => bytes_at(&Sha256::digest(&header[..RECORD_CRC_AT]), 0),
    }
}

/// What the encryption of a record's payload binds to it: its header without the CRCs, which
/// depend on the outcome.
pub(super) fn associated(header: &[u8; RECORD_HEADER_BYTES]) -> [u8; RECORD_CRC_AT] {
    let mut bytes: [u8; RECORD_CRC_AT] = bytes_at(header, 0);
    bytes[44..48].fill(0);
    bytes
}

/// How much room a record with such a payload takes.
pub(super) const fn record_bytes(payload: usize) -> usize {
    (RECORD_HEADER_BYTES + payload).next_multiple_of(ALIGNMENT as usize)
}

fn header_crc(stream: StreamId, header: &[u8; RECORD_HEADER_BYTES]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(stream.as_bytes());
    crc.update(&header[..RECORD_CRC_AT]);
    crc.finalize()
}

/// Callers hand in constants inside a slice of known length.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId::from_bytes(*b"0123456789abcdef");

    /// The bytes that the table at the head of the module asks for, typed field by field.
    /// The two CRCs and the tag come from independent implementations (Python's zlib and hashlib).
    #[test]
    fn the_format_is_pinned() {
        let header = SegmentHeader {
            stream: STREAM,
            number: 2,
            first: 0x0102,
            previous: [0xAA; 16],
            predecessor: 1,
            size: 0x0080_0000,
            seal: Some(Seal { salt: [0xC1; 32], key: KeyId::from_bytes([0xC2; 8]) }),
            seal_before: Some(Seal { salt: [0xD1; 32], key: KeyId::from_bytes([0xD2; 8]) }),
        };
        let mut expected = Vec::new();
        expected.extend(b"WARDGATE\x02\x00\x00\x00\x00\x10\x00\x00");
        expected.extend(b"0123456789abcdef");
        expected.extend(b"\x02\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0");
        expected.extend([0xAA; 16]);
        expected.extend([0xC1; 32]);
        expected.extend([0; 16]);
        expected.extend(b"\x01\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(0x6EB7_1EB1_u32.to_le_bytes());
        expected.extend(b"\0\0\x80\0\0\0\0\0");
        expected.extend([0xC2; 8]);
        expected.extend([0xD1; 32]);
        expected.extend([0xD2; 8]);
        expected.extend([0; 68]);
        expected.extend(0xB657_C330_u32.to_le_bytes());
        let whole = expected.clone();
        assert_eq!(whole.len(), 256);
        expected.resize(2048, 0);
        expected.extend(whole);
        expected.resize(4096, 0);
        assert_eq!(header.encode(), expected);
        assert_eq!(Head::decode(&expected), Head::Good { header, harm: vec![] });

        let record = RecordHeader {
            flags: 0,
            kind: Kind::Observation,
            batch_index: 1,
            batch_records: 3,
            sequence: 0x0A0B,
            time_us: -2,
            durable_through: 0x0A00,
            payload_length: 5,
            payload_crc: 0x1122_3344,
            previous: [0xBB; 16],
            nonce: [0; 24],
        };
        let mut expected = Vec::new();
        expected.extend(b"WGRC\x01\x00\x60\x00\x02\x00\x01\x00\x03\x00\x00\x00");
        expected.extend(b"\x0B\x0A\0\0\0\0\0\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        expected.extend(b"\x00\x0A\0\0\0\0\0\0\x05\0\0\0\x44\x33\x22\x11");
        expected.extend([0xBB; 16]);
        expected.extend([0; 28]);
        expected.extend(0x7FD7_FF46_u32.to_le_bytes());
        assert_eq!(record.encode(STREAM).to_vec(), expected);
        assert_eq!(RecordHeader::decode(&expected, STREAM), Some(record));
        let tag = tag(&record.encode(STREAM), b"not encrypted, so not looked at");
        assert_eq!(
            tag,
            [
                0x60, 0x90, 0xe9, 0x3c, 0xcc, 0xc4, 0x95, 0xe1, 0x82, 0x4e, 0x09, 0x3a, 0xfb, 0x52,
                0xf9, 0x4e
            ]
        );
    }

    #[test]
    fn any_changed_bit_of_a_record_header_is_seen() {
        let record = RecordHeader {
            flags: 0,
            kind: Kind::Wire,
            batch_index: 0,
            batch_records: 1,
            sequence: 7,
            time_us: 1,
            durable_through: 6,
            payload_length: 0,
            payload_crc: 0,
            previous: [0; 16],
            nonce: [3; 24],
        };
        let good = record.encode(STREAM);
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&bad, STREAM), None, "bit {bit}");
        }
        assert_eq!(RecordHeader::decode(&good, StreamId::from_bytes([0; 16])), None);
    }
}
