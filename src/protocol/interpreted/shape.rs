//! What a text must look like: the fixed forms in which devices without a checksum write. A digit
//! that got lost on the line then shows.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A form such as `99.99` or `99-AAA-99 99:99:99`: `9` is any digit, `A` any capital letter, every
/// other character stands for itself.
///
/// ```
/// use wardgate::protocol::Shape;
/// let shape: Shape = "99.99".parse().unwrap();
/// assert!(shape.fits("04.69") && !shape.fits("4.69") && !shape.fits("04.6"));
/// assert!(shape.begins("04.69 EXC"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(String);

impl Shape {
    /// The form as it stands in the device file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text has this form.
    pub fn fits(&self, text: &str) -> bool {
        text.len() == self.0.len() && self.begins(text)
    }

    /// Whether the text begins in this form.
    pub fn begins(&self, text: &str) -> bool {
        let mut bytes = text.bytes();
        self.0.bytes().all(|form| {
            bytes.next().is_some_and(|byte| match form {
                b'9' => byte.is_ascii_digit(),
                b'A' => byte.is_ascii_uppercase(),
                other => byte == other,
            })
        })
    }
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.is_ascii() {
            return Err(format!(
                "expected a form in ASCII such as \"99.99\" or \"99:99:99\", got {text:?}"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Shape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shape".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A form: 9 is any digit, A any capital letter, the rest as written.",
            "minLength": 1
        })
    }
}
