//! What a stored record says, as far as HL7 v2 can say it: the data of `record.v1.schema.json`.

use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json};

/// The data of an observation, alarm, pump event or correction.
#[derive(Clone, Debug, Deserialize)]
pub struct Statement {
    pub mode: String,
    pub times: Times,
    #[serde(default)]
    pub patient: Option<Patient>,
    #[serde(default)]
    pub patient_protected: bool,
    #[serde(default)]
    pub patient_absent: Option<String>,
    #[serde(default)]
    pub association: Option<Association>,
    #[serde(default)]
    pub specimen: Option<Specimen>,
    #[serde(default)]
    pub ordered: Option<Coding>,
    #[serde(default)]
    pub remarks: Vec<String>,
    #[serde(default)]
    pub incomplete: bool,
    /// Why the record is kept and not forwarded; such a record is never routed.
    #[serde(default)]
    pub held: Vec<String>,
    /// The record that it corrects.
    #[serde(default)]
    pub names: Option<String>,
    pub metrics: Vec<Metric>,
}

impl Statement {
    /// From the data of a record; `None` if it is not the data of a statement.
    pub fn read(data: &JsonMap<String, Json>) -> Option<Self> {
        serde_json::from_value(Json::Object(data.clone())).ok()
    }
}

/// As far as they go out.
#[derive(Clone, Debug, Deserialize)]
pub struct Times {
    #[serde(default)]
    pub device: Option<DeviceTime>,
    pub chart: ChartTime,
}

#[derive(Clone, Debug, Deserialize)]
pub struct DeviceTime {
    #[serde(default)]
    pub utc: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ChartTime {
    pub utc: String,
    pub rule: String,
}

/// Whose it is.
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
    /// The root OID, with or without `urn:oid:`.
    #[serde(alias = "root")]
    pub authority: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Association {
    #[serde(default)]
    pub place: Option<String>,
    #[serde(default)]
    pub grade: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Specimen {
    pub id: String,
    #[serde(default, rename = "type")]
    pub kind: String,
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
    #[serde(default)]
    pub method: Vec<Coding>,
    #[serde(default)]
    pub body_site: Option<Coding>,
    #[serde(default)]
    pub equipment: Vec<String>,
    #[serde(default)]
    pub limits: String,
}

impl Metric {
    /// What a note calls it: our name, else the device's own code.
    pub fn name(&self) -> &str {
        let coding = self.codings.first();
        let sent = coding.map(|one| if one.words.is_empty() { &one.code } else { &one.words });
        self.parameter.as_deref().or(sent.map(String::as_str)).unwrap_or("without a name")
    }
}
