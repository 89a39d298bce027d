//! Identifiers: built by `parse`, never confused with each other.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Names are letters, digits, `-`, `_` and `.`, because they end up in topics and file names.
    #[error("expected 1 to {max} characters of a-z, A-Z, 0-9, '-', '_' or '.', got {got:?}")]
    BadName { max: usize, got: String },
    /// A place is `ward/bed` or finer.
    #[error("expected a place such as \"icu/bed-3\", got {0:?}")]
    BadPlace(String),
    /// A record id is `<stream's first 8 hex digits>-<sequence in base 36>`.
    #[error("expected a record id such as \"1f2e3d4c-2s\", got {0:?}")]
    BadRecordId(String),
    /// A stream is 32 hexadecimal digits in small letters.
    #[error("expected 32 hexadecimal digits in small letters, got {0:?}")]
    BadStream(String),
}

/// The longest device name: it must fit in an MQTT topic and a file name.
pub const NAME_CHARACTERS_MAX: usize = 48;

/// The name that the site's configuration gives a device.
///
/// ```
/// use wardgate::vocabulary::DeviceName;
/// assert!(DeviceName::parse("bed-3-oximeter").is_ok());
/// assert!(DeviceName::parse("bed 3/oximeter").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, IdentifierError> {
        Self::parse(&text)
    }
}

