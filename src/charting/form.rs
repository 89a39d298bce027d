//! The form for what no device measures: pain, consciousness, urine, oxygen, cuff site, position.
//! The site may have its own; values are checked against it and kept as written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// The words of a field or choice by language: `fi`, `sv`, `en`.
pub type Words = BTreeMap<String, String>;

/// The form.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    pub field: Vec<Field>,
}

/// One field.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub parameter: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loinc: Option<String>,
    pub kind: FieldKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucum: Option<String>,
    /// Both included, as decimal texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<String>,
    /// How many decimals may be written.
    #[serde(default)]
    pub decimals: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choice: Vec<Choice>,
    pub words: Words,
}

/// How a field is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    Number,
    Choice,
    Text,
}

/// One choice.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub code: String,
    pub words: Words,
}

/// What the person filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filled {
    pub parameter: String,
    /// A number or a text, as written; a comma counts as the decimal point.
    #[serde(default)]
    pub value: Option<String>,
    /// Of a choice.
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub unit: Option<String>,
    #[serde(default)]
    pub site: Option<String>,
}

/// The longest text of a field.
const TEXT_CHARACTERS_MAX: usize = 200;

impl Default for Form {
    fn default() -> Self {
        toml::from_str(include_str!("form.toml")).expect("the form of this program can be read")
    }
}

impl Form {
    /// What is wrong with the form itself, by field.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, field) in self.field.iter().enumerate() {
            let name = &field.parameter;
            if self.field.iter().take(number).any(|other| other.parameter == *name) {
                found.push(format!("{name}: there are two fields of this parameter"));
            }
            for limit in [&field.minimum, &field.maximum].into_iter().flatten() {
                if decimal(limit).is_none() {
                    found.push(format!("{name}: expected a number such as 10 or 0.5 as a limit"));
                }
            }
            if (field.kind == FieldKind::Choice) == field.choice.is_empty() {
                found.push(format!(
                    "{name}: choices belong to a field of kind choice, and only there"
                ));
            }
        }
        found
    }

    /// The entries as metrics of a record, each with its value as it was written.
    ///
    /// # Errors
    /// Which field is wrong, and what would be right; never what was written.
    pub fn check(&self, filled: &[Filled]) -> Result<Vec<Json>, String> {
        let mut seen = Vec::new();
        filled
            .iter()
            .map(|one| {
                if seen.contains(&&one.parameter) {
                    return Err(format!("{}: filled in twice", shown(&one.parameter)));
                }
                seen.push(&one.parameter);
                let field = self.field.iter().find(|field| field.parameter == one.parameter);
                let field =
                    field.ok_or_else(|| format!("{}: no such field", shown(&one.parameter)))?;
                field.metric(one).map_err(|problem| format!("{}: {problem}", field.parameter))
            })
            .collect()
    }
}

/// A name that came from outside is shown only if it looks like one.
fn shown(name: &str) -> &str {
    let is_name = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if is_name { name } else { "a field" }
}

impl Field {
    fn metric(&self, filled: &Filled) -> Result<Json, String> {
        if filled.unit.is_some() && filled.unit != self.unit {
            return Err("expected the unit of the form".to_owned());
        }
        let mut metric = json!({
            "parameter": self.parameter,
            "entered": true,
            "kind": "episodic",
            "nature": "measurement",
            "status": "final",
        });
        let out = metric.as_object_mut().expect("an object was made");
        match (self.kind, &filled.value, &filled.code) {
            (FieldKind::Number, Some(text), None) => {
                let text = text.trim().replace(',', ".");
                self.number(&text)?;
                out.insert("value".to_owned(), json!(text));
            }
            (FieldKind::Choice, None, Some(code)) => {
                let choice = self.choice.iter().find(|choice| choice.code == *code);
                let choice = choice.ok_or("expected one of the choices of the form")?;
                let words = choice.words.get("en").unwrap_or(&choice.code);
                out.insert("value".to_owned(), json!(choice.code));
                out.insert(
                    "coded".to_owned(),
                    json!({ "code": choice.code, "words": words, "system": "" }),
                );
            }
            (FieldKind::Text, Some(text), None) => {
                let characters = text.chars().count();
                if text.trim().is_empty()
                    || characters > TEXT_CHARACTERS_MAX
                    || text.chars().any(char::is_control)
                {
                    return Err(format!("expected 1 to {TEXT_CHARACTERS_MAX} characters"));
                }
                out.insert("form".to_owned(), json!("text"));
                out.insert("value".to_owned(), json!(text));
            }
            _ => return Err("expected `value` of a number or text, `code` of a choice".to_owned()),
        }
        if let Some(loinc) = &self.loinc {
            out.insert("loinc".to_owned(), json!(loinc));
        }
        if let Some(unit) = &self.unit {
            out.insert("unit".to_owned(), json!([{ "code": unit }]));
        }
        if let Some(ucum) = &self.ucum {
            out.insert("ucum".to_owned(), json!(ucum));
        }
        if let Some(site) = filled.site.as_deref().filter(|site| site.len() <= 64) {
            out.insert("body_site".to_owned(), json!({ "code": "", "words": site }));
        }
        Ok(metric)
    }

