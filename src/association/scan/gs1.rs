//! GS1 element strings: application identifiers and their values, with check digits
//! (facts/association.md 3.1 to 3.3, from the GS1 syntax dictionary).
//!
//! Between two elements stands GS (0x1D), except behind those of a predefined length. A scanner
//! that drops it makes one value of two, and nothing in the text proves the loss; so a scanner
//! must have shown once that it keeps it ([`super::Scanner`]).

use super::Unreadable;

/// What a scanner sends for FNC1 between elements.
pub(super) const GS: char = '\u{1D}';

/// The most that one label can hold: more is several labels.
const ELEMENTS_MAX: usize = 16;

/// How the value of an application identifier looks.
#[derive(Clone, Copy)]
enum Shape {
    /// So many digits; of these, a check digit ends the first so many (0: none).
    Digits { count: usize, checked: usize },
    /// Up to so many digits.
    UpTo(usize),
    /// Up to so many characters of GS1's 82.
    Text(usize),
    /// `0`, 13 digits with a check digit, up to 16 characters.
    ReturnableAsset,
}

/// Identifier and shape; only what can stand on wristbands, badges, beds and devices.
const IDENTIFIERS: [(&str, Shape); 46] = [
    ("00", Shape::Digits { count: 18, checked: 18 }),
    ("01", Shape::Digits { count: 14, checked: 14 }),
    ("02", Shape::Digits { count: 14, checked: 14 }),
    ("03", Shape::Digits { count: 14, checked: 14 }),
    ("10", Shape::Text(20)),
    ("11", Shape::Digits { count: 6, checked: 0 }),
    ("17", Shape::Digits { count: 6, checked: 0 }),
    ("20", Shape::Digits { count: 2, checked: 0 }),
    ("21", Shape::Text(20)),
    ("22", Shape::Text(20)),
    ("240", Shape::Text(30)),
    ("241", Shape::Text(30)),
    ("250", Shape::Text(30)),
    ("254", Shape::Text(20)),
    ("410", Shape::Digits { count: 13, checked: 13 }),
    ("411", Shape::Digits { count: 13, checked: 13 }),
    ("412", Shape::Digits { count: 13, checked: 13 }),
    ("413", Shape::Digits { count: 13, checked: 13 }),
    ("414", Shape::Digits { count: 13, checked: 13 }),
    ("415", Shape::Digits { count: 13, checked: 13 }),
    ("416", Shape::Digits { count: 13, checked: 13 }),
    ("417", Shape::Digits { count: 13, checked: 13 }),
    ("7003", Shape::Digits { count: 10, checked: 0 }),
    ("7241", Shape::Digits { count: 2, checked: 0 }),
    // Birth date, sex, names: personal data in clear, passed over.
    ("7250", Shape::Text(90)),
    ("7251", Shape::Text(90)),
    ("7252", Shape::Text(90)),
    ("7253", Shape::Text(90)),
    ("7254", Shape::Text(90)),
    ("7255", Shape::Text(90)),
    ("7256", Shape::Text(90)),
    ("7257", Shape::Text(90)),
    ("7258", Shape::Text(90)),
    ("7259", Shape::Text(90)),
    ("8003", Shape::ReturnableAsset),
    ("8004", Shape::Text(30)),
    ("8006", Shape::Digits { count: 18, checked: 14 }),
    ("8010", Shape::Text(30)),
    ("8011", Shape::UpTo(12)),
    ("8013", Shape::Text(25)),
    ("8014", Shape::Text(25)),
    ("8017", Shape::Digits { count: 18, checked: 18 }),
    ("8018", Shape::Digits { count: 18, checked: 18 }),
    ("8019", Shape::UpTo(10)),
    ("90", Shape::Text(30)),
    ("91", Shape::Text(90)),
];

