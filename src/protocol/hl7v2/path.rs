//! Where a fact stands in a message, as people write it: `SPM-2.1`, `OBR-4.1`, `PID-3.4.2`.
//!
//! | part | example | if left out |
//! |---|---|---|
//! | segment | `SPM` | never |
//! | field | `2` | never |
//! | component | `1` | the first |
//! | sub-component | `1` | the first |
//!
//! Numbers start at 1 as in the standard. A repeating field means its first repetition.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The part before `-` is not a segment id.
    #[error("expected a segment id of three capitals or digits such as \"SPM\" in {0:?}")]
    BadSegment(String),
    /// A number is missing, zero, too large or not a number.
    #[error("expected numbers from 1 to {max} such as \"SPM-2.1\", got {got:?}")]
    BadNumber { max: u16, got: String },
}

/// The largest number in a path: no segment of HL7 v2 has that many fields.
pub const PATH_NUMBER_MAX: u16 = 255;

/// A place in a segment.
///
/// ```
/// use wardgate::protocol::hl7v2::Path;
/// let path: Path = "SPM-2.1".parse().unwrap();
/// assert_eq!((path.segment(), path.field(), path.component()), ("SPM", 2, 1));
/// assert!("SPM.2".parse::<Path>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path {
    as_written: String,
    segment: String,
    field: u16,
    component: u16,
    sub_component: u16,
}

impl Path {
    /// The segment id.
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// The field's number, from 1.
    pub fn field(&self) -> usize {
        usize::from(self.field)
    }

    /// The component's number, from 1.
    pub fn component(&self) -> usize {
        usize::from(self.component)
    }

    /// The sub-component's number, from 1.
    pub fn sub_component(&self) -> usize {
        usize::from(self.sub_component)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let bad_segment = || PathError::BadSegment(text.to_owned());
        let bad_number = || PathError::BadNumber { max: PATH_NUMBER_MAX, got: text.to_owned() };
        let (segment, numbers) = text.split_once('-').ok_or_else(bad_segment)?;
        let id: [u8; 3] = segment.as_bytes().try_into().map_err(|_| bad_segment())?;
        if !super::segments::is_segment_id(id) {
            return Err(bad_segment());
        }
        let mut parts = [None; 3];
        for (at, number) in numbers.split('.').enumerate() {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let read = number.parse().ok().filter(|n| (1..=PATH_NUMBER_MAX).contains(n) && digits);
            *parts.get_mut(at).ok_or_else(bad_number)? = Some(read.ok_or_else(bad_number)?);
        }
        let [field, component, sub_component] = parts;
        Ok(Self {
            as_written: text.to_owned(),
            segment: segment.to_owned(),
            field: field.ok_or_else(bad_number)?,
            component: component.unwrap_or(1),
            sub_component: sub_component.unwrap_or(1),
        })
    }
}

impl TryFrom<String> for Path {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.as_written
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_written)
    }
}

impl JsonSchema for Path {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A place in a message, such as \"SPM-2.1\" or \"SAC-3\".",
            "type": "string",
            "pattern": "^[A-Z][A-Z0-9]{2}-[1-9][0-9]{0,2}(\\.[1-9][0-9]{0,2}){0,2}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_means_the_first() {
        let path: Path = "SAC-3".parse().unwrap();
        assert_eq!((path.field(), path.component(), path.sub_component()), (3, 1, 1));
        let path: Path = "PID-3.4.2".parse().unwrap();
        assert_eq!((path.field(), path.component(), path.sub_component()), (3, 4, 2));
        assert_eq!(path.to_string(), "PID-3.4.2");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["SPM", "SPM2", "spm-2", "SPMX-2"] {
            assert!(matches!(text.parse::<Path>(), Err(PathError::BadSegment(_))), "{text}");
        }
        for text in ["SPM-", "SPM-0", "SPM-+2", "SPM-2.", "SPM-2.1.1.1", "SPM-999", "SPM-2.x"] {
            assert!(matches!(text.parse::<Path>(), Err(PathError::BadNumber { .. })), "{text}");
        }
    }
}
