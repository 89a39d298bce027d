//! What `line` and `frame` share: what may be sent, flags, and that every place is claimed once.

use super::super::claims::Claims;
use super::super::position::Step;
use super::Check;
use crate::protocol::{Ask, Part, Template};

use Step::{Index, Key};

/// What is looked at in a flag of either family.
pub(super) struct FlagShape<'a> {
    pub bit: Option<u8>,
    /// How many bits its place has.
    pub bits: u8,
    pub affects: &'a [String],
    /// It says the mode, or the file says why it marks nothing.
    pub marks_nothing_why: bool,
    pub absent: bool,
}

impl<'a> Check<'a> {
    /// Exactly one of two texts is stated: the vocabulary's name and the device's own.
    pub(super) fn named(&mut self, path: &[Step<'_>], parameter: &str, code: &str, unit: &str) {
        match (parameter.is_empty(), code.is_empty()) {
            (false, true) => self.parameter(path, parameter, Some(unit)),
            (true, false) => {}
            (true, true) | (false, false) => {
                let what = "expected either a parameter of the vocabulary or, for what it does \
                            not know, the device's own code";
                self.add(&[path, &[Key("parameter")]].concat(), what);
            }
        }
    }

    /// The requests: each has bytes and an occasion, and they keep their distance.
    pub(super) fn asks(&mut self, family: &str, asks: &[Ask], apart: Option<u64>, names: &[&str]) {
        let table = [Key("protocol"), Key(family)];
        if !asks.is_empty() && apart.is_none_or(|ms| ms == 0) {
            let what = "expected the least time between two requests";
            self.add(&[&table[..], &[Key("ask_apart_ms")]].concat(), what);
        }
        for (index, ask) in asks.iter().enumerate() {
            let path = [table[0], table[1], Key("ask"), Index(index)];
            self.source(&path, &ask.source);
            if ask.text.is_some() == ask.bytes.is_some() {
                self.add(&path, "expected either text or bytes to send");
            }
            if !ask.has_occasion() {
                let what = "expected an occasion: at_start, every_ms, when_silent_ms or after";
                self.add(&path, what);
            }
            let (every, silent) = (ask.every_ms, ask.when_silent_ms);
            if every.is_some() && silent.is_some() {
                let what = "expected either every_ms or when_silent_ms";
                self.add(&[&path[..], &[Key("when_silent_ms")]].concat(), what);
            }
            for (key, ms) in [("every_ms", every), ("when_silent_ms", silent)] {
                if ms.is_some_and(|ms| ms < apart.unwrap_or(1)) {
                    let what = "expected at least ask_apart_ms";
                    self.add(&[&path[..], &[Key(key)]].concat(), what);
                }
            }
            if let Some(after) = ask.after.as_deref()
                && !names.contains(&after)
            {
                let what = format!("expected the name of a message: {names:?}");
                self.add(&[&path[..], &[Key("after")]].concat(), what);
            }
            let template = ask.template();
            if template.has(Part::Sequence) {
                let what = "a request answers nothing: (sequence) is for replies";
                self.add(&[&path[..], &[Key("bytes")]].concat(), what);
            }
            self.template(&path, &template, family == "frame");
        }
    }

    /// A checksum comes last, and only where the profile says how it is computed.
    pub(super) fn template(&mut self, path: &[Step<'_>], template: &Template, has_checksum: bool) {
        let misplaced = !template.ends_with_checksum() || !has_checksum;
        if template.has(Part::Checksum) && misplaced {
            let what = "expected (checksum) as the last part, in a frame";
            self.add(&[path, &[Key("bytes")]].concat(), what);
        }
    }

    pub(super) fn flags(&mut self, path: &[Step<'_>], flags: &[FlagShape<'_>], names: &[&str]) {
        for (index, flag) in flags.iter().enumerate() {
            let path = [path, &[Key("flag"), Index(index)]].concat();
            if flag.bit.is_some_and(|bit| bit >= flag.bits) {
                let what = format!("expected a bit from 0 to {}", flag.bits - 1);
                self.add(&[&path[..], &[Key("bit")]].concat(), what);
            }
            // A flag that only says the mode marks no parameter of its own.
            let marks_nothing = flag.affects.is_empty() && (!flag.marks_nothing_why || flag.absent);
            if marks_nothing || flag.affects.iter().any(|one| !names.contains(&one.as_str())) {
                let what = format!("expected parameters of this message: {names:?}");
                self.add(&[&path[..], &[Key("affects")]].concat(), what);
            }
        }
    }

    /// Every place is claimed once; a place that nobody claims must be a known gap.
    pub(super) fn claims(&mut self, path: &[Step<'_>], claims: &Claims, word: &str) {
        for place in &claims.outside {
            let what = format!("{word} {place} lies outside the message");
            self.add(path, what);
        }
        for (place, count) in &claims.count {
            if *count > 1 {
                self.add(path, format!("{word} {place} is claimed {count} times"));
            }
        }
        let provenance = &self.profile.file.provenance;
        let free: Vec<String> = claims.free().map(|place| place.to_string()).collect();
        if !free.is_empty() && provenance.known_gaps.is_empty() && provenance.caveats.is_empty() {
            let what = format!(
                "{word} {} is neither read nor ignored: list it under `ignored` with the reason, \
                 or say so in provenance.known_gaps",
                free.join(", ")
            );
            self.add(path, what);
        }
    }

    /// Names that must not come twice.
    pub(super) fn distinct(&mut self, family: &str, names: &[&str]) {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                let path = [Key("protocol"), Key(family), Key("message"), Index(index)];
                self.add(&path, format!("the name {name:?} comes twice"));
            }
        }
    }
}
