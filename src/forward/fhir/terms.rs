//! The words of FHIR that records are put into: systems, statuses, reasons, and which vital signs
//! have a profile. Each table names its source.

use super::super::stored::EventKind;

/// MDC, the nomenclature of device data (`facts/semantics.md` 3).
pub const MDC: &str = "urn:iso:std:iso:11073:10101";
pub const LOINC: &str = "http://loinc.org";
pub const UCUM: &str = "http://unitsofmeasure.org";
pub const SNOMED: &str = "http://snomed.info/sct";
pub const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
pub const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
pub const INTERPRETATION: &str =
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
pub const MEASUREMENT_STATUS: &str = "http://terminology.hl7.org/CodeSystem/measurement-status";
pub const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// The mark of a patient whose data are protected (hl7.fi finnish-base-profiles 2.0.0-rc2,
/// CodeSystem fi-base-security-label-cs).
pub const SECURITY_LABEL: &str =
    "https://hl7.fi/fhir/finnish-base-profiles/CodeSystem/fi-base-security-label-cs";
pub const PROTECTED: &str = "TURVAKIELTO";

/// Profiles.
pub const VITAL_SIGNS: &str = "http://hl7.org/fhir/StructureDefinition/vitalsigns";
pub const BLOOD_PRESSURE: &str = "http://hl7.org/fhir/StructureDefinition/bp";
pub const POCD: &str = "http://hl7.org/fhir/uv/pocd/StructureDefinition/";

/// Our own extensions and code systems; `docs/destinations/fhir.md` says what each holds.
pub const STATED_BY: &str = "urn:wardgate:fhir:stated-by";
pub const NAMES: &str = "urn:wardgate:fhir:names";
pub const VALUE_AS_SENT: &str = "urn:wardgate:fhir:value-as-sent";
pub const OBSERVATION_ID: &str = "urn:wardgate:fhir:observation-id";
pub const LIMITS: &str = "urn:wardgate:fhir:device-limits";
pub const CHART_TIME: &str = "urn:wardgate:fhir:chart-time-rule";
pub const ASSOCIATION: &str = "urn:wardgate:fhir:association";
pub const PROFILE: &str = "urn:wardgate:fhir:device-profile";
pub const ABSENT_WORD: &str = "urn:wardgate:fhir:absent-reason";
pub const FLAG: &str = "urn:wardgate:fhir:device-flag";
pub const DOUBT: &str = "urn:wardgate:fhir:doubt";
pub const PARAMETER: &str = "urn:wardgate:fhir:parameter";
pub const GAP: &str = "urn:wardgate:fhir:gap";
pub const RAW_DIGEST: &str = "urn:wardgate:fhir:raw-sha256";

/// `Observation.status` of a metric (`facts/semantics.md` 1.1 and 3: OBX-11 R is preliminary, F
/// and the nurse's confirmation are final).
///
/// A correction of what was never final is still preliminary: `amended` and `corrected` claim that
/// there was a final statement before.
pub fn status(kind: EventKind, status: &str) -> &'static str {
    if kind == EventKind::Void {
        return "entered-in-error";
    }
    match (kind, status) {
        (_, "withdrawn") => "entered-in-error",
        (EventKind::Confirmation, _) => "final",
        (_, "corrected") => "corrected",
        (EventKind::Correction, "final") => "amended",
        (_, "final") => "final",
        (_, "unverified" | "preliminary" | "no-result" | "sent-before" | "not-stated") => {
            "preliminary"
        }
        // A letter that the standard gives another meaning is taken for nothing.
        (_, _) => "unknown",
    }
}

/// `dataAbsentReason` for our reasons (`facts/semantics.md` 1.2 where HL7 flags have one; our own
/// word always stands beside it).
pub fn absent(reason: &str) -> &'static str {
    match reason {
        "invalid" | "sensor-fault" => "error",
        "off" | "not-performed" | "not-measured" => "not-performed",
        "probe-off"
        | "searching"
        | "not-available"
        | "measuring"
        | "calibrating"
        | "pending"
        | "no-value-at-boundary" => "temp-unknown",
        // `under-range`, `over-range`, `not-stated`, and words of a later version.
        _ => "unknown",
    }
}

/// A vital sign with a profile in FHIR R4 (observation-vitalsigns; `facts/semantics.md` 3).
pub struct Vital {
    /// Codes that the profile wants beside the LOINC code of the vocabulary.
    pub also: &'static [(&'static str, &'static str)],
    /// The UCUM codes that the profile accepts.
    pub units: &'static [&'static str],
    /// Whether the code is only a part of a panel by that profile.
    pub part: bool,
}

