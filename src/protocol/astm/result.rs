//! One R record to one reading, and whether it is a patient's (facts/lab.md 2.2 to 2.4).

use super::meaning::Reader;
use super::path::{RecordLetter, RecordPath};
use super::records::{Found, NotInCharset, Record, field};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    AbsentReason, DeviceCode, DeviceTime, DeviceUnit, Flag, Mode, Reading, ResultStatus, Value,
};

impl<'a> Reader<'a> {
    pub(super) fn selected(&self, record: &Record<'a>) -> Result<bool, NotInCharset> {
        for rule in &self.profile.select {
            let text = match self.find(&rule.path, Some(record)) {
                Some(found) if !found.says_nothing() => found.text(self.charset)?,
                Some(_) | None => String::new(),
            };
            let holds = if rule.not_empty {
                !text.is_empty()
            } else {
                rule.one_of.iter().any(|one| one == text.trim())
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn reading(&mut self, record: &Record<'a>) -> Result<Reading, NotInCharset> {
        let text = |number: usize| match record.field(number) {
            Some(found) if !found.says_nothing() => found.text(self.charset),
            Some(_) | None => Ok(String::new()),
        };
        let (status, mut flags, absent) = self.status(text(field::STATUS)?.trim());
        let value_at = record.find(&self.profile.value);
        let value = self.value(value_at, absent)?;
        // A value that is not there still has a place: its record.
        let at = value_at.map_or(record.at..record.at + record.bytes.len(), |found| found.range());
        let code = DeviceCode::Codings(vec![self.coding(record)?]);
        let mut reading = Reading::new(code, value, self.joined.raw_range(at));
        reading.unit = self.unit(&text(field::UNIT)?);
        reading.limits = text(field::LIMITS)?;
        reading.equipment.extend(Some(text(field::EQUIPMENT)?).filter(|sent| !sent.is_empty()));
        let mut marks = Vec::new();
        for repeat in record.field(field::FLAGS).iter().flat_map(Found::each_repeat) {
            if !repeat.says_nothing() {
                marks.push(Flag(repeat.text(self.charset)?.trim().to_owned()));
            }
        }
        marks.append(&mut flags);
        let nature = text(field::NATURE)?;
        if !nature.is_empty() {
            marks.push(Flag(format!("nature:{}", nature.trim())));
        }
        (reading.status, reading.flags) = (status, marks);
        reading.time = self.time(record)?;
        self.note_own_time(record);
        Ok(reading)
    }

    fn value(
        &self,
        found: Option<Found<'a>>,
        absent: Option<AbsentReason>,
    ) -> Result<Value, NotInCharset> {
        let Some(found) = found else {
            return Ok(Value::absent("", absent.unwrap_or(AbsentReason::NotStated)));
        };
        let text = found.text(self.charset)?;
        let listed = self.profile.absent.get(&text).copied();
        let nothing = found.says_nothing().then_some(AbsentReason::NotStated);
        Ok(match absent.or(listed).or(nothing) {
            Some(reason) => Value::absent(&text, reason),
            None => Value::read(&text),
        })
    }

    /// R.9 by facts/lab.md 2.3: what it means, the flag that keeps an unusual letter, and the
    /// reason why there is no value.
    fn status(&self, sent: &str) -> (ResultStatus, Vec<Flag>, Option<AbsentReason>) {
        let kept = || vec![Flag(format!("status:{sent}"))];
        match sent {
            "" => (self.profile.default_status.status(), Vec::new(), None),
            "F" => (ResultStatus::Final, Vec::new(), None),
            "P" => (ResultStatus::Preliminary, Vec::new(), None),
            "C" => (ResultStatus::Corrected, Vec::new(), None),
            "R" => (ResultStatus::SentBefore, Vec::new(), None),
            "X" => (ResultStatus::NoResult, Vec::new(), Some(AbsentReason::NotPerformed)),
            "I" => (ResultStatus::Other, kept(), Some(AbsentReason::Pending)),
            _ => (ResultStatus::Other, kept(), None),
        }
    }

    /// The test's code, and beside it the rest of R.3 as sent.
    fn coding(&self, record: &Record<'a>) -> Result<Coding, NotInCharset> {
        let found = self.find(&self.profile.test_code, Some(record));
        let code = match found {
            Some(found) => found.text(self.charset)?.trim().to_owned(),
            None => String::new(),
        };
        let Some(whole) = record.field(field::TEST) else {
            return Ok(Coding::new(&code, "", ""));
        };
        let mut rest = Vec::new();
        for part in whole.components() {
            let is_code = found.is_some_and(|found| found.range() == part.range());
            rest.push(if is_code { &b""[..] } else { part.bytes });
        }
        if found.is_some_and(|found| found.range() == whole.range()) {
            rest.clear();
        }
        let component = record.delimiters.component;
        let rest = rest.join(&component);
        let words = match self.charset.decode(&rest) {
            Some(text) => text.trim_matches([char::from(component), ' ']).to_owned(),
            None => return Err(NotInCharset { at: whole.range() }),
        };
        Ok(Coding::new(&code, &words, ""))
    }

    /// The unit as sent; a listed code becomes the unit that it stands for, the code beside it.
    fn unit(&self, sent: &str) -> Option<DeviceUnit> {
        let trimmed = sent.trim();
        if trimmed.is_empty() {
            return None;
        }
        Some(match self.profile.unit_codes.get(trimmed) {
            Some(known) => DeviceUnit { codings: vec![Coding::new(&known.unit, trimmed, "")] },
            None => DeviceUnit::text(sent),
        })
    }

    fn time(&self, record: &Record<'a>) -> Result<Option<DeviceTime>, NotInCharset> {
        for path in std::iter::once(&self.profile.time).chain(&self.profile.time_also) {
            match self.find(path, Some(record)) {
                Some(found) if !found.says_nothing() => {
                    let text = found.text(self.charset)?;
                    return Ok(Some(DeviceTime::read(text.trim(), self.site.zone.as_ref())));
                }
                Some(_) | None => {}
            }
        }
        Ok(None)
    }

    /// Whether this result carries one second of the device's own time (R.12, R.13, O.23). R.2
    /// restarts in every message and proves nothing; O.3 and O.4 number the specimen, and a
    /// specimen is measured more than once.
    pub(super) fn note_own_time(&mut self, record: &Record<'a>) {
        let is_one_second = |found: Option<Found<'_>>| {
            let text = self.optional(found).unwrap_or_default();
            DeviceTime::read(&text, self.site.zone.as_ref()).is_one_second()
        };
        let reported = self.order.and_then(|order| order.field(field::REPORTED));
        let timed = is_one_second(record.field(field::STARTED))
            || is_one_second(record.field(field::COMPLETED))
            || is_one_second(reported);
        self.has_untimed |= !timed;
    }

    /// H.12, and the profile's marks of control samples.
    pub(super) fn mode(&self, record: &Record<'a>) -> Mode {
        let text =
            |path: &RecordPath| self.optional(self.find(path, Some(record))).unwrap_or_default();
        let marked = self.profile.control_sample.iter().any(|rule| {
            let sent = text(&rule.path);
            rule.equals.as_ref().is_some_and(|whole| *whole == sent)
                || rule.starts_with.as_ref().is_some_and(|start| sent.starts_with(start.as_str()))
        });
        if marked {
            return Mode::ControlSample;
        }
        match text(&RecordPath::of(RecordLetter::H, field::PROCESSING)).as_str() {
            "Q" => Mode::ControlSample,
            "T" => Mode::Training,
            "D" => Mode::Debugging,
            // The standard's "treat as control" (facts/lab.md 2.3). Where the profile says nothing
            // of control samples, such a result is neither taken for a patient's nor for a control.
            "" | "P" => {
                let action = text(&RecordPath::of(RecordLetter::O, field::ACTION));
                let unexplained = action == "Q" && self.profile.control_sample.is_empty();
                if unexplained { Mode::Unclassified } else { Mode::Production }
            }
            _ => Mode::Unclassified,
        }
    }
}
