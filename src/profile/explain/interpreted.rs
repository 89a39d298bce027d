//! The explanation of `line` and `frame`: every column, key and byte.

use std::fmt::Write as _;

use super::super::claims::{Claims, frame_claims, line_claims};
use super::meaning;
use crate::protocol::Ask;
use crate::protocol::flag::FlagMode;
use crate::protocol::frame::{FrameField, FrameMessage, FrameProfile};
use crate::protocol::line::{ColumnField, LineMessage, LineProfile};
use crate::vocabulary::{AbsentReason, Vocabulary};

/// Where a row stands: a number sorts first, then keys and words by their text.
type Row = (u16, String, String);

pub(super) fn line(text: &mut String, line: &LineProfile, vocabulary: &Vocabulary) {
    asks(text, &line.ask, line.ask_apart_ms, |ask| ask.template().build(&[], |_| Vec::new()));
    if let Some(record) = &line.record {
        let (start, end) = (hex(&record.start.0), hex(&record.end.0));
        let _ = writeln!(text, "\nrecord: from {start} to {end}, one message");
        let (skip, why) = (record.skip_bytes, &record.skip_why);
        let _ = writeln!(text, "  {skip} bytes behind the start ignored: {why}");
    }
    for message in &line.message {
        let LineMessage { name, columns, .. } = message;
        let start = message.start();
        let _ = writeln!(text, "\nline {name}: starts with {start:?}, {columns} columns");
        let claims = line_claims(message);
        let _ = writeln!(text, "columns {}", marks(&claims));
        if let Some(why) = &message.no_values {
            let _ = writeln!(text, "  no values: {why}");
        }
        let mut rows = line_rows(message, vocabulary);
        rows.extend(claims.free().map(|column| (column as u16, String::new(), NOBODY.to_owned())));
        write_rows(text, "column", rows);
        if message.keys.is_some() {
            let _ = writeln!(text, "  any other key is kept as unmapped and counted");
        }
    }
}

fn line_rows(message: &LineMessage, vocabulary: &Vocabulary) -> Vec<Row> {
    let place = |column: Option<u16>, keys: &[String]| match column {
        Some(column) => (column, String::new()),
        None => (u16::MAX, format!("key {}", keys.join(", "))),
    };
    let mut rows: Vec<Row> = Vec::new();
    for field in &message.field {
        let (number, key) = place(field.column, &field.keys);
        rows.push((number, key, column_row(field, vocabulary)));
    }
    for flag in &message.flag {
        let (number, key) = match &flag.word {
            Some(word) => (u16::MAX, format!("word {word}")),
            None => place(flag.column, &flag.keys),
        };
        let sign = match (flag.bit, &flag.says) {
            (Some(bit), _) => format!("bit {bit} = "),
            (None, Some(says)) => format!("{says:?} = "),
            (None, None) => String::new(),
        };
        let row = flag_row(&sign, &flag.means, &flag.affects, flag.absent, flag.mode);
        rows.push((number, key, with_why(row, flag.no_matter.as_deref())));
    }
    for note in &message.note {
        let (number, key) = place(note.column, &note.keys);
        let on = if note.affects.is_empty() { "every value" } else { &note.affects.join(", ") };
        rows.push((number, key, format!("kept as a mark on {on}  [{}]", note.source)));
    }
    for ignored in &message.ignored {
        let (number, key) = place(ignored.column, &ignored.keys);
        let to = ignored.to.map(|to| format!(" (to {to})")).unwrap_or_default();
        rows.push((number, key, format!("ignored{to}: {}", ignored.why)));
    }
    for (word, said) in [("firmware", &message.firmware), ("serial number", &message.serial_number)]
    {
        let Some(said) = said else { continue };
        let (number, key) = place(said.column, &said.keys);
        rows.push((number, key, word.to_owned()));
    }
    rows
}

fn column_row(field: &ColumnField, vocabulary: &Vocabulary) -> String {
    let mut row = named(&field.parameter, &field.code, &field.unit, vocabulary);
    if field.setting {
        row.push_str("  set by a person");
    }
    let forms: Vec<&str> = field.forms.iter().map(|form| form.as_str()).collect();
    if !forms.is_empty() {
        let _ = write!(row, "  written {}", forms.join(" or "));
    }
    if let Some(mark) = &field.mark {
        let _ = write!(row, "  always marked {}", mark.as_str());
    }
    let _ = write!(row, "  [{}]", field.source);
    for (mark, reason) in &field.absent {
        let _ = write!(row, "\n            {mark:?} means absent: {reason}");
    }
    for (mark, means) in &field.marks {
        let _ = write!(row, "\n            {mark:?} behind it means: {}", means.as_str());
    }
    row
}

