//! The window in which a whole message sent twice is recognised, and a measurement that is stated
//! again is tied to the record that stated it before.
//!
//! A repeat equals, without transport fields, a whole earlier message and carries one second of the
//! device's own time for every value: the driver says so by giving a basis. Nothing else is ever
//! taken for a repeat: SpO2 97, 97, 97 from a clockless oximeter are three readings.
//!
//! Everything else is kept. A measurement that another message stated before, the same (a message
//! that stopped in the middle and came again whole) or with something changed, is a record of its
//! own that names the earlier one. A name drops, merges and replaces nothing: whoever receives both
//! records can see that they may be one measurement. So a tie that is wrong costs a look, and a tie
//! that is missing leaves one result twice with two patients.

mod in_order;
mod packed;

use in_order::InOrder;

use crate::vocabulary::{Digest, Observation, ResultStatus, Sequence};

/// How many messages one device's window holds at most: an analyser that sends its whole store
/// again after a power cut (a few thousand results) is still recognised. All windows of a box
/// together have a bound in bytes beside this one ([`Window::bytes`], [`Window::forget_oldest`]).
pub const WINDOW_MESSAGES: usize = 4096;

/// How many keys one statement has at most.
const KEYS_MAX: usize = 3;

/// What one device has said lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    messages: InOrder<Basis, Sequence>,
    statements: InOrder<Key, Stated>,
}

/// The first 16 bytes of the digest of a message: what is taken for a repeat is not forwarded, so
/// two different messages must never meet.
type Basis = [u8; 16];

/// The first 8 bytes of the digest of a key or a content: two that meet cost a look, and among the
/// few thousand of a window that happens once in a thousand million years.
type Key = [u8; 8];

/// What was last stated about one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stated {
    /// The message that stated it.
    wire: Sequence,
    sequence: Sequence,
    content: Key,
}

/// The beginning of a digest.
fn short<const N: usize>(digest: &Digest) -> [u8; N] {
    *digest.as_bytes().first_chunk().expect("a digest is longer than what is kept of it")
}

impl Window {
    /// The wire record of the message with this basis, if it was here before.
    pub fn earlier(&self, basis: &Digest) -> Option<Sequence> {
        self.messages.get(&short(basis)).copied()
    }

    /// Notes a message.
    pub fn note(&mut self, basis: Digest, wire: Sequence) {
        self.messages.note(short(&basis), wire);
        if self.messages.len() > WINDOW_MESSAGES {
            self.messages.forget_oldest();
        }
    }

    /// The record of an earlier message that stated the same measurement: with something else in
    /// it (patient, specimen, value or status), or just the same in a message that is no repeat as
    /// a whole. The statements of the message in question must not be noted yet.
    pub fn stated_before(&self, keys: &StatementKeys) -> Option<Sequence> {
        let stated = keys.keys.iter().filter_map(|key| self.statements.get(&short(key)));
        stated.map(|one| one.sequence).max()
    }

    /// Notes a statement of the message `wire` that is in the journal. The messages that it
    /// corrects are forgotten: one of them again is no repeat, it takes the correction back.
    pub fn note_statement(&mut self, keys: &StatementKeys, wire: Sequence, sequence: Sequence) {
        let known = keys.keys.iter().filter_map(|key| self.statements.get(&short(key)));
        let content = short(&keys.content);
        let corrected: Vec<Sequence> = known
            .filter(|stated| stated.content != content && stated.wire != wire)
            .map(|stated| stated.wire)
            .collect();
        if !corrected.is_empty() {
            self.messages.retain(|noted| !corrected.contains(noted));
        }
        for key in &keys.keys {
            self.statements.note(short(key), Stated { wire, sequence, content });
            if self.statements.len() > KEYS_MAX * WINDOW_MESSAGES {
                self.statements.forget_oldest();
            }
        }
    }
}

/// What makes two observations statements about the same measurement.
///
/// | key | made of | ties although changed |
/// |---|---|---|
/// | specimen | device's time, codes, specimen | patient, values |
/// | patient | device's time with seconds, codes, patient | specimen, values |
/// | measured | device's time with seconds, codes, values, specimen, place, equipment | patient |
///
/// One of patient, specimen and values may be corrected, never all. Without a specimen a time to
/// the minute is not enough: two cuff pressures fall into one minute. The last key finds a result
/// that was sent for one patient and then for another where no specimen has a number. Behind a
/// gateway two patients may have equal values in one second; place and equipment, where the device
/// names them, keep those apart, and where it does not, one record names another's for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementKeys {
    keys: Vec<Digest>,
    content: Digest,
}

