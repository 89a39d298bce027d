//! Bytes to characters, never with a replacement character.
//!
//! | MSH-18 | read as |
//! |---|---|
//! | `ASCII`, `ISO IR6` | ASCII; a byte above 7F does not fit |
//! | `8859/1` | ISO 8859-1 exactly: 80 to 9F are the control characters U+0080 to U+009F |
//! | `8859/2` to `8859/9`, `8859/15` | that part of ISO 8859; undefined bytes do not fit |
//! | `UNICODE UTF-8`, and the wrong names `UTF-8`, `UNICODE` | UTF-8 |
//! | `ISO IR87`, `GB 18030-2000`, `UNICODE UTF-16`, .. | ASCII only |
//! | empty, or a name that no table knows | the site's, else the profile's, else a guess |
//!
//! Text that is read in a single-byte set and looks like UTF-8 is doubted, whoever named the set:
//! senders that write UTF-8 and say 8859/1, or nothing, are common.
//!
//! The second bytes of the last but one may look like delimiters, so they are not taken apart. A
//! guess is UTF-8 if every byte fits, else windows-1252.
//!
//! Names: HL7 table 0211 and facts/semantics.md 1.7 item 3. `encoding_rs` follows the web, where
//! `iso-8859-1` and `iso-8859-9` mean windows-1252 and windows-1254; both are therefore read here.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// A character set that a message is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Charset {
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// ISO 8859-9: ISO 8859-1 but for six letters.
    Latin5,
    Utf8,
    /// Another single-byte character set.
    SingleByte(&'static Encoding),
    /// A known one that is not read; its ASCII part is.
    AsciiPartOnly,
}

/// The character set chosen for one message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub charset: Charset,
    /// Nobody named it, and the text is not plain ASCII.
    pub guessed: bool,
}

impl Charset {
    /// By a name of HL7 table 0211, one of the wrong names that are seen, or an encoding label.
    ///
    /// ```
    /// use wardgate::protocol::hl7v2::charset::Charset;
    /// assert_eq!(Charset::named("UNICODE UTF-8"), Some(Charset::Utf8));
    /// assert_eq!(Charset::named("8859/1"), Some(Charset::Latin1));
    /// assert_eq!(Charset::named("FIN"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_uppercase();
        let part = plain.strip_prefix("ISO").unwrap_or(&plain).strip_prefix("8859");
        if let Some(part) = part {
            return part_of_8859(part);
        }
        match plain.as_str() {
            "ASCII" | "USASCII" | "ISOIR6" => Some(Self::Ascii),
            "LATIN1" | "ISOIR100" | "CP819" | "IBM819" => Some(Self::Latin1),
            "LATIN5" => Some(Self::Latin5),
            "UTF8" | "UNICODE" | "UNICODEUTF8" => Some(Self::Utf8),
            "ISOIR14" | "ISOIR87" | "ISOIR159" | "GB180302000" | "GB18030" | "KSX1001" | "BIG5"
            | "CNS116431992" | "UNICODEUTF16" | "UNICODEUTF32" | "UTF16" | "UTF32" => {
                Some(Self::AsciiPartOnly)
            }
            _ => Encoding::for_label(name.trim().as_bytes())
                .filter(|encoding| encoding.is_single_byte())
                .map(Self::SingleByte),
        }
    }

    /// The characters, or `None` if a byte does not fit.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        if is_plain(bytes) {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        match self {
            Self::Ascii | Self::AsciiPartOnly => None,
            Self::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Latin5 => Some(bytes.iter().map(|byte| latin5(*byte)).collect()),
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::SingleByte(encoding) => {
                let undefined = encoding == encoding_rs::WINDOWS_1252
                    && bytes.iter().any(|byte| UNDEFINED_IN_1252.contains(byte));
                if undefined {
                    return None;
                }
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
        }
    }

    /// Whether every byte is a character, so that UTF-8 would be read without an error.
    pub fn takes_any_byte(self) -> bool {
        match self {
            Self::Latin1 | Self::Latin5 | Self::SingleByte(_) => true,
            Self::Ascii | Self::Utf8 | Self::AsciiPartOnly => false,
        }
    }

    /// The bytes, or `None` if a character is not in the set or the set is only read here.
    ///
    /// ```
    /// use wardgate::protocol::hl7v2::charset::Charset;
    /// assert_eq!(Charset::Latin1.encode("Ä").as_deref(), Some(&b"\xC4"[..]));
    /// assert_eq!(Charset::Latin1.encode("Š"), None);
    /// ```
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() {
            return Some(text.as_bytes().to_vec());
        }
        match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Latin1 => text.chars().map(|one| u8::try_from(u32::from(one)).ok()).collect(),
            Self::SingleByte(encoding) => {
                let (bytes, _, has_replacements) = encoding.encode(text);
                (!has_replacements).then(|| bytes.into_owned())
            }
            Self::Ascii | Self::Latin5 | Self::AsciiPartOnly => None,
        }
    }

    /// As it may stand in a message for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII",
            Self::Latin1 => "ISO-8859-1",
            Self::Latin5 => "ISO-8859-9",
            Self::Utf8 => "UTF-8",
            Self::SingleByte(encoding) => encoding.name(),
            Self::AsciiPartOnly => "a character set that is not read here",
        }
    }
}

