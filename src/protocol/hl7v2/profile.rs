//! The `[protocol.hl7v2]` table of a device file: what differs from device to device.
//!
//! Everything has a default that fits a device which follows its standard. Nothing here is about a
//! site: the zone of the device's clock and a ward's own character set are configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path::Path;
use crate::protocol::Stated;
use crate::vocabulary::{AbsentReason, Evidence};

/// What a device file says about a device that speaks HL7 v2 over MLLP.
///
/// ```
/// use wardgate::protocol::hl7v2::Hl7v2Profile;
/// let profile: Hl7v2Profile = toml::from_str(r#"
///     messages = ["ORU^R01"]
///     control_sample = [{ field = "OBR-4.1", equals = "LQC" }]
///     [sentinels]
///     "-999" = "not-measured"
/// "#).unwrap();
/// assert_eq!(profile.messages.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hl7v2Profile {
    /// Which messages are taken, such as "ORU^R01". Any other is kept raw and answered AR.
    pub messages: Vec<MessageType>,
    /// The character set of a device that leaves MSH-18 empty: a name of HL7 table 0211 such as
    /// "8859/1", or an encoding label. The site's configuration goes before it.
    pub charset: Option<CharsetName>,
    /// Which acknowledgement the device waits for.
    pub acknowledgement: AcknowledgementMode,
    /// How MSH-9 of the acknowledgement is written.
    pub acknowledge_message_type: AcknowledgementType,
    /// Values that stand for "no value", by their exact text, with the reason.
    pub sentinels: BTreeMap<String, AbsentReason>,
    /// Whether these texts stand for "no value" only where OBX-11 is empty: such a device may send
    /// the same number as a value with a status.
    pub sentinels_only_without_status: bool,
    /// Where the specimen's number stands; the first place that holds one counts. Left out:
    /// SPM-2.1, then SAC-3 for OUL messages, nowhere for the others. Present: an analyser.
    pub specimen: Option<Vec<Path>>,
    /// What marks a control or calibration sample; one rule that fits is enough.
    pub control_sample: Vec<ControlSampleRule>,
    /// What a value with status X (no result) means on this device.
    pub valid_with_status_x: StatusX,
    /// What the device means by an escape such as `\Z03BC\`.
    pub local_escape: LocalEscape,
    /// The device's own codes, one row each.
    pub result: Vec<ResultRow>,
}

impl Default for Hl7v2Profile {
    fn default() -> Self {
        Self {
            messages: MessageType::usual(),
            charset: None,
            acknowledgement: AcknowledgementMode::default(),
            acknowledge_message_type: AcknowledgementType::default(),
            sentinels: BTreeMap::new(),
            sentinels_only_without_status: false,
            specimen: None,
            control_sample: Vec::new(),
            valid_with_status_x: StatusX::default(),
            local_escape: LocalEscape::default(),
            result: Vec::new(),
        }
    }
}

impl Hl7v2Profile {
    /// The row for a code of the device; a row that names a system wants that system.
    pub fn result_row(&self, code: &str, system: &str) -> Option<&ResultRow> {
        let of_system = |row: &&ResultRow| row.system.as_deref().is_none_or(|want| want == system);
        self.result.iter().filter(of_system).find(|row| row.code == code)
    }
}

/// A kind of result message: code and trigger of MSH-9.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageType(String);

/// Why a text in a device file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Only unsolicited results are taken; orders and queries never.
    #[error("expected an unsolicited result message such as \"ORU^R01\" or \"OUL^R22\", got {0:?}")]
    BadMessageType(String),
    /// The name is in no table.
    #[error(
        "expected a character set such as \"8859/1\", \"8859/15\" or \"UNICODE UTF-8\", got {0:?}"
    )]
    UnknownCharset(String),
    /// A rule compares with exactly one thing.
    #[error("expected either \"equals\" or \"starts_with\" in the control sample rule for {0}")]
    BadRule(String),
}

