//! Arrays of samples get their codes as readings do. Nothing is refused: an array in another unit
//! than the device file states is kept in the device's words, unmapped and doubted.

use super::{Mapper, code, unit_fits};
use crate::vocabulary::observation::Doubt;
use crate::vocabulary::{DeviceCode, SampleArray, Waveform};

impl Mapper {
    /// The array with the vocabulary's codes beside the device's own words.
    pub fn waveform(&self, array: SampleArray) -> Waveform {
        let SampleArray { code, sub_id, unit, period, scale, samples, time, flags } = array;
        let mut doubts = Vec::new();
        let (name, codings) = match code {
            DeviceCode::Parameter(name) => (Some(name), Vec::new()),
            DeviceCode::Codings(codings) => {
                let name = match self.row(&codings) {
                    Some(row) if row.takes(unit.as_ref()) => Some(row.parameter.clone()),
                    Some(_) => {
                        doubts.push(Doubt::UnitUnexpected);
                        None
                    }
                    None => {
                        let found = code::of(&codings, &self.vocabulary);
                        doubts.extend(found.doubt);
                        found.name
                    }
                };
                (name, codings)
            }
        };
        let parameter = name.as_deref().and_then(|name| self.vocabulary.parameter(name));
        let name = name.filter(|_| parameter.is_some());
        let (unit_mdc, ucum) = self.unit(unit.as_ref(), parameter);
        if parameter.is_some_and(|one| !unit_fits(one, unit.as_ref(), unit_mdc.as_deref())) {
            doubts.push(Doubt::UnitUnexpected);
        }
        Waveform {
            parameter: name,
            mdc_code: parameter.and_then(|parameter| parameter.mdc_code),
            mdc: parameter.map(|parameter| parameter.mdc.clone()).unwrap_or_default(),
            codings,
            sub_id,
            unit_as_sent: unit.map(|unit| unit.codings).unwrap_or_default(),
            unit_mdc,
            ucum,
            period,
            scale,
            samples,
            time,
            flags,
            doubts,
        }
    }
}
