//! A value is its text as sent: 7.40 stays 7.40, -0.0 stays -0.0.
//!
//! What the text means is worked out beside it and never replaces it. A decimal is derived for
//! comparing only. A value that the device does not have is absent, with a reason from a closed
//! list.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a device has no value. Closed: a profile can only choose from these.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AbsentReason {
    /// The sensor is not on the patient.
    ProbeOff,
    /// The device is still looking for a signal.
    Searching,
    /// The parameter is not being measured.
    NotMeasured,
    /// The device says that the value is not available now (HL7 flag NAV).
    NotAvailable,
    /// The device marks its own value as invalid (HL7 flag INV).
    Invalid,
    /// The measuring channel is switched off (HL7 flag OFF).
    Off,
    /// A measurement is under way (HL7 flag BUSY).
    Measuring,
    /// The device is calibrating.
    Calibrating,
    /// Sensor or cable fault.
    SensorFault,
    /// Below what the device can measure, without a figure.
    UnderRange,
    /// Above what the device can measure, without a figure.
    OverRange,
    /// The laboratory test could not be done (status X).
    NotPerformed,
    /// The result is still to come (status I).
    Pending,
    /// The device sends an empty field and does not say why.
    NotStated,
    /// No value was there at the boundary that a route asked for.
    NoValueAtBoundary,
}

impl AbsentReason {
    /// The reason as it stands in device files and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProbeOff => "probe-off",
            Self::Searching => "searching",
            Self::NotMeasured => "not-measured",
            Self::NotAvailable => "not-available",
            Self::Invalid => "invalid",
            Self::Off => "off",
            Self::Measuring => "measuring",
            Self::Calibrating => "calibrating",
            Self::SensorFault => "sensor-fault",
            Self::UnderRange => "under-range",
            Self::OverRange => "over-range",
            Self::NotPerformed => "not-performed",
            Self::Pending => "pending",
            Self::NotStated => "not-stated",
            Self::NoValueAtBoundary => "no-value-at-boundary",
        }
    }
}

impl fmt::Display for AbsentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands before a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparator {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Comparator {
    /// The comparator before a trimmed text, and what stands behind it.
    fn before(text: &str) -> (Option<Self>, &str) {
        let pairs = [
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        let found = pairs
            .iter()
            .find_map(|(sign, comparator)| Some((*comparator, text.strip_prefix(sign)?)));
        match found {
            Some((comparator, rest)) => (Some(comparator), rest.trim_start()),
            None => (None, text),
        }
    }
}

/// What the text of a [`Value`] means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// A number in our own grammar; its figures are [`Value::digits`].
    Number { comparator: Option<Comparator> },
    /// A step of a scale: `neg`, `trace`, `2+`.
    Ordinal,
    /// A code, its words and the system it is from, each as sent.
    Coded { code: String, words: String, system: String },
    /// Words, or a number written in a way that has more than one reading (`161,152`).
    Text,
    /// No value, and why.
    Absent(AbsentReason),
}

/// A value exactly as the device sent it.
///
/// ```
/// use wardgate::vocabulary::{Comparator, Meaning, Value};
/// let ph = Value::read("7.40");
/// assert_eq!(ph.as_sent(), "7.40");
/// let low = Value::read("< 20");
/// assert!(matches!(low.meaning(), Meaning::Number { comparator: Some(Comparator::Less), .. }));
/// assert_eq!(low.as_sent(), "< 20");
/// // Thousands or decimals? Nobody but the vendor knows, so it stays text.
/// assert_eq!(Value::read("161,152").meaning(), &Meaning::Text);
/// ```
///
/// Its `Debug` shows its length or why there is none: a value can be anybody's text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value {
    as_sent: String,
    meaning: Meaning,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.absent_reason() {
            Some(reason) => write!(f, "Value(absent: {reason})"),
            None => write!(f, "Value({} bytes)", self.as_sent.len()),
        }
    }
}

impl Value {
    /// A number of our grammar, or `None`.
    pub fn number(text: &str) -> Option<Self> {
        let meaning = Meaning::Number { comparator: None };
        is_number(text).then(|| Self { as_sent: text.to_owned(), meaning })
    }

    /// A number with or without comparator, an ordinal, or else text. Blanks around are kept in
    /// [`Value::as_sent`] and ignored for the meaning. Empty text is not a value: see
    /// [`Value::absent`].
    pub fn read(text: &str) -> Self {
        let trimmed = text.trim();
        let (comparator, digits) = Comparator::before(trimmed);
        let meaning = if is_number(digits) {
            Meaning::Number { comparator }
        } else if is_ordinal(trimmed) {
            Meaning::Ordinal
        } else {
            Meaning::Text
        };
        Self { as_sent: text.to_owned(), meaning }
    }

