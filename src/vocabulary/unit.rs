//! A unit of `device-profiles/vocabulary/units.toml`.

use schemars::JsonSchema;
use serde::Deserialize;

/// One unit with all the ways in which it is written. The key in the file is the MDC reference id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// The MDC code (context-free, 32 bits).
    pub mdc_code: u32,
    /// UCUM expressions, the first one preferred. Empty where no source gives one.
    pub ucum: Vec<String>,
    /// Texts that devices write for it besides UCUM and MDC, from named sources.
    #[serde(default)]
    pub written: Vec<String>,
    /// Where this row is from.
    pub source: String,
}