impl MessageType {
    /// Monitor and pump results, alarms, pump events, analyser results.
    fn usual() -> Vec<Self> {
        ["ORU^R01", "ORU^R40", "ORU^R42", "OUL^R22"].map(|name| Self(name.to_owned())).to_vec()
    }

    /// `ORU^R01`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageType {
    type Error = ProfileError;

    fn try_from(text: String) -> Result<Self, ProfileError> {
        let good = text.split_once('^').is_some_and(|(code, trigger)| {
            matches!(code, "ORU" | "OUL")
                && trigger.len() == 3
                && trigger.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        });
        if good { Ok(Self(text)) } else { Err(ProfileError::BadMessageType(text)) }
    }
}

impl From<MessageType> for String {
    fn from(message_type: MessageType) -> Self {
        message_type.0
    }
}

impl JsonSchema for MessageType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MessageType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Code and trigger of MSH-9, such as \"ORU^R01\" or \"OUL^R22\".",
            "type": "string",
            "pattern": "^(ORU|OUL)\\^[A-Z0-9]{3}$"
        })
    }
}

/// The name of a character set that this family knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CharsetName(String);

impl CharsetName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CharsetName {
    type Error = ProfileError;

    fn try_from(text: String) -> Result<Self, ProfileError> {
        match super::charset::Charset::named(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(ProfileError::UnknownCharset(text)),
        }
    }
}

impl From<CharsetName> for String {
    fn from(name: CharsetName) -> Self {
        name.0
    }
}

impl JsonSchema for CharsetName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CharsetName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A name of HL7 table 0211 such as \"8859/1\", or an encoding label.",
            "type": "string"
        })
    }
}

/// Which acknowledgement a device waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcknowledgementMode {
    /// Each message says so in MSH-15 and MSH-16; with both empty, AA, AE or AR.
    #[default]
    ByMessage,
    /// Always AA, AE or AR, whatever MSH-15 and MSH-16 say.
    Original,
    /// Always CA, CE or CR, whatever MSH-15 and MSH-16 say.
    EnhancedAccept,
}

/// How MSH-9 of the acknowledgement is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcknowledgementType {
    /// `ACK^R01^ACK`: Mindray rejects a bare `ACK` (facts/lab.md 3.1).
    #[default]
    WithTrigger,
    /// `ACK` alone.
    Bare,
}

/// What a value with status X (no result) means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusX {
    /// A number from a monitor or a pump stands, with the flag `status:X` and a doubt: a Philips
    /// sample marks valid numbers X, so that X alone must not drop one (facts/semantics.md 1.1).
    /// Anything else with X is no result.
    #[default]
    NumberDoubted,
    /// There is no valid value; what stands in OBX-5 is kept as the mark of its absence.
    NoResult,
    /// The value stands: this device marks valid values X.
    ValueStands,
}

/// What a `\Z..\` escape of the device means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LocalEscape {
    /// Unknown; the text stays as sent.
    #[default]
    AsSent,
    /// Four hexadecimal digits are a Unicode character (BioSystems A400: `\Z03BC\` is `μ`).
    CodePoint,
}

/// One mark of a control or calibration sample.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenRule", deny_unknown_fields)]
pub struct ControlSampleRule {
    /// Where to look, in the segments that belong to the result: MSH, PID, SPM, OBR, INV, OBX.
    pub field: Path,
    /// The whole text there.
    pub equals: Option<String>,
    /// How the text there begins.
    pub starts_with: Option<String>,
}

impl ControlSampleRule {
    /// Whether the text at [`ControlSampleRule::field`] is such a mark.
    pub fn fits(&self, text: &str) -> bool {
        match (&self.equals, &self.starts_with) {
            (Some(whole), _) => text == whole,
            (None, Some(beginning)) => text.starts_with(beginning.as_str()),
            (None, None) => false,
        }
    }
}

