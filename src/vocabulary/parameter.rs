//! The vocabulary: the only place where codes are typed.
//!
//! Two files, `parameters.toml` and `units.toml`, read once at start. Profiles name parameters by
//! their key (`spo2`); devices that name themselves in MDC are looked up by code or reference id.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reading::Coding;
use super::unit::Unit;
use super::value;

/// How a parameter lives in time; decides how a route may thin it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterKind {
    /// Always present, sent again and again: heart rate.
    Periodic,
    /// Measured now and then, at its own time: a cuff pressure, a laboratory result.
    Episodic,
    /// Set on the device by a person: a rate limit, PEEP set.
    Setting,
    /// A total that grows: volume delivered.
    Cumulative,
    /// Something that happened: an alarm, a bolus begun.
    Event,
}

/// One parameter with its codes. The key in the file is the name that profiles use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it is, in words.
    pub words: String,
    /// Which part of the house it belongs to: vitals-ecg, ventilation, infusion, blood-gas-poct ...
    pub category: String,
    /// The MDC reference id; empty where there is none.
    #[serde(default)]
    pub mdc: String,
    /// Other MDC reference ids with the same code.
    #[serde(default)]
    pub mdc_synonyms: Vec<String>,
    /// The MDC code (context-free, 32 bits).
    #[serde(default)]
    pub mdc_code: Option<u32>,
    /// LOINC, empty where no source gives one.
    #[serde(default)]
    pub loinc: String,
    /// The Finnish national code, empty where no source gives one.
    #[serde(default)]
    pub finnish: String,
    /// How it lives in time.
    pub kind: ParameterKind,
    /// Accepted units as MDC reference ids of `units.toml`, the canonical one first. Empty for
    /// text.
    #[serde(default)]
    pub units: Vec<String>,
    /// Lowest and highest figure that is possible at all, in the canonical unit. Beyond it the
    /// value is marked implausible; it is never dropped.
    #[serde(default)]
    pub possible: Option<[String; 2]>,
    /// Where the codes are from.
    pub source: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ParametersFile {
    parameter: BTreeMap<String, Parameter>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnitsFile {
    unit: BTreeMap<String, Unit>,
}

/// What is wrong with the vocabulary files.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    #[error("{file}: {error}")]
    Toml { file: &'static str, error: Box<toml::de::Error> },
    #[error("parameters.toml: {parameter:?} accepts {unit:?}, which units.toml does not have")]
    UnknownUnit { parameter: String, unit: String },
    #[error("{file}: MDC code {code} stands at both {first:?} and {second:?}")]
    CodeTwice { file: &'static str, code: u32, first: String, second: String },
    #[error(
        "parameters.toml: {parameter:?}: expected two numbers, the lower first, not {bounds:?}"
    )]
    BadPossible { parameter: String, bounds: [String; 2] },
}

/// All parameters and units, with the look-ups that mapping needs.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    parameters: BTreeMap<String, Parameter>,
    units: BTreeMap<String, Unit>,
    parameter_by_code: BTreeMap<u32, String>,
    parameter_by_mdc: BTreeMap<String, String>,
    unit_by_code: BTreeMap<u32, String>,
    unit_by_text: BTreeMap<String, String>,
}

impl Vocabulary {
    /// Reads the two files' texts.
    pub fn parse(parameters: &str, units: &str) -> Result<Self, VocabularyError> {
        let toml_error = |file| move |error| VocabularyError::Toml { file, error: Box::new(error) };
        let units: UnitsFile = toml::from_str(units).map_err(toml_error("units.toml"))?;
        let parameters: ParametersFile =
            toml::from_str(parameters).map_err(toml_error("parameters.toml"))?;
        let mut vocabulary = Self {
            parameters: parameters.parameter,
            units: units.unit,
            parameter_by_code: BTreeMap::new(),
            parameter_by_mdc: BTreeMap::new(),
            unit_by_code: BTreeMap::new(),
            unit_by_text: BTreeMap::new(),
        };
        vocabulary.check()?;
        vocabulary.index()?;
        Ok(vocabulary)
    }

