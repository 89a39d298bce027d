//! Who: identifiers, and the little that a person at the bedside compares with the wristband.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Group, Reading};
use crate::protocol::hl7v2::segments::Segment;
use crate::vocabulary::PatientId;

/// What a field says.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stated {
    /// Nothing: what was known stays.
    #[default]
    Nothing,
    /// `""`: what was known is to be deleted.
    Deleted,
    /// This.
    Value(String),
}

impl fmt::Debug for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Deleted => "Deleted",
            Self::Value(_) => "Value(..)",
        })
    }
}

/// What is kept of a patient. `Debug` shows none of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub patient: PatientId,
    /// PID-5, family and given names.
    pub name: Stated,
    /// PID-7, the date alone, as sent.
    pub birth_date: Stated,
    /// PID-8, as sent.
    pub sex: Stated,
    /// Whether the data are protected, if the message says.
    pub protected: Option<bool>,
}

impl Reading<'_> {
    pub(super) fn person(&mut self, patient: &PatientId, group: &Group<'_>) -> Person {
        let name = self.stated(group.pid, 5, |text, sub| {
            let mut parts = text.split('^').map(|part| part.split(sub).next().unwrap_or_default());
            let (family, given) = (parts.next().unwrap_or_default(), parts.next());
            format!("{family} {}", given.unwrap_or_default()).trim().to_owned()
        });
        let birth_date =
            self.stated(group.pid, 7, |text, _| text.chars().take(8).collect::<String>());
        let sex = self.stated(group.pid, 8, |text, _| text.to_owned());
        let protected = self.protected(group);
        Person { patient: patient.clone(), name, birth_date, sex, protected }
    }

    /// The first repetition of a field; the delimiter of components is `^` in what `read` gets.
    fn stated(
        &mut self,
        segment: &Segment,
        field: usize,
        read: impl Fn(&str, char) -> String,
    ) -> Stated {
        let Some(first) = self.wire.repetitions(segment, field).into_iter().next() else {
            return Stated::Nothing;
        };
        if self.wire.bytes(&first) == b"\"\"" {
            return Stated::Deleted;
        }
        let mut parts = Vec::new();
        for component in self.wire.components(&first) {
            parts.push(self.kept(self.wire.text(&component)));
        }
        let sub = self.wire.delimiters.sub_component.map_or('&', char::from);
        let text = read(&parts.join("^"), sub);
        if text.is_empty() { Stated::Nothing } else { Stated::Value(text) }
    }

    fn protected(&mut self, group: &Group<'_>) -> Option<bool> {
        let path = &self.site.protection;
        let segments = [Some(group.pid), group.pd1, group.pv1].into_iter().flatten();
        let named = |segment: &&Segment| segment.id == *path.segment().as_bytes();
        let segment = segments.into_iter().find(named)?;
        let text = self.kept(self.wire.at_path(segment, path));
        match text.as_str() {
            "Y" => Some(true),
            "N" => Some(false),
            _ => None,
        }
    }
}
