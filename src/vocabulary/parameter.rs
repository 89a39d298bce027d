//! The vocabulary: the only place where codes are typed.
//!
//! Two files, `parameters.toml` and `units.toml`, read once at start. Profiles name parameters by
//! their key (`spo2`); devices that name themselves in MDC are looked up by code or reference id.

use std::collections::{BTreeMap, HashMap};

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

/// All parameters and units, with the look-ups that mapping needs: several for each value, so they
/// are hashed. Whoever walks over them does it in the order of their names.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    parameters: HashMap<String, Parameter>,
    units: HashMap<String, Unit>,
    parameter_by_code: HashMap<u32, String>,
    parameter_by_mdc: HashMap<String, String>,
    unit_by_code: HashMap<u32, String>,
    /// All units that a text may mean.
    units_by_text: HashMap<String, Vec<String>>,
}

impl Vocabulary {
    /// Reads the two files' texts.
    pub fn parse(parameters: &str, units: &str) -> Result<Self, VocabularyError> {
        let toml_error = |file| move |error| VocabularyError::Toml { file, error: Box::new(error) };
        let units: UnitsFile = toml::from_str(units).map_err(toml_error("units.toml"))?;
        let parameters: ParametersFile =
            toml::from_str(parameters).map_err(toml_error("parameters.toml"))?;
        let mut vocabulary = Self {
            parameters: HashMap::new(),
            units: HashMap::new(),
            parameter_by_code: HashMap::new(),
            parameter_by_mdc: HashMap::new(),
            unit_by_code: HashMap::new(),
            units_by_text: HashMap::new(),
        };
        check(&parameters.parameter, &units.unit)?;
        vocabulary.index(&parameters.parameter, &units.unit)?;
        vocabulary.parameters = parameters.parameter.into_iter().collect();
        vocabulary.units = units.unit.into_iter().collect();
        Ok(vocabulary)
    }

    fn index(
        &mut self,
        parameters: &BTreeMap<String, Parameter>,
        units: &BTreeMap<String, Unit>,
    ) -> Result<(), VocabularyError> {
        for (name, parameter) in parameters {
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
        for (mdc, unit) in units {
            if let Some(first) = self.unit_by_code.insert(unit.mdc_code, mdc.clone()) {
                let (file, code, second) = ("units.toml", unit.mdc_code, mdc.clone());
                return Err(VocabularyError::CodeTwice { file, code, first, second });
            }
            for text in unit.ucum.iter().chain(&unit.written) {
                let units = self.units_by_text.entry(text.clone()).or_default();
                if !units.contains(mdc) {
                    units.push(mdc.clone());
                }
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
        let named = self.parameters.iter().map(|(name, parameter)| (name.as_str(), parameter));
        named.collect::<BTreeMap<_, _>>().into_iter()
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
    /// a text from the `written` lists. `accepted` are the units of the parameter in question.
    ///
    /// Nothing is chosen by order: where number and name are of two different units, and where a
    /// text means several units and `accepted` does not say which, there is no answer.
    pub fn unit_of<'a>(&'a self, coding: &Coding, accepted: &'a [String]) -> Option<&'a str> {
        self.unit_claimed(coding, accepted).ok().flatten()
    }

    /// The same, and apart from "unknown" the case that the coding contradicts itself.
    pub(crate) fn unit_claimed<'a>(
        &'a self,
        coding: &Coding,
        accepted: &'a [String],
    ) -> Result<Option<&'a str>, UnitsDisagree> {
        let (code, words) = (coding.code.as_str(), coding.words.as_str());
        let claims_mdc = coding.system == "MDC" || words.starts_with("MDC_");
        let number = code.parse().ok().filter(|_| claims_mdc);
        let by_number = number.and_then(|number| self.unit_by_mdc_code(number));
        let by_name = [code, words]
            .into_iter()
            .find_map(|text| self.units.get_key_value(text).map(|(mdc, _)| mdc.as_str()));
        match (by_number, by_name) {
            (Some(first), Some(second)) if first != second => return Err(UnitsDisagree),
            (Some(found), _) | (None, Some(found)) => return Ok(Some(found)),
            (None, None) => {}
        }
        let meant_by = |text: &str| {
            let meant = self.units_by_text.get(text).map(Vec::as_slice).unwrap_or_default();
            accepted.iter().find(|mdc| meant.contains(mdc)).or(match meant {
                [one] => Some(one),
                _ => None,
            })
        };
        Ok([code, words].into_iter().find_map(meant_by).map(String::as_str))
    }
}

impl Vocabulary {
    /// The accepted unit that a text means, if it means one.
    pub(crate) fn accepted_unit<'a>(&self, text: &str, accepted: &'a [String]) -> Option<&'a str> {
        let meant = self.units_by_text.get(text)?;
        accepted.iter().find(|mdc| meant.contains(mdc)).map(String::as_str)
    }