/// The elements of one label, in their order.
pub(super) struct Elements(Vec<(&'static str, String)>);

impl Elements {
    /// The value of an application identifier.
    pub fn value(&self, identifier: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| *of == identifier).map(|(_, value)| value.as_str())
    }

    /// Whether one of them has no fixed length, so that a dropped GS could hide in it.
    pub fn has_open_length(&self) -> bool {
        self.0
            .iter()
            .any(|(identifier, _)| !matches!(shape(identifier), Some(Shape::Digits { .. })))
    }
}

/// Reads an element string without its symbology identifier.
pub(super) fn read(text: &str) -> Result<Elements, Unreadable> {
    let mut elements: Vec<(&'static str, String)> = Vec::new();
    let mut rest = text.trim_start_matches(GS);
    if rest.is_empty() {
        return Err(Unreadable::Empty);
    }
    while !rest.is_empty() {
        let (identifier, shape) = identifier(rest).ok_or(Unreadable::UnknownIdentifier)?;
        rest = rest.get(identifier.len()..).unwrap_or_default();
        let end = match shape {
            Shape::Digits { count, .. } => count,
            Shape::UpTo(_) | Shape::Text(_) | Shape::ReturnableAsset => {
                rest.find(GS).unwrap_or(rest.len())
            }
        };
        let value = rest.get(..end).ok_or(Unreadable::Value)?;
        check(value, shape)?;
        match elements.iter().find(|(of, _)| *of == identifier) {
            Some((_, same)) if same == value => {}
            Some(_) => return Err(Unreadable::Ambiguous),
            None => elements.push((identifier, value.to_owned())),
        }
        if elements.len() > ELEMENTS_MAX {
            return Err(Unreadable::Ambiguous);
        }
        rest = rest.get(end..).unwrap_or_default().trim_start_matches(GS);
    }
    together(Elements(elements))
}

/// Which identifiers need or exclude each other.
fn together(elements: Elements) -> Result<Elements, Unreadable> {
    let has = |identifier: &str| elements.value(identifier).is_some();
    let alone = has("21") && !has("01") && !has("03") && !has("8006");
    let extension = has("254") && !has("414");
    let relation = has("8019") && !has("8017") && !has("8018");
    let exclusive = has("8017") && has("8018") || has("8006") && (has("01") || has("03"));
    if alone || extension || relation || exclusive {
        return Err(Unreadable::Ambiguous);
    }
    Ok(elements)
}

fn shape(identifier: &str) -> Option<Shape> {
    IDENTIFIERS.iter().find(|(of, _)| *of == identifier).map(|(_, shape)| *shape)
}

/// No identifier of the table begins another one, so the first that fits is the one.
fn identifier(text: &str) -> Option<(&'static str, Shape)> {
    IDENTIFIERS.iter().find(|(identifier, _)| text.starts_with(identifier)).copied()
}

fn check(value: &str, shape: Shape) -> Result<(), Unreadable> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match shape {
        Shape::Digits { count, .. } => value.len() == count && digits(value),
        Shape::UpTo(most) => (1..=most).contains(&value.len()) && digits(value),
        Shape::Text(most) => (1..=most).contains(&value.len()) && value.chars().all(is_of_the_82),
        Shape::ReturnableAsset => {
            let (head, serial) = value.split_at_checked(14).ok_or(Unreadable::Value)?;
            head.starts_with('0')
                && digits(head)
                && serial.len() <= 16
                && serial.chars().all(is_of_the_82)
        }
    };
    if !fits {
        return Err(Unreadable::Value);
    }
    let checked = match shape {
        Shape::Digits { checked, .. } => checked,
        Shape::ReturnableAsset => 14,
        Shape::UpTo(_) | Shape::Text(_) => 0,
    };
    if value.get(..checked).is_some_and(has_check_digit) {
        Ok(())
    } else {
        Err(Unreadable::CheckDigit)
    }
}

/// Weights 1 and 3 from the right, the check digit among them; the sum ends in 0.
fn has_check_digit(digits: &str) -> bool {
    let weighted = digits.bytes().rev().zip([1_u32, 3].into_iter().cycle());
    weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() % 10 == 0
}

/// GS1's character set 82.
pub(super) fn is_of_the_82(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!\"%&'()*+,-./:;<=>?_".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_identifier_begins_another() {
        for (at, (one, _)) in IDENTIFIERS.iter().enumerate() {
            for (other, _) in IDENTIFIERS.iter().skip(at + 1) {
                assert!(!one.starts_with(other) && !other.starts_with(one), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_82_are_82() {
        assert_eq!((0..=0x7f).map(char::from).filter(|c: &char| is_of_the_82(*c)).count(), 82);
    }

    /// The worked examples of facts/association.md 3.2.
    #[test]
    fn worked_check_digits() {
        let worked = [
            "00643169001763",
            "09521234543213",
            "06430000000016",
            "643000000000000016",
            "6430000000009",
        ];
        for number in worked {
            assert!(has_check_digit(number), "{number}");
            let (head, check) = number.split_at(number.len() - 1);
            let digit: u8 = check.parse().unwrap();
            assert!(!has_check_digit(&format!("{head}{}", (digit + 1) % 10)), "{number}");
        }
    }
}
