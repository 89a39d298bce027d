//! What the site says: how much evidence is enough to file, how long an association lasts unseen,
//! and what machines there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::names::DeviceId;
use crate::vocabulary::{Grade, Place};

/// An association lasts at most so long without a person having looked, unless the site says less.
pub const UNSEEN_HOURS_MAX: u32 = 24;

/// What is enough to file a value into a patient's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enough {
    /// A person scanned patient and device.
    Scan,
    /// The core says so, with a person behind it there.
    CoreClaim,
    /// The device's own admission, and the census has the patient here at that time.
    DeviceAdmissionInCensus,
    /// The census has one patient in the one-patient place where a fixed device stands.
    LocationOfFixedDevice,
}

impl Enough {
    /// The word as it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::CoreClaim => "core-claim",
            Self::DeviceAdmissionInCensus => "device-admission-in-census",
            Self::LocationOfFixedDevice => "location-of-fixed-device",
        }
    }
}

/// The site's policy, as it stands in the configuration.
///
/// ```
/// use wardgate::association::{Enough, Policy};
/// let policy: Policy = toml::from_str(
///     "unseen_hours_max = 12\n\
///      [class]\n\
///      ventilator = [\"scan\", \"device-admission-in-census\"]\n",
/// )
/// .unwrap();
/// assert_eq!(policy.enough_for("infusion-pump"), [Enough::Scan]);
/// assert_eq!(policy.enough_for("ventilator").len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// For classes of devices that have no line of their own.
    pub enough: Vec<Enough>,
    /// By the kind that the device file states (`ventilator`, `infusion-pump`).
    pub class: BTreeMap<String, Vec<Enough>>,
    /// Beds that never hold two patients.
    pub one_patient_places: BTreeSet<Place>,
    /// 1 to [`UNSEEN_HOURS_MAX`].
    pub unseen_hours_max: UnseenHours,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enough: vec![Enough::Scan],
            class: BTreeMap::new(),
            one_patient_places: BTreeSet::new(),
            unseen_hours_max: UnseenHours(UNSEEN_HOURS_MAX),
        }
    }
}

impl Policy {
    /// Whether a device's own admission is enough anywhere.
    pub fn asks_devices(&self) -> bool {
        let asks = |enough: &[Enough]| enough.contains(&Enough::DeviceAdmissionInCensus);
        asks(&self.enough) || self.class.values().any(|enough| asks(enough))
    }

    /// What is enough for a class of devices.
    pub fn enough_for(&self, class: &str) -> &[Enough] {
        self.class.get(class).unwrap_or(&self.enough)
    }
}

/// Hours from 1 to [`UNSEEN_HOURS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct UnseenHours(u32);

impl UnseenHours {
    /// In seconds.
    pub const fn seconds(self) -> i64 {
        self.0 as i64 * 3600
    }
}

impl TryFrom<u32> for UnseenHours {
    type Error = String;

    fn try_from(hours: u32) -> Result<Self, String> {
        if (1..=UNSEEN_HOURS_MAX).contains(&hours) {
            return Ok(Self(hours));
        }
        Err(format!("expected 1 to {UNSEEN_HOURS_MAX} hours, got {hours}"))
    }
}

/// How a machine's values find their patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// By the ledger.
    #[default]
    ByLedger,
    /// By the specimen or patient id of each result: an analyser. It cannot be associated.
    ByResult,
}

/// Whether a machine leaves its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mobility {
    /// It is carried and wheeled about.
    #[default]
    Travels,
    /// It is screwed to the wall.
    Fixed,
}

/// One machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kind that its device file states.
    pub class: String,
    pub whose: Whose,
    pub mobility: Mobility,
}

/// Policy and machines. A machine that is not listed is of no class, and travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    pub policy: Policy,
    pub machines: BTreeMap<DeviceId, Machine>,
}

impl Site {
    /// Whether the machine's values find their patient by each result.
    pub fn is_analyser(&self, device: &DeviceId) -> bool {
        self.machines.get(device).is_some_and(|machine| machine.whose == Whose::ByResult)
    }

    /// Whether evidence of this grade is enough for this machine. `in_census`: the patient is here
    /// at that time. `place`: where the machine stands then.
    pub fn is_enough(
        &self,
        device: &DeviceId,
        grade: Grade,
        in_census: bool,
        place: Option<&Place>,
    ) -> bool {
        let unlisted = Machine::default();
        let machine = self.machines.get(device).unwrap_or(&unlisted);
        let alone = place.is_some_and(|place| self.policy.one_patient_places.contains(place));
        let fixed = machine.mobility == Mobility::Fixed;
        self.policy.enough_for(&machine.class).iter().any(|enough| match enough {
            Enough::Scan => grade == Grade::Scan,
            Enough::CoreClaim => grade == Grade::CoreClaim,
            Enough::DeviceAdmissionInCensus => grade == Grade::DeviceAdmission && in_census,
            Enough::LocationOfFixedDevice => grade == Grade::Location && alone && fixed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_can_be_shortened_and_not_lengthened() {
        assert_eq!(Policy::default().unseen_hours_max.seconds(), 86_400);
        assert!(!Policy::default().asks_devices());
        let shorter: Policy = toml::from_str("unseen_hours_max = 8").unwrap();
        assert_eq!(shorter.unseen_hours_max.seconds(), 28_800);
        for wrong in ["0", "25", "-1"] {
            let error = toml::from_str::<Policy>(&format!("unseen_hours_max = {wrong}"));
            assert_eq!(error.unwrap_err().span(), Some(19..19 + wrong.len()));
        }
    }

    #[test]
    fn unknown_keys_and_words_are_refused_where_they_stand() {
        let error = toml::from_str::<Policy>("enuff = []").unwrap_err();
        assert_eq!(error.span(), Some(0..5));
        let error = toml::from_str::<Policy>("enough = [\"hope\"]").unwrap_err();
        assert_eq!(error.span(), Some(10..16));
    }

    #[test]
    fn only_a_scan_is_enough_unless_the_site_says_more() {
        let site = Site::default();
        let device = DeviceId::parse("pump-1").unwrap();
        let bed = Place::parse("icu/bed-1").unwrap();
        let grades =
            [Grade::Configuration, Grade::Location, Grade::DeviceAdmission, Grade::CoreClaim];
        assert!(!grades.iter().any(|grade| site.is_enough(&device, *grade, true, Some(&bed))));
        assert!(site.is_enough(&device, Grade::Scan, false, None));
    }
}