    /// Whether two units are the same to everybody who reads UCUM.
    pub(crate) fn same_unit(&self, first: &str, second: &str) -> bool {
        let ucum = |mdc: &str| self.units.get(mdc).map(|unit| unit.ucum.as_slice());
        let share = |(first, second): (&[String], &[String])| {
            first.iter().any(|text| second.contains(text))
        };
        first == second || ucum(first).zip(ucum(second)).is_some_and(share)
    }
}

fn check(
    parameters: &BTreeMap<String, Parameter>,
    units: &BTreeMap<String, Unit>,
) -> Result<(), VocabularyError> {
    for (name, parameter) in parameters {
        if let Some(unit) = parameter.units.iter().find(|unit| !units.contains_key(*unit)) {
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

/// A coding whose number is one unit's and whose name is another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnitsDisagree;

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &str = r#"
[unit.MDC_DIM_MMHG]
mdc_code = 266016
ucum = ["mm[Hg]"]
source = "test"
[unit.MDC_DIM_KILO_PASCAL]
mdc_code = 265987
ucum = ["kPa"]
source = "test"
[unit.MDC_DIM_BEAT_PER_MIN]
mdc_code = 264864
ucum = ["/min"]
source = "test"
[unit.MDC_DIM_RESP_PER_MIN]
mdc_code = 264928
ucum = ["/min"]
source = "test"
"#;

    #[test]
    fn a_unit_is_never_chosen_between_number_and_name() {
        let words = Vocabulary::parse("parameter = {}", UNITS).unwrap();
        let unit = |code: &str, name: &str, system: &str| {
            words.unit_of(&Coding::new(code, name, system), &[]).map(str::to_owned)
        };
        assert_eq!(unit("266016", "MDC_DIM_MMHG", "MDC").as_deref(), Some("MDC_DIM_MMHG"));
        assert_eq!(unit("266016", "MDC_DIM_KILO_PASCAL", "MDC"), None);
        assert_eq!(unit("266016", "MDC_DIM_KILO_PASCAL", ""), None);
        assert_eq!(unit("0", "MDC_DIM_KILO_PASCAL", "MDC").as_deref(), Some("MDC_DIM_KILO_PASCAL"));
        assert_eq!(unit("kPa", "", "UCUM").as_deref(), Some("MDC_DIM_KILO_PASCAL"));
    }

    #[test]
    fn a_text_of_several_units_is_decided_by_the_parameter_alone() {
        let words = Vocabulary::parse("parameter = {}", UNITS).unwrap();
        let per_minute = Coding::new("/min", "", "UCUM");
        assert_eq!(words.unit_of(&per_minute, &[]), None);
        assert_eq!(words.unit_of(&per_minute, &["MDC_DIM_MMHG".to_owned()]), None);
        let accepted = ["MDC_DIM_RESP_PER_MIN".to_owned()];
        assert_eq!(words.unit_of(&per_minute, &accepted), Some("MDC_DIM_RESP_PER_MIN"));
    }
}
