//! The marks of a line on its values: bits, status words, texts. What no row explains stays as a
//! mark on every value.

use super::columns::Columns;
use super::decode::no_column;
use super::field::ColumnFlag;
use super::profile::LineMessage;
use crate::protocol::interpreted::Decoded;
use crate::vocabulary::{Refused, Why};

/// Puts all marks on; without readable flags no value can be trusted.
pub(super) fn flags(
    message: &LineMessage,
    text: &str,
    columns: &Columns<'_>,
    decoded: &mut Decoded,
) {
    let mut unreadable: Vec<&ColumnFlag> = Vec::new();
    for flag in &message.flag {
        match is_set(flag, text, columns) {
            Ok(true) if flag.no_matter.is_some() => {}
            Ok(true) => decoded.mark(&flag.means, &flag.affects, flag.absent, flag.mode),
            Ok(false) => {}
            Err(refused) => {
                let known = |one: &&ColumnFlag| one.column == flag.column && one.keys == flag.keys;
                if !unreadable.iter().any(known) {
                    unreadable.push(flag);
                    decoded.refusals.push(refused);
                }
                // Without its flags a value cannot be told from a bad one.
                decoded.readings.clear();
            }
        }
    }
    unlisted_bits(message, columns, decoded);
    for (_, word) in &columns.words {
        if !message.flag.iter().any(|flag| flag.word.as_deref() == Some(word)) {
            decoded.mark_all(word);
        }
    }
    for note in &message.note {
        let text = columns.find(note.column, &note.keys).map_or("", |(_, text)| text.trim());
        if !text.is_empty() && !note.unless.iter().any(|one| one == text) {
            let mark = format!("{}{text}", note.name);
            if note.affects.is_empty() {
                decoded.mark_all(&mark);
            } else {
                decoded.mark(&mark, &note.affects, None, None);
            }
        }
    }
}

fn is_set(flag: &ColumnFlag, text: &str, columns: &Columns<'_>) -> Result<bool, Refused> {
    if let Some(word) = &flag.word {
        return Ok(columns.words.iter().any(|(_, one)| one == word));
    }
    let Some((at, part)) = columns.find(flag.column, &flag.keys) else {
        return Err(no_column(flag.column, "for flags", text));
    };
    match (flag.bit, &flag.says) {
        (Some(bit), _) => match bits(part, &flag.digits) {
            Some(bits) => Ok(bits.checked_shr(u32::from(bit)).unwrap_or(0) & 1 == 1),
            None => {
                let place = place(flag);
                let digits = match flag.digits.as_slice() {
                    [] => String::new(),
                    counts => format!(" of one of {counts:?} digits"),
                };
                let detail = format!("{place}: expected a hexadecimal number{digits}");
                Err(Refused::new(Why::Unreadable, at, detail))
            }
        },
        (None, Some(says)) => {
            let mut words = part.split(|c: char| !c.is_ascii_alphanumeric());
            Ok(part.trim() == says || words.any(|word| word == says))
        }
        // The loader lets no flag through without one of them.
        (None, None) => Ok(false),
    }
}

/// The hexadecimal number at the head of a column: all of it, or what stands before a colon.
fn bits(part: &str, wanted: &[u8]) -> Option<u32> {
    let digits = part.trim().split(':').next().unwrap_or_default();
    let is_count = |count: &u8| usize::from(*count) == digits.len();
    let long_enough = match wanted {
        [] => !digits.is_empty(),
        counts => counts.iter().any(is_count),
    };
    let plain = long_enough && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

fn place(flag: &ColumnFlag) -> String {
    match flag.column {
        Some(column) => format!("column {column}"),
        None => flag.keys.first().cloned().unwrap_or_default(),
    }
}

/// A set bit that no row lists stays as a mark on every value: nobody knows what it means.
fn unlisted_bits(message: &LineMessage, columns: &Columns<'_>, decoded: &mut Decoded) {
    let mut done: Vec<(Option<u16>, &Vec<String>)> = Vec::new();
    for flag in message.flag.iter().filter(|flag| flag.bit.is_some()) {
        if done.contains(&(flag.column, &flag.keys)) {
            continue;
        }
        done.push((flag.column, &flag.keys));
        let part = columns.find(flag.column, &flag.keys);
        let set = part.and_then(|(_, part)| bits(part, &flag.digits)).unwrap_or(0);
        let same = |one: &&ColumnFlag| one.column == flag.column && one.keys == flag.keys;
        let listed: Vec<u8> = message.flag.iter().filter(same).filter_map(|one| one.bit).collect();
        for bit in (0..32u8).filter(|bit| set >> bit & 1 == 1 && !listed.contains(bit)) {
            decoded.mark_all(&format!("{}-bit-{bit}", place(flag).replace(' ', "-")));
        }
    }
}
