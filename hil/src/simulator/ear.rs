//! What a device hears: the requests that it knows. Anything else, and a request that comes too
//! early, is a breach: the gateway must send nothing but its templates, and not too fast.

use std::time::{Duration, Instant};

/// The device looks this often whether something was written to it.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much earlier than allowed a request may seem to come: the device does not look all the time.
const SLACK: Duration = Duration::from_millis(100);

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A request, by its place in the list of known ones, with its bytes.
    Request(usize, Vec<u8>),
    /// Something that should not have been sent.
    Breach(String),
}

/// One request: its bytes, `None` for a byte that may be any.
pub type Form = Vec<Option<u8>>;

/// A form without a byte that may be any.
pub fn form(bytes: &[u8]) -> Form {
    bytes.iter().map(|byte| Some(*byte)).collect()
}

/// Takes requests out of what is written to the device.
pub struct Ear {
    known: Vec<Form>,
    apart: Duration,
    pending: Vec<u8>,
    last: Option<Instant>,
    pub breaches: u64,
}

impl Ear {
    /// `known` requests, of which none may come sooner than `apart` after another.
    pub fn new(known: Vec<Form>, apart: Duration) -> Self {
        Self { known, apart, pending: Vec::new(), last: None, breaches: 0 }
    }

    /// What is whole in what has been written so far. `answers` says which requests are answers to
    /// the device and may come at any time.
    pub fn hear(&mut self, bytes: &[u8], now: Instant, answers: &[usize]) -> Vec<Heard> {
        self.pending.extend_from_slice(bytes);
        let mut heard = Vec::new();
        while !self.pending.is_empty() {
            let begins = |form: &Form, length: usize| {
                form.iter()
                    .zip(self.pending.iter().take(length))
                    .all(|(want, byte)| want.is_none_or(|want| want == *byte))
            };
            let whole = self
                .known
                .iter()
                .position(|form| self.pending.len() >= form.len() && begins(form, form.len()));
            if let Some(index) = whole {
                let length = self.known.get(index).map_or(1, Vec::len);
                let request: Vec<u8> = self.pending.drain(..length).collect();
                if !answers.contains(&index) {
                    if self.last.is_some_and(|last| now + SLACK < last + self.apart) {
                        heard.push(Heard::Breach(format!("request {index} came too early")));
                        self.breaches += 1;
                    }
                    self.last = Some(now);
                }
                heard.push(Heard::Request(index, request));
            } else if self.known.iter().any(|form| begins(form, self.pending.len())) {
                return heard;
            } else {
                let byte = self.pending.remove(0);
                heard.push(Heard::Breach(format!("byte {byte:02X} begins no request")));
                self.breaches += 1;
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_from_what_nobody_may_send() {
        let mut ear = Ear::new(vec![form(b"SNDA\r"), form(b"SNDF\r")], Duration::from_secs(2));
        let now = Instant::now();
        assert!(ear.hear(b"SN", now, &[]).is_empty());
        assert_eq!(ear.hear(b"DF\r", now, &[]), [Heard::Request(1, b"SNDF\r".to_vec())]);
        let early = ear.hear(b"SNDA\r", now + Duration::from_millis(500), &[]);
        assert!(matches!(early[..], [Heard::Breach(_), Heard::Request(0, _)]));
        let foreign = ear.hear(b"7SNDA\r", now + Duration::from_secs(5), &[]);
        assert!(matches!(foreign[..], [Heard::Breach(_), Heard::Request(0, _)]));
        assert_eq!(ear.breaches, 2);
    }
}
