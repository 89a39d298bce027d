//! Text out of a message: ranges of bytes become characters, escapes are resolved.
//!
//! Two forms, never mixed up: the *text* (decoded, escapes resolved) of something that holds no
//! delimiters, and the *wire* form (decoded, delimiters and escapes as sent) of something that may.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use super::charset::{Charset, Choice};
use super::escape::unescape;
use super::path::Path;
use super::profile::LocalEscape;
use super::segments::{Delimiters, Segment, parts, slice};
use crate::protocol::utf8::holds_utf8;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{Refused, Why};

/// The HL7 null: "delete what you have", so nothing is stated.
const NULL: &str = "\"\"";

/// One message with everything that is needed to read text from it.
pub struct Wire<'a> {
    pub raw: &'a [u8],
    pub delimiters: Delimiters,
    pub charset: Charset,
    local_escape: LocalEscape,
    guessed: Cell<bool>,
}

impl<'a> Wire<'a> {
    /// A message in the character set that was chosen for it.
    pub fn new(
        raw: &'a [u8],
        delimiters: Delimiters,
        choice: Choice,
        local_escape: LocalEscape,
    ) -> Self {
        let guessed = Cell::new(choice.guessed);
        Self { raw, delimiters, charset: choice.charset, local_escape, guessed }
    }

    /// Whether any character so far was read by guessing, or may be one of another set.
    pub fn guessed(&self) -> bool {
        self.guessed.get()
    }

    /// The bytes at a range.
    pub fn bytes(&self, at: &Range<usize>) -> &'a [u8] {
        slice(self.raw, at)
    }

    /// The wire form.
    pub fn as_sent(&self, at: &Range<usize>) -> Result<String, Refused> {
        self.legible(at).map(Cow::into_owned)
    }

    /// The same, for who may not want to keep it.
    pub fn legible(&self, at: &Range<usize>) -> Result<Cow<'a, str>, Refused> {
        let bytes = self.bytes(at);
        match self.charset.decode(bytes) {
            Some(text) => {
                let doubted = self.charset.takes_any_byte() && holds_utf8(bytes);
                self.guessed.set(self.guessed.get() || doubted);
                Ok(text)
            }
            None => {
                let detail = format!("expected text in {}", self.charset.name());
                Err(Refused::new(Why::Charset, at.clone(), detail))
            }
        }
    }

    /// The text.
    pub fn text(&self, at: &Range<usize>) -> Result<String, Refused> {
        self.read(at).map(Cow::into_owned)
    }

    /// The same, for who may not want to keep it.
    pub fn read(&self, at: &Range<usize>) -> Result<Cow<'a, str>, Refused> {
        let sent = self.legible(at)?;
        if !self.bytes(at).contains(&self.delimiters.escape) {
            return Ok(sent);
        }
        let read = unescape(&sent, self.delimiters, self.charset, self.local_escape);
        self.guessed.set(self.guessed.get() || read.guessed);
        Ok(Cow::Owned(read.text))
    }

    /// The text of a whole field; empty if the segment ends before it.
    pub fn field_text(&self, segment: &Segment, field: usize) -> Result<String, Refused> {
        self.read_field(segment, field).map(Cow::into_owned)
    }

    /// The same, for who may not want to keep it.
    pub fn read_field(&self, segment: &Segment, field: usize) -> Result<Cow<'a, str>, Refused> {
        segment.field(field).map_or(Ok(Cow::Borrowed("")), |at| self.read(&at))
    }

    /// The wire form of a whole field; empty where it holds nothing but delimiters or the null.
    pub fn field_stated(&self, segment: &Segment, field: usize) -> Result<String, Refused> {
        let Some(at) = segment.field(field) else { return Ok(String::new()) };
        let sent = self.as_sent(&at)?;
        let delimiter = |c: char| u8::try_from(c).is_ok_and(|byte| self.delimits(byte));
        let empty = sent.chars().all(|c| delimiter(c) || c == ' ') || sent == NULL;
        if empty {
            return Ok(String::new());
        }
        if sent.contains(delimiter) { Ok(sent) } else { self.text(&at) }
    }

    /// The repetitions of a field; none if the segment ends before it.
    pub fn repetitions(&self, segment: &Segment, field: usize) -> Vec<Range<usize>> {
        let split = |at| parts(self.raw, at, Some(self.delimiters.repetition));
        segment.field(field).map(split).unwrap_or_default()
    }

    /// The components of a repetition.
    pub fn components(&self, repetition: &Range<usize>) -> Vec<Range<usize>> {
        parts(self.raw, repetition.clone(), Some(self.delimiters.component))
    }

    /// The text of a component, or its wire form if it has sub-components; empty for the null.
    pub fn component(&self, components: &[Range<usize>], number: usize) -> Result<String, Refused> {
        let Some(at) = number.checked_sub(1).and_then(|index| components.get(index)) else {
            return Ok(String::new());
        };
        let divided =
            self.delimiters.sub_component.is_some_and(|sub| self.bytes(at).contains(&sub));
        let text = if divided { self.as_sent(at)? } else { self.text(at)? };
        Ok(if text == NULL { String::new() } else { text })
    }

    /// What stands at a path in a segment of its name: the first repetition, and the first of
    /// whatever the path does not number. Empty if nothing or the null stands there.
    pub fn at_path(&self, segment: &Segment, path: &Path) -> Result<String, Refused> {
        let repetitions = self.repetitions(segment, path.field());
        // MSH-1 and MSH-2 are delimiters themselves.
        let Some(repetition) = repetitions.first() else { return Ok(String::new()) };
        let components = self.components(repetition);
        let Some(component) = components.get(path.component() - 1) else {
            return Ok(String::new());
        };
        let subs = parts(self.raw, component.clone(), self.delimiters.sub_component);
        let Some(sub) = subs.get(path.sub_component() - 1) else { return Ok(String::new()) };
        let text = self.text(sub)?;
        Ok(if text == NULL { String::new() } else { text.trim().to_owned() })
    }

    /// All codings of a coded field: components 1 to 3, 4 to 6 and, in CWE, 10 to 12.
    pub fn codings(&self, repetition: &Range<usize>) -> Result<Vec<Coding>, Refused> {
        let components = self.components(repetition);
        let mut codings = Vec::new();
        for first in [1_usize, 4, 10].into_iter().filter(|first| *first <= components.len()) {
            let part = |offset: usize| self.component(&components, first + offset);
            let coding = Coding { code: part(0)?, words: part(1)?, system: part(2)? };
            if !coding.code.is_empty() || !coding.words.is_empty() {
                codings.push(coding);
            }
        }
        Ok(codings)
    }

    /// Whether the byte separates anything inside a field.
    pub fn delimits(&self, byte: u8) -> bool {
        let Delimiters { component, repetition, sub_component, .. } = self.delimiters;
        byte == component || byte == repetition || Some(byte) == sub_component
    }
}