impl StatementKeys {
    /// `None` where the device gives no time of its own, or nothing else to know it by.
    pub fn of(observation: &Observation) -> Option<Self> {
        let time = observation.device_time.as_ref()?;
        let Parts { what, values, statuses, equipment } = Parts::of(&time.as_written, observation);
        let (what, values) = (what.as_str(), values.as_str());
        let subject = &observation.subject;
        let (specimen, place) = (subject.specimen.as_str(), subject.place.as_str());
        let patient: String =
            subject.patient_ids.iter().flat_map(|one| ["\u{1}", one.id.as_str()]).collect();
        let mut keys = Vec::with_capacity(KEYS_MAX);
        if !specimen.is_empty() {
            keys.push(Digest::of_parts(&["specimen", THIRD, what, THIRD, specimen]));
        }
        if time.has_seconds() {
            if !patient.is_empty() {
                keys.push(Digest::of_parts(&["patient", THIRD, what, THIRD, &patient]));
            }
            let measured = ["measured", THIRD, what, THIRD, values, THIRD, specimen, THIRD, place];
            let measured = [&measured[..], &[THIRD, &equipment]].concat();
            keys.push(Digest::of_parts(&measured));
        }
        let content = [values, THIRD, &statuses, THIRD, specimen, THIRD, &patient];
        (!keys.is_empty()).then(|| Self { keys, content: Digest::of_parts(&content) })
    }

    /// The keys, and the digest of what is stated, for the journal.
    pub fn digests(&self) -> (&[Digest], &Digest) {
        (&self.keys, &self.content)
    }

    /// Back from the journal.
    pub fn from_texts(keys: &[String], content: &str) -> Option<Self> {
        let keys: Option<Vec<Digest>> = keys.iter().map(|text| Digest::parse(text)).collect();
        Some(Self { keys: keys?, content: Digest::parse(content)? })
    }
}

/// What stands between the parts of a key.
const THIRD: &str = "\u{3}";

/// The texts of all metrics of an observation, one behind the other.
struct Parts {
    what: String,
    values: String,
    statuses: String,
    equipment: String,
}

impl Parts {
    fn of(time: &str, observation: &Observation) -> Self {
        // Room for codes, names and values of usual length: nothing grows on the way.
        let room = |each: usize| String::with_capacity(each * observation.metrics.len());
        let (values, statuses, equipment) = (room(8), room(12), room(2));
        let mut parts = Self { what: room(64), values, statuses, equipment };
        parts.what.push_str(time);
        for metric in &observation.metrics {
            let code =
                metric.codings.first().map(|coding| coding.code.as_str()).unwrap_or_default();
            let parameter = metric.parameter.as_deref().unwrap_or_default();
            parts.what.extend(["\u{1}", code, "\u{2}", parameter, "\u{2}", &metric.sub_id]);
            parts.values.extend(["\u{1}", metric.value.as_sent()]);
            parts.statuses.extend(["\u{1}", status(metric.status)]);
            parts.equipment.push('\u{1}');
            for (index, one) in metric.equipment.iter().enumerate() {
                parts.equipment.extend([if index > 0 { "\u{2}" } else { "" }, one]);
            }
        }
        parts
    }
}

