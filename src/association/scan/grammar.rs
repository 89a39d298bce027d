//! What the site's own codes look like, as it stands in the configuration.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::gs1::{GS, is_of_the_82};
use super::pattern::Pattern;

/// What a code of some form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A patient's wristband.
    Wristband,
    /// A machine.
    Device,
    /// A bed, a room.
    Place,
    /// A line of the box: a socket, a port of a serial server.
    Port,
    /// A person who works here.
    Staff,
    /// A specimen's label. It often stands beside the wristband and is none.
    Specimen,
}

impl Kind {
    /// In words that a person at the bedside understands.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Wristband => "a patient's wristband",
            Self::Device => "a device",
            Self::Place => "a bed or room",
            Self::Port => "a connection of the box",
            Self::Staff => "a staff badge",
            Self::Specimen => "a specimen label",
        }
    }
}

/// One form of code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeForm {
    /// What it is.
    pub means: Kind,
    /// Such as `P{8 digits}`.
    pub form: Spanned<Pattern>,
    /// For wristbands, and only for them: the root under which the code is the patient's
    /// identifier.
    #[serde(default)]
    pub root: Option<String>,
}

/// The site's codes.
///
/// ```
/// use wardgate::association::scan::Grammar;
/// let text = "[[code]]\nmeans = \"device\"\nform = \"D{6 digits}\"\n\
///             [[code]]\nmeans = \"specimen\"\nform = \"{7 capitals-or-digits}\"\n";
/// let grammar: Grammar = toml::from_str(text).unwrap();
/// let problems = grammar.problems();
/// assert_eq!(problems[0].what, "some code has this form and the form \"D{6 digits}\"");
/// assert_eq!(&text[problems[0].at.clone()], "\"{7 capitals-or-digits}\"");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grammar {
    /// Whether wristbands carry personal identity codes.
    pub national_codes: bool,
    /// The root under which the number of a wristband with GS1's (8018) is the identifier. Without
    /// it such wristbands are refused.
    pub gsrn_root: Option<String>,
    /// The character that the scanners send for GS1's separator; none of the 82.
    pub separator: Option<Spanned<char>>,
    /// The site's own codes. No code may fit two of them.
    pub code: Vec<CodeForm>,
}

/// One problem of a grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarProblem {
    /// The bytes of the TOML text.
    pub at: Range<usize>,
    /// What is wrong, and what would be accepted.
    pub what: String,
}

/// The form of personal identity codes, wide enough for a `+`.
pub(super) fn has_national_form(code: &str) -> bool {
    let sign = |byte: u8| matches!(byte, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y');
    code.len() == 11
        && code.bytes().enumerate().all(|(at, byte)| match at {
            6 => sign(byte),
            10 => byte.is_ascii_alphanumeric(),
            _ => byte.is_ascii_digit(),
        })
}

/// The same without a `+`, for comparing with the site's own forms.
const NATIONAL_FORMS: [&str; 2] = [
    "{6 digits}-{3 digits}{1 capitals-or-digits}",
    "{6 digits}{1 capitals}{3 digits}{1 capitals-or-digits}",
];

impl Grammar {
    /// What the types cannot see: forms that share a code, roots where none belongs or one lacks.
    pub fn problems(&self) -> Vec<GrammarProblem> {
        let mut found = Vec::new();
        for (number, code) in self.code.iter().enumerate() {
            let mut problem =
                |what: String| found.push(GrammarProblem { at: code.form.span(), what });
            let form = code.form.get_ref();
            for other in self.code.iter().take(number) {
                if form.overlaps(other.form.get_ref()) {
                    let other = other.form.get_ref().as_str();
                    problem(format!("some code has this form and the form {other:?}"));
                }
            }
            if self.national_codes && overlaps_national(form) {
                problem("some code has this form and is a personal identity code".to_owned());
            }
            match (code.means, code.root.as_deref()) {
                (Kind::Wristband, None) => {
                    problem("expected `root`, the OID of the patients' identifiers".to_owned());
                }
                (Kind::Wristband, Some(root)) if !is_oid(root) => {
                    problem("expected an OID such as 1.2.246.10.1234567.22.2026".to_owned());
                }
                (Kind::Wristband, Some(_)) | (_, None) => {}
                (_, Some(_)) => problem("`root` belongs to wristbands only".to_owned()),
            }
        }
        if let Some(separator) = &self.separator
            && (is_of_the_82(*separator.get_ref()) || !separator.get_ref().is_ascii_graphic())
        {
            let what = "expected a character that no GS1 value holds, such as \"#\"".to_owned();
            found.push(GrammarProblem { at: separator.span(), what });
        }
        found
    }

    /// The text with GS where the scanner sends something else for it.
    pub(super) fn with_separators(&self, text: &str) -> String {
        match &self.separator {
            Some(separator) => text.replace(*separator.get_ref(), &GS.to_string()),
            None => text.to_owned(),
        }
    }

    /// The forms that the code has: at most one in a grammar without problems.
    pub(super) fn forms(&self, code: &str) -> Vec<&CodeForm> {
        self.code.iter().filter(|form| form.form.get_ref().fits(code)).collect()
    }
}

fn overlaps_national(form: &Pattern) -> bool {
    let forms = NATIONAL_FORMS.iter().filter_map(|text| Pattern::parse(text).ok());
    forms.into_iter().any(|national| national.overlaps(form))
}

fn is_oid(root: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    root.contains('.') && root.split('.').all(part)
}
