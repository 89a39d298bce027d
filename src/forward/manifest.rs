//! The manifest: what a destination must have, so that it can prove that nothing is missing.
//!
//! Counts and hashes of all records of a stream that were routed to one destination, from one
//! sequence to another, signed with the gateway's key. It is made of what stands in the journal,
//! not of what was sent, so it also shows what never left the box. It must not be taken for an
//! acknowledgement.
//!
//! # What is signed
//! These lines, UTF-8, each ended by a line feed:
//! ```text
//! wardgate manifest v1
//! <source, the gateway's urn>
//! <destination>
//! <stream, 32 hexadecimal digits>
//! <first> <last>
//! <count>
//! <SHA-256 in hexadecimal>
//! <first-last of each unavailable range, separated by commas; empty for none>
//! ```
//! The SHA-256 is over the SHA-256 (32 bytes each) of the payloads in order of sequence, without
//! the manifests among them. The signature is Ed25519 (RFC 8032), in hexadecimal,
//! as is the public key.

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::stored::{EventKind, Written};
use crate::journal::{Kind, Missing, Record};
use crate::vocabulary::{Sequence, StreamId};

/// Whose records are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
    pub destination: String,
    pub stream: StreamId,
}

/// Counts and hashes up to a sequence; fed in order.
#[derive(Clone)]
pub struct Tally {
    whose: Whose,
    first: u64,
    next: u64,
    count: u64,
    hash: Sha256,
    unavailable: Vec<Missing>,
}

impl Tally {
    /// Counts from this sequence on.
    pub fn new(whose: Whose, first: u64) -> Self {
        let hash = Sha256::new();
        Self { whose, first, next: first, count: 0, hash, unavailable: Vec::new() }
    }

    /// The next sequence that it wants.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Counts a record if it was routed to this destination. A payload that cannot be read is
    /// unavailable: it may have been for here.
    pub fn take(&mut self, record: &Record) {
        let sequence = record.sequence.number();
        if is_forwarded(record.kind) {
            match Written::from_bytes(&record.payload) {
                Some(written) if written.kind == EventKind::Manifest => {}
                Some(written) => self.count(&written, record.sequence),
                None => self.missing(sequence..=sequence),
            }
        }
        self.next = self.next.max(sequence + 1);
    }

    /// These sequences cannot be read, or have been freed.
    pub fn missing(&mut self, range: Missing) {
        self.next = self.next.max(*range.end() + 1);
        match self.unavailable.last_mut() {
            Some(last) if *last.end() + 1 == *range.start() => {
                *last = *last.start()..=*range.end();
            }
            Some(_) | None => self.unavailable.push(range),
        }
    }

    /// The data of the manifest's record, signed, and the tally that goes on behind it.
    pub fn close(self, key: &Ed25519KeyPair) -> (Map<String, Json>, Self) {
        let last = self.next - 1;
        let sha256: String =
            self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let Whose { source, destination, stream } = &self.whose;
        let ranges: Vec<String> = self
            .unavailable
            .iter()
            .map(|range| format!("{}-{}", range.start(), range.end()))
            .collect();
        let text = format!(
            "wardgate manifest v1\n{source}\n{destination}\n{stream}\n{first} {last}\n{count}\n\
             {sha256}\n{ranges}\n",
            first = self.first,
            count = self.count,
            ranges = ranges.join(",")
        );
        let hexadecimal =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let pairs = self.unavailable.iter().map(|range| json!([range.start(), range.end()]));
        let mut data = Map::new();
        data.insert("destination".to_owned(), json!(destination));
        data.insert("first".to_owned(), json!(self.first));
        data.insert("last".to_owned(), json!(last));
        data.insert("count".to_owned(), json!(self.count));
        data.insert("sha256".to_owned(), json!(sha256));
        data.insert("unavailable".to_owned(), pairs.collect());
        data.insert("key".to_owned(), json!(hexadecimal(key.public_key().as_ref())));
        let signature = key.sign(text.as_bytes());
        data.insert("signature".to_owned(), json!(hexadecimal(signature.as_ref())));
        (data, Self::new(self.whose, self.next))
    }

