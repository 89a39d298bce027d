//! What the types cannot say of a `[protocol.frame]` table.

use super::super::claims::frame_claims;
use super::super::position::Step;
use super::Check;
use super::interpreted::FlagShape;
use crate::protocol::Part;
use crate::protocol::frame::{
    FrameField, FrameFlag, FrameMessage, FrameProfile, Hex, LengthSize, fits, scaled,
};

use Step::{Index, Key};

const TABLE: [Step<'static>; 2] = [Key("protocol"), Key("frame")];

impl<'a> Check<'a> {
    pub(super) fn frame(&mut self, frame: &FrameProfile) {
        self.framing(frame);
        self.train(frame);
        self.escapes(frame);
        self.replies(frame);
        let names: Vec<&str> = frame.message.iter().map(|one| one.name.as_str()).collect();
        self.distinct("frame", &names);
        self.asks("frame", &frame.ask, frame.ask_apart_ms, &names);
        for (index, message) in frame.message.iter().enumerate() {
            self.frame_message(index, frame, message);
        }
    }

    fn framing(&mut self, frame: &FrameProfile) {
        let (Some(start), Some(length)) = (&frame.start, &frame.length) else {
            let stated = frame.start.is_some() || frame.length.is_some();
            if frame.train.is_none() || stated {
                let what = "expected start and length, or else train";
                self.add(&TABLE, what);
            }
            return;
        };
        if frame.train.is_some() {
            let what = "expected either start and length or train";
            self.add(&[&TABLE[..], &[Key("train")]].concat(), what);
        }
        if usize::from(length.at) < start.0.len() {
            let what = "expected a place behind the start mark";
            self.add(&[&TABLE[..], &[Key("length"), Key("at")]].concat(), what);
        }
        let widest = 255 + length.uncounted;
        let too_wide = length.size == LengthSize::U8 && length.max > widest;
        if length.min > length.max || too_wide {
            let what = "expected min <= max, and max at most 255 for a length of one byte";
            self.add(&[&TABLE[..], &[Key("length"), Key("max")]].concat(), what);
        }
        if frame.checksum.from > length.at {
            let what = "expected a checksum that covers the length: from <= length.at";
            self.add(&[&TABLE[..], &[Key("checksum"), Key("from")]].concat(), what);
        }
    }

    fn train(&mut self, frame: &FrameProfile) {
        let Some(train) = &frame.train else { return };
        let path = [&TABLE[..], &[Key("train")]].concat();
        if usize::from(train.frame_bytes) <= frame.checksum.kind.bytes() || train.frames == 0 {
            let what = "expected frames with more than their checksum, and at least one";
            self.add(&[&path[..], &[Key("frame_bytes")]].concat(), what);
        }
        let one_bit = |hex: &Hex| matches!(hex.0[..], [byte] if byte != 0);
        let apart = matches!((&train.always.0[..], &train.first.0[..]), ([a], [f]) if a & f == 0);
        if !one_bit(&train.always) || !one_bit(&train.first) || !apart {
            let what = "expected two bytes with some bits, none of them in both";
            self.add(&[&path[..], &[Key("first")]].concat(), what);
        }
        if frame.checksum.from != 0 {
            let what = "expected 0: the mark of a small frame counts, too";
            self.add(&[&TABLE[..], &[Key("checksum"), Key("from")]].concat(), what);
        }
    }

    /// Escapes are pairs behind one of a few bytes, and free the start mark from doubt.
    fn escapes(&mut self, frame: &FrameProfile) {
        let start = frame.start.as_ref().and_then(|start| start.0.first());
        for (index, escape) in frame.escape.iter().enumerate() {
            let path = [TABLE[0], TABLE[1], Key("escape"), Index(index)];
            let pair = escape.sent.0.len() == 2 && escape.means.0.len() == 1;
            if !pair || escape.sent.0.first() == start {
                let what = "expected two bytes that are sent for one, not beginning like a frame";
                self.add(&path, what);
            }
            let first = escape.sent.0.first();
            if !frame.escape.iter().any(|one| one.means.0.first() == first) {
                let what = "the byte that begins an escape needs one itself";
                self.add(&[&path[..], &[Key("sent")]].concat(), what);
            }
        }
        let freed = frame.escape.iter().any(|one| one.means.0.first() == start);
        if !frame.escape.is_empty() && !freed {
            let what = "expected an escape for the first byte of the start mark";
            self.add(&[&TABLE[..], &[Key("escape")]].concat(), what);
        }
    }

    fn replies(&mut self, frame: &FrameProfile) {
        for (index, reply) in frame.reply.iter().enumerate() {
            let path = [TABLE[0], TABLE[1], Key("reply"), Index(index)];
            self.source(&path, &reply.source);
            self.template(&path, &reply.bytes, true);
            if reply.bytes.has(Part::Sequence) != reply.sequence.is_some() {
                let what = "expected (sequence) and the place of the number together";
                self.add(&[&path[..], &[Key("sequence")]].concat(), what);
            }
        }
    }

    fn frame_message(&mut self, index: usize, frame: &FrameProfile, message: &FrameMessage) {
        let path = [TABLE[0], TABLE[1], Key("message"), Index(index)];
        if message.payload_type.0.len() > usize::from(message.payload_bytes) {
            let what = "expected at least the bytes of payload_type";
            self.add(&[&path[..], &[Key("payload_bytes")]].concat(), what);
        }
        if message.passed_over.is_some() && !message.field.is_empty() {
            let what = "frames that are passed over hold no field";
            self.add(&[&path[..], &[Key("passed_over")]].concat(), what);
        }
        for (index, field) in message.field.iter().enumerate() {
            let path = [&path[..], &[Key("field"), Index(index)]].concat();
            self.named(&path, &field.parameter, &field.code, &field.unit);
            self.source(&path, &field.source);
            self.number(&path, message, field);
        }
        for (key, text) in
            [("firmware", &message.firmware), ("serial_number", &message.serial_number)]
        {
            let Some(text) = text else { continue };
            self.source(&[&path[..], &[Key(key)]].concat(), &text.source);
        }
        let flags: Vec<FlagShape<'_>> = message.flag.iter().map(flag_shape).collect();
        let names: Vec<&str> = message.field.iter().map(|one| one.name()).collect();
        self.flags(&path, &flags, &names);
        self.claims(&path, &frame_claims(frame, message), "byte");
    }

    fn number(&mut self, path: &[Step<'_>], message: &FrameMessage, field: &FrameField) {
        if scaled(1, &field.lsb).is_none() {
            let what = "expected a decimal such as \"0.1\" or \"1\"";
            self.add(&[path, &[Key("lsb")]].concat(), what);
        }
        for mark in field.absent.keys() {
            if !fits(mark, field) {
                let what = format!("expected a raw form of {:?}", field.raw);
                self.add(&[path, &[Key("absent"), Key(mark)]].concat(), what);
            }
        }
        if field.low.as_ref().is_some_and(|low| !(1..=8).contains(&low.bits)) {
            let what = "expected 1 to 8 bits";
            self.add(&[path, &[Key("low"), Key("bits")]].concat(), what);
        }
        if field.possible.as_ref().is_some_and(|possible| possible.from > possible.to) {
            self.add(&[path, &[Key("possible")]].concat(), "expected from <= to");
        }
        let Some(when) = &field.when else { return };
        let rivals = message.field.iter().filter(|one| one.at == field.at);
        let same = rivals.filter(|one| one.when.as_ref() == Some(when)).count();
        let plain = message.field.iter().any(|one| one.at == field.at && one.when.is_none());
        if when.is.0.len() != 1 || same != 1 || plain {
            let what = "expected one byte, another one in each row for this place";
            self.add(&[path, &[Key("when"), Key("is")]].concat(), what);
        }
    }
}

fn flag_shape(flag: &FrameFlag) -> FlagShape<'_> {
    FlagShape {
        bit: Some(flag.bit),
        bits: 8,
        affects: &flag.affects,
        marks_nothing_why: flag.mode.is_some() || flag.no_matter.is_some(),
        absent: flag.absent.is_some(),
    }
}
