//! Whose value it is: the words. The ledger itself is the room `association`.

use serde::{Deserialize, Serialize};

use super::Place;

/// How strong the evidence is that a device's values belong to a patient or place; weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// The site's configuration says where the device stands; nobody says who the patient is.
    Configuration,
    /// The patient administration says that the patient is where the device stands.
    Location,
    /// The device's own admission names the patient.
    DeviceAdmission,
    /// The core says so, and a person stands behind it there.
    CoreClaim,
    /// A person scanned the patient and the device.
    Scan,
}

impl Grade {
    /// The grade as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Location => "location",
            Self::DeviceAdmission => "device-admission",
            Self::CoreClaim => "core-claim",
            Self::Scan => "scan",
        }
    }
}

/// The links that hold for a device at a time: so far device to place, patient unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Association {
    /// Where the device stands, if the configuration says so.
    pub place: Option<Place>,
    /// The evidence for it.
    pub grade: Grade,
}