/// A [`ControlSampleRule`] as it is written; the schema is made from this one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ControlSampleRule")]
struct WrittenRule {
    /// Where to look, in the segments that belong to the result: MSH, PID, SPM, OBR, INV, OBX.
    field: Path,
    /// The whole text there.
    equals: Option<String>,
    /// How the text there begins.
    starts_with: Option<String>,
}

impl TryFrom<WrittenRule> for ControlSampleRule {
    type Error = ProfileError;

    fn try_from(rule: WrittenRule) -> Result<Self, ProfileError> {
        let text = rule.equals.as_deref().or(rule.starts_with.as_deref());
        let both = rule.equals.is_some() && rule.starts_with.is_some();
        if both || text.is_none_or(str::is_empty) {
            return Err(ProfileError::BadRule(rule.field.to_string()));
        }
        Ok(Self { field: rule.field, equals: rule.equals, starts_with: rule.starts_with })
    }
}

/// What one of the device's own codes means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultRow {
    /// The code as the device sends it (OBX-3.1 or OBX-3.4).
    pub code: String,
    /// The coding system as the device sends it (OBX-3.3 or OBX-3.6); left out: any.
    #[serde(default)]
    pub system: Option<String>,
    /// The parameter in the vocabulary.
    pub parameter: String,
    /// The units that the device may send with it; left out: those of the vocabulary.
    #[serde(default)]
    pub units: Option<Vec<String>>,
    /// Document and section that say so.
    pub source: String,
    /// How far this row is proven; left out: as far as the file.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

impl ResultRow {
    /// The row for the list of what is proven by what.
    pub(crate) fn stated(&self) -> Stated {
        Stated {
            parameter: self.parameter.clone(),
            place: format!("OBX-3 {}", self.code),
            unit: self.units.clone().unwrap_or_default().join(", "),
            source: self.source.clone(),
            evidence: self.evidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Hl7v2Profile, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn an_empty_table_is_a_device_that_follows_its_standard() {
        let profile = read("").unwrap();
        assert_eq!(profile, Hl7v2Profile::default());
        let names: Vec<_> = profile.messages.iter().map(MessageType::as_str).collect();
        assert_eq!(names, ["ORU^R01", "ORU^R40", "ORU^R42", "OUL^R22"]);
    }

    #[test]
    fn every_field_is_checked_when_it_is_read() {
        for bad in [
            "messages = [\"RGV^O15\"]",
            "charset = \"FIN\"",
            "specimen = [\"SPM\"]",
            "control_sample = [{ field = \"MSH-11\" }]",
            "control_sample = [{ field = \"MSH-11\", equals = \"Q\", starts_with = \"Q\" }]",
            "control_sample = [{ field = \"MSH-11\", equals = \"\" }]",
            "sentinels = { \"-999\" = \"gone\" }",
            "acknowledgement = \"never\"",
            "colour = \"blue\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows_are_found_by_code_and_system() {
        let profile = read(
            r#"
            [[result]]
            code = "6690-2"
            system = "LN"
            parameter = "leucocytes"
            source = "manual 4.2"
            [[result]]
            code = "WBC"
            parameter = "leucocytes"
            source = "manual 4.3"
            "#,
        )
        .unwrap();
        assert!(profile.result_row("6690-2", "LN").is_some());
        assert!(profile.result_row("6690-2", "99MRC").is_none());
        assert!(profile.result_row("WBC", "anything").is_some());
    }

    #[test]
    fn the_schema_can_be_made() {
        let schema = serde_json::to_value(schemars::schema_for!(Hl7v2Profile)).unwrap();
        assert!(schema.pointer("/properties/sentinels").is_some());
        assert_eq!(schema.pointer("/additionalProperties"), Some(&serde_json::json!(false)));
        let rule = schema.pointer("/$defs/ControlSampleRule/properties/starts_with");
        assert!(rule.is_some(), "{schema}");
    }
}
