//! How far a destination is: a small file per destination, written in place.
//!
//! Two slots are written in turn, so a torn write leaves the state before it, which is never
//! further than the truth. The room of both is written when the file is made, so the cursor can be
//! written when the disk is full. It must never move forward by itself.
//!
//! # One slot, 128 KiB; the second follows the first. Little-endian
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `WGCURSOR` |
//! | 8 | 4 | format version, 3; 1 and 2 are read, too |
//! | 12 | 4 | length of the body |
//! | 16 | 8 | generation: the higher one of two good slots counts |
//! | 24 | 4 | CRC-32 of the body |
//! | 28 | 4 | CRC-32 of bytes 0 to 27 |
//! | 32 | n | body: [`State`] in JSON |
//!
//! Version 1 has no `unsent` (one lane: everything up to `highest_sent` may have been sent), no
//! `required` and `retired` (in doubt it holds its records), and no time of a record set aside.
//! Version 2 has no `earlier` (nothing goes there that was kept before the destination came) and no
//! `proven` (an acknowledgement is enough). A file of a later version is refused and left alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::journal::{Disk, Storage};
use crate::vocabulary::StreamId;

/// Room for every list of [`State`] at its limit, with numbers of 16 digits.
const SLOT_BYTES: usize = 128 << 10;
const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"WGCURSOR";
const VERSION: u32 = 3;
/// The oldest version that is read.
const VERSION_MIN: u32 = 1;

/// More accepted ranges than this are not remembered across a restart; they are sent again.
pub const ACCEPTED_RANGES_MAX: usize = 512;
/// The newest records set aside that are named here; all are counted.
pub const SET_ASIDE_MAX: usize = 256;
/// Ranges that were surely not sent. They must all fit: one that was forgotten would be believed.
pub const UNSENT_RANGES_MAX: usize = 900;

/// What a destination has and has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub stream: StreamId,
    /// Every record up to this sequence is accepted, set aside or not routed here.
    pub low_water: u64,
    /// Accepted above it, first and last, ascending.
    pub accepted: Vec<(u64, u64)>,
    /// No record above this one has ever been sent. Durable before the record is sent.
    pub highest_sent: u64,
    /// Below the highest sent, and surely not sent: between the lanes, or waiting for the record
    /// that they name. First and last, ascending. A range is durable as sent before it is.
    #[serde(default)]
    pub unsent: Vec<(u64, u64)>,
    /// The generation of the last `have` that was followed.
    pub have_generation: u64,
    /// The newest records set aside.
    pub set_aside: Vec<SetAside>,
    /// How many were ever set aside.
    pub set_aside_total: u64,
    /// Every record up to this one was on stable storage when this was written, so it may be sent
    /// while the cursor cannot be written. No journal of this stream may end before it.
    #[serde(default)]
    pub promised: u64,
    /// Whether the journal keeps a record until this destination has it.
    #[serde(default = "in_doubt")]
    pub required: bool,
    /// A person has ended this destination: it holds nothing any more.
    #[serde(default)]
    pub retired: bool,
    /// What goes there although it was kept before the destination came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// How far answered manifests prove what it has, where an acknowledgement does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Box<Proven>>,
}

/// What answered manifests prove (see [`super::proof`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The core holds every record up to this sequence.
    pub through: u64,
    /// And these above it, first and last, ascending; at most
    /// [`super::proof::PROVEN_RANGES_MAX`].
    pub ranges: Vec<(u64, u64)>,
    /// The manifests that have no answer that counts, and when they were made, microseconds since
    /// 1970 UTC; at most [`super::proof::UNANSWERED_MAX`].
    pub unanswered: Vec<(u64, i64)>,
}

