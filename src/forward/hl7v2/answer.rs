//! What an acknowledgement says: which message it answers, and how. Nothing else of it is used.

use crate::protocol::hl7v2::segments::{Delimiters, Line, slice, split};

/// MSA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// CA: it is kept. In enhanced mode AA may follow.
    CommitAccept,
    /// AA: it is taken.
    Accept,
    /// CE, AE: perhaps later.
    Error,
    /// CR, AR: never.
    Reject,
}

/// One acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: Code,
    /// MSA-1 as sent.
    pub letters: &'static str,
    /// MSA-2.
    pub control_id: String,
}

impl Answer {
    /// Reads a block without its framing. `None` for anything that has no MSH, no MSA, a code that
    /// HL7 table 0008 does not know, or several MSA: it answers nothing.
    pub fn read(block: &[u8]) -> Option<Self> {
        if !block.starts_with(b"MSH") {
            return None;
        }
        let delimiters = Delimiters::read(block)?;
        let mut found = None;
        for line in split(block, 0..block.len(), delimiters) {
            let Line::Segment(segment) = line else { continue };
            if &segment.id != b"MSA" {
                continue;
            }
            let field = |number| {
                let at = segment.field(number)?;
                std::str::from_utf8(slice(block, &at)).ok()
            };
            let (letters, code) = code(field(1)?)?;
            let answer = Self { code, letters, control_id: field(2)?.to_owned() };
            if found.replace(answer).is_some() {
                return None;
            }
        }
        found
    }
}

fn code(letters: &str) -> Option<(&'static str, Code)> {
    Some(match letters {
        "CA" => ("CA", Code::CommitAccept),
        "AA" => ("AA", Code::Accept),
        "CE" => ("CE", Code::Error),
        "AE" => ("AE", Code::Error),
        "CR" => ("CR", Code::Reject),
        "AR" => ("AR", Code::Reject),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_in_the_forms_that_receivers_send() {
        // facts/semantics.md 1.4: a third component missing, five delimiters, version 2.7.
        let cases: [(&[u8], &str, Code); 5] = [
            (
                b"MSH|^~\\&|A|B|C|D|2026||ACK^R01^ACK|9|P|2.6\rMSA|CA|1f-2s\r",
                "1f-2s",
                Code::CommitAccept,
            ),
            (b"MSH|^~\\&#|A||||||ACK^R40|9|P|2.7\rMSA|AA|1f-2s|thanks\r", "1f-2s", Code::Accept),
            (b"MSH|^~\\&|\nMSA|AE|7|no\nERR|||207\n", "7", Code::Error),
            (b"MSH|^~\\&|\r\nMSA|CR|7", "7", Code::Reject),
            (b"MSH!^~\\&!A\rMSA!AR!x\r", "x", Code::Reject),
        ];
        for (block, id, code) in cases {
            let answer = Answer::read(block).unwrap();
            assert_eq!((answer.control_id.as_str(), answer.code), (id, code));
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let none: [&[u8]; 8] = [
            b"",
            b"garbage",
            b"MSA|AA|1\r",
            b"MSH|^~\\&|A\r",
            b"MSH|^~\\&|\rMSA|OK|1\r",
            b"MSH|^~\\&|\rMSA|AA\r",
            b"MSH|^~\\&|\rMSA|AA|1\rMSA|AA|2\r",
            b"MSH|^~\\&|\rMSA||1\r",
        ];
        for block in none {
            assert_eq!(Answer::read(block), None, "{}", String::from_utf8_lossy(block));
        }
    }
}