/// The character set of a message with `named` in MSH-18 (its repetitions, as sent).
pub fn choose<'a>(
    named: impl Iterator<Item = &'a [u8]>,
    configured: Option<Charset>,
    message: &[u8],
) -> Choice {
    // The first repetition is the message's own; the others are only switched to by escapes.
    let first = named.map(<[u8]>::trim_ascii).find(|name| !name.is_empty());
    let claimed = first.and_then(|name| std::str::from_utf8(name).ok()).and_then(Charset::named);
    if let Some(charset) = claimed.or(configured) {
        return Choice { charset, guessed: false };
    }
    if std::str::from_utf8(message).is_ok() {
        return Choice { charset: Charset::Utf8, guessed: !message.is_ascii() };
    }
    Choice { charset: Charset::SingleByte(encoding_rs::WINDOWS_1252), guessed: true }
}

/// Whether every byte is the same character in all of the sets.
pub fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() && !bytes.contains(&ESCAPE_OF_ISO_2022)
}

/// ISO 2022 character sets are switched by this byte; plain text never holds it.
const ESCAPE_OF_ISO_2022: u8 = 0x1B;

/// The five bytes that windows-1252 does not define.
const UNDEFINED_IN_1252: [u8; 5] = [0x81, 0x8D, 0x8F, 0x90, 0x9D];

fn part_of_8859(part: &str) -> Option<Charset> {
    let other = match part {
        "1" => return Some(Charset::Latin1),
        "9" => return Some(Charset::Latin5),
        "2" => encoding_rs::ISO_8859_2,
        "3" => encoding_rs::ISO_8859_3,
        "4" => encoding_rs::ISO_8859_4,
        "5" => encoding_rs::ISO_8859_5,
        "6" => encoding_rs::ISO_8859_6,
        "7" => encoding_rs::ISO_8859_7,
        "8" => encoding_rs::ISO_8859_8,
        "10" => encoding_rs::ISO_8859_10,
        "15" => encoding_rs::ISO_8859_15,
        _ => return None,
    };
    Some(Charset::SingleByte(other))
}

fn latin5(byte: u8) -> char {
    match byte {
        0xD0 => 'Ğ',
        0xDD => 'İ',
        0xDE => 'Ş',
        0xF0 => 'ğ',
        0xFD => 'ı',
        0xFE => 'ş',
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(named: &str, configured: Option<Charset>, message: &[u8]) -> Choice {
        choose(named.as_bytes().split(|byte| *byte == b'~'), configured, message)
    }

    #[test]
    fn names_right_and_wrong() {
        for name in ["UNICODE UTF-8", "UTF-8", "UNICODE", "utf8"] {
            assert_eq!(Charset::named(name), Some(Charset::Utf8), "{name}");
        }
        for name in ["8859/1", "ISO-8859-1", "ISO8859/1", "latin1"] {
            assert_eq!(Charset::named(name), Some(Charset::Latin1), "{name}");
        }
        let fifteen = Some(Charset::SingleByte(encoding_rs::ISO_8859_15));
        assert_eq!((Charset::named("8859/15"), Charset::named("ISO-8859-15")), (fifteen, fifteen));
        assert_eq!(Charset::named("ISO IR87"), Some(Charset::AsciiPartOnly));
        assert_eq!(Charset::named(""), None);
    }

    #[test]
    fn eight_bits_are_what_each_standard_says() {
        let decode = |name: &str, bytes: &[u8]| {
            Charset::named(name).and_then(|set| set.decode(bytes).map(Cow::into_owned))
        };
        assert_eq!(decode("8859/1", b"\xA6\x80").as_deref(), Some("¦\u{80}"));
        assert_eq!(decode("8859/15", b"\xA4\xA6\xA8\xB4\xB8").as_deref(), Some("€ŠšŽž"));
        assert_eq!(decode("windows-1252", b"\x80\x8A").as_deref(), Some("€Š"));
        assert_eq!(decode("8859/9", b"\xFE\xE4").as_deref(), Some("şä"));
        for (name, bytes) in [
            ("ASCII", &b"\xC4"[..]),
            ("UTF-8", b"\xC4"),
            ("windows-1252", b"\x81"),
            ("ISO IR87", b"\x1B$B"),
            ("8859/3", b"\xA5"),
        ] {
            assert_eq!(decode(name, bytes), None, "{name}");
        }
    }

    #[test]
    fn a_guess_is_said_to_be_one() {
        assert_eq!(chosen("", None, b"SpO2"), Choice { charset: Charset::Utf8, guessed: false });
        assert!(chosen("", None, "Ä".as_bytes()).guessed);
        let cp1252 = Charset::SingleByte(encoding_rs::WINDOWS_1252);
        assert_eq!(chosen("", None, b"\xC4"), Choice { charset: cp1252, guessed: true });
        assert_eq!(
            chosen("", Some(Charset::Latin1), b"\xC4"),
            Choice { charset: Charset::Latin1, guessed: false }
        );
        assert_eq!(chosen("8859/1~ISO IR87", None, b"\xC4").charset, Charset::Latin1);
        assert!(chosen("FIN", None, b"\xC4").guessed);
    }
}
