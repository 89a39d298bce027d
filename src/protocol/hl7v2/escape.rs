//! Escape sequences of HL7 v2 (chapter 2.7; facts/semantics.md 1.7 item 4), with `\` for MSH-2.3.
//!
//! | sequence | becomes |
//! |---|---|
//! | `\F\` `\S\` `\T\` `\R\` `\E\` `\P\` | the message's own delimiter |
//! | `\Xhh..\` | bytes in the message's character set |
//! | `\Xhh\` that is no text in that set | the character of that number, guessed |
//! | `\.br\`, `\.sp\` | a new line |
//! | `\H\` `\N\` | nothing: highlighting |
//! | `\Zhhhh\` | the character with that number, if the profile says so (facts/lab.md 3.3, A400) |
//! | anything else, or not closed | itself, to the last character |
//!
//! The guess is for peers on python-hl7, which write `M\Xe4\kel\Xe4\` in any character set.

use super::charset::Charset;
use super::profile::LocalEscape;
use super::segments::Delimiters;
use crate::protocol::utf8::holds_utf8;

/// A text with its escapes resolved.
#[derive(Debug, PartialEq, Eq)]
pub struct Unescaped {
    pub text: String,
    /// Some `\Xhh\` could only be read by guessing.
    pub guessed: bool,
}

/// Resolves the escapes in decoded text.
pub fn unescape(
    text: &str,
    delimiters: Delimiters,
    charset: Charset,
    local: LocalEscape,
) -> Unescaped {
    let mark = char::from(delimiters.escape);
    let mut out = Unescaped { text: String::with_capacity(text.len()), guessed: false };
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once(mark) {
        out.text.push_str(before);
        let hexadecimal = HexRun::read(opened, mark);
        if let Some(run) = hexadecimal {
            run.push_to(&mut out, charset, mark);
            rest = run.rest;
            continue;
        }
        let closed = opened.split_once(mark);
        rest = match closed.and_then(|(name, after)| Some((named(name, delimiters, local)?, after)))
        {
            Some((Sequence::Text(text), after)) => {
                out.text.push_str(&text);
                after
            }
            Some((Sequence::Unknown(name), after)) => {
                out.text.extend([&mark.to_string(), name, &mark.to_string()]);
                after
            }
            // A lone mark, as in `C:\temp`: what follows is read as ordinary text.
            None => {
                out.text.push(mark);
                opened
            }
        };
    }
    out.text.push_str(rest);
    out
}

/// Writes a text so that [`unescape`] gives it back: delimiters and control characters as escapes,
/// each kind of new line as `\.br\`.
///
/// ```
/// use wardgate::protocol::hl7v2::{escape::escape, segments::Delimiters};
/// assert_eq!(escape("1|2^3", Delimiters::USUAL), r"1\F\2\S\3");
/// ```
pub fn escape(text: &str, delimiters: Delimiters) -> String {
    let mark = char::from(delimiters.escape);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(one) = characters.next() {
        let name = u8::try_from(one).ok().and_then(|byte| name_of(byte, delimiters));
        if one == '\r' && characters.peek() == Some(&'\n') {
            characters.next();
        }
        match name {
            Some(name) => out.extend([&mark.to_string(), &name, &mark.to_string()].map(|s| &**s)),
            None => out.push(one),
        }
    }
    out
}

fn name_of(byte: u8, delimiters: Delimiters) -> Option<String> {
    let name = match byte {
        b'\r' | b'\n' => ".br",
        _ if byte == delimiters.field => "F",
        _ if byte == delimiters.component => "S",
        _ if Some(byte) == delimiters.sub_component => "T",
        _ if byte == delimiters.repetition => "R",
        _ if byte == delimiters.escape => "E",
        _ if byte.is_ascii_control() => return Some(format!("X{byte:02X}")),
        _ => return None,
    };
    Some(name.to_owned())
}

enum Sequence<'a> {
    Text(String),
    /// It has the form of an escape that is not read here; it stays as it is.
    Unknown(&'a str),
}

fn named(name: &str, delimiters: Delimiters, local: LocalEscape) -> Option<Sequence<'_>> {
    let one = |byte: u8| Some(Sequence::Text(char::from(byte).to_string()));
    match name {
        "F" => one(delimiters.field),
        "S" => one(delimiters.component),
        "T" => one(delimiters.sub_component.unwrap_or(b'&')),
        "R" => one(delimiters.repetition),
        "E" => one(delimiters.escape),
        "P" => one(delimiters.truncation?),
        "H" | "N" => Some(Sequence::Text(String::new())),
        ".br" | ".sp" => Some(Sequence::Text("\n".to_owned())),
        _ => {
            if let (LocalEscape::CodePoint, Some(text)) = (local, code_point(name)) {
                return Some(Sequence::Text(text));
            }
            let looks_like_one = name.starts_with(['C', 'M', 'Z', '.', 'X'])
                && name.len() <= UNKNOWN_NAME_BYTES_MAX
                && !name.contains(' ');
            looks_like_one.then_some(Sequence::Unknown(name))
        }
    }
}

