//! The ledger: whose value it is. So far one source, the site's configuration: this device stands
//! in this place, and the patient is unknown. It guesses nothing: a bed label or an id that a
//! device sends is a statement of the device, carried along and never taken as an association.

use std::collections::BTreeMap;

use crate::vocabulary::{Association, DeviceName, Grade, Place};

/// Who and where each device is, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    places: BTreeMap<DeviceName, Place>,
}

impl Ledger {
    /// From the configuration's `place` of each device.
    pub fn from_configuration(places: BTreeMap<DeviceName, Place>) -> Self {
        Self { places }
    }

    /// What holds for a device now.
    ///
    /// ```
    /// use wardgate::association::Ledger;
    /// use wardgate::vocabulary::{DeviceName, Place};
    /// let device = DeviceName::parse("bed-3-oximeter").unwrap();
    /// let place = Place::parse("icu/bed-3").unwrap();
    /// let ledger = Ledger::from_configuration([(device.clone(), place.clone())].into());
    /// assert_eq!(ledger.of(&device).place, Some(place));
    /// ```
    pub fn of(&self, device: &DeviceName) -> Association {
        Association { place: self.places.get(device).cloned(), grade: Grade::Configuration }
    }
}
