//! What a scanner gave, as what it means at the bedside, or why not in words.
//!
//! A scanner in keyboard mode types keys, not characters: with the wrong layout `-` becomes `+`,
//! and the separator between GS1's elements may get lost (facts/association.md 3.6, 3.3). So
//! nothing is repaired, and until a pair of scanner and host has read the test labels, only what
//! cannot be changed by that is read.
//!
//! | begins with | read as |
//! |---|---|
//! | `]C1` `]d2` `]Q3` `]e0` | GS1 elements only |
//! | `]` and other two | the site's own forms only |
//! | neither | both; a code that is both is refused |
//! | `(` `+` `=` `&` `[)>` `http` | recognised and refused, each with its own reason |

mod grammar;
mod gs1;
mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;

pub use grammar::{CodeForm, Grammar, GrammarProblem, Kind};
pub use pattern::{Pattern, PatternError};

use super::names::DeviceId;
use crate::vocabulary::{
    DeviceName, PatientId, PatientIdError, PersonalCode, PersonalCodeError, Purpose,
};

/// The longest text that one scan can be: a full label of GS1 and some.
const CHARACTERS_MAX: usize = 400;

/// The shortest code: a key that was hit is no scan.
const CHARACTERS_MIN: usize = 3;

/// Whether something was shown on this pair of scanner and host with the test label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The test label came through intact.
    Proven,
    /// Not tried, or not since the layout or the scanner changed.
    Unproven,
}

/// What is known of the scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Scanner and host agree on the keyboard.
    pub layout: Shown,
    /// GS1's separators come through.
    pub separators: Shown,
}

/// A machine's code, by who gave it. Serial numbers can point to a person: `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceCode {
    /// Device identifier and serial number of a UDI: GS1's (01) or (8006) and (21).
    Udi { device: String, serial: String },
    /// The hospital's own asset number: GS1's (8004) or (8003).
    Asset(String),
    /// The site's own form.
    Plain(String),
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCode(..)")
    }
}

impl DeviceCode {
    /// The machine of the ledger that carries the code, unless the site lists it under another.
    pub fn machine(&self) -> Option<DeviceId> {
        let name = match self {
            Self::Udi { device, serial } => format!("udi:{device}/{serial}"),
            Self::Asset(number) => format!("asset:{number}"),
            Self::Plain(code) => format!("code:{code}"),
        };
        DeviceId::parse(&name).ok()
    }
}

/// A code that is the number of a person or of a specimen: `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Concealed(String);

impl Concealed {
    /// The code.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Concealed(..)")
    }
}

/// What a scan means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Wristband(PatientId),
    Device(DeviceCode),
    /// GS1's (414), with (254) behind a `/`, or the site's own code.
    Place(String),
    Port(DeviceName),
    Staff(Concealed),
    Specimen(Concealed),
}

impl Meaning {
    /// What kind of code it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Wristband(_) => Kind::Wristband,
            Self::Device(_) => Kind::Device,
            Self::Place(_) => Kind::Place,
            Self::Port(_) => Kind::Port,
            Self::Staff(_) => Kind::Staff,
            Self::Specimen(_) => Kind::Specimen,
        }
    }

    /// Itself, if it is of the kind that is asked for.
    ///
    /// # Errors
    /// What it is instead.
    pub fn expect(self, wanted: Kind) -> Result<Self, Mistaken> {
        let got = self.kind();
        if got == wanted { Ok(self) } else { Err(Mistaken { wanted, got }) }
    }
}

/// A code that was read and is of another kind than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is {}, not {}", .got.in_words(), .wanted.in_words())]
pub struct Mistaken {
    pub wanted: Kind,
    pub got: Kind,
}