/// What stands for a status in the digest of a content; journals hold such digests.
fn status(status: ResultStatus) -> &'static str {
    match status {
        ResultStatus::Unverified => "Unverified",
        ResultStatus::Preliminary => "Preliminary",
        ResultStatus::Final => "Final",
        ResultStatus::Corrected => "Corrected",
        ResultStatus::NoResult => "NoResult",
        ResultStatus::SentBefore => "SentBefore",
        ResultStatus::NotStated => "NotStated",
        ResultStatus::Other => "Other",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mapping::Mapper;
    use crate::profile::{Drafts, Profile};
    use crate::vocabulary::reading::{Coding, StatedPatientId};
    use crate::vocabulary::{DeviceCode, DeviceTime, Group, Reading, Value, Vocabulary};

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number).unwrap()
    }

    #[test]
    fn the_window_forgets_the_oldest() {
        let mut window = Window::default();
        for number in 1..=WINDOW_MESSAGES as u64 + 1 {
            window.note(Digest::of(&number.to_be_bytes()), sequence(number));
        }
        assert_eq!(window.earlier(&Digest::of(&1u64.to_be_bytes())), None);
        assert_eq!(window.earlier(&Digest::of(&2u64.to_be_bytes())), Some(sequence(2)));
    }

    #[test]
    fn the_same_result_for_another_patient_names_the_first() {
        let keys = |patient: &str| StatementKeys {
            keys: vec![Digest::of(b"specimen"), Digest::of(patient.as_bytes())],
            content: Digest::of(patient.as_bytes()),
        };
        let mut window = Window::default();
        window.note(Digest::of(b"for one"), sequence(4));
        window.note_statement(&keys("one"), sequence(4), sequence(5));
        assert_eq!(window.earlier(&Digest::of(b"for one")), Some(sequence(4)));
        assert_eq!(window.stated_before(&keys("two")), Some(sequence(5)));
        window.note_statement(&keys("two"), sequence(8), sequence(9));
        assert_eq!(window.earlier(&Digest::of(b"for one")), None);
        let one = keys("one");
        let texts: Vec<String> = one.digests().0.iter().map(Digest::to_string).collect();
        let content = one.digests().1.to_string();
        assert_eq!(StatementKeys::from_texts(&texts, &content), Some(one));
    }

    /// One cuff pressure as a monitor sends it.
    #[derive(Clone, Copy)]
    struct Stated {
        time: &'static str,
        patient: &'static str,
        specimen: &'static str,
        place: &'static str,
        value: &'static str,
    }

    const FIRST: Stated =
        Stated { time: "20261120101010", patient: "P-1", specimen: "", place: "", value: "120" };

    fn keys(stated: &Stated) -> Option<StatementKeys> {
        let code = DeviceCode::Codings(vec![Coding::new("150021", "", "MDC")]);
        let mut group = Group::of(vec![Reading::new(code, Value::read(stated.value), 0..3)]);
        group.time = Some(DeviceTime::read(stated.time, None));
        group.subject.specimen = stated.specimen.to_owned();
        group.subject.place = stated.place.to_owned();
        group.subject.patient_ids.push(StatedPatientId {
            id: stated.patient.to_owned(),
            authority: String::new(),
            id_type: String::new(),
        });
        let vocabulary = Arc::new(Vocabulary::parse("parameter = {}", "unit = {}").unwrap());
        let profile = include_str!("test-profile.toml");
        let words = Vocabulary::parse(
            include_str!("../../device-profiles/vocabulary/parameters.toml"),
            include_str!("../../device-profiles/vocabulary/units.toml"),
        )
        .unwrap();
        let profile = Profile::read(profile, &words, Drafts::Accepted).unwrap();
        let mapped = Mapper::new(&profile, "1", vocabulary).map(&[group]);
        StatementKeys::of(&mapped.observations[0])
    }

    /// What a second statement names once the first one is record 5.
    fn named(first: &Stated, second: &Stated) -> Option<Sequence> {
        let mut window = Window::default();
        if let Some(keys) = keys(first) {
            window.note_statement(&keys, sequence(4), sequence(5));
        }
        window.stated_before(&keys(second)?)
    }

    #[test]
    fn without_a_specimen_another_patient_is_tied_by_second_and_value() {
        let other = Stated { patient: "P-2", ..FIRST };
        assert_eq!(named(&FIRST, &other), Some(sequence(5)));
        assert_eq!(named(&FIRST, &Stated { value: "121", ..other }), None);
        assert_eq!(named(&FIRST, &Stated { value: "121", ..FIRST }), Some(sequence(5)));
        let (here, there) =
            (Stated { place: "bed-1", ..FIRST }, Stated { place: "bed-2", ..other });
        assert_eq!(named(&here, &there), None);
        assert_eq!(named(&FIRST, &Stated { time: "20261120101011", ..FIRST }), None);
    }

    #[test]
    fn a_minute_ties_nothing_without_a_specimen() {
        let minute = Stated { time: "202611201010", ..FIRST };
        assert_eq!(named(&minute, &minute), None);
        let sample = Stated { specimen: "S-1", ..minute };
        assert_eq!(named(&sample, &Stated { patient: "P-2", ..sample }), Some(sequence(5)));
    }

    /// A message that stopped in the middle is no repeat of the whole one that follows, but its
    /// first result is the same statement.
    #[test]
    fn the_same_statement_in_another_message_names_the_first() {
        assert_eq!(named(&FIRST, &FIRST), Some(sequence(5)));
        let sample = Stated { specimen: "S-1", ..FIRST };
        assert_eq!(named(&sample, &sample), Some(sequence(5)));
        // It takes nothing back: the message stays recognisable.
        let mut window = Window::default();
        window.note(Digest::of(b"half"), sequence(4));
        let keys = keys(&FIRST).unwrap();
        window.note_statement(&keys, sequence(4), sequence(5));
        window.note_statement(&keys, sequence(8), sequence(9));
        assert_eq!(window.earlier(&Digest::of(b"half")), Some(sequence(4)));
        assert_eq!(window.stated_before(&keys), Some(sequence(9)));
    }
}
