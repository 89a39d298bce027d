//! JSON objects written straight to bytes, for what stands in every record: keys that need no
//! escape are copied, texts are looked through once. The bytes are those of `serde_json`.

use serde::Serialize;

/// An object in the making. Its keys must come in order, and are plain: nothing in them is escaped.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Begins an object behind what is there.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// The members of an object without its braces, for [`Object::put_members`].
    pub fn members(out: &'a mut Vec<u8>) -> Self {
        Self { out, is_empty: true }
    }

    /// Writes a key; its value has to be written behind it.
    pub fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Any value.
    pub fn put(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) {
        let out = self.key(key);
        serde_json::to_writer(out, value).expect("what stands in a record has a JSON form");
    }

    /// Any value, where it is wanted.
    pub fn put_if(&mut self, wanted: bool, key: &'static str, value: &(impl Serialize + ?Sized)) {
        if wanted {
            self.put(key, value);
        }
    }

    /// Any value that is there.
    pub fn put_some(&mut self, key: &'static str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// A text, also an empty one.
    pub fn put_text(&mut self, key: &'static str, value: &str) {
        text(self.key(key), value);
    }

    /// A text; nothing where it is empty.
    pub fn put_stated(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.put_text(key, value);
        }
    }

    /// What [`Object::members`] wrote.
    pub fn put_members(&mut self, members: &str) {
        if members.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(members.as_bytes());
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// A text in quotes.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let escaped = |byte: &u8| *byte < b' ' || matches!(*byte, b'"' | b'\\');
    if text.as_bytes().iter().any(escaped) {
        serde_json::to_writer(out, text).expect("a text has a JSON form");
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// A whole number.
pub fn number(out: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(out, &number).expect("a number has a JSON form");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_serde_json_writes_them() {
        let mut texts: Vec<String> =
            (0..0x180).filter_map(char::from_u32).map(|one| format!("a{one}b")).collect();
        texts.extend(["", "\u{2028}\u{ffff}\u{1f600}", "\"", "\\\\", "P-1"].map(str::to_owned));
        for one in texts {
            let mut out = Vec::new();
            text(&mut out, &one);
            assert_eq!(out, serde_json::to_vec(&one).unwrap(), "{one:?}");
        }
    }
}
