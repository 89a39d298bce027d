//! A window as bytes, for the checkpoint at the beginning of each segment, and what it costs there.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | number of messages |
//! | 24 each | 16 of the digest, 8 of the wire record's sequence; the oldest first |
//! | 4 | number of statement keys |
//! | 26 each | 8 of the key, 8 of the content, 8 of the wire record's sequence, 2 from there on |
//!
//! Little-endian.

use super::{Basis, Key, Stated, WINDOW_MESSAGES, Window};
use crate::vocabulary::Sequence;

const MESSAGE_BYTES: usize = 24;
const STATEMENT_BYTES: usize = 26;

impl Window {
    /// What the window takes in a checkpoint; in memory it is about three times as much.
    pub fn bytes(&self) -> usize {
        8 + MESSAGE_BYTES * self.messages.len() + STATEMENT_BYTES * self.statements.len()
    }

    /// Forgets the oldest message or statement; `false` if there is none.
    pub fn forget_oldest(&mut self) -> bool {
        let message_is_older = match (self.messages.oldest(), self.statements.oldest()) {
            (Some(wire), Some(stated)) => *wire <= stated.wire,
            (message, _) => message.is_some(),
        };
        if message_is_older {
            self.messages.forget_oldest()
        } else {
            self.statements.forget_oldest()
        }
    }

    /// Appends the window to `out`.
    pub fn pack(&self, out: &mut Vec<u8>) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        out.reserve(self.bytes());
        out.extend(count(self.messages.len()));
        for (basis, wire) in self.messages.iter() {
            out.extend_from_slice(basis);
            out.extend_from_slice(&wire.number().to_le_bytes());
        }
        out.extend(count(self.statements.len()));
        for (key, stated) in self.statements.iter() {
            // A batch has at most `u16::MAX` records, of which the wire record is the first.
            let apart = stated.sequence.number().saturating_sub(stated.wire.number());
            out.extend_from_slice(key);
            out.extend_from_slice(&stated.content);
            out.extend_from_slice(&stated.wire.number().to_le_bytes());
            out.extend_from_slice(&u16::try_from(apart).unwrap_or(u16::MAX).to_le_bytes());
        }
    }

    /// Takes a window off the front of `from`; `None` if these are not the bytes of one.
    pub fn unpack(from: &mut &[u8]) -> Option<Self> {
        let mut window = Self::default();
        let count = u32::from_le_bytes(take(from)?) as usize;
        if count > WINDOW_MESSAGES {
            return None;
        }
        for _ in 0..count {
            let basis: Basis = take(from)?;
            window.messages.note(basis, Sequence::new(u64::from_le_bytes(take(from)?))?);
        }
        for _ in 0..u32::from_le_bytes(take(from)?) {
            let (key, content): (Key, Key) = (take(from)?, take(from)?);
            let wire = Sequence::new(u64::from_le_bytes(take(from)?))?;
            let apart = u64::from(u16::from_le_bytes(take(from)?));
            let sequence = Sequence::new(wire.number().checked_add(apart)?)?;
            window.statements.note(key, Stated { wire, sequence, content });
        }
        Some(window)
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::super::StatementKeys;
    use super::*;
    use crate::vocabulary::Digest;

    fn window(messages: u64) -> Window {
        let mut window = Window::default();
        for number in 1..=messages {
            let wire = Sequence::new(2 * number).unwrap();
            let text = number.to_be_bytes();
            window.note(Digest::of(&text), wire);
            let keys = vec![Digest::of(&[b"a", &text[..]].concat()), Digest::of(b"one for all")];
            let keys = StatementKeys { keys, content: Digest::of(b"content") };
            window.note_statement(&keys, wire, wire.plus(1));
        }
        window
    }

    #[test]
    fn a_window_comes_back_as_it_was_and_costs_what_it_says() {
        for messages in [0, 1, 100] {
            let window = window(messages);
            let mut bytes = Vec::new();
            window.pack(&mut bytes);
            assert_eq!(bytes.len(), window.bytes());
            bytes.extend(b"more");
            let mut rest = &bytes[..];
            assert_eq!(Window::unpack(&mut rest), Some(window));
            assert_eq!(rest, b"more");
        }
    }

    #[test]
    fn cut_bytes_are_no_window() {
        let mut bytes = Vec::new();
        window(3).pack(&mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(Window::unpack(&mut &bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut window = window(3);
        let mut left = Vec::new();
        while window.forget_oldest() {
            let known = |number: u64| window.earlier(&Digest::of(&number.to_be_bytes())).is_some();
            left.push([1, 2, 3].map(known));
        }
        // Three messages and four keys; a message goes before what it stated.
        assert_eq!(left.len(), 7);
        assert_eq!(left[0], [false, true, true]);
        assert_eq!(left.last(), Some(&[false; 3]));
        assert_eq!(window, Window::default());
    }
}
