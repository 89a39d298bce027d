//! What parameters are called at the bedside, in Finnish, Swedish and English. A parameter without
//! words of its own goes by its name in the vocabulary.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value as Json, json};

/// Parameter, and its words by language.
static WORDS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    toml::from_str(include_str!("words.toml")).expect("the words of this program can be read")
});

/// The words of a parameter by language.
pub fn parameter(name: &str) -> Json {
    match WORDS.get(name) {
        Some(words) => json!(words),
        None => json!({ "fi": name, "sv": name, "en": name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_words_in_three_languages() {
        for (name, words) in WORDS.iter() {
            let languages: Vec<&str> = words.keys().map(String::as_str).collect();
            assert_eq!(languages, ["en", "fi", "sv"], "{name}");
        }
        let vocabulary = include_str!("../../device-profiles/vocabulary/parameters.toml");
        let form = crate::charting::form::Form::default();
        for name in WORDS.keys() {
            let is_entered = form.field.iter().any(|field| field.parameter == *name);
            assert!(is_entered || vocabulary.contains(&format!("[parameter.{name}]")), "{name}");
        }
        assert_eq!(parameter("spo2")["fi"], "Happisaturaatio");
        assert_eq!(parameter("something-new")["sv"], "something-new");
    }
}