/// Records without a route that go to a destination all the same (see [`super::earlier`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The first sequence that the table asks for, whether or not it can still be had.
    pub from: u64,
    /// The last sequence that was kept before the destination came.
    pub through: u64,
    /// Only records of released device files go there.
    pub released_only: bool,
    /// It gets records without a patient, too, although it files into patients' records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unattributed: bool,
    /// `from` - 1 <= `settled`: up to here it is known what goes there.
    pub settled: u64,
    /// The last record up to `settled` that goes there; 0 for none.
    pub last: u64,
}

const fn in_doubt() -> bool {
    true
}

/// A record that this destination will not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    pub sequence: u64,
    /// The receiver's code, or ours.
    pub code: String,
    /// When, microseconds since 1970 UTC; 0 in files of version 1.
    #[serde(default)]
    pub time_us: i64,
}

impl State {
    /// Nothing sent, nothing accepted.
    pub fn start(stream: StreamId) -> Self {
        Self {
            stream,
            low_water: 0,
            accepted: Vec::new(),
            highest_sent: 0,
            unsent: Vec::new(),
            have_generation: 0,
            set_aside: Vec::new(),
            set_aside_total: 0,
            promised: 0,
            required: true,
            retired: false,
            earlier: None,
            proven: None,
        }
    }

    /// Up to here the destination holds nothing in the journal any more: everything is done here,
    /// and proven where that needs a proof.
    pub fn let_go_through(&self) -> u64 {
        let proven = self.proven.as_ref().map_or(u64::MAX, |proven| proven.through);
        self.low_water.min(proven)
    }
}

/// Why a cursor cannot be opened or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("cursor file: {0:?}")]
    Disk(io::ErrorKind),
    #[error("the cursor's state does not fit in its slot")]
    TooLarge,
    #[error("the cursor file is of version {0}: a later release wrote it, this one reads 1 to 3")]
    Newer(u32),
}

impl From<io::Error> for CursorError {
    fn from(error: io::Error) -> Self {
        CursorError::Disk(error.kind())
    }
}

/// What was found in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There was no file.
    New,
    /// The newest good slot.
    State(State),
    /// A file without a good slot: everything is sent again.
    Lost,
}

/// An open cursor file.
pub struct CursorFile {
    folder: Arc<dyn Storage>,
    name: String,
    /// `false` while the disk takes no writes.
    has_room: bool,
    /// The generation that the next write gets; it goes into slot `generation % 2`.
    generation: u64,
}

/// Where a destination's cursor is.
pub fn path(folder: &Path, destination: &str) -> PathBuf {
    folder.join(file_name(destination))
}

fn file_name(destination: &str) -> String {
    format!("{destination}.cursor")
}

/// What the cursor file says, without changing it: before the journal is opened, which wants to
/// know the highest sequences that left the box.
pub fn peek(path: &Path) -> Result<Found, CursorError> {
    match folder_and_name(path) {
        Ok((folder, name)) => look(&*folder, &name),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::New),
        Err(error) => Err(error.into()),
    }
}

/// As [`peek`], of a destination's cursor in a folder.
pub fn peek_in(folder: &dyn Storage, destination: &str) -> Result<Found, CursorError> {
    look(folder, &file_name(destination))
}

fn look(folder: &dyn Storage, name: &str) -> Result<Found, CursorError> {
    match folder.size(name) {
        Ok(_) => Ok(newest(folder, name)?.0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::New),
        Err(error) => Err(error.into()),
    }
}

fn folder_and_name(path: &Path) -> io::Result<(Arc<dyn Storage>, String)> {
    let named = path.file_name().and_then(|name| name.to_str());
    let (Some(folder), Some(name)) = (path.parent(), named) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let here = Path::new(".");
    let folder = if folder.as_os_str().is_empty() { here } else { folder };
    Ok((Arc::new(Disk::open_existing(folder)?), name.to_owned()))
}