/// Why a scan means nothing. Says nothing of what was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing, or fewer characters than any code has.
    #[error("nothing was read: scan again")]
    Empty,
    /// More than one label can hold.
    #[error("too long for one code: scan one code at a time")]
    TooLong,
    /// Control characters where none can stand.
    #[error("the scanner sent characters that no code holds")]
    ControlCharacters,
    /// A character that two keyboard layouts write differently.
    #[error("the scanner has not shown yet that it fits this keyboard: scan the test label first")]
    LayoutUnproven,
    /// A value without a fixed length, from a scanner that may drop what ends it.
    #[error("the scanner has not shown yet that it keeps separators: scan the test label first")]
    SeparatorUnproven,
    /// `(01)...`: values may hold brackets themselves.
    #[error("the scanner sends brackets for reading, not the code: change its setting")]
    BracketText,
    /// `+`: HIBC, of devices or patients.
    #[error("a HIBC code, which is not read here: use the hospital's own label")]
    Hibc,
    /// `=` or `&`: ICCBBA.
    #[error("an ISBT 128 code, which is not read here: use the hospital's own label")]
    Iccbba,
    /// `[)>`: an ISO 15434 envelope.
    #[error("a code in an envelope, which is not read here: use the hospital's own label")]
    Envelope,
    /// An address.
    #[error("an internet address, no code of this hospital")]
    Address,
    /// It can be read in two ways, or holds two labels.
    #[error("the code can be read in two ways: scan one label at a time")]
    Ambiguous,
    /// An application identifier that stands on nothing here.
    #[error("a GS1 code for something else")]
    UnknownIdentifier,
    /// A value that does not fit its application identifier.
    #[error("the code is damaged: a value does not fit")]
    Value,
    /// A GS1 check digit that does not fit.
    #[error("the code is damaged: a check digit does not fit")]
    CheckDigit,
    /// A GTIN without a serial number: a model or a batch.
    #[error("the code names the type of device only, no serial number: scan another label of it")]
    TypeOnly,
    /// Read, and nothing that this house knows.
    #[error("not a code of this hospital")]
    Unknown,
    /// A wristband with a personal identity code that is none.
    #[error("{0}")]
    PersonalCode(PersonalCodeError),
    /// A wristband whose identifier is not taken here.
    #[error("{0}")]
    Patient(PatientIdError),
}

/// Reads one scan.
///
/// ```
/// use wardgate::association::scan::{Grammar, Kind, Meaning, Scanner, Shown, read};
/// use wardgate::vocabulary::Purpose;
/// let scanner = Scanner { layout: Shown::Proven, separators: Shown::Proven };
/// let text = "]d201064300000000161125013121SN-0042";
/// let scanned = read(text, scanner, &Grammar::default(), Purpose::Production).unwrap();
/// assert_eq!(scanned.kind(), Kind::Device);
/// assert_eq!(
///     scanned.expect(Kind::Wristband).unwrap_err().to_string(),
///     "this is a device, not a patient's wristband"
/// );
/// ```
///
/// # Errors
/// Why it means nothing.
pub fn read(
    text: &str,
    scanner: Scanner,
    grammar: &Grammar,
    purpose: Purpose,
) -> Result<Meaning, Unreadable> {
    // What the scanner sends behind a code is no part of it.
    let text = text.trim_end_matches(['\r', '\n', '\t']);
    if text.chars().count() > CHARACTERS_MAX {
        return Err(Unreadable::TooLong);
    }
    let (symbol, text) = symbol(text);
    if text.chars().count() < CHARACTERS_MIN {
        return Err(Unreadable::Empty);
    }
    if symbol != Symbol::Gs1 {
        foreign(text)?;
    }
    let elements = grammar.with_separators(text);
    if elements.chars().any(|c| c.is_control() && c != gs1::GS) {
        return Err(Unreadable::ControlCharacters);
    }
    let plain = || own(text, grammar, purpose);
    let read = match symbol {
        Symbol::Gs1 => by_elements(&elements, scanner, grammar, purpose),
        Symbol::Plain => plain(),
        Symbol::Unknown => either(plain(), by_elements(&elements, scanner, grammar, purpose)),
    }?;
    // Known only now: a code that is none needs no test label.
    let safe =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '!' | '#' | '%' | ',' | '.' | ' ');
    if scanner.layout == Shown::Unproven && !elements.chars().all(|c| safe(c) || c == gs1::GS) {
        return Err(Unreadable::LayoutUnproven);
    }
    Ok(read)
}

/// By the AIM symbology identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Gs1,
    Plain,
    Unknown,
}

fn symbol(text: &str) -> (Symbol, &str) {
    let Some((head, rest)) = text.split_at_checked(3) else { return (Symbol::Unknown, text) };
    let mut characters = head.chars();
    let aim = characters.next() == Some(']')
        && characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    match head {
        "]C1" | "]d2" | "]Q3" | "]e0" => (Symbol::Gs1, rest),
        _ if aim => (Symbol::Plain, rest),
        _ => (Symbol::Unknown, text),
    }
}

