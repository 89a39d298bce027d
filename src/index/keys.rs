//! Rows and their keys; identities as keyed hashes.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::hmac;
use ring::rand::SecureRandom as _;

use super::{Class, Entry};
use crate::journal::Reader;
use crate::vocabulary::StreamId;

/// Another version than this is thrown away.
const VERSION: u8 = 1;
const KEY_FILE: &str = "index.key";
const KEY_BYTES: usize = 32;

/// One row to write, or to take away.
pub(super) type Row = (Vec<u8>, Option<Vec<u8>>);

/// The key file of the hashes cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{KEY_FILE}: {0}")]
pub struct KeyProblem(#[from] io::Error);

/// Hashes what identifies somebody or something, with this box's key.
#[derive(Clone)]
pub struct Hasher(hmac::Key);

impl Hasher {
    /// With the journal's own key where it has one; else with the key in this folder, which is made
    /// if there is none. That file is this user's alone.
    ///
    /// # Errors
    /// The file cannot be read or made, or does not hold a key.
    pub fn new(reader: &Reader, data: &Path) -> Result<Self, KeyProblem> {
        match reader.index_key() {
            Some(key) => Ok(Self::of(&key)),
            None => Self::in_folder(data),
        }
    }

    fn in_folder(data: &Path) -> Result<Self, KeyProblem> {
        let path = data.join(KEY_FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(data, &path)?,
            other => other?,
        };
        if bytes.len() != KEY_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "holds no key").into());
        }
        Ok(Self::of(&bytes))
    }

    pub(super) fn of(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    pub(super) fn hash(&self, facet: Facet, text: &str) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[facet as u8, 0]);
        context.update(text.as_bytes());
        let mut hash = [0; 16];
        hash.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}

/// Written under another name first, so that a cut leaves none or a whole one.
fn make_key(data: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; KEY_BYTES];
    let random = ring::rand::SystemRandom::new();
    random.fill(&mut key).map_err(|_| io::Error::other("no random bytes for a key"))?;
    let new = path.with_extension("key.new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(data)?.sync_all()?;
    Ok(key)
}

/// What a record is found by; the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Facet {
    All = b'a',
    Device = b'd',
    Patient = b'p',
    Specimen = b's',
}

const fn class_code(class: Class) -> u8 {
    match class {
        Class::Result => b'r',
        Class::Event => b'e',
        Class::Gap => b'g',
        Class::Association => b'a',
        Class::Unresolved => b'u',
        Class::SetAside => b's',
        Class::Trend => b't',
    }
}

/// What all keys of one facet and class begin with.
pub(super) fn prefix(facet: Facet, class: Class, hash: [u8; 16]) -> Vec<u8> {
    let mut key = vec![facet as u8, class_code(class)];
    key.extend(hash);
    key
}

