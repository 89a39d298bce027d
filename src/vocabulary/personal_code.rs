//! Finnish personal identity codes: `DDMMYY`, a century sign, an individual number, a check
//! character (facts/semantics.md 4.1).
//!
//! | part | rule |
//! |---|---|
//! | century sign | `+` 1800s; `-` and `Y` to `U` 1900s; `A` to `F` 2000s (all since 2023) |
//! | individual number | 002 to 899; 900 to 999 are temporary or test codes |
//! | check character | `DDMMYYNNN` modulo 31, in an alphabet of 31 |
//!
//! The sign is part of the identity but not of the check: `131052-308T` and `131052+308T` are two
//! valid codes, and a scanner with the wrong keyboard layout turns the first into the second
//! (facts/association.md 3.6). So a scan never gives a `+`.
//!
//! Neither `Debug` nor an error shows anything of a code; [`PersonalCode::reveal`] does.

use std::fmt;

use jiff::civil::Date;

/// Why a text is no personal identity code. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonalCodeError {
    /// Too short, too long, or a character where none can stand.
    #[error("expected six digits, a century sign, three digits and a check character")]
    Form,
    /// The seventh character is no century sign.
    #[error("expected one of + - U V W X Y A B C D E F as the century sign")]
    CenturySign,
    /// A `+` from a scanner is most likely a `-` typed with another keyboard layout.
    #[error("a scan gave a code with '+': the scanner's keyboard layout differs from the host's")]
    PlusFromScan,
    /// No such day, in the century that the sign says.
    #[error("expected a date of birth that exists")]
    Date,
    /// 000 and 001 are never given.
    #[error("expected an individual number from 002 to 999")]
    IndividualNumber,
    /// The check character is another one.
    #[error("the check character does not fit")]
    CheckCharacter,
}

/// A code whose form and check character are right; that somebody has it, it does not prove.
///
/// ```
/// use wardgate::vocabulary::{PersonalCode, PersonalCodeError};
/// // Published as fictional.
/// let code = PersonalCode::parse("010594y9032").unwrap();
/// assert_eq!(code.reveal(), "010594Y9032");
/// assert!(code.is_temporary());
/// assert_eq!(format!("{code:?}"), "PersonalCode(..)");
/// assert_eq!(PersonalCode::from_scan("131052+308T"), Err(PersonalCodeError::PlusFromScan));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonalCode(String);

/// What `DDMMYYNNN` modulo 31 points into; G, I, O, Q and Z are left out.
const CHECK_CHARACTERS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";

/// From this individual number on a code is temporary or a test.
const TEMPORARY_FROM: u16 = 900;

/// The lowest individual number that is given.
const INDIVIDUAL_NUMBER_MIN: u16 = 2;

impl PersonalCode {
    /// From typing or a message. Small letters are taken as capitals; nothing else is changed.
    pub fn parse(text: &str) -> Result<Self, PersonalCodeError> {
        let code = text.trim().to_ascii_uppercase();
        let bytes: [u8; 11] = code.as_bytes().try_into().map_err(|_| PersonalCodeError::Form)?;
        let [d1, d2, m1, m2, y1, y2, sign, n1, n2, n3, check] = bytes;
        let digits = [d1, d2, m1, m2, y1, y2, n1, n2, n3];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(PersonalCodeError::Form);
        }
        let century = match sign {
            b'+' => 1800,
            b'-' | b'U'..=b'Y' => 1900,
            b'A'..=b'F' => 2000,
            _ => return Err(PersonalCodeError::CenturySign),
        };
        let two = |high: u8, low: u8| i16::from(high - b'0') * 10 + i16::from(low - b'0');
        Date::new(century + two(y1, y2), two(m1, m2) as i8, two(d1, d2) as i8)
            .map_err(|_| PersonalCodeError::Date)?;
        let number = digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if number % 1000 < u32::from(INDIVIDUAL_NUMBER_MIN) {
            return Err(PersonalCodeError::IndividualNumber);
        }
        if CHECK_CHARACTERS.get((number % 31) as usize) != Some(&check) {
            return Err(PersonalCodeError::CheckCharacter);
        }
        Ok(Self(code))
    }

    /// From a scanner, which types keys and not characters.
    pub fn from_scan(text: &str) -> Result<Self, PersonalCodeError> {
        if text.contains('+') {
            return Err(PersonalCodeError::PlusFromScan);
        }
        Self::parse(text)
    }

    /// The code. The only way to it, so that a search for this name finds every use.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is a temporary or a test code: individual number 900 to 999.
    pub fn is_temporary(&self) -> bool {
        let number = self.0.get(7..10).and_then(|digits| digits.parse::<u16>().ok());
        number.is_some_and(|number| number >= TEMPORARY_FROM)
    }
}