impl DeviceName {
    /// Letters, digits, `-`, `_` and `.`, at most [`NAME_CHARACTERS_MAX`].
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > NAME_CHARACTERS_MAX || !text.chars().all(plain) {
            return Err(IdentifierError::BadName {
                max: NAME_CHARACTERS_MAX,
                got: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a device stands: ward, room, bed, written with `/`. A place is never a patient.
///
/// ```
/// use wardgate::vocabulary::Place;
/// assert_eq!(Place::parse("icu/bed-3").unwrap().as_str(), "icu/bed-3");
/// assert!(Place::parse("icu//bed").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(String);

impl From<Place> for String {
    fn from(name: Place) -> Self {
        name.0
    }
}

impl TryFrom<String> for Place {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, IdentifierError> {
        Self::parse(&text)
    }
}

impl Place {
    /// One to five parts, each a name as in [`DeviceName`].
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 5 || parts.iter().any(|part| DeviceName::parse(part).is_err()) {
            return Err(IdentifierError::BadPlace(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The place as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A record's number in its stream: gap-free, from 1, below 2^53 so that JSON can carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// One above the largest sequence: 2^53.
    pub const LIMIT: u64 = 1 << 53;

    /// The first number of every stream.
    pub const FIRST: Sequence = Sequence(1);

    /// `None` for 0 and for 2^53 and above.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number >= Self::LIMIT { None } else { Some(Self(number)) }
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The sequence `count` later.
    ///
    /// # Panics
    /// Past 2^53: at a million records a second that is 285 years away.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self::new(self.0 + count).expect("a stream ends long before 2^53 records")
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The random 128-bit id made with each journal. Sequences mean something only within a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId([u8; 16]);

impl StreamId {
    /// From 16 random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From 32 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let bad = || IdentifierError::BadStream(text.to_owned());
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(bad());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| bad())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::<32>(&self.0, f)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Eight digits, a dash, and 11 digits: 2^53 - 1 in base 36.
const RECORD_ID_BYTES_MAX: usize = 20;

/// Which record of which stream: at most 20 characters, because it becomes MSH-10.
///
/// ```
/// use wardgate::vocabulary::{RecordId, Sequence, StreamId};
/// let stream = StreamId::from_bytes([0x1f; 16]);
/// let id = RecordId::of(stream, Sequence::new(100).unwrap());
/// assert_eq!(id.as_str(), "1f1f1f1f-2s");
/// assert_eq!(RecordId::parse("1f1f1f1f-2s").unwrap().sequence().number(), 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RecordId(String);

impl RecordId {
    /// Eight hex digits of the stream, `-`, and the sequence in base 36: 2^53 - 1 takes 11 digits.
    pub fn of(stream: StreamId, sequence: Sequence) -> Self {
        let mut text = String::with_capacity(RECORD_ID_BYTES_MAX);
        for byte in stream.0.iter().take(4) {
            text.extend([byte >> 4, byte & 0x0f].map(|four| char::from(figure(four))));
        }
        text.push('-');
        push_base36(&mut text, sequence.number());
        Self(text)
    }

    /// Checks the form only; whether the stream is ours is for the journal to say.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let bad = || IdentifierError::BadRecordId(text.to_owned());
        let (head, tail) = text.split_once('-').ok_or_else(bad)?;
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let sequence = u64::from_str_radix(tail, 36).ok().and_then(Sequence::new);
        match sequence {
            Some(found)
                if head.len() == 8 && head.chars().all(hex) && is_base36(tail, found.number()) =>
            {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(bad()),
        }
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The sequence inside.
    pub fn sequence(&self) -> Sequence {
        let tail = self.0.get(9..).unwrap_or_default();
        let number = u64::from_str_radix(tail, 36).ok().and_then(Sequence::new);
        number.expect("checked by parse and of")
    }

    /// Whether this id can belong to `stream`.
    pub fn is_of(&self, stream: StreamId) -> bool {
        Self::of(stream, self.sequence()) == *self
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which measurement: the record that first stated it plus the metric's index in it.
/// It stays the same through preliminary, final, corrected and retracted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ObservationId(String);

impl ObservationId {
    /// `index` counts the metrics of the record from 0.
    pub fn of(record: &RecordId, index: usize) -> Self {
        Self(format!("{record}.{index}"))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SHA-256 digest: of a device file, of raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of these texts as if they were one.
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        Self(hash.finalize().into())
    }

    /// From 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::<64>(&self.0, f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes the bytes as `DIGITS` small hexadecimal digits, two for each, in one go: several stand in
/// every record.
fn hex<const DIGITS: usize>(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [b'0'; DIGITS];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[figure(byte >> 4), figure(byte & 0x0f)]);
    }
    f.write_str(std::str::from_utf8(&text).expect("figures are ASCII"))
}

/// A figure of base 16 or 36, in small letters.
const fn figure(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn push_base36(text: &mut String, number: u64) {
    if number >= 36 {
        push_base36(text, number / 36);
    }
    // A remainder of 36 fits in a byte.
    text.push(char::from(figure((number % 36) as u8)));
}

/// Whether these are the figures of the number, as [`RecordId::of`] writes them.
fn is_base36(text: &str, number: u64) -> bool {
    let mut written = String::with_capacity(RECORD_ID_BYTES_MAX);
    push_base36(&mut written, number);
    written == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_record_id_fits_msh_10() {
        let stream = StreamId::from_bytes([0xff; 16]);
        let id = RecordId::of(stream, Sequence::new(Sequence::LIMIT - 1).unwrap());
        assert!(id.as_str().len() <= 20, "{id}");
        assert_eq!(RecordId::parse(id.as_str()).unwrap(), id);
        assert!(id.is_of(stream));
    }

    #[test]
    fn a_stream_is_written_in_one_way_only() {
        let text = "0f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
        assert_eq!(StreamId::parse(text).unwrap().to_string(), text);
        for odd in [text.to_uppercase(), text.replacen('0', "+", 1), text[1..].to_owned()] {
            assert!(StreamId::parse(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn odd_record_ids_are_refused() {
        for odd in [
            "",
            "1f1f1f1f",
            "1f1f1f1f-",
            "1f1f1f1f-0",
            "1f1f1f1f-02",
            "1F1F1F1F-2",
            "x-2",
            "1f1f1f1f-2S",
        ] {
            assert!(RecordId::parse(odd).is_err(), "{odd}");
        }
    }
}