    /// Words as sent, whatever they look like.
    pub fn text(text: &str) -> Self {
        Self { as_sent: text.to_owned(), meaning: Meaning::Text }
    }

    /// A code with its words and system.
    pub fn coded(as_sent: &str, code: &str, words: &str, system: &str) -> Self {
        let meaning = Meaning::Coded {
            code: code.to_owned(),
            words: words.to_owned(),
            system: system.to_owned(),
        };
        Self { as_sent: as_sent.to_owned(), meaning }
    }

    /// No value. `as_sent` is the mark that the device sent for it; it may be empty.
    pub fn absent(as_sent: &str, reason: AbsentReason) -> Self {
        Self { as_sent: as_sent.to_owned(), meaning: Meaning::Absent(reason) }
    }

    /// The text as sent, to the last blank.
    pub fn as_sent(&self) -> &str {
        &self.as_sent
    }

    /// What the text means.
    pub fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// The figures of a number: the part of the text behind the comparator. `None` for anything
    /// else.
    pub fn digits(&self) -> Option<&str> {
        match self.meaning {
            Meaning::Number { comparator: Some(_) } => {
                Some(Comparator::before(self.as_sent.trim()).1)
            }
            Meaning::Number { comparator: None } => Some(self.as_sent.trim()),
            Meaning::Ordinal | Meaning::Coded { .. } | Meaning::Text | Meaning::Absent(_) => None,
        }
    }

    /// Why there is no value, if there is none.
    pub fn absent_reason(&self) -> Option<AbsentReason> {
        match self.meaning {
            Meaning::Absent(reason) => Some(reason),
            Meaning::Number { .. } | Meaning::Ordinal | Meaning::Coded { .. } | Meaning::Text => {
                None
            }
        }
    }

    /// For comparing only, never for sending: `None` where there is no number or it does not fit.
    pub fn for_comparing(&self) -> Option<Decimal> {
        decimal(self.digits()?)
    }
}

/// A decimal for comparing, or `None` where the text is not a number or needs more than 96 bits.
pub fn decimal(text: &str) -> Option<Decimal> {
    if !is_number(text) {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    if plain.contains(['e', 'E']) {
        Decimal::from_scientific(plain).ok()
    } else {
        Decimal::from_str(plain).ok()
    }
}

/// `[+-]? (digits [. digits?] | . digits) ([eE] [+-]? digits)?`, ASCII only.
///
/// ```
/// use wardgate::vocabulary::value::is_number;
/// assert!(is_number("-0.0") && is_number("07.40") && is_number("3.26E+05") && is_number(".5"));
/// assert!(!is_number("1_000") && !is_number("") && !is_number("-") && !is_number("1,5") &&
/// !is_number("."));
/// ```
pub fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_is_good = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && mantissa.len() > 1,
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_is_good = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    mantissa_is_good && exponent_is_good
}

/// Steps of a scale as urine strips and serology write them (facts/lab.md 2.4).
fn is_ordinal(text: &str) -> bool {
    let plus = text.strip_suffix('+').is_some_and(|head| {
        head.chars().all(|c| c == '+')
            || (head.len() == 1 && head.bytes().all(|b| b.is_ascii_digit()))
    });
    let words = [
        "neg",
        "negative",
        "pos",
        "positive",
        "norm",
        "normal",
        "trace",
        "reactive",
        "nonreactive",
    ];
    plus || words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_to_the_last_digit() {
        for text in [
            "7.40",
            "-0.0",
            "07.40",
            "+5",
            "3.26E+05",
            " 131 ",
            "***.**",
            "> 15000.00",
            "<2.00",
            "5.",
        ] {
            assert_eq!(Value::read(text).as_sent(), text);
        }
    }

    #[test]
    fn only_numbers_compare() {
        assert_eq!(Value::read("7.40").for_comparing(), decimal("7.4"));
        assert_eq!(Value::read("-0.0").for_comparing(), decimal("0"));
        for text in ["?7.412", "-1^0.750", "***.**", ".....", "161,152", "3+", "neg", ""] {
            assert_eq!(Value::read(text).for_comparing(), None, "{text}");
        }
    }

    #[test]
    fn ordinals_are_told_from_text() {
        for text in ["neg", "Positive", "1+", "+++", "trace"] {
            assert_eq!(Value::read(text).meaning(), &Meaning::Ordinal, "{text}");
        }
        assert_eq!(Value::read("Detected <LLOQ").meaning(), &Meaning::Text);
    }
}