pub(super) fn frame(text: &mut String, frame: &FrameProfile, vocabulary: &Vocabulary) {
    asks(text, &frame.ask, frame.ask_apart_ms, |ask| frame.request(ask));
    for reply in &frame.reply {
        let (kind, bytes) = (&reply.payload_type, &reply.bytes);
        let _ = writeln!(text, "\nreply to a kept frame {kind}: {bytes}  [{}]", reply.source);
    }
    if let Some(train) = &frame.train {
        let (frames, bytes) = (train.frames, train.frame_bytes);
        let _ = writeln!(text, "\ntrain: {frames} frames of {bytes} bytes make one message");
    }
    for message in &frame.message {
        let FrameMessage { name, payload_type, payload_bytes, .. } = message;
        let _ =
            writeln!(text, "\nframe {name}: payload of {payload_bytes} bytes, type {payload_type}");
        let claims = frame_claims(frame, message);
        let _ = writeln!(text, "payload bytes {}", marks(&claims));
        if let Some(why) = &message.passed_over {
            let _ = writeln!(text, "  passed over: {why}");
        }
        if let Some(more) = &message.more_bytes {
            let _ = writeln!(text, "  up to {} bytes more: {}", more.max, more.why);
        }
        let mut rows: Vec<Row> = vec![(0, String::new(), format!("type {payload_type}"))];
        rows.extend(
            message
                .field
                .iter()
                .map(|field| (field.at, String::new(), number_row(field, vocabulary))),
        );
        for flag in &message.flag {
            let sign = format!("bit {} = ", flag.bit);
            let mut row = flag_row(&sign, &flag.means, &flag.affects, flag.absent, flag.mode);
            if let Some(repeated) = &flag.repeated {
                let _ = write!(row, ", in {} bytes, {} apart", repeated.times, repeated.every);
            }
            rows.push((flag.at, String::new(), with_why(row, flag.no_matter.as_deref())));
        }
        for ignored in &message.ignored {
            rows.push((ignored.at, String::new(), format!("ignored: {}", ignored.why)));
        }
        for (word, said) in
            [("firmware", &message.firmware), ("serial number", &message.serial_number)]
        {
            rows.extend(said.iter().map(|one| (one.at, String::new(), word.to_owned())));
        }
        rows.extend(claims.free().map(|at| (at as u16, String::new(), NOBODY.to_owned())));
        write_rows(text, "byte", rows);
    }
}

fn number_row(field: &FrameField, vocabulary: &Vocabulary) -> String {
    let what = named(&field.parameter, &field.code, &field.unit, vocabulary);
    let form = format!("{:?}", field.raw).to_lowercase();
    let mut row = format!("{what}  {form} x {}", field.lsb);
    if let Some(low) = &field.low {
        let _ = write!(row, ", low {} bits in byte {}", low.bits, low.at);
    }
    if let Some(when) = &field.when {
        let _ = write!(row, ", when byte {} is {}", when.at, hex(&when.is.0));
    }
    if let Some(mark) = &field.mark {
        let _ = write!(row, ", always marked {mark}");
    }
    let _ = write!(row, "  [{}]", field.source);
    for (mark, reason) in &field.absent {
        let _ = write!(row, "\n            {mark} means absent: {reason}");
    }
    if let Some(limit) = &field.absent_to {
        let _ = write!(row, "\n            {} and below means absent: {}", limit.raw, limit.reason);
    }
    if let Some(possible) = &field.possible {
        let (from, to) = (possible.from, possible.to);
        let _ = write!(row, "\n            outside {from} to {to} the frame is refused");
    }
    row
}

fn named(parameter: &str, code: &str, unit: &str, vocabulary: &Vocabulary) -> String {
    if parameter.is_empty() {
        format!("{code:<22} {unit:<10} unmapped")
    } else {
        meaning(parameter, unit, vocabulary)
    }
}

fn asks(text: &mut String, asks: &[Ask], apart: Option<u64>, bytes: impl Fn(&Ask) -> Vec<u8>) {
    if asks.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nrequests, at least {} ms apart", apart.unwrap_or_default());
    for ask in asks {
        let mut when = Vec::new();
        when.extend(ask.at_start.then(|| "at the start".to_owned()));
        when.extend(ask.every_ms.map(|ms| format!("every {ms} ms")));
        when.extend(ask.when_silent_ms.map(|ms| format!("after {ms} ms of silence")));
        when.extend(ask.after.as_ref().map(|name| format!("after each {name}")));
        let sent = hex(&bytes(ask));
        let _ = writeln!(text, "  {:<14} {sent}  {}  [{}]", ask.name, when.join(", "), ask.source);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn marks(claims: &Claims) -> String {
    let mark = |count: &usize| match count {
        0 => '?',
        1 => '!',
        _ => 'X',
    };
    claims.count.values().map(mark).collect()
}

fn flag_row(
    sign: &str,
    means: &str,
    affects: &[String],
    absent: Option<AbsentReason>,
    mode: Option<FlagMode>,
) -> String {
    let mut row = format!("{sign}{means}");
    if !affects.is_empty() {
        let _ = write!(row, " on {}", affects.join(", "));
    }
    if let Some(reason) = absent {
        let _ = write!(row, ", means absent: {reason}");
    }
    if let Some(mode) = mode {
        let _ = write!(row, ", puts the message into mode {}", mode.as_str());
    }
    row
}

fn with_why(row: String, why: Option<&str>) -> String {
    why.map_or(row.clone(), |why| format!("{row}, marks nothing: {why}"))
}

const NOBODY: &str = "? claimed by nobody";

fn write_rows(text: &mut String, word: &str, mut rows: Vec<Row>) {
    rows.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    for (place, key, row) in rows {
        if key.is_empty() {
            let _ = writeln!(text, "  {word} {place:<4} {row}");
        } else {
            let _ = writeln!(text, "  {key:<11} {row}");
        }
    }
}