/// Times in an order that bytes keep.
fn time_bytes(time_us: i64) -> [u8; 8] {
    (time_us.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The key of a record behind its prefix.
pub(super) fn at(prefix: &[u8], time_us: i64, sequence: u64) -> Vec<u8> {
    [prefix, &time_bytes(time_us), &sequence.to_be_bytes()].concat()
}

/// Time and sequence of a record's key.
pub(super) fn place_of(key: &[u8]) -> Option<(i64, u64)> {
    let (rest, sequence) = key.split_last_chunk()?;
    let (_, time) = rest.split_last_chunk()?;
    let time_us = (u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed();
    Some((time_us, u64::from_be_bytes(*sequence)))
}

/// A key of one letter and a sequence.
pub(super) fn numbered(letter: u8, sequence: u64) -> Vec<u8> {
    let mut key = vec![letter];
    key.extend(sequence.to_be_bytes());
    key
}

pub(super) const ENDED: u8 = b'E';
pub(super) const CARRIED: u8 = b'C';
pub(super) const CAME_FROM: u8 = b'R';
pub(super) const TRENDS: u8 = b'T';
pub(super) const COVERS: &[u8] = b"M";

/// The first sequence in a value, and the second one if there is one.
pub(super) fn numbers(value: &[u8]) -> Option<(u64, u64)> {
    let (first, rest) = value.split_first_chunk()?;
    let second = rest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Some((u64::from_be_bytes(*first), second))
}

/// The rows of a record that stands at `place`; none for one that nobody looks for.
pub(super) fn rows(entry: &Entry, place: u64, hasher: &Hasher) -> Vec<Row> {
    let about = entry.about.unwrap_or(entry.sequence);
    let value = [place.to_be_bytes(), about.to_be_bytes()].concat();
    let mut rows: Vec<Row> = Vec::new();
    for class in entry.classes.iter().filter(|class| **class != Class::Trend) {
        let mut add = |facet, hash| {
            let key = at(&prefix(facet, *class, hash), entry.time_us, entry.sequence);
            rows.push((key, Some(value.clone())));
        };
        add(Facet::All, [0; 16]);
        let facets = [
            (Facet::Device, entry.device.as_slice()),
            (Facet::Patient, &entry.patients),
            (Facet::Specimen, &entry.specimens),
        ];
        for (facet, texts) in facets {
            texts.iter().for_each(|text| add(facet, hasher.hash(facet, text)));
        }
    }
    if entry.carries {
        rows.push((numbered(CARRIED, entry.sequence), Some(value.clone())));
    }
    rows.extend(entry.ends.iter().map(|ended| (numbered(ENDED, *ended), Some(value.clone()))));
    if !rows.is_empty() {
        // All keys are shorter than 256 bytes.
        let listed = rows
            .iter()
            .flat_map(|(key, _)| std::iter::once(key.len() as u8).chain(key.iter().copied()));
        let listed: Vec<u8> = listed.collect();
        rows.push((numbered(CAME_FROM, place), Some(listed)));
    }
    rows
}

/// The keys that a row of [`CAME_FROM`] lists; `None` if it is none.
pub(super) fn listed(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut keys = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let (key, behind) = rest.split_at_checked(usize::from(*length))?;
        keys.push(key);
        value = behind;
    }
    Some(keys)
}

/// What an index covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covers {
    pub stream: StreamId,
    /// Which key the hashes are made with.
    pub key: [u8; 16],
    /// Every record up to this one is in it.
    pub through: u64,
}

impl Covers {
    pub fn nothing(stream: StreamId, hasher: &Hasher) -> Self {
        Self { stream, key: hasher.hash(Facet::All, "the id of the key"), through: 0 }
    }

    pub fn row(&self) -> Row {
        let mut value = vec![VERSION];
        value.extend(self.stream.as_bytes());
        value.extend(self.key);
        value.extend(self.through.to_be_bytes());
        (COVERS.to_vec(), Some(value))
    }

    /// Through which sequence the index is complete, if it is one of these.
    pub fn through(&self, value: &[u8]) -> Option<u64> {
        let (rest, through) = value.split_last_chunk()?;
        let (_, Some(expected)) = self.row() else { return None };
        let (expected, _) = expected.split_last_chunk::<8>()?;
        (rest == expected).then(|| u64::from_be_bytes(*through))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |hasher: &Hasher| hasher.hash(Facet::Patient, "P-1");
        let made = Hasher::in_folder(folder.path()).unwrap();
        assert_eq!(hash(&made), hash(&Hasher::in_folder(folder.path()).unwrap()));
        assert_ne!(hash(&made), made.hash(Facet::Specimen, "P-1"));
        assert_ne!(hash(&made), hash(&Hasher::of(&[7; 32])));
        let path = folder.path().join(KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"rubbish").unwrap();
        assert!(Hasher::in_folder(folder.path()).is_err());
    }

    #[test]
    fn keys_sort_by_time_and_then_by_sequence() {
        let prefix = prefix(Facet::All, Class::Gap, [0; 16]);
        let places = [(i64::MIN, 9), (-1, 2), (0, 1), (0, 2), (0, 256), (5, 1), (i64::MAX, 1)];
        let keys: Vec<_> =
            places.iter().map(|(time, number)| at(&prefix, *time, *number)).collect();
        assert!(keys.is_sorted());
        for (key, place) in keys.iter().zip(places) {
            assert_eq!(place_of(key), Some(place));
        }
    }

    /// HMAC-SHA-256 of `p`, a zero byte and `P-1` with 32 bytes of 07, from Python's `hmac`.
    #[test]
    fn a_patient_is_an_hmac() {
        let hash = Hasher::of(&[7; 32]).hash(Facet::Patient, "P-1");
        assert_eq!(hash, HMAC_OF_P_1);
    }
    const HMAC_OF_P_1: [u8; 16] = [
        0x35, 0x4a, 0x53, 0x34, 0xf8, 0x3a, 0x96, 0xa1, 0x8c, 0xf2, 0x05, 0xa5, 0x54, 0x6b, 0x96,
        0x8d,
    ];
}
