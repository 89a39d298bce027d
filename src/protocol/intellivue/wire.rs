//! Big-endian fields out of a message, and the data types that are built of them. Plain functions
//! over slices; every position that comes out is one in the whole message.
//!
//! | type | layout | source |
//! |---|---|---|
//! | list | count u16, length u16, entries | facts/monitors.md 1.3 |
//! | attribute list | list of id u16, length u16, value | facts/monitors.md 1.3 |
//! | String | length u16 in bytes, UTF-16, ends with NUL | facts/monitors.md 1.7 |

use std::ops::Range;

/// What is left of a message, or of a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    /// The whole message.
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

/// A field does not fit into the part that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub at: Range<usize>,
    /// What was expected there.
    pub expected: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len() }
    }

    /// The part of a message that stands at `range`.
    pub fn within(bytes: &'a [u8], range: &Range<usize>) -> Self {
        let end = range.end.min(bytes.len());
        Self { bytes, at: range.start.min(end), end }
    }

    /// Where the next field begins.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.end - self.at
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    fn short(&self, expected: &'static str) -> Short {
        Short { at: self.at..self.end, expected }
    }

    pub fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Short> {
        let Some((first, _)) = self.rest().split_first_chunk::<N>() else {
            return Err(self.short(expected));
        };
        self.at += N;
        Ok(*first)
    }

    pub fn byte(&mut self, expected: &'static str) -> Result<u8, Short> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    pub fn u16(&mut self, expected: &'static str) -> Result<u16, Short> {
        self.array(expected).map(u16::from_be_bytes)
    }

    pub fn u32(&mut self, expected: &'static str) -> Result<u32, Short> {
        self.array(expected).map(u32::from_be_bytes)
    }

    /// The next `length` bytes as a part of their own.
    pub fn part(&mut self, length: usize, expected: &'static str) -> Result<Self, Short> {
        if length > self.left() {
            return Err(self.short(expected));
        }
        let part = Self { bytes: self.bytes, at: self.at, end: self.at + length };
        self.at += length;
        Ok(part)
    }

    /// A list: how many entries, and the part that holds them. The list's own length is trusted:
    /// what stands behind it inside the attribute belongs to nobody (facts/monitors.md 1.3).
    pub fn list(&mut self, expected: &'static str) -> Result<(u16, Self), Short> {
        let count = self.u16(expected)?;
        let length = self.u16(expected)?;
        Ok((count, self.part(usize::from(length), expected)?))
    }

    /// An attribute list.
    pub fn attributes(&mut self) -> Result<Vec<Attribute>, Short> {
        let (count, mut part) = self.list("an attribute list")?;
        let mut attributes = Vec::new();
        for _ in 0..count {
            let id = part.u16("an attribute's id")?;
            let length = part.u16("an attribute's length")?;
            let value = part.part(usize::from(length), "an attribute's value")?;
            attributes.push(Attribute { id, value: value.at..value.end });
        }
        Ok(attributes)
    }

    /// A String; without the NUL and control characters that real ones carry at their end.
    pub fn string(&mut self) -> Result<String, Short> {
        let length = self.u16("a string's length")?;
        let part = self.part(usize::from(length), "a string")?;
        Ok(utf16(part.rest()))
    }
}

/// One attribute of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub id: u16,
    /// Where its value stands in the message.
    pub value: Range<usize>,
}

/// The first attribute with that id.
pub(super) fn find(attributes: &[Attribute], id: u16) -> Option<&Attribute> {
    attributes.iter().find(|attribute| attribute.id == id)
}

/// UTF-16 up to the first NUL. Private-use characters (subscripts) stay as they are.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk::<2>());
    let units: Vec<u16> =
        units.map(|pair| u16::from_be_bytes(*pair)).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units).trim_matches(|c: char| c.is_control() || c == ' ').to_owned()
}

/// Eight-bit text with the junk that real packets carry (`\0\t`, `\n`, blanks) cut off: up to the
/// first NUL, trimmed. facts/monitors.md 1.3.
pub(super) fn ascii(bytes: &[u8]) -> String {
    let text: String =
        bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    text.trim_matches(|c: char| c.is_control() || c == ' ').to_owned()
}
