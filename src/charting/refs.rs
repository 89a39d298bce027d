//! How patients and associations are named in addresses: by a keyed hash, so that no identifier
//! stands in one, and no two boxes name a patient alike.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ring::hmac;

use crate::vocabulary::PatientId;

/// Bytes of the hash that are written.
const BYTES: usize = 16;

/// The key of one run of the box, and the patients that were named with it.
pub struct Refs {
    key: hmac::Key,
    known: Mutex<BTreeMap<String, PatientId>>,
}

impl Refs {
    /// `secret`: 32 random bytes of the box.
    pub fn of(secret: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), known: Mutex::default() }
    }

    /// The name of a patient, which [`Refs::patient`] knows from now on.
    pub fn name(&self, patient: &PatientId) -> String {
        let text = format!("patient\0{}\0{}", patient.root(), patient.reveal());
        let name = self.hash(text.as_bytes());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(name.clone()).or_insert_with(|| patient.clone());
        name
    }

    /// The patient of a name that was given out since the start, or that one of `others` has.
    pub fn patient<'a>(
        &self,
        name: &str,
        others: impl Iterator<Item = &'a PatientId>,
    ) -> Option<PatientId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.or_else(|| others.into_iter().find(|other| self.name(other) == name).cloned())
    }

    /// A text that is in no record, for the audit: what was scanned and refused.
    pub fn hash(&self, text: &[u8]) -> String {
        let tag = hmac::sign(&self.key, text);
        tag.as_ref().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Purpose;

    #[test]
    fn a_name_shows_nothing_and_leads_back() {
        let patient =
            PatientId::given("1.2.246.10.1234567.22.2026", "P-0001", Purpose::Test).unwrap();
        let refs = Refs::of(&[7; 32]);
        let name = refs.name(&patient);
        assert!(name.len() == 2 * BYTES && !name.contains("0001"));
        assert_eq!(refs.patient(&name, [].into_iter()), Some(patient.clone()));
        assert_ne!(Refs::of(&[8; 32]).name(&patient), name);
        let anew = Refs::of(&[7; 32]);
        assert_eq!(anew.patient(&name, [].into_iter()), None);
        assert_eq!(anew.patient(&name, [&patient].into_iter()), Some(patient));
    }
}
