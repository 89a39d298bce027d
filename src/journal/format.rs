//! Bytes of segment and record headers; the tables stand at the head of the module above.

// All positions here are constants inside arrays and slices of known length.
#![allow(clippy::indexing_slicing)]

use sha2::{Digest as _, Sha256};

use super::Kind;
use crate::vocabulary::StreamId;

pub(super) const SEGMENT_HEADER_BYTES: u64 = 4096;
pub(super) const RECORD_HEADER_BYTES: usize = 96;
pub(super) const RECORD_MAGIC: [u8; 4] = *b"WGRC";
pub(super) const FLAG_ENCRYPTED: u8 = 1;
/// Records start at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"WARDGATE";
const FORMAT_VERSION: u16 = 1;
const PREDECESSOR_AT: usize = 112;
const SEGMENT_CRC_AT: usize = 124;
const RECORD_VERSION: u8 = 1;
const RECORD_CRC_AT: usize = 92;

/// What a record is chained by.
pub(super) type Tag = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub stream: StreamId,
    pub number: u64,
    pub first: u64,
    pub previous: Tag,
    /// The number of the segment before this one, 0 for none.
    pub predecessor: u64,
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend((SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        bytes.extend(self.stream.as_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.previous);
        // The salt, the checkpoint and the reserved bytes are zero in this version.
        bytes.resize(PREDECESSOR_AT, 0);
        bytes.extend(self.predecessor.to_le_bytes());
        bytes.resize(SEGMENT_CRC_AT, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.resize(SEGMENT_HEADER_BYTES as usize, 0);
        bytes
    }

    /// `None` for anything but a whole header of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; 128] = bytes.first_chunk()?;
        let good = header.starts_with(&SEGMENT_MAGIC)
            && u16_at(header, 8) == FORMAT_VERSION
            && u64::from(u32_at(header, 12)) == SEGMENT_HEADER_BYTES
            && u32_at(header, SEGMENT_CRC_AT) == crc32fast::hash(&header[..SEGMENT_CRC_AT])
            && (1..1 << 53).contains(&u64_at(header, 40));
        good.then(|| Self {
            stream: StreamId::from_bytes(bytes_at(header, 16)),
            number: u64_at(header, 32),
            first: u64_at(header, 40),
            previous: bytes_at(header, 48),
            predecessor: u64_at(header, PREDECESSOR_AT),
        })
    }
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
        };
        let sound = (1..1 << 53).contains(&found.sequence)
            && found.batch_index < found.batch_records
            && found.durable_through < found.sequence;
        (good && sound).then_some(found)
    }
}

/// The tag of the record with this header.
pub(super) fn tag(header: &[u8; RECORD_HEADER_BYTES]) -> Tag {
    bytes_at(&Sha256::digest(&header[..RECORD_CRC_AT]), 0)
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
        };
        let mut expected = Vec::new();
        expected.extend(b"WARDGATE\x01\x00\x00\x00\x00\x10\x00\x00");
        expected.extend(b"0123456789abcdef");
        expected.extend(b"\x02\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0");
        expected.extend([0xAA; 16]);
        expected.extend([0; 48]);
        expected.extend(b"\x01\0\0\0\0\0\0\0\0\0\0\0");
        expected.extend(0x883C_2F63_u32.to_le_bytes());
        expected.resize(4096, 0);
        assert_eq!(header.encode(), expected);
        assert_eq!(SegmentHeader::decode(&expected), Some(header));

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
        let tag = tag(&record.encode(STREAM));
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
