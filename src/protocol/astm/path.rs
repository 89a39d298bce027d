//! Which field of which record a profile means: `R.3.4`, `O.5[2].4`.
//!
//! Fields are counted as in LIS02, where field 1 is the type letter itself: `R.4` is the fourth
//! item between field delimiters (facts/lab.md 2.1). HL7 counts one less.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A field, one of its repeats, or one of its components.
///
/// A path without a repeat means the whole field; if it names a component and the field repeats, it
/// finds the whole field as sent, because choosing one of several would be a guess.
///
/// ```
/// use wardgate::protocol::astm::RecordPath;
/// let path = RecordPath::parse("O.5[2].4").unwrap();
/// assert_eq!(path.to_string(), "O.5[2].4");
/// assert!(RecordPath::parse("R.0").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct RecordPath {
    pub(super) record: RecordLetter,
    pub(super) field: usize,
    pub(super) repeat: Option<usize>,
    pub(super) component: Option<usize>,
}

/// The records that a path may point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordLetter {
    H,
    P,
    O,
    R,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Only header, patient, order and result records can be pointed into.
    #[error("expected a path that starts with H., P., O. or R., got {0:?}")]
    Record(String),
    /// Fields, repeats and components are counted from 1.
    #[error("expected a path such as R.4, R.3.4 or O.5[2].4 with numbers from 1 to 999, got {0:?}")]
    Shape(String),
}

impl RecordPath {
    /// `letter.field`, `letter.field.component`, `letter.field[repeat]` or all of it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (letter, rest) =
            text.split_once('.').ok_or_else(|| PathError::Record(text.to_owned()))?;
        let record = match letter {
            "H" => RecordLetter::H,
            "P" => RecordLetter::P,
            "O" => RecordLetter::O,
            "R" => RecordLetter::R,
            _ => return Err(PathError::Record(text.to_owned())),
        };
        let shape = || PathError::Shape(text.to_owned());
        let (place, component) = match rest.split_once('.') {
            Some((place, component)) => (place, Some(count(component).ok_or_else(shape)?)),
            None => (rest, None),
        };
        let (field, repeat) = match place.split_once('[') {
            Some((field, repeat)) => {
                let inner = repeat.strip_suffix(']').and_then(count);
                (field, Some(inner.ok_or_else(shape)?))
            }
            None => (place, None),
        };
        Ok(Self { record, field: count(field).ok_or_else(shape)?, repeat, component })
    }

    pub(super) const fn of(record: RecordLetter, field: usize) -> Self {
        Self { record, field, repeat: None, component: None }
    }

    pub(super) const fn part(record: RecordLetter, field: usize, component: usize) -> Self {
        Self { record, field, repeat: None, component: Some(component) }
    }
}

/// A number from 1 to 999: no record has more fields than a reader could count.
fn count(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

impl TryFrom<String> for RecordPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl fmt::Display for RecordPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.record, self.field)?;
        self.repeat.map_or(Ok(()), |repeat| write!(f, "[{repeat}]"))?;
        self.component.map_or(Ok(()), |component| write!(f, ".{component}"))
    }
}

impl JsonSchema for RecordPath {
    fn schema_name() -> Cow<'static, str> {
        "RecordPath".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A field of a record, counted as in LIS02 (R.4 is the value), with an \
                            optional [repeat] and .component: R.3.4, O.5[2].4.",
            "pattern": "^[HPOR]\\.[0-9]{1,3}(\\[[0-9]{1,3}\\])?(\\.[0-9]{1,3})?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_alike() {
        for text in ["H.12", "P.3", "O.3.1", "R.3.4", "O.5[2].4", "R.7[1]"] {
            assert_eq!(RecordPath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn odd_paths_are_refused_with_what_is_wrong() {
        for text in ["", "R", "X.3", "r.3", "Q.2", "OBX.3"] {
            assert!(matches!(RecordPath::parse(text), Err(PathError::Record(_))), "{text}");
        }
        let shapes = ["R.", "R.0", "R.3.", "R.3.0", "R.3.1.1", "R.x", "R.1[", "R.1[0]", "R.+1"];
        for text in shapes.into_iter().chain(["R.1000", "R.1[2]x", "R. 1"]) {
            assert!(matches!(RecordPath::parse(text), Err(PathError::Shape(_))), "{text}");
        }
    }
}
