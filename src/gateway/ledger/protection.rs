//! Whose data are protected (turvakielto): the patient administration says it, and every record
//! that names such a patient carries the mark, so that whoever gets it can treat it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::moves::patient_of;
use super::verdicts::Said;
use crate::association::{Ledger, Register};
use crate::gateway::committer::Committer;
use crate::vocabulary::PatientId;

/// The mark in the data of a record.
const MARK: &str = "patient_protected";

/// What was looked up since ledger or register changed.
#[derive(Debug, Default)]
pub struct Protection {
    ledger: Arc<Ledger>,
    register: Arc<Register>,
    known: BTreeMap<PatientId, bool>,
}

impl Protection {
    /// Whether values go to a patient whose data are protected.
    pub fn of(&mut self, said: &Said, ledger: &Arc<Ledger>, register: &Arc<Register>) -> bool {
        let Some(Ok(held)) = said.as_deref() else { return false };
        if !Arc::ptr_eq(&self.ledger, ledger) || !Arc::ptr_eq(&self.register, register) {
            (self.ledger, self.register) = (Arc::clone(ledger), Arc::clone(register));
            self.known.clear();
        }
        if let Some(known) = self.known.get(&held.patient) {
            return *known;
        }
        let is_protected = is_protected(&held.patient, ledger, register);
        self.known.insert(held.patient.clone(), is_protected);
        is_protected
    }
}

fn is_protected(patient: &PatientId, ledger: &Ledger, register: &Register) -> bool {
    let known = register.persons.known(patient, ledger);
    known.and_then(|person| person.protected).unwrap_or(false)
}

impl Committer {
    /// Says of the patient whom the data name, and of no other one that they were about before,
    /// whether the data are protected.
    pub(super) fn mark_protected(&self, data: &mut Map<String, Json>) {
        data.remove(MARK);
        let (ledger, register) = (&self.memory.ledger, &self.memory.register);
        if patient_of(data).is_some_and(|patient| is_protected(&patient, ledger, register)) {
            data.insert(MARK.to_owned(), Json::Bool(true));
        }
    }
}
