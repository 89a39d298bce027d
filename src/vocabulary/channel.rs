//! A part of a device that has a patient of its own, by its name on the device.

use serde::{Deserialize, Serialize};

/// The longest name or id that a part, an entry of the ledger, a device or a measurement may have.
const NAME_CHARACTERS_MAX: usize = 128;

/// A text that is no such name: empty, too long, or with control characters. The text is not
/// repeated, because it may have come from a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {NAME_CHARACTERS_MAX} characters without control characters")]
pub struct BadName;

/// The text, if it is a name.
pub(crate) fn name(text: &str) -> Result<String, BadName> {
    let characters = text.chars().count();
    if characters == 0 || characters > NAME_CHARACTERS_MAX || text.chars().any(char::is_control) {
        return Err(BadName);
    }
    Ok(text.to_owned())
}

/// A part of a device that has a patient of its own: `fhr-1`, `fhr-2`.
///
/// ```
/// use wardgate::vocabulary::Channel;
/// assert_eq!(Channel::parse("fhr-1").unwrap().as_str(), "fhr-1");
/// assert!(Channel::parse("").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(String);

impl Channel {
    /// 1 to 128 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        name(text).map(Self)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Channel {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

/// Whether a place in a device (OBX-4: `1.2.7`) is another one (`1.2`) or lies below it.
pub fn is_within(place: &str, other: &str) -> bool {
    place.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