impl fmt::Debug for PersonalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fictional codes that the Digital and Population Data Services Agency publishes, and the
    /// widely quoted old one (facts/semantics.md 4.1).
    const FICTIONAL: [&str; 21] = [
        "010594Y9032",
        "010594Y9021",
        "020594X903P",
        "020594X902N",
        "030594W903B",
        "030694W9024",
        "040594V9030",
        "040594V902Y",
        "050594U903M",
        "050594U902L",
        "010516B903X",
        "010516B902W",
        "020516C903K",
        "020516C902J",
        "030516D9037",
        "030516D9026",
        "010501E9032",
        "020502E902X",
        "020503F9037",
        "020504A902E",
        "020504B904H",
    ];

    const OLD: &str = "131052-308T";

    #[test]
    fn every_published_code_is_read_and_temporary_but_the_old_one() {
        for text in FICTIONAL {
            let code = PersonalCode::from_scan(text).unwrap();
            assert!(code.reveal() == text && code.is_temporary());
        }
        assert!(!PersonalCode::parse(OLD).unwrap().is_temporary());
    }

    #[test]
    fn one_changed_digit_is_always_found() {
        // 31 is a prime above 10 and divides no power of ten: every single slip changes the rest.
        for text in FICTIONAL.into_iter().chain([OLD]) {
            for place in (0..6).chain(7..10) {
                for digit in '0'..='9' {
                    let mut slip: Vec<char> = text.chars().collect();
                    if slip[place] == digit {
                        continue;
                    }
                    slip[place] = digit;
                    let slip: String = slip.into_iter().collect();
                    assert!(PersonalCode::parse(&slip).is_err(), "place {place}, digit {digit}");
                }
            }
        }
    }

    #[test]
    fn the_plus_passes_the_check_and_is_refused_from_a_scan() {
        let plus = "131052+308T";
        assert_eq!(PersonalCode::parse(plus).unwrap().reveal(), plus);
        assert_eq!(PersonalCode::from_scan(plus), Err(PersonalCodeError::PlusFromScan));
    }

    #[test]
    fn what_is_no_code_is_refused_by_its_own_reason() {
        use PersonalCodeError::*;
        let cases = [
            ("", Form),
            ("131052-308", Form),
            ("131052-308TT", Form),
            ("1310520308T", CenturySign),
            ("131052G308T", CenturySign),
            ("131052/308T", CenturySign),
            ("13105A-308T", Form),
            ("131052-3O8T", Form),
            ("311152-308T", Date),
            ("290201A902E", Date),
            // The illustration of news texts fails the check (facts/semantics.md 4.1).
            ("010190-999K", CheckCharacter),
            ("131052-308U", CheckCharacter),
            ("010100-001A", IndividualNumber),
            ("010100-000A", IndividualNumber),
        ];
        for (at, (text, why)) in cases.into_iter().enumerate() {
            assert_eq!(PersonalCode::parse(text), Err(why), "case {at}");
        }
    }

    #[test]
    fn two_signs_are_two_identities() {
        let new = PersonalCode::parse("131052Y308T").unwrap();
        assert!(new != PersonalCode::parse(OLD).unwrap());
    }

    #[test]
    fn nothing_shows_a_code() {
        let shown = format!("{:?}", PersonalCode::parse(OLD));
        assert_eq!(shown, "Ok(PersonalCode(..))");
        for text in ["131052-308U", "131052+308T"] {
            let error = PersonalCode::from_scan(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("131052"));
        }
    }
}
