//! A value in another unit: exact factors, one named rounding, and never between mass and amount.
//!
//! | units | factor | from |
//! |---|---|---|
//! | mm\[Hg\], kPa, cm\[H2O\], mbar | 133.322 Pa, 1000 Pa, 98.0665 Pa, 100 Pa | UCUM; facts/semantics.md 2.3 |
//! | mL/h, mL/min, L/h, L/min | 1, 60, 1000, 60000 mL/h | |
//! | ug/kg/min, mg/kg/h | 3, 50 (ug/kg/min times 3) | |
//! | g, kg, \[lb_av\] | 1, 1000, 453.59237 g | UCUM |
//! | cm, m, \[in_i\] | 1, 100, 2.54 cm | UCUM |
//! | Cel, \[degF\] | (F - 32) times 5/9 | UCUM |
//! | mL, L | 1, 1000 mL | |
//! | s, min, h | 1, 60, 3600 s | |

use rust_decimal::{Decimal, RoundingStrategy};

/// The rounding in words, as it stands in messages.
pub const ROUNDING: &str = "half away from zero";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Pressure,
    Flow,
    DoseRate,
    Mass,
    Length,
    Volume,
    Time,
    Temperature,
}

/// Dimension and size of a unit, in whatever unit the dimension is counted in here.
fn size(ucum: &str) -> Option<(Dimension, Decimal)> {
    let (dimension, mantissa, scale) = match ucum {
        "mm[Hg]" => (Dimension::Pressure, 133_322, 3),
        "kPa" => (Dimension::Pressure, 1000, 0),
        "cm[H2O]" => (Dimension::Pressure, 980_665, 4),
        "mbar" | "hPa" => (Dimension::Pressure, 100, 0),
        "mL/h" => (Dimension::Flow, 1, 0),
        "mL/min" => (Dimension::Flow, 60, 0),
        "L/h" => (Dimension::Flow, 1000, 0),
        "L/min" => (Dimension::Flow, 60_000, 0),
        "ug/kg/min" => (Dimension::DoseRate, 3, 0),
        "mg/kg/h" => (Dimension::DoseRate, 50, 0),
        "g" => (Dimension::Mass, 1, 0),
        "kg" => (Dimension::Mass, 1000, 0),
        "[lb_av]" => (Dimension::Mass, 45_359_237, 5),
        "cm" => (Dimension::Length, 1, 0),
        "m" => (Dimension::Length, 100, 0),
        "[in_i]" => (Dimension::Length, 254, 2),
        "mL" => (Dimension::Volume, 1, 0),
        "L" => (Dimension::Volume, 1000, 0),
        "s" => (Dimension::Time, 1, 0),
        "min" => (Dimension::Time, 60, 0),
        "h" => (Dimension::Time, 3600, 0),
        "Cel" => (Dimension::Temperature, 9, 0),
        "[degF]" => (Dimension::Temperature, 5, 0),
        _ => return None,
    };
    Some((dimension, Decimal::new(mantissa, scale)))
}

/// Whether values of one unit can be stated in another.
pub fn converts(from: &str, to: &str) -> bool {
    let same = |one: Option<Dimension>, other| one.is_some() && one == other;
    let dimension = |ucum| size(ucum).map(|(dimension, _)| dimension);
    from == to || same(dimension(from), dimension(to))
}

/// A number, as text, in another unit with that many decimals.
///
/// ```
/// use wardgate::forward::hl7v2::map::convert::convert;
/// assert_eq!(convert("98.6", "[degF]", "Cel", 1).as_deref(), Some("37.0"));
/// assert_eq!(convert("120", "mm[Hg]", "kPa", 1).as_deref(), Some("16.0"));
/// assert_eq!(convert("5", "mmol/L", "mg/dL", 1), None);
/// ```
pub fn convert(digits: &str, from: &str, to: &str, decimals: u32) -> Option<String> {
    let value: Decimal = digits.parse().ok()?;
    let ((dimension, one), (other_dimension, other)) = (size(from)?, size(to)?);
    if dimension != other_dimension {
        return None;
    }
    let offset = Decimal::from(32);
    let converted = if dimension != Dimension::Temperature || from == to {
        value.checked_mul(one)?.checked_div(other)?
    } else if from == "[degF]" {
        value.checked_sub(offset)?.checked_mul(one)?.checked_div(other)?
    } else {
        value.checked_mul(one)?.checked_div(other)?.checked_add(offset)?
    };
    let mut rounded =
        converted.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(decimals);
    Some(rounded.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_standards() {
        let cases = [
            // facts/semantics.md 2.3.
            ("1", "mm[Hg]", "kPa", 6, "0.133322"),
            ("1", "cm[H2O]", "kPa", 7, "0.0980665"),
            ("1", "mbar", "cm[H2O]", 7, "1.0197162"),
            ("98.6", "[degF]", "Cel", 1, "37.0"),
            ("37", "Cel", "[degF]", 1, "98.6"),
            ("-40", "[degF]", "Cel", 0, "-40"),
            ("60", "mL/h", "mL/min", 1, "1.0"),
            ("5", "ug/kg/min", "mg/kg/h", 1, "0.3"),
            ("1", "[lb_av]", "kg", 8, "0.45359237"),
            ("1", "[in_i]", "cm", 2, "2.54"),
            // Half away from zero, on both sides.
            ("25", "s", "min", 1, "0.4"),
            ("3", "s", "min", 1, "0.1"),
            ("-3", "s", "min", 1, "-0.1"),
        ];
        for (digits, from, to, decimals, expected) in cases {
            let got = convert(digits, from, to, decimals);
            assert_eq!(got.as_deref(), Some(expected), "{digits} {from} in {to}");
        }
    }

    #[test]
    fn what_is_not_the_same_thing_is_not_converted() {
        for (from, to) in [("mmol/L", "mg/dL"), ("meq/L", "mmol/L"), ("kPa", "mL"), ("%", "1")] {
            assert!(!converts(from, to));
            assert_eq!(convert("1", from, to, 1), None);
        }
        assert_eq!(convert("1e400", "kPa", "mm[Hg]", 1), None);
        assert!(converts("mmol/L", "mmol/L"));
    }
}