/// The longest that an unread sequence may be to pass for one; `\.in+12\` and `\M242922\` fit.
const UNKNOWN_NAME_BYTES_MAX: usize = 12;

fn code_point(name: &str) -> Option<String> {
    let digits = name.strip_prefix('Z')?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, 16).ok()?).map(String::from)
}

/// Hexadecimal sequences directly behind each other: one character may be spread over several.
struct HexRun<'a> {
    bytes: Vec<u8>,
    each_is_one_byte: bool,
    as_written: &'a str,
    rest: &'a str,
}

impl<'a> HexRun<'a> {
    /// `opened` is the text behind the first mark.
    fn read(opened: &'a str, mark: char) -> Option<Self> {
        let mut run =
            Self { bytes: Vec::new(), each_is_one_byte: true, as_written: "", rest: opened };
        let mut next = Some(opened);
        while let Some((digits, after)) =
            next.and_then(|text| text.strip_prefix('X')).and_then(|text| text.split_once(mark))
        {
            let Some(bytes) = hexadecimal(digits) else { break };
            run.each_is_one_byte &= bytes.len() == 1;
            run.bytes.extend(bytes);
            run.rest = after;
            next = after.strip_prefix(mark);
        }
        run.as_written = opened.get(..opened.len() - run.rest.len())?;
        (!run.bytes.is_empty()).then_some(run)
    }

    fn push_to(&self, out: &mut Unescaped, charset: Charset, mark: char) {
        if let Some(text) = charset.decode(&self.bytes) {
            out.text.push_str(&text);
            out.guessed |= charset.takes_any_byte() && holds_utf8(&self.bytes);
        } else if self.each_is_one_byte {
            out.text.extend(self.bytes.iter().map(|byte| char::from(*byte)));
            out.guessed = true;
        } else {
            out.text.push(mark);
            out.text.push_str(self.as_written);
        }
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        unescape(text, Delimiters::USUAL, Charset::Utf8, LocalEscape::AsSent).text
    }

    #[test]
    fn finnish_text_before_an_escape_comes_through() {
        // The five cases in which the crate hl7-parser goes wrong: facts/crates.md 2.1.
        assert_eq!(plain(r"Hämäläinen \T\ Poika"), "Hämäläinen & Poika");
        assert_eq!(plain(r"Mäkinen \T\ Poika"), "Mäkinen & Poika");
        assert_eq!(plain(r"5 µg\F\ml"), "5 µg|ml");
        assert_eq!(plain(r"Täällä\.br\rivi2"), "Täällä\nrivi2");
        assert_eq!(plain(r"ää\F\b"), "ää|b");
    }

    #[test]
    fn what_is_written_comes_back() {
        for text in ["a|b^c&d~e\\f", r"\F\ 5", "\u{b}\u{1c}\t", "Åke Öst: 5 µg\n10 %", r"\\.br\"]
        {
            let written = escape(text, Delimiters::USUAL);
            assert!(!written.contains(['|', '^', '&', '~', '\n', '\u{b}', '\u{1c}']), "{written}");
            assert_eq!(plain(&written), text);
        }
        assert_eq!(escape("a\r\nb\rc", Delimiters::USUAL), r"a\.br\b\.br\c");
    }

    #[test]
    fn every_sequence() {
        assert_eq!(plain(r"\S\\R\\E\\H\hot\N\"), r"^~\hot");
        assert_eq!(plain(r"\X41\\XC3A4\\XC3\\XA4\"), "Aää");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            r"lone \ backslash",
            r"5 \",
            r"C:\temp\new",
            r"\Zfoo\",
            r"\C2842\",
            r"\Z03BC\g/L",
            r"\Xzz\",
            r"\X4\",
            r"\P\",
            r"\XFFFE\",
            r"\\",
        ] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain(r"5 \ 6 \F\ 7"), "5 \\ 6 | 7");
    }

    #[test]
    fn bytes_by_number_follow_the_character_set_or_are_a_guess() {
        let read =
            |charset| unescape(r"M\Xe4\kel\Xe4\", Delimiters::USUAL, charset, LocalEscape::AsSent);
        assert_eq!(read(Charset::Latin1), Unescaped { text: "Mäkelä".into(), guessed: false });
        assert_eq!(read(Charset::Utf8), Unescaped { text: "Mäkelä".into(), guessed: true });
    }

    #[test]
    fn a_vendors_own_escape_needs_the_profile() {
        let local = LocalEscape::CodePoint;
        let read = unescape(r"\Z03BC\g/L", Delimiters::USUAL, Charset::Utf8, local);
        assert_eq!(read.text, "μg/L");
    }

    #[test]
    fn the_messages_own_delimiters_are_meant() {
        let delimiters = Delimiters::read(b"MSH!:;%$#!").unwrap();
        let read = |text| unescape(text, delimiters, Charset::Utf8, LocalEscape::AsSent).text;
        assert_eq!(read("%F%%S%%R%%T%%E%%P%"), "!:;$%#");
    }
}
