//! The window in which a whole message sent twice is recognised, and a result stated again with
//! something changed is tied to the record that first stated it.
//!
//! A repeat equals, without transport fields, a whole earlier message and carries the device's own
//! time, sequence or result number: the driver says so by giving a basis. Nothing else is ever
//! taken for a repeat: SpO2 97, 97, 97 from a clockless oximeter are three readings.

use std::collections::{BTreeMap, VecDeque};

use crate::vocabulary::{Digest, Observation, Sequence};

/// How many messages one device's window holds: an analyser that sends its whole store again after
/// a power cut (a few thousand results) is still recognised.
pub const WINDOW_MESSAGES: usize = 4096;

/// What one device has said lately.
#[derive(Clone, Debug, Default)]
pub struct Window {
    messages: BTreeMap<Digest, Sequence>,
    message_order: VecDeque<Digest>,
    statements: BTreeMap<Digest, Stated>,
    statement_order: VecDeque<Digest>,
}

/// What was last stated about one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stated {
    /// The message that stated it.
    wire: Sequence,
    sequence: Sequence,
    content: Digest,
}

impl Window {
    /// The wire record of the message with this basis, if it was here before.
    pub fn earlier(&self, basis: &Digest) -> Option<Sequence> {
        self.messages.get(basis).copied()
    }

    /// Notes a message.
    pub fn note(&mut self, basis: Digest, wire: Sequence) {
        if self.messages.insert(basis, wire).is_none() {
            self.message_order.push_back(basis);
        }
        if self.message_order.len() > WINDOW_MESSAGES
            && let Some(oldest) = self.message_order.pop_front()
        {
            self.messages.remove(&oldest);
        }
    }

    /// The record that stated the same measurement before with something else in it (patient,
    /// specimen, value or status).
    pub fn stated_otherwise(&self, keys: &StatementKeys) -> Option<Sequence> {
        let stated = keys.keys.iter().filter_map(|key| self.statements.get(key));
        stated.filter(|stated| stated.content != keys.content).map(|one| one.sequence).max()
    }

    /// Notes a statement of the message `wire` that is in the journal. The messages that it
    /// corrects are forgotten: one of them again is no repeat, it takes the correction back.
    pub fn note_statement(&mut self, keys: &StatementKeys, wire: Sequence, sequence: Sequence) {
        let known = keys.keys.iter().filter_map(|key| self.statements.get(key));
        let corrected: Vec<Sequence> = known
            .filter(|stated| stated.content != keys.content && stated.wire != wire)
            .map(|stated| stated.wire)
            .collect();
        if !corrected.is_empty() {
            self.messages.retain(|_, noted| !corrected.contains(noted));
            self.message_order.retain(|basis| self.messages.contains_key(basis));
        }
        for key in &keys.keys {
            let stated = Stated { wire, sequence, content: keys.content };
            if self.statements.insert(*key, stated).is_none() {
                self.statement_order.push_back(*key);
            }
            if self.statement_order.len() > 2 * WINDOW_MESSAGES
                && let Some(oldest) = self.statement_order.pop_front()
            {
                self.statements.remove(&oldest);
            }
        }
    }
}

/// What makes two observations statements about the same measurement: the device's own time and
/// codes together with either the specimen or the patient. One of the two may be corrected, not
/// both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementKeys {
    keys: Vec<Digest>,
    content: Digest,
}

impl StatementKeys {
    /// `None` where the device gives no time of its own, or neither specimen nor patient.
    pub fn of(observation: &Observation) -> Option<Self> {
        let time = observation.device_time.as_ref()?;
        let mut what = time.as_written.clone();
        let mut content = String::new();
        for metric in &observation.metrics {
            let code =
                metric.codings.first().map(|coding| coding.code.as_str()).unwrap_or_default();
            let parameter = metric.parameter.as_deref().unwrap_or_default();
            what.push_str(&format!("\u{1}{code}\u{2}{parameter}\u{2}{}", metric.sub_id));
            content.push_str(&format!("\u{1}{}\u{2}{:?}", metric.value.as_sent(), metric.status));
        }
        let subject = &observation.subject;
        let patient: String =
            subject.patient_ids.iter().map(|one| format!("\u{1}{}", one.id)).collect();
        let key = |name: &str, id: &str| {
            (!id.is_empty()).then(|| Digest::of(format!("{name}\u{3}{what}\u{3}{id}").as_bytes()))
        };
        let keys: Vec<Digest> = [key("specimen", &subject.specimen), key("patient", &patient)]
            .into_iter()
            .flatten()
            .collect();
        let content = format!("{content}\u{3}{}\u{3}{patient}", subject.specimen);
        (!keys.is_empty()).then(|| Self { keys, content: Digest::of(content.as_bytes()) })
    }

    /// The keys and the content as texts, for the journal.
    pub fn to_texts(&self) -> (Vec<String>, String) {
        (self.keys.iter().map(Digest::to_string).collect(), self.content.to_string())
    }

    /// Back from the journal.
    pub fn from_texts(keys: &[String], content: &str) -> Option<Self> {
        let keys: Option<Vec<Digest>> = keys.iter().map(|text| Digest::parse(text)).collect();
        Some(Self { keys: keys?, content: Digest::parse(content)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(window.stated_otherwise(&keys("one")), None);
        assert_eq!(window.stated_otherwise(&keys("two")), Some(sequence(5)));
        window.note_statement(&keys("two"), sequence(8), sequence(9));
        assert_eq!(window.earlier(&Digest::of(b"for one")), None);
        let (texts, content) = keys("one").to_texts();
        assert_eq!(StatementKeys::from_texts(&texts, &content), Some(keys("one")));
    }
}