/// The profile's rules for a LOINC code; `None`: it is no vital sign by that profile.
pub fn vital(loinc: &str) -> Option<Vital> {
    let sign = |units| Some(Vital { also: &[], units, part: false });
    match loinc {
        "8867-4" | "9279-1" => sign(&["/min"]),
        "2708-6" => sign(&["%"]),
        "59408-5" => Some(Vital {
            also: &[("2708-6", "Oxygen saturation in Arterial blood")],
            units: &["%"],
            part: false,
        }),
        "8310-5" => sign(&["Cel", "[degF]"]),
        "29463-7" => sign(&["g", "kg", "[lb_av]"]),
        "8302-2" | "9843-4" => sign(&["cm", "[in_i]"]),
        "39156-5" => sign(&["kg/m2"]),
        "8480-6" | "8462-4" | "8478-0" => Some(Vital { also: &[], units: &["mm[Hg]"], part: true }),
        _ => None,
    }
}

/// A flag of the device as an interpretation: system and code. Table 1.2 of `facts/semantics.md`
/// for measurement status, HL7 table 0078 for the rest; `None`: only the device's own word.
pub fn interpretation(flag: &str) -> Option<(&'static str, &'static str)> {
    Some(match flag {
        "N" => (INTERPRETATION, "N"),
        "L" => (INTERPRETATION, "L"),
        "LL" => (INTERPRETATION, "LL"),
        "H" => (INTERPRETATION, "H"),
        "HH" => (INTERPRETATION, "HH"),
        "A" => (INTERPRETATION, "A"),
        "AA" => (INTERPRETATION, "AA"),
        "<" => (INTERPRETATION, "<"),
        ">" => (INTERPRETATION, ">"),
        "QUES" => (MEASUREMENT_STATUS, "questionable"),
        "CAL" => (MEASUREMENT_STATUS, "calibration-ongoing"),
        "VAL" => (MEASUREMENT_STATUS, "validated-data"),
        "EARLY" => (MEASUREMENT_STATUS, "early-indication"),
        "BUSY" => (MEASUREMENT_STATUS, "msmt-ongoing"),
        "ALACT" => (MEASUREMENT_STATUS, "in-alarm"),
        "ALINH" => (MEASUREMENT_STATUS, "alarm-inhibited"),
        _ => return None,
    })
}

/// The URI of a code system that a device names, where it is one of those that have one.
pub fn system(name: &str) -> Option<&'static str> {
    match name {
        "MDC" => Some(MDC),
        "LN" => Some(LOINC),
        "SCT" => Some(SNOMED),
        "UCUM" => Some(UCUM),
        _ => None,
    }
}

/// FHIR says that 18 digits are carried; more than that stays text.
const DIGITS_MAX: usize = 18;

/// The device's digits in the grammar of FHIR's decimal (and JSON's number), without a change of
/// value or of precision: a plus sign and leading zeros go, a missing zero before the point comes.
/// `None` where that is not enough.
///
/// ```
/// use wardgate::forward::fhir::terms::decimal;
/// assert_eq!(decimal("7.40").as_deref(), Some("7.40"));
/// assert_eq!(decimal("-0.0").as_deref(), Some("-0.0"));
/// assert_eq!(decimal("07.40").as_deref(), Some("7.40"));
/// assert_eq!(decimal("1_000"), None);
/// ```
pub fn decimal(digits: &str) -> Option<String> {
    if !crate::vocabulary::value::is_number(digits) {
        return None;
    }
    let (sign, rest) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}{exponent}"))
}

/// Whether FHIR's `string` can carry a text: not empty or blank, no control characters.
pub fn is_string(text: &str) -> bool {
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    !text.trim().is_empty() && !text.chars().any(control)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://hl7.org/fhir/R4/datatypes.html#decimal>: the grammar; the digits are the device's.
    #[test]
    fn a_decimal_keeps_its_digits() {
        let cases = [
            ("97", Some("97")),
            ("7.40", Some("7.40")),
            ("-0.0", Some("-0.0")),
            ("0", Some("0")),
            ("000", Some("0")),
            ("07.40", Some("7.40")),
            ("-07.40", Some("-7.40")),
            ("+5", Some("5")),
            (".5", Some("0.5")),
            ("5.", Some("5")),
            ("3.26E+05", Some("3.26E+05")),
            ("1,5", None),
            ("", None),
            ("1234567890123456789", None),
        ];
        for (digits, expected) in cases {
            assert_eq!(decimal(digits).as_deref(), expected, "{digits}");
        }
    }

    #[test]
    fn what_was_never_final_is_not_amended() {
        let correction = |word| status(EventKind::Correction, word);
        assert_eq!(correction("final"), "amended");
        assert_eq!(correction("corrected"), "corrected");
        assert_eq!(correction("unverified"), "preliminary");
        assert_eq!(status(EventKind::Observation, "not-stated"), "preliminary");
        assert_eq!(status(EventKind::Observation, "final"), "final");
        assert_eq!(status(EventKind::Confirmation, "unverified"), "final");
        assert_eq!(status(EventKind::Void, "final"), "entered-in-error");
    }
}