    fn number(&self, text: &str) -> Result<(), String> {
        let value = decimal(text).ok_or("expected a number such as 3 or 0.5")?;
        if value.scale() > self.decimals {
            return Err(format!("expected at most {} decimals", self.decimals));
        }
        let limit = |limit: &Option<String>| limit.as_deref().and_then(decimal);
        let (minimum, maximum) = (limit(&self.minimum), limit(&self.maximum));
        let outside =
            minimum.is_some_and(|least| value < least) || maximum.is_some_and(|most| value > most);
        if outside {
            let text = |limit: &Option<String>| limit.clone().unwrap_or_else(|| "any".to_owned());
            return Err(format!("expected {} to {}", text(&self.minimum), text(&self.maximum)));
        }
        Ok(())
    }
}

/// Digits with at most one point, and a sign; for comparing only.
fn decimal(text: &str) -> Option<rust_decimal::Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let parts: Vec<&str> = digits.split('.').collect();
    let is_number = (1..=2).contains(&parts.len())
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if is_number { rust_decimal::Decimal::from_str_exact(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(parameter: &str, value: Option<&str>, code: Option<&str>) -> Filled {
        Filled {
            parameter: parameter.to_owned(),
            value: value.map(str::to_owned),
            code: code.map(str::to_owned),
            unit: None,
            site: None,
        }
    }

    #[test]
    fn the_form_of_this_program_is_sound() {
        assert_eq!(Form::default().problems(), Vec::<String>::new());
        for field in Form::default().field {
            let mut languages = field.words.keys().map(String::as_str).collect::<Vec<_>>();
            languages.sort_unstable();
            assert_eq!(languages, ["en", "fi", "sv"], "{}", field.parameter);
        }
    }

    #[test]
    fn values_are_kept_as_written_and_checked() {
        let form = Form::default();
        let good = form.check(&[
            filled("pain-nrs", Some("7"), None),
            filled("oxygen-flow", Some("1,5"), None),
            filled("consciousness-acvpu", None, Some("A")),
        ]);
        let good = good.unwrap();
        assert_eq!(good[0]["value"], "7");
        assert_eq!(good[0]["loinc"], "72514-3");
        assert_eq!(good[1]["value"], "1.5");
        assert_eq!(good[1]["ucum"], "L/min");
        assert_eq!(good[2]["coded"]["code"], "A");
        for (wrong, words) in [
            (filled("pain-nrs", Some("11"), None), "pain-nrs: expected 0 to 10"),
            (filled("pain-nrs", Some("7.5"), None), "pain-nrs: expected at most 0 decimals"),
            (filled("pain-nrs", Some("1e1"), None), "pain-nrs: expected a number such as 3 or 0.5"),
            (filled("pain-nrs", Some(""), None), "pain-nrs: expected a number such as 3 or 0.5"),
            (filled("position", None, Some("upside")), "position: expected one of the choices"),
            (filled("position", Some("lying"), None), "position: expected `value` of a number"),
            (filled("score", Some("1"), None), "score: no such field"),
            (filled("<script>", Some("1"), None), "a field: no such field"),
        ] {
            let problem = form.check(&[wrong]).unwrap_err();
            assert!(problem.starts_with(words), "{problem}");
        }
    }
}