    fn count(&mut self, written: &Written<'_>, sequence: Sequence) {
        let Whose { source, destination, stream } = &self.whose;
        if let Some(rendered) = written.render(*stream, sequence, source, destination) {
            self.count += 1;
            self.hash.update(Sha256::digest(&rendered.payload));
        }
    }
}

/// Kinds whose payload is a [`super::stored::Stored`].
const fn is_forwarded(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Observation | Kind::Gap | Kind::DeviceState | Kind::Association | Kind::Manifest
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::forward::stored::{Stored, render};

    const STREAM: StreamId = StreamId::from_bytes([0x1f; 16]);

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn tally() -> Tally {
        let (source, destination) = ("urn:uuid:1".to_owned(), "core".to_owned());
        Tally::new(Whose { source, destination, stream: STREAM }, 1)
    }

    fn record(sequence: u64, destination: &str) -> Record {
        let stored = Stored {
            kind: EventKind::Observation,
            time: "2026-11-23T08:00:00Z".to_owned(),
            subject: "bed-3".to_owned(),
            routes: BTreeMap::from([(destination.to_owned(), 0)]),
            data: Map::new(),
        };
        raw(sequence, Kind::Observation, stored.to_bytes())
    }

    fn raw(sequence: u64, kind: Kind, payload: Vec<u8>) -> Record {
        let sequence = Sequence::new(sequence).unwrap();
        Record { sequence, kind, time_us: 0, batch_index: 0, batch_records: 1, payload }
    }

    fn bytes_of(hexadecimal: &Json) -> Vec<u8> {
        let text = hexadecimal.as_str().unwrap().as_bytes();
        let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
        text.chunks(2).map(byte).collect()
    }

    /// What a core does: hash what it has, in order, and compare; then check the signature.
    #[test]
    fn a_core_that_has_everything_comes_to_the_same_hash() {
        let mut tally = tally();
        let mut hash = Sha256::new();
        for sequence in 1..=4 {
            let destination = if sequence == 2 { "archive" } else { "core" };
            let record = record(sequence, destination);
            let stored = Stored::from_bytes(&record.payload).unwrap();
            let sent = render(&stored, STREAM, record.sequence, "urn:uuid:1", "core");
            sent.into_iter().for_each(|sent| hash.update(Sha256::digest(&sent.payload)));
            tally.take(&record);
        }
        tally.take(&raw(5, Kind::Wire, b"MSH|".to_vec()));
        tally.missing(6..=7);
        tally.missing(8..=8);
        tally.take(&raw(9, Kind::Gap, b"{".to_vec()));
        let (data, next) = tally.close(&key());
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (&data["first"], &data["last"], &data["count"]),
            (&json!(1), &json!(9), &json!(3))
        );
        assert_eq!(data["sha256"], sha256);
        assert_eq!(data["unavailable"], json!([[6, 9]]));
        assert_eq!((next.next(), next.count), (10, 0));

        let stream = STREAM.to_string();
        let text =
            format!("wardgate manifest v1\nurn:uuid:1\ncore\n{stream}\n1 9\n3\n{sha256}\n6-9\n");
        let public = UnparsedPublicKey::new(&ED25519, bytes_of(&data["key"]));
        public.verify(text.as_bytes(), &bytes_of(&data["signature"])).unwrap();
        let other = text.replace("\n3\n", "\n4\n");
        public.verify(other.as_bytes(), &bytes_of(&data["signature"])).unwrap_err();
    }

    #[test]
    fn a_record_more_or_another_one_changes_the_hash() {
        let hash = |records: &[Record]| {
            let mut tally = tally();
            records.iter().for_each(|record| tally.take(record));
            tally.close(&key()).0["sha256"].clone()
        };
        let whole = hash(&[record(1, "core"), record(2, "core")]);
        assert_ne!(whole, hash(&[record(1, "core")]));
        assert_ne!(whole, hash(&[record(1, "core"), record(3, "core")]));
        assert_eq!(whole, hash(&[record(1, "core"), record(2, "core"), record(3, "archive")]));
    }
}
