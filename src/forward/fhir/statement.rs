//! What a stored record says, as far as FHIR is told of it: the data of `record.v1.schema.json`.
//!
//! A confirmation, a correction and a void state their metrics as an observation does; the
//! `observation_id` of a metric is that of the record that first stated it, and a set that was
//! stated together is stated whole. `docs/destinations/fhir.md` draws it.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// The data of a record about values.
#[derive(Clone, Debug, Deserialize)]
pub struct Statement {
    pub times: Times,
    #[serde(default)]
    pub patient: Option<Patient>,
    #[serde(default)]
    pub patient_protected: bool,
    #[serde(default)]
    pub association: Option<Association>,
    #[serde(default)]
    pub specimen: Option<Specimen>,
    #[serde(default)]
    pub remarks: Vec<String>,
    #[serde(default)]
    pub incomplete: bool,
    #[serde(default)]
    pub purpose: Option<String>,
    #[serde(default)]
    pub names: Option<String>,
    #[serde(default)]
    pub raw_sha256: Option<String>,
    #[serde(default)]
    pub profile: Option<ProfileStamp>,
    pub metrics: Vec<Metric>,
}

impl Statement {
    /// From the data of a record; `None` if it is not the data of a statement.
    pub fn read(data: &Map<String, Json>) -> Option<Self> {
        serde_json::from_value(Json::Object(data.clone())).ok()
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct Times {
    #[serde(default)]
    pub received: Option<Received>,
    pub chart: ChartTime,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Received {
    pub utc: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ChartTime {
    pub utc: String,
    pub rule: String,
}

/// Whose it is; only a patient that the ledger attributes stands here.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "PatientForm")]
pub struct Patient {
    pub ids: Vec<PatientId>,
}

/// How a record names a patient: by one identifier, or by several.
#[derive(Deserialize)]
#[serde(untagged)]
enum PatientForm {
    Several { ids: Vec<PatientId> },
    One(PatientId),
}

impl From<PatientForm> for Patient {
    fn from(form: PatientForm) -> Self {
        match form {
            PatientForm::Several { ids } => Self { ids },
            PatientForm::One(id) => Self { ids: vec![id] },
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct PatientId {
    pub id: String,
    /// The root OID, with or without `urn:oid:`; may be empty.
    #[serde(default, alias = "root")]
    pub authority: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Association {
    #[serde(default)]
    pub grade: Option<String>,
    #[serde(default)]
    pub ledger: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Specimen {
    pub id: String,
    #[serde(default, rename = "type")]
    pub kind: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ProfileStamp {
    pub id: String,
    pub revision: u32,
    pub digest: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Coding {
    pub code: String,
    #[serde(default)]
    pub words: String,
    #[serde(default)]
    pub system: String,
}

/// One value, or why there is none.
#[derive(Clone, Debug, Deserialize)]
pub struct Metric {
    pub observation_id: String,
    pub parameter: Option<String>,
    #[serde(default)]
    pub mdc_code: Option<u32>,
    #[serde(default)]
    pub mdc: String,
    #[serde(default)]
    pub loinc: String,
    #[serde(default)]
    pub sub_id: String,
    #[serde(default)]
    pub codings: Vec<Coding>,
    #[serde(default)]
    pub value: Option<String>,
    #[serde(default)]
    pub comparator: Option<String>,
    #[serde(default)]
    pub digits: Option<String>,
    #[serde(default)]
    pub form: Option<String>,
    #[serde(default)]
    pub coded: Option<Coding>,
    #[serde(default)]
    pub absent: Option<String>,
    #[serde(default)]
    pub absent_mark: Option<String>,
    #[serde(default)]
    pub unit: Vec<Coding>,
    #[serde(default)]
    pub unit_mdc: Option<String>,
    #[serde(default)]
    pub ucum: Option<String>,
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub doubts: Vec<String>,
    pub status: String,
    pub nature: String,
    #[serde(default)]
    pub method: Vec<Coding>,
    #[serde(default)]
    pub body_site: Option<Coding>,
    #[serde(default)]
    pub limits: String,
}

impl Metric {
    /// Settings and measurements are observations, and so is what an event says; facts about the
    /// device are not.
    pub fn is_observation(&self) -> bool {
        self.nature != "device-fact"
    }
}