/// Codes of other worlds, by how they begin.
fn foreign(text: &str) -> Result<(), Unreadable> {
    let why = match text.chars().next() {
        Some('(') => Unreadable::BracketText,
        Some('+') => Unreadable::Hibc,
        Some('=' | '&') => Unreadable::Iccbba,
        _ if text.starts_with("[)>") => Unreadable::Envelope,
        _ if text.starts_with("http") => Unreadable::Address,
        _ => return Ok(()),
    };
    Err(why)
}

/// Of two readings at most one may hold; a damaged code of the site's own is told as that.
fn either(
    own: Result<Meaning, Unreadable>,
    elements: Result<Meaning, Unreadable>,
) -> Result<Meaning, Unreadable> {
    match (own, elements) {
        (Ok(_), Ok(_)) => Err(Unreadable::Ambiguous),
        (Ok(read), Err(_)) | (Err(_), Ok(read)) => Ok(read),
        (Err(Unreadable::Unknown), Err(why)) if why != Unreadable::UnknownIdentifier => Err(why),
        (Err(why), Err(_)) => Err(why),
    }
}

fn own(text: &str, grammar: &Grammar, purpose: Purpose) -> Result<Meaning, Unreadable> {
    if grammar.national_codes && grammar::has_national_form(text) {
        let code = PersonalCode::from_scan(text).map_err(Unreadable::PersonalCode)?;
        let root = crate::vocabulary::patient::NATIONAL_ROOT;
        return wristband(root, code.reveal(), purpose);
    }
    let forms = grammar.forms(text);
    let form = match forms.as_slice() {
        [] => return Err(Unreadable::Unknown),
        [form] => form,
        _ => return Err(Unreadable::Ambiguous),
    };
    let code = || text.to_owned();
    match form.means {
        Kind::Wristband => {
            let root = form.root.as_deref().ok_or(Unreadable::Unknown)?;
            wristband(root, text, purpose)
        }
        Kind::Device => Ok(Meaning::Device(DeviceCode::Plain(code()))),
        Kind::Place => Ok(Meaning::Place(code())),
        Kind::Port => DeviceName::parse(text).map(Meaning::Port).map_err(|_| Unreadable::Unknown),
        Kind::Staff => Ok(Meaning::Staff(Concealed(code()))),
        Kind::Specimen => Ok(Meaning::Specimen(Concealed(code()))),
    }
}

fn by_elements(
    text: &str,
    scanner: Scanner,
    grammar: &Grammar,
    purpose: Purpose,
) -> Result<Meaning, Unreadable> {
    let elements = gs1::read(text)?;
    let value = |identifier| elements.value(identifier);
    // A label for one thing: two of these are two labels in one.
    let mut meanings = Vec::new();
    if let Some(number) = value("8018") {
        let root = grammar.gsrn_root.as_deref().ok_or(Unreadable::Unknown)?;
        meanings.push(wristband(root, number, purpose)?);
    }
    if let Some(number) = value("8017") {
        meanings.push(Meaning::Staff(Concealed(number.to_owned())));
    }
    if let Some(number) = value("414") {
        let finer = value("254").map(|finer| format!("/{finer}")).unwrap_or_default();
        meanings.push(Meaning::Place(format!("{number}{finer}")));
    }
    for asset in [value("8003"), value("8004")].into_iter().flatten() {
        meanings.push(Meaning::Device(DeviceCode::Asset(asset.to_owned())));
    }
    // 14 characters of an asset number are its type.
    if value("8003").is_some_and(|number| number.len() <= 14) {
        return Err(Unreadable::TypeOnly);
    }
    if let Some(device) = value("01").or(value("8006")) {
        let device = device.to_owned();
        match value("21") {
            Some(serial) => {
                let serial = serial.to_owned();
                meanings.push(Meaning::Device(DeviceCode::Udi { device, serial }));
            }
            // Beside the hospital's own number the type is no harm.
            None if meanings.is_empty() => return Err(Unreadable::TypeOnly),
            None => {}
        }
    }
    let read = match (meanings.pop(), meanings.is_empty()) {
        (Some(read), true) => read,
        (None, _) => return Err(Unreadable::UnknownIdentifier),
        (Some(_), false) => return Err(Unreadable::Ambiguous),
    };
    if scanner.separators == Shown::Unproven && elements.has_open_length() {
        return Err(Unreadable::SeparatorUnproven);
    }
    Ok(read)
}

fn wristband(root: &str, value: &str, purpose: Purpose) -> Result<Meaning, Unreadable> {
    PatientId::given(root, value, purpose).map(Meaning::Wristband).map_err(Unreadable::Patient)
}