impl CursorFile {
    /// Opens or makes the file. Where the disk takes no writes, what is there is read, and each
    /// [`CursorFile::write`] tries again.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn open(path: &Path) -> Result<(Self, Found), CursorError> {
        let (folder, name) = folder_and_name(path)?;
        Self::open_named(folder, name)
    }

    /// As [`CursorFile::open`], of a destination's cursor in a folder.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn open_in(
        folder: Arc<dyn Storage>,
        destination: &str,
    ) -> Result<(Self, Found), CursorError> {
        Self::open_named(folder, file_name(destination))
    }

    fn open_named(folder: Arc<dyn Storage>, name: String) -> Result<(Self, Found), CursorError> {
        let fresh = match folder.size(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Ok(_) | Err(_) => false,
        };
        let has_room = match reserve(&*folder, &name) {
            Ok(()) => true,
            Err(error) if takes_no_writes(error.kind()) => false,
            Err(error) => return Err(error.into()),
        };
        let (found, generation) = if fresh { (Found::New, 0) } else { newest(&*folder, &name)? };
        Ok((Self { folder, name, has_room, generation: generation + 1 }, found))
    }

    /// Writes and syncs. After a failure the next write goes to the same slot again, with its
    /// bytes written anew; the other slot stays what it is.
    pub fn write(&mut self, state: &State) -> Result<(), CursorError> {
        let mut bounded = state.clone();
        if bounded.unsent.len() > UNSENT_RANGES_MAX {
            return Err(CursorError::TooLarge);
        }
        bounded.accepted.truncate(ACCEPTED_RANGES_MAX);
        let surplus = bounded.set_aside.len().saturating_sub(SET_ASIDE_MAX);
        bounded.set_aside.drain(..surplus);
        let body = serde_json::to_vec(&bounded).map_err(|_| CursorError::TooLarge)?;
        if HEADER_BYTES + body.len() > SLOT_BYTES {
            return Err(CursorError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(body);
        if !self.has_room {
            reserve(&*self.folder, &self.name)?;
            self.has_room = true;
        }
        self.folder.write_at(&self.name, slot_offset(self.generation), &bytes)?;
        self.folder.sync(&self.name)?;
        self.generation += 1;
        Ok(())
    }
}

/// Full, read-only or failing: the disk's state, and no mistake of the site's.
fn takes_no_writes(kind: io::ErrorKind) -> bool {
    let mistakes = [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory,
    ];
    !mistakes.contains(&kind)
}

fn slot_offset(generation: u64) -> u64 {
    (generation % 2) * SLOT_BYTES as u64
}

/// Opens or makes the file with the room of both slots. Zeros are written, not only reserved: later
/// writes in place then need no new room.
fn reserve(folder: &dyn Storage, name: &str) -> io::Result<()> {
    let from = match folder.size(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.create(name, 0)?;
            0
        }
        size => size?,
    };
    folder.opens_for_writing(name)?;
    let missing = (2 * SLOT_BYTES).saturating_sub(usize::try_from(from).unwrap_or(usize::MAX));
    if missing > 0 {
        folder.write_at(name, from, &vec![0; missing])?;
        folder.sync(name)?;
        folder.sync_folder("")?;
    }
    Ok(())
}

/// The newest good slot and its generation.
fn newest(folder: &dyn Storage, name: &str) -> Result<(Found, u64), CursorError> {
    let mut slots = Vec::new();
    for index in 0..2_u64 {
        let mut bytes = vec![0; SLOT_BYTES];
        folder.read_at(name, slot_offset(index), &mut bytes)?;
        slots.extend(decode(&bytes)?.filter(|(generation, _)| generation % 2 == index));
    }
    let newest = slots.into_iter().max_by_key(|(generation, _)| *generation);
    Ok(match newest {
        Some((generation, state)) => (Found::State(state), generation),
        None => (Found::Lost, 0),
    })
}

fn decode(slot: &[u8]) -> Result<Option<(u64, State)>, CursorError> {
    let Some((version, generation, body)) = body_of(slot) else { return Ok(None) };
    match version {
        VERSION_MIN..=VERSION => {
            Ok(serde_json::from_slice(body).ok().map(|state| (generation, state)))
        }
        newer => Err(CursorError::Newer(newer)),
    }
}

