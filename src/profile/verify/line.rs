//! What the types cannot say of a `[protocol.line]` table.

use super::super::FRAME_BYTES_MAX;
use super::super::claims::{keys_claimed_twice, line_claims};
use super::super::position::Step;
use super::Check;
use super::interpreted::FlagShape;
use crate::protocol::line::{ColumnFlag, LineMessage, LineProfile, Record};

use Step::{Index, Key};

impl<'a> Check<'a> {
    pub(super) fn line(&mut self, line: &LineProfile) {
        let family = [Key("protocol"), Key("line")];
        let end = line.line_end.as_bytes();
        let simple = matches!(end, [_]) || matches!(end, [first, second] if first != second);
        if !simple {
            let what = "expected one character or two different ones, such as \"\\r\\n\"";
            self.add(&[&family[..], &[Key("line_end")]].concat(), what);
        }
        if line.max_line_bytes == 0 || line.max_line_bytes as usize > FRAME_BYTES_MAX {
            let what = format!("expected 1 to {FRAME_BYTES_MAX}");
            self.add(&[&family[..], &[Key("max_line_bytes")]].concat(), what);
        }
        if let Some(record) = &line.record {
            self.record(&[&family[..], &[Key("record")]].concat(), record, end);
        }
        let names: Vec<&str> = line.message.iter().map(|one| one.name.as_str()).collect();
        self.distinct("line", &names);
        self.asks("line", &line.ask, line.ask_apart_ms, &names);
        for (index, message) in line.message.iter().enumerate() {
            self.line_message(index, message);
        }
    }

    fn record(&mut self, path: &[Step<'_>], record: &Record, line_end: &[u8]) {
        let end = record.end.0.as_slice();
        let text = |byte: &u8| (0x20..0x7f).contains(byte) || line_end.contains(byte);
        if !matches!(end, [byte] if !text(byte)) {
            let what = "expected one byte that can stand in no line";
            self.add(&[path, &[Key("end")]].concat(), what);
        }
        let head = record.start.0.len() + usize::from(record.skip_bytes);
        let max = record.max_bytes as usize;
        if max <= head || max > FRAME_BYTES_MAX {
            let what = format!("expected more than {head} and at most {FRAME_BYTES_MAX}");
            self.add(&[path, &[Key("max_bytes")]].concat(), what);
        }
    }

    fn line_message(&mut self, index: usize, message: &LineMessage) {
        let path = [Key("protocol"), Key("line"), Key("message"), Index(index)];
        if message.separator.is_empty() {
            self.add(&[&path[..], &[Key("separator")]].concat(), "expected a separator");
        }
        if message.starts_with.is_empty() == message.starts_like.is_none() {
            let what = "expected either starts_with or starts_like";
            self.add(&[&path[..], &[Key("starts_with")]].concat(), what);
        }
        if message.keys.as_ref().is_some_and(|keys| keys.mark.is_empty()) {
            self.add(&[&path[..], &[Key("keys"), Key("mark")]].concat(), "expected a mark");
        }
        if let Some(enclosed) = &message.enclosed
            && (enclosed.open.is_empty()
                || enclosed.close.is_empty()
                || enclosed.bytes_column == 0
                || enclosed.columns_column == 0)
        {
            let what = "expected two marks and two columns with counts";
            self.add(&[&path[..], &[Key("enclosed")]].concat(), what);
        }
        let holds = message.field.len() + message.flag.len() + message.note.len();
        if message.no_values.is_some() && holds > 0 {
            let what = "a line without values has no field, flag or note";
            self.add(&[&path[..], &[Key("no_values")]].concat(), what);
        }
        for (index, field) in message.field.iter().enumerate() {
            let path = [&path[..], &[Key("field"), Index(index)]].concat();
            self.named(&path, &field.parameter, &field.code, &field.unit);
            self.source(&path, &field.source);
            self.place(&path, message, field.column, &field.keys);
        }
        self.line_places(&path, message);
        let flags: Vec<FlagShape<'_>> = message.flag.iter().map(flag_shape).collect();
        let names: Vec<&str> = message.field.iter().map(|one| one.name()).collect();
        self.flags(&path, &flags, &names);
        self.claims(&path, &line_claims(message), "column");
        for key in keys_claimed_twice(message) {
            self.add(&path, format!("key {key:?} is claimed twice"));
        }
    }

    /// Everything but fields: it stands somewhere, and sources are named.
    fn line_places(&mut self, path: &[Step<'_>], message: &LineMessage) {
        for (index, flag) in message.flag.iter().enumerate() {
            let path = [path, &[Key("flag"), Index(index)]].concat();
            match &flag.word {
                Some(_) => {
                    let alone = flag.column.is_none() && flag.keys.is_empty();
                    let said = flag.bit.is_some() || flag.says.is_some();
                    if !alone || said || message.words.is_none() {
                        let what = "expected a status word alone, in a message with `words`";
                        self.add(&[&path[..], &[Key("word")]].concat(), what);
                    }
                }
                None => {
                    self.place(&path, message, flag.column, &flag.keys);
                    if flag.bit.is_some() == flag.says.is_some() {
                        self.add(&path, "expected either a bit or what the column says");
                    }
                }
            }
        }
        for (index, note) in message.note.iter().enumerate() {
            let path = [path, &[Key("note"), Index(index)]].concat();
            self.place(&path, message, note.column, &note.keys);
            self.source(&path, &note.source);
            let named = |one: &&String| message.field.iter().any(|field| field.name() == *one);
            if !note.affects.iter().all(|one| named(&one)) {
                let what = "expected parameters of this message";
                self.add(&[&path[..], &[Key("affects")]].concat(), what);
            }
        }
        for (index, ignored) in message.ignored.iter().enumerate() {
            let path = [path, &[Key("ignored"), Index(index)]].concat();
            self.place(&path, message, ignored.column, &ignored.keys);
            let backwards = |to: u16| ignored.column.is_none_or(|from| to < from);
            if ignored.to.is_some_and(backwards) {
                let what = "expected a column behind the first one";
                self.add(&[&path[..], &[Key("to")]].concat(), what);
            }
        }
        let said = [("firmware", &message.firmware), ("serial_number", &message.serial_number)];
        for (key, said) in said {
            let Some(said) = said else { continue };
            let path = [path, &[Key(key)]].concat();
            self.place(&path, message, said.column, &said.keys);
            self.source(&path, &said.source);
        }
    }

    /// A column or keys, not both; keys only where the message has some.
    fn place(
        &mut self,
        path: &[Step<'_>],
        message: &LineMessage,
        column: Option<u16>,
        keys: &[String],
    ) {
        if column.is_some() != keys.is_empty() {
            self.add(path, "expected either a column or keys");
        } else if !keys.is_empty() && message.keys.is_none() {
            let what = "expected a column: the message has no keys";
            self.add(&[path, &[Key("keys")]].concat(), what);
        }
    }
}

fn flag_shape(flag: &ColumnFlag) -> FlagShape<'_> {
    FlagShape {
        bit: flag.bit,
        bits: 32,
        affects: &flag.affects,
        marks_nothing_why: flag.mode.is_some() || flag.no_matter.is_some(),
        absent: flag.absent.is_some(),
    }
}
