//! Names that stand in the ledger's entries: built by `parse`, never confused with each other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::DeviceName;
use crate::vocabulary::channel::name;
pub use crate::vocabulary::{BadName, Channel};

/// The id of an entry: unique at the site, made by who says it (an UUID, a record id, OBR-3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(String);

/// A machine, whatever line it hangs on: its UDI with serial, the hospital's asset number, or the
/// serial number that it says itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

/// A line of a box: what its configuration calls a device. The ledger is the site's, and two boxes
/// may use one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The box.
    pub gateway: DeviceName,
    /// The line, by the box's configuration.
    pub name: DeviceName,
}

/// One measurement: an observation id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeasurementId(String);

/// A person who acts, by the id that the site's sign-in gives.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

impl EntryId {
    /// 1 to 128 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        name(text).map(Self)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeviceId {
    /// 1 to 128 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        name(text).map(Self)
    }

    /// As written. A serial number can point to a person (facts/association.md 1.4).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MeasurementId {
    /// 1 to 128 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        name(text).map(Self)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PersonId {
    /// 1 to 128 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        name(text).map(Self)
    }

    /// The id; for the audit record only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EntryId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for DeviceId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for MeasurementId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for PersonId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.0
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl From<MeasurementId> for String {
    fn from(id: MeasurementId) -> Self {
        id.0
    }
}

impl From<PersonId> for String {
    fn from(id: PersonId) -> Self {
        id.0
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceId(..)")
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonId(..)")
    }
}
