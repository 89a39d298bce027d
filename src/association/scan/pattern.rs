//! The form of a site's own codes: `P{8 digits}`, `BED-{1-3 digits}`, `{2 capitals}{6 digits}`.
//! Small on purpose, so that the box can prove of two forms that no code fits both.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The longest code that a form may describe.
const CHARACTERS_MAX: usize = 64;

/// A form, ready for comparing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    steps: Vec<Step>,
}

/// One character: which ones may stand there, and whether it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// One bit for each ASCII character.
    set: u128,
    optional: bool,
}

/// Why a text is no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Anything but printable ASCII, or a brace without its partner.
    #[error("expected letters, digits and signs, and parts such as {{8 digits}} or {{1-3 digits}}")]
    Form,
    /// Not one of the classes.
    #[error("expected digits, capitals or capitals-or-digits, got {0:?}")]
    Class(String),
    /// Nothing, or more than a code can have.
    #[error("expected a form of 1 to {CHARACTERS_MAX} characters")]
    Length,
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl Pattern {
    /// Literal characters, and `{count class}` or `{least-most class}`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut steps = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '{' {
                let (part, behind) = rest.split_once('}').ok_or(PatternError::Form)?;
                steps.extend(part_steps(part.trim_start_matches('{'))?);
                rest = behind;
                continue;
            }
            if !first.is_ascii_graphic() || first == '}' {
                return Err(PatternError::Form);
            }
            steps.push(Step { set: 1 << (first as u32), optional: false });
            rest = rest.get(1..).unwrap_or_default();
        }
        if steps.is_empty() || steps.len() > CHARACTERS_MAX {
            return Err(PatternError::Length);
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole code has this form.
    pub fn fits(&self, code: &str) -> bool {
        let mut places = self.reach(BTreeSet::from([0]));
        for byte in code.bytes() {
            let bit = 1_u128.checked_shl(u32::from(byte)).unwrap_or(0);
            let next = places
                .iter()
                .filter(|place| self.steps.get(**place).is_some_and(|step| step.set & bit != 0));
            places = self.reach(next.map(|place| place + 1).collect());
        }
        places.contains(&self.steps.len())
    }

    /// Whether some code has both forms.
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![(0, 0)];
        while let Some((here, there)) = next.pop() {
            if !seen.insert((here, there)) {
                continue;
            }
            if (here, there) == (self.steps.len(), other.steps.len()) {
                return true;
            }
            let (mine, theirs) = (self.steps.get(here), other.steps.get(there));
            if mine.is_some_and(|step| step.optional) {
                next.push((here + 1, there));
            }
            if theirs.is_some_and(|step| step.optional) {
                next.push((here, there + 1));
            }
            if mine.zip(theirs).is_some_and(|(mine, theirs)| mine.set & theirs.set != 0) {
                next.push((here + 1, there + 1));
            }
        }
        false
    }

    /// These places, and those behind what may be missing.
    fn reach(&self, places: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reached = places.clone();
        for place in places {
            let mut place = place;
            while self.steps.get(place).is_some_and(|step| step.optional) {
                place += 1;
                reached.insert(place);
            }
        }
        reached
    }
}

fn part_steps(part: &str) -> Result<Vec<Step>, PatternError> {
    let (count, class) = part.split_once(' ').ok_or(PatternError::Form)?;
    let (least, most) = count.split_once('-').unwrap_or((count, count));
    let number = |text: &str| text.parse::<usize>().map_err(|_| PatternError::Form);
    let (least, most) = (number(least)?, number(most)?);
    if most == 0 || least > most || most > CHARACTERS_MAX {
        return Err(PatternError::Length);
    }
    let all = |bytes: std::ops::RangeInclusive<u8>| {
        bytes.fold(0_u128, |set, byte| set | 1 << u32::from(byte))
    };
    let set = match class {
        "digits" => all(b'0'..=b'9'),
        "capitals" => all(b'A'..=b'Z'),
        "capitals-or-digits" => all(b'0'..=b'9') | all(b'A'..=b'Z'),
        other => return Err(PatternError::Class(other.to_owned())),
    };
    Ok((0..most).map(|at| Step { set, optional: at >= least }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn a_code_fits_as_a_whole_or_not() {
        let bed = pattern("BED-{1-3 digits}");
        for (code, fits) in [
            ("BED-1", true),
            ("BED-123", true),
            ("BED-", false),
            ("BED-1234", false),
            ("BED-1A", false),
            ("XBED-1", false),
            ("BED-1BED-2", false),
            ("bed-1", false),
            ("BED-\u{e9}", false),
        ] {
            assert_eq!(bed.fits(code), fits, "{code}");
        }
        let mixed = pattern("{0-2 capitals}{2 capitals-or-digits}X");
        assert!(mixed.fits("ABC1X") && mixed.fits("12X") && !mixed.fits("ABCDEX"));
    }

    #[test]
    fn two_forms_overlap_exactly_if_some_code_fits_both() {
        let forms = [
            "{2 digits}",
            "{1-3 digits}",
            "A{1 digits}",
            "{1-2 capitals-or-digits}",
            "{2 capitals}",
        ];
        // All codes of up to three characters of a small alphabet.
        let alphabet = ["", "0", "7", "A", "B"];
        let mut codes = Vec::new();
        for first in alphabet {
            for second in alphabet {
                for third in alphabet {
                    codes.push(format!("{first}{second}{third}"));
                }
            }
        }
        for one in forms.map(pattern) {
            for other in forms.map(pattern) {
                let both = codes.iter().any(|code| one.fits(code) && other.fits(code));
                assert_eq!(one.overlaps(&other), both, "{} and {}", one.as_str(), other.as_str());
            }
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        use PatternError::*;
        for (text, error) in [
            ("", Length),
            ("{0 digits}", Length),
            ("{3-2 digits}", Length),
            ("{65 digits}", Length),
            ("{8 digits", Form),
            ("8 digits}", Form),
            ("{digits}", Form),
            ("{x digits}", Form),
            ("{8 figures}", Class("figures".to_owned())),
            ("P {8 digits}", Form),
            ("\u{e4}", Form),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }
}