/// Version, generation and body of a slot that is whole.
fn body_of(slot: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (header, rest) = slot.split_first_chunk::<HEADER_BYTES>()?;
    let word = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let good = header.starts_with(&MAGIC) && word(28)? == crc32fast::hash(&header[..28]);
    let body = rest.get(..word(12)? as usize)?;
    if !good || word(24)? != crc32fast::hash(body) {
        return None;
    }
    let generation = u64::from_le_bytes(*header.get(16..)?.first_chunk()?);
    Some((word(8)?, generation, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::proof::{PROVEN_RANGES_MAX, UNANSWERED_MAX};

    fn state(low_water: u64) -> State {
        let stream = StreamId::from_bytes([1; 16]);
        State { low_water, highest_sent: low_water + 2, ..State::start(stream) }
    }

    fn two_writes() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "core");
        let (mut cursor, found) = CursorFile::open(&path).unwrap();
        assert_eq!(found, Found::New);
        cursor.write(&state(5)).unwrap();
        cursor.write(&state(9)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (folder, path, bytes)
    }

    #[test]
    fn the_newest_state_comes_back_and_the_file_does_not_grow() {
        let (_folder, path, bytes) = two_writes();
        assert_eq!(bytes.len(), 2 * SLOT_BYTES);
        let (mut cursor, found) = CursorFile::open(&path).unwrap();
        assert_eq!(found, Found::State(state(9)));
        cursor.write(&state(10)).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(state(10))));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * SLOT_BYTES as u64);
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_state_before_it_or_the_new_one() {
        let (_folder, path, before) = two_writes();
        let (mut cursor, _) = CursorFile::open(&path).unwrap();
        cursor.write(&state(12)).unwrap();
        let after = std::fs::read(&path).unwrap();
        // The third write goes to the second slot, where the first one was.
        let slot = SLOT_BYTES;
        let length = after[slot..].iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for torn in 0..length {
            let mut bytes = before.clone();
            bytes[slot..slot + torn].copy_from_slice(&after[slot..slot + torn]);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(peek(&path), Ok(Found::State(state(9))), "torn after {torn} bytes");
        }
        std::fs::write(&path, &after).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(state(12))));
    }

    #[test]
    fn a_damaged_file_starts_lower_and_never_higher() {
        let (_folder, path, bytes) = two_writes();
        // The newer state (generation 2) is in the first slot.
        for offset in 0..HEADER_BYTES + 20 {
            let mut bad = bytes.clone();
            bad[offset] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(peek(&path), Ok(Found::State(state(5))), "byte {offset}");
        }
        std::fs::write(&path, vec![0xFF; 2 * SLOT_BYTES]).unwrap();
        assert_eq!(peek(&path), Ok(Found::Lost));
        std::fs::write(&path, b"").unwrap();
        let (mut cursor, found) = CursorFile::open(&path).unwrap();
        assert_eq!(found, Found::Lost);
        cursor.write(&state(1)).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(state(1))));
    }

    #[test]
    fn the_largest_state_fits() {
        let folder = tempfile::tempdir().unwrap();
        let (mut cursor, _) = CursorFile::open(&path(folder.path(), "core")).unwrap();
        let large = (1 << 53) - 1;
        let code = "\u{10FFFF}".repeat(40);
        let state = State {
            accepted: vec![(large, large); 5000],
            set_aside: vec![SetAside { sequence: large, code, time_us: i64::MAX }; 5000],
            unsent: vec![(large, large); UNSENT_RANGES_MAX],
            earlier: Some(Earlier {
                from: large,
                through: large,
                released_only: false,
                unattributed: false,
                settled: large,
                last: large,
            }),
            proven: Some(Box::new(Proven {
                through: large,
                ranges: vec![(large, large); PROVEN_RANGES_MAX],
                unanswered: vec![(large, i64::MIN); UNANSWERED_MAX],
            })),
            ..state(large - 5)
        };
        assert_eq!(cursor.write(&state), Ok(()));
    }

    /// A slot of this version, written by hand after the table above.
    fn slot(version: u32, body: &str) -> Vec<u8> {
        let mut bytes = b"WGCURSOR".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(crc32fast::hash(body.as_bytes()).to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(body.as_bytes());
        let mut file = vec![0; SLOT_BYTES];
        file.extend(&bytes);
        file.resize(2 * SLOT_BYTES, 0);
        file
    }

    const ONE: &str = concat!(
        r#"{"stream":"01010101010101010101010101010101","low_water":5,"accepted":[[7,8]],"#,
        r#""highest_sent":9,"have_generation":2,"#,
        r#""set_aside":[{"sequence":3,"code":"no-code"}],"set_aside_total":4}"#
    );
    const TWO: &str = concat!(
        r#"{"stream":"01010101010101010101010101010101","low_water":5,"accepted":[[7,8]],"#,
        r#""highest_sent":90,"unsent":[[10,80]],"have_generation":2,"#,
        r#""set_aside":[{"sequence":3,"code":"no-code","time_us":6}],"set_aside_total":4,"#,
        r#""promised":95,"required":false,"retired":true}"#
    );

    const THREE: &str = concat!(
        r#"{"stream":"01010101010101010101010101010101","low_water":5,"accepted":[[7,8]],"#,
        r#""highest_sent":90,"unsent":[[10,80]],"have_generation":2,"#,
        r#""set_aside":[{"sequence":3,"code":"no-code","time_us":6}],"set_aside_total":4,"#,
        r#""promised":95,"required":false,"retired":true,"earlier":{"from":1,"through":70,"#,
        r#""released_only":true,"settled":5,"last":4},"proven":{"through":4,"ranges":[[8,9]],"#,
        r#""unanswered":[[6,7]]}}"#
    );

    /// Row 21: this version and the ones before it are read; a later one is refused and left alone.
    #[test]
    fn the_version_before_this_one_is_read_and_a_later_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "core");
        let aside = |time_us| vec![SetAside { sequence: 3, code: "no-code".to_owned(), time_us }];
        let one = State {
            accepted: vec![(7, 8)],
            highest_sent: 9,
            have_generation: 2,
            set_aside: aside(0),
            set_aside_total: 4,
            ..state(5)
        };
        std::fs::write(&path, slot(1, ONE)).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(one.clone())));
        let two = State {
            highest_sent: 90,
            unsent: vec![(10, 80)],
            set_aside: aside(6),
            promised: 95,
            required: false,
            retired: true,
            ..one
        };
        std::fs::write(&path, slot(2, TWO)).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(two.clone())));
        let earlier = Earlier {
            from: 1,
            through: 70,
            released_only: true,
            unattributed: false,
            settled: 5,
            last: 4,
        };
        let proven = Proven { through: 4, ranges: vec![(8, 9)], unanswered: vec![(6, 7)] };
        let three = State { earlier: Some(earlier), proven: Some(Box::new(proven)), ..two.clone() };
        assert_eq!((two.let_go_through(), three.let_go_through()), (5, 4));
        std::fs::write(&path, slot(3, THREE)).unwrap();
        assert_eq!(peek(&path), Ok(Found::State(three.clone())));
        // What is written is this, byte for byte.
        for (name, state, body) in [("two", two, TWO), ("three", three, THREE)] {
            let fresh = super::path(folder.path(), name);
            CursorFile::open(&fresh).unwrap().0.write(&state).unwrap();
            assert_eq!(std::fs::read(&fresh).unwrap(), slot(3, body));
        }

        std::fs::write(&path, slot(4, THREE)).unwrap();
        assert_eq!(peek(&path), Err(CursorError::Newer(4)));
        assert!(matches!(CursorFile::open(&path), Err(CursorError::Newer(4))));
        assert_eq!(std::fs::read(&path).unwrap(), slot(4, THREE), "it is left as it is");
    }
}
