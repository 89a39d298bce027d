//! FLOAT: exponent i8, mantissa i24, value = mantissa * 10^exponent (facts/monitors.md 1.7). It is
//! not normalised: the exponent is the resolution that the monitor displays, so it decides the
//! decimals of the text. No floating point here: digits are moved, nothing is rounded.

use crate::vocabulary::{AbsentReason, Value};

/// A FLOAT of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Float(pub [u8; 4]);

/// What a FLOAT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Exactly as displayed.
    Number(String),
    /// A special mantissa: no figure, and why.
    Special(AbsentReason),
}

impl Float {
    fn mantissa(self) -> i32 {
        let [_, high, middle, low] = self.0;
        // Eight bits up and back with sign.
        i32::from_be_bytes([high, middle, low, 0]) >> 8
    }

    /// The figure, or why there is none. The special mantissas count whatever the exponent is.
    /// 800001 is reserved beside them in ISO/IEEE 11073-20601: it is no number either.
    pub fn figure(self) -> Figure {
        match self.mantissa() & 0x00ff_ffff {
            0x7f_ffff => Figure::Special(AbsentReason::NotAvailable),
            0x80_0000 | 0x80_0001 => Figure::Special(AbsentReason::Invalid),
            0x7f_fffe => Figure::Special(AbsentReason::OverRange),
            0x80_0002 => Figure::Special(AbsentReason::UnderRange),
            _ => Figure::Number(self.text()),
        }
    }

    fn text(self) -> String {
        let exponent = i8::from_be_bytes([self.0[0]]);
        let mantissa = self.mantissa();
        let sign = if mantissa < 0 { "-" } else { "" };
        let digits = mantissa.unsigned_abs().to_string();
        let places = usize::from(exponent.unsigned_abs());
        if exponent >= 0 {
            let zeros = if mantissa == 0 { 0 } else { places };
            return format!("{sign}{digits}{}", "0".repeat(zeros));
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    }

    /// The figure as a value; the four bytes in hexadecimal stand for a special mantissa.
    pub fn value(self) -> Value {
        match self.figure() {
            Figure::Number(text) => Value::number(&text)
                .unwrap_or_else(|| Value::absent(&self.hex(), AbsentReason::Invalid)),
            Figure::Special(reason) => Value::absent(&self.hex(), reason),
        }
    }

    /// The same where the state says that there is no value: the figure stays readable as sent.
    pub fn void(self, reason: AbsentReason) -> Value {
        match self.figure() {
            Figure::Number(text) => Value::absent(&text, reason),
            Figure::Special(_) => Value::absent(&self.hex(), reason),
        }
    }

    fn hex(self) -> String {
        let [a, b, c, d] = self.0;
        format!("{a:02X}{b:02X}{c:02X}{d:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: [u8; 4]) -> String {
        match Float(bytes).figure() {
            Figure::Number(text) => text,
            Figure::Special(reason) => format!("absent: {reason}"),
        }
    }

    #[test]
    fn the_examples_of_the_sheet() {
        // facts/monitors.md 1.7: the exponent is the displayed resolution.
        assert_eq!(text([0xfd, 0x00, 0x7d, 0x00]), "32.000");
        assert_eq!(text([0xff, 0x00, 0x01, 0x40]), "32.0");
        assert_eq!(text([0x01, 0x00, 0x01, 0x40]), "3200");
        assert_eq!(text([0xff, 0x00, 0x01, 0x6f]), "36.7");
    }

    #[test]
    fn signs_zeros_and_the_widest_exponents() {
        assert_eq!(text([0xff, 0xff, 0xff, 0xfb]), "-0.5");
        assert_eq!(text([0xfe, 0x00, 0x00, 0x05]), "0.05");
        assert_eq!(text([0x00, 0x00, 0x00, 0x00]), "0");
        assert_eq!(text([0xff, 0x00, 0x00, 0x00]), "0.0");
        assert_eq!(text([0x05, 0x00, 0x00, 0x00]), "0");
        assert_eq!(text([0x00, 0x80, 0x00, 0x03]), "-8388605");
        assert_eq!(text([0x7f, 0x00, 0x00, 0x01]).len(), 128);
        assert!(text([0x80, 0x00, 0x00, 0x01]).starts_with("0.000"));
    }

    #[test]
    fn special_mantissas_are_no_numbers() {
        for exponent in [0x00, 0xff, 0x03] {
            let of = |mantissa: [u8; 3]| text([exponent, mantissa[0], mantissa[1], mantissa[2]]);
            assert_eq!(of([0x7f, 0xff, 0xff]), "absent: not-available");
            assert_eq!(of([0x80, 0x00, 0x00]), "absent: invalid");
            assert_eq!(of([0x80, 0x00, 0x01]), "absent: invalid");
            assert_eq!(of([0x7f, 0xff, 0xfe]), "absent: over-range");
            assert_eq!(of([0x80, 0x00, 0x02]), "absent: under-range");
        }
        assert_eq!(Float([0, 0x7f, 0xff, 0xff]).value().as_sent(), "007FFFFF");
        let void = Float([0xff, 0x00, 0x01, 0x6f]).void(AbsentReason::Invalid);
        assert_eq!((void.as_sent(), void.absent_reason()), ("36.7", Some(AbsentReason::Invalid)));
    }
}
