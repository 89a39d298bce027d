//! A spot check: one measurement of a device that is on nobody goes to a patient, and nothing else
//! of the device does.

use serde::Deserialize;

use super::super::identity::Person;
use super::super::set::{EPISODIC_WITHIN_US, Values};
use super::linking::Scanned;
use super::{Bedside, Linked, Refused};
use crate::association::{EntryId, MeasurementId, Says, Whose};
use crate::charting::house::NewEntry;
use crate::vocabulary::moment::utc_text;

/// A blood pressure has three values, a monitor that is wheeled about some twenty.
pub const SPOT_VALUES_MAX: usize = 64;

/// One measurement is a patient's; patient and device were scanned, unless said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpotCheck {
    pub client_id: String,
    /// The patient's name in addresses.
    pub patient: String,
    /// The device's id.
    pub device: String,
    /// The values, as they were shown: at least one.
    pub values: Vec<String>,
    pub stated: String,
    pub scanned: Scanned,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

impl Bedside {
    /// Gives one measurement to a patient: all of the values, or none.
    ///
    /// # Errors
    /// An analyser; a value that is not there, not of this device, too old, or somebody else's
    /// already; what the ledger does not take.
    pub async fn spot_check(&self, person: &Person, asked: &SpotCheck) -> Result<Linked, Refused> {
        let patient = self.patient(&asked.patient)?;
        let machine = self.machine(&asked.device)?;
        if machine.whose == Whose::ByResult {
            return Err(Refused::Analyser);
        }
        let stated = self.stated(&asked.stated)?;
        let first = EntryId::parse(&asked.client_id)?;
        let linked = || Ok(Linked { association: asked.client_id.clone() });
        if self.house.ledger().entry(&first).is_some() {
            return linked();
        }
        if asked.values.is_empty() || asked.values.len() > SPOT_VALUES_MAX {
            let what = format!("expected 1 to {SPOT_VALUES_MAX} values of one measurement");
            return Err(Refused::Form(what));
        }
        let by = self.by(person, asked.scanned);
        let mut values = Values::of(self.house.as_ref());
        let mut entries = Vec::new();
        for (number, id) in asked.values.iter().enumerate() {
            let unknown = || Refused::UnknownValue { observation_id: id.clone() };
            let found = values.named(id)?.ok_or_else(unknown)?;
            if found.line != machine.line.name.as_str() {
                return Err(unknown());
            }
            if found.measured_us.saturating_add(EPISODIC_WITHIN_US) <= stated.us() {
                return Err(Refused::Stale { observation_id: id.clone() });
            }
            match values.whose(&found).map(|whose| whose.patient) {
                Some(other) if other != patient => {
                    let (since, patient) = (utc_text(found.measured_us), self.refs.name(&other));
                    return Err(Refused::OnOtherPatient { since, patient });
                }
                Some(_) | None => {}
            }
            let (device, patient) = (machine.id.clone(), patient.clone());
            let at = crate::association::Utc::from_us(found.measured_us);
            let measurement = MeasurementId::parse(id)?;
            let id = match number {
                0 => first.clone(),
                _ => EntryId::parse(&format!("{}.value-{number}", asked.client_id))?,
            };
            let says = Says::SpotCheck { device, patient, measurement, at };
            entries.push(NewEntry { id, stated, by: by.clone(), says });
        }
        self.house.add(entries).await?;
        linked()
    }
}
