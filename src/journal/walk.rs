//! Walks over the records of one segment file, and finds its feet again after damage.

use std::io;
use std::sync::Arc;

use super::format::{
    ALIGNMENT, FLAG_ENCRYPTED, RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader, Tag, record_bytes,
    tag,
};
use super::storage::Storage;
use crate::vocabulary::StreamId;

/// How much is read at once: a few hundred records, and small beside a segment.
const CHUNK_BYTES: usize = 64 << 10;

/// A whole record: header and payload are what their checks say.
#[derive(Clone, Debug)]
pub(super) struct Framed {
    pub header: RecordHeader,
    /// The header as it is stored.
    pub raw: [u8; RECORD_HEADER_BYTES],
    /// The payload as it is stored.
    pub payload: Vec<u8>,
    pub tag: Tag,
    pub offset: u64,
}

impl Framed {
    /// Whether its payload is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.header.flags & FLAG_ENCRYPTED != 0
    }

    /// Where the next record starts.
    pub fn end(&self) -> u64 {
        self.offset + record_bytes(self.payload.len()) as u64
    }
}

#[derive(Clone)]
pub(super) struct Walk {
    storage: Arc<dyn Storage>,
    stream: StreamId,
    name: String,
    /// Nothing at or after this offset is read.
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Walk {
    pub fn new(storage: Arc<dyn Storage>, stream: StreamId, name: String, end: u64) -> Self {
        Self { storage, stream, name, end, buffer: Vec::new(), buffer_at: 0 }
    }

    /// The end of an active segment moves on.
    pub fn extend(&mut self, end: u64) {
        self.end = end;
    }

    /// The whole record that starts at `offset`, if there is one.
    pub fn at(&mut self, offset: u64) -> io::Result<Option<Framed>> {
        let stream = self.stream;
        let head = self.bytes(offset, RECORD_HEADER_BYTES)?;
        let Some(raw) = head.first_chunk::<RECORD_HEADER_BYTES>().copied() else {
            return Ok(None);
        };
        let Some(header) = RecordHeader::decode(&raw, stream) else {
            return Ok(None);
        };
        let length = header.payload_length as usize;
        let payload = self.bytes(offset + RECORD_HEADER_BYTES as u64, length)?;
        if payload.len() != length || crc32fast::hash(payload) != header.payload_crc {
            return Ok(None);
        }
        let payload = payload.to_vec();
        let tag = tag(&raw, &payload);
        Ok(Some(Framed { header, raw, payload, tag, offset }))
    }

    /// The first whole record at or after `offset`.
    pub fn seek(&mut self, offset: u64) -> io::Result<Option<Framed>> {
        let mut at = offset.next_multiple_of(ALIGNMENT);
        while at + (RECORD_HEADER_BYTES as u64) <= self.end {
            let chunk = self.bytes(at, CHUNK_BYTES)?;
            let magic = chunk
                .chunks_exact(ALIGNMENT as usize)
                .position(|eight| eight.starts_with(&RECORD_MAGIC));
            match magic {
                Some(index) => {
                    let found = at + index as u64 * ALIGNMENT;
                    if let Some(framed) = self.at(found)? {
                        return Ok(Some(framed));
                    }
                    at = found + ALIGNMENT;
                }
                None if chunk.len() < CHUNK_BYTES => return Ok(None),
                None => at += CHUNK_BYTES as u64,
            }
        }
        Ok(None)
    }

    /// The offset behind the last byte that is not zero, at or after `offset`.
    pub fn last_used(&mut self, offset: u64) -> io::Result<u64> {
        let (mut at, mut used) = (offset, offset);
        loop {
            let chunk = self.bytes(at, CHUNK_BYTES)?;
            if let Some(index) = chunk.iter().rposition(|byte| *byte != 0) {
                used = at + index as u64 + 1;
            }
            if chunk.len() < CHUNK_BYTES {
                return Ok(used);
            }
            at += CHUNK_BYTES as u64;
        }
    }

    /// Up to `length` bytes from `offset`; fewer only at the end.
    pub fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let room = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(room);
        let buffered = offset >= self.buffer_at
            && offset + length as u64 <= self.buffer_at + self.buffer.len() as u64;
        if !buffered {
            self.buffer.resize(length.max(CHUNK_BYTES).min(room), 0);
            let filled = self.storage.read_at(&self.name, offset, &mut self.buffer);
            // Whatever failed, bytes of another place must not be taken for these.
            self.buffer.truncate(*filled.as_ref().unwrap_or(&0));
            self.buffer_at = offset;
            filled?;
        }
        let start = (offset - self.buffer_at) as usize;
        let end = (start + length).min(self.buffer.len());
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }
}
