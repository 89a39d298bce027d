//! Whether bytes that are read in a single-byte character set look like UTF-8.
//!
//! In such a set every byte means something, so UTF-8 is read without an error, and wrongly: the
//! bytes C2 B5 of a micro sign become two letters, and `\u{b5}g` another unit. Text that people
//! write in a single-byte set hardly ever has two such bytes in a row that are a character of
//! UTF-8.

/// The mark on readings whose text was read in a character set that may be another one.
pub(super) const CHARSET_GUESSED: &str = "charset-guessed";

/// Whether there is a character beyond ASCII that is whole in UTF-8.
pub(super) fn holds_utf8(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii())
}

#[cfg(test)]
mod tests {
    use super::holds_utf8;

    #[test]
    fn utf8_is_told_from_single_bytes() {
        for text in ["\u{b5}g/L", "H\u{e4}m\u{e4}l\u{e4}inen", "10\u{b2}", "\u{20ac}"] {
            assert!(holds_utf8(text.as_bytes()), "{text}");
        }
        let mixed = [b"\xB5g ".as_slice(), "\u{b5}g".as_bytes()].concat();
        assert!(holds_utf8(&mixed));
        // Latin-1: a micro sign, Finnish letters in a row, a degree sign behind a capital.
        for bytes in [&b"\xB5g/L"[..], b"T\xE4\xE4ll\xE4", b"\xD6\xC4\xC5", b"mmol/L", b"\xC2"] {
            assert!(!holds_utf8(bytes), "{bytes:02X?}");
        }
    }
}