    fn check(&self) -> Result<(), VocabularyError> {
        for (name, parameter) in &self.parameters {
            if let Some(unit) = parameter.units.iter().find(|unit| !self.units.contains_key(*unit))
            {
                return Err(VocabularyError::UnknownUnit {
                    parameter: name.clone(),
                    unit: unit.clone(),
                });
            }
            if let Some(bounds) = &parameter.possible {
                let ordered = matches!(
                    (value::decimal(&bounds[0]), value::decimal(&bounds[1])),
                    (Some(low), Some(high)) if low < high
                );
                if !ordered {
                    let bounds = bounds.clone();
                    return Err(VocabularyError::BadPossible { parameter: name.clone(), bounds });
                }
            }
        }
        Ok(())
    }

    fn index(&mut self) -> Result<(), VocabularyError> {
        for (name, parameter) in &self.parameters {
            if let Some(code) = parameter.mdc_code
                && let Some(first) = self.parameter_by_code.insert(code, name.clone())
            {
                let (file, second) = ("parameters.toml", name.clone());
                return Err(VocabularyError::CodeTwice { file, code, first, second });
            }
            for mdc in
                parameter.mdc_synonyms.iter().chain([&parameter.mdc]).filter(|mdc| !mdc.is_empty())
            {
                self.parameter_by_mdc.insert(mdc.clone(), name.clone());
            }
        }
        for (mdc, unit) in &self.units {
            if let Some(first) = self.unit_by_code.insert(unit.mdc_code, mdc.clone()) {
                let (file, code, second) = ("units.toml", unit.mdc_code, mdc.clone());
                return Err(VocabularyError::CodeTwice { file, code, first, second });
            }
            for text in unit.ucum.iter().chain(&unit.written) {
                // The first unit keeps a text that two share; a parameter's own list decides then.
                self.unit_by_text.entry(text.clone()).or_insert_with(|| mdc.clone());
            }
        }
        Ok(())
    }

    /// A parameter by the name that profiles use.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)
    }

    /// All parameters in the order of their names.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.parameters.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// A parameter by its MDC code (context-free).
    pub fn parameter_by_mdc_code(&self, code: u32) -> Option<(&str, &Parameter)> {
        let name = self.parameter_by_code.get(&code)?;
        Some((name, self.parameters.get(name)?))
    }

    /// A parameter by its MDC reference id or a synonym of it.
    pub fn parameter_by_mdc(&self, reference: &str) -> Option<(&str, &Parameter)> {
        let name = self.parameter_by_mdc.get(reference)?;
        Some((name, self.parameters.get(name)?))
    }

    /// A unit by its MDC reference id.
    pub fn unit(&self, mdc: &str) -> Option<&Unit> {
        self.units.get(mdc)
    }

    /// The MDC reference id of a unit by its MDC code.
    pub fn unit_by_mdc_code(&self, code: u32) -> Option<&str> {
        self.unit_by_code.get(&code).map(String::as_str)
    }

    /// The MDC reference id of the unit that a coding means: by MDC code, MDC reference id, UCUM or
    /// a text from the `written` lists. `accepted` are the units of the parameter in question;
    /// where a text means several units, one of those is chosen.
    pub fn unit_of<'a>(&'a self, coding: &Coding, accepted: &'a [String]) -> Option<&'a str> {
        let (code, words) = (coding.code.as_str(), coding.words.as_str());
        let by_number = code.parse().ok().filter(|_| coding.system == "MDC");
        if let Some(found) = by_number.and_then(|number| self.unit_by_mdc_code(number)) {
            return Some(found);
        }
        for text in [code, words] {
            if let Some((mdc, _)) = self.units.get_key_value(text) {
                return Some(mdc);
            }
        }
        let writes = |mdc: &String, text: &str| {
            self.units
                .get(mdc)
                .is_some_and(|unit| unit.ucum.iter().chain(&unit.written).any(|one| one == text))
        };
        [code, words].into_iter().filter(|text| !text.is_empty()).find_map(|text| {
            let wanted = accepted.iter().find(|mdc| writes(mdc, text));
            wanted.or_else(|| self.unit_by_text.get(text)).map(String::as_str)
        })
    }
}
