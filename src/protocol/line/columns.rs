//! One line to its columns, keys and status words. Plain functions over slices.

use std::ops::Range;

use super::profile::{Enclosed, LineMessage};
use crate::vocabulary::{Refused, Why};

/// A text and its place in the line.
pub(super) type Part<'a> = (Range<usize>, &'a str);

/// What a line is made of.
pub(super) struct Columns<'a> {
    ignore_case: bool,
    fixed: Vec<Part<'a>>,
    /// Key and value.
    pub keyed: Vec<(&'a str, Part<'a>)>,
    pub words: Vec<Part<'a>>,
}

impl<'a> Columns<'a> {
    /// Takes a line apart. `Err`: it is not whole, and nothing of it can be trusted.
    pub fn of(message: &LineMessage, text: &'a str) -> Result<Self, Refused> {
        let parts = match &message.enclosed {
            Some(enclosed) => between_marks(message, enclosed, text)?,
            None => split(message, 0, text),
        };
        let wanted = usize::from(message.columns);
        let more = message.enclosed.as_ref().is_some_and(|enclosed| enclosed.more);
        let all_fixed = more || message.no_values.is_some();
        let open_ended = all_fixed || message.keys.is_some() || message.words.is_some();
        if parts.len() < wanted || (parts.len() > wanted && !open_ended) {
            let more = if open_ended { "at least " } else { "" };
            let detail = format!("expected {more}{wanted} columns, got {}", parts.len());
            return Err(Refused::new(Why::TooShort, 0..text.len(), detail));
        }
        let ignore_case = message.keys.as_ref().is_some_and(|keys| keys.ignore_case);
        let mut columns = Self { ignore_case, fixed: Vec::new(), keyed: vec![], words: vec![] };
        if all_fixed {
            columns.fixed = parts;
            return Ok(columns);
        }
        let mut parts = parts.into_iter();
        columns.fixed = parts.by_ref().take(wanted).collect();
        for (at, part) in parts {
            let keyed = message.keys.as_ref().and_then(|keys| part.split_once(&keys.mark));
            match keyed {
                Some((key, value)) => {
                    columns.add_key(key, (at.end - value.len()..at.end, value))?
                }
                None => columns.add_word(message, (at, part))?,
            }
        }
        columns.has_all_keys(message, text)?;
        Ok(columns)
    }

    fn add_key(&mut self, key: &'a str, value: Part<'a>) -> Result<(), Refused> {
        if self.keyed.iter().any(|(known, _)| self.same(known, key)) {
            return Err(Refused::new(Why::Unreadable, value.0, "a key comes twice in one line"));
        }
        self.keyed.push((key, value));
        Ok(())
    }

    fn add_word(&mut self, message: &LineMessage, word: Part<'a>) -> Result<(), Refused> {
        let at_most = message.words.as_ref().map_or(0, |words| usize::from(words.at_most));
        let form = message.words.as_ref().and_then(|words| words.like.as_ref());
        let listed = message.flag.iter().any(|flag| flag.word.as_deref() == Some(word.1));
        if self.words.len() >= at_most || !(listed || form.is_some_and(|form| form.fits(word.1))) {
            let detail = "expected a key with its value or a status word";
            return Err(Refused::new(Why::Unreadable, word.0, detail));
        }
        self.words.push(word);
        Ok(())
    }

    /// A line that lost some of its keys may have lost part of a value, too.
    fn has_all_keys(&self, message: &LineMessage, text: &str) -> Result<(), Refused> {
        let fields = message.field.iter().filter(|field| !field.optional);
        let wanted = fields
            .map(|field| &field.keys)
            .chain(message.flag.iter().map(|flag| &flag.keys))
            .filter(|keys| !keys.is_empty());
        for keys in wanted {
            if self.find(None, keys).is_none() {
                let detail = format!("the line has none of the keys {keys:?}");
                return Err(Refused::new(Why::TooShort, 0..text.len(), detail));
            }
        }
        Ok(())
    }

    /// The text of a column by its number or by one of its keys.
    pub fn find(&self, column: Option<u16>, keys: &[String]) -> Option<Part<'a>> {
        if let Some(column) = column {
            return usize::from(column).checked_sub(1).and_then(|at| self.fixed.get(at)).cloned();
        }
        let named = |(key, _): &&(&str, Part)| keys.iter().any(|one| self.same(one, key));
        self.keyed.iter().find(named).map(|(_, part)| part.clone())
    }

    /// Whether two keys are the same.
    pub fn same(&self, one: &str, other: &str) -> bool {
        if self.ignore_case { one.eq_ignore_ascii_case(other) } else { one == other }
    }
}

/// The parts between separators; `from` is where the text begins in the line.
fn split<'a>(message: &LineMessage, from: usize, text: &'a str) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut at = from;
    for part in text.split(&message.separator) {
        if !(message.runs && part.is_empty()) {
            parts.push((at..at + part.len(), part));
        }
        at += part.len() + message.separator.len();
    }
    parts
}

/// Columns before the opening mark, the mark, the columns behind it, the closing mark.
fn between_marks<'a>(
    message: &LineMessage,
    enclosed: &Enclosed,
    text: &'a str,
) -> Result<Vec<Part<'a>>, Refused> {
    let refused =
        |why: Why, detail: String| -> Refused { Refused::new(why, 0..text.len(), detail) };
    let Some((head, rest)) = text.split_once(&enclosed.open) else {
        return Err(refused(Why::TooShort, "the opening mark is missing".to_owned()));
    };
    let Some(inside) = rest.strip_suffix(&enclosed.close) else {
        return Err(refused(Why::TooShort, "the closing mark is missing".to_owned()));
    };
    let Some(before) = head.strip_suffix(&message.separator) else {
        let detail = "expected a separator before the opening mark".to_owned();
        return Err(refused(Why::Unreadable, detail));
    };
    let mut parts = split(message, 0, before);
    if parts.len() + 1 != enclosed.open_column() {
        let detail = format!("expected the opening mark as column {}", enclosed.open_column());
        return Err(refused(Why::TooShort, detail));
    }
    let stated = |column: u16| -> Result<usize, Refused> {
        let part = usize::from(column).checked_sub(1).and_then(|at| parts.get(at));
        part.and_then(|(_, text)| text.trim().parse().ok())
            .ok_or_else(|| refused(Why::Unreadable, format!("column {column}: expected a count")))
    };
    let (bytes, columns) = (stated(enclosed.bytes_column)?, stated(enclosed.columns_column)?);
    if bytes != inside.len() && bytes != inside.len() + enclosed.close.len() {
        let detail = format!("the line states {bytes} bytes, got {}", inside.len());
        return Err(refused(Why::TooShort, detail));
    }
    let opened = head.len()..head.len() + enclosed.open.len();
    let from = opened.end;
    // The last column may or may not have a separator behind it.
    let body = inside.strip_suffix(&message.separator).unwrap_or(inside);
    let found = split(message, from, body);
    if found.len() != columns {
        let detail = format!("the line states {columns} columns, got {}", found.len());
        return Err(refused(Why::TooShort, detail));
    }
    parts.push((opened, ""));
    parts.extend(found);
    parts.push((from + inside.len()..text.len(), ""));
    Ok(parts)
}
