//! A person ends what is carried forward: a record that is held, of nobody, or set aside. Who, why
//! and what stands in the journal before it takes effect; then it is carried no further.
//!
//! Nothing is taken out of the journal by it: the record goes with its segment, as all do.

use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::asked::{Answer, Desk};
use super::committer::Request;
use super::indexing::describe;
use super::memory::Ended;
use crate::forward::cursor::{self, Found};
use crate::forward::stored::Stored;
use crate::index::{Class, Index};
use crate::journal::{Kind, Reader, Record};
use crate::vocabulary::{RecordId, Sequence};

/// A reason is a sentence.
pub const REASON_CHARACTERS_MAX: usize = 400;
/// A name is a line.
pub const NAME_CHARACTERS_MAX: usize = 80;

/// The signs for the century in a Finnish identity code, as of 2023.
const CENTURY_SIGNS: &str = "+-ABCDEFUVWXY";

/// What a person ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The record, or the one that says that it is set aside.
    pub record: String,
    pub reason: String,
    pub by: String,
}

/// What is written into the journal for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub record: Sequence,
    /// The message that it came in, and what else of that message may wait for a person: the
    /// message is carried as long as one of them does.
    pub wire: Option<(u64, Vec<u64>)>,
    pub by: String,
    pub reason: String,
    /// Who asked, as the system knows it.
    pub user: u32,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ended,
    Already,
    /// The journal takes nothing.
    NotKept,
}

/// Whether a text is short enough to be looked at by whoever reads the journal, and names nobody by
/// an identity code.
///
/// # Errors
/// What is wrong with it; never what stands in it.
pub fn check_text(what: &str, text: &str, characters_max: usize) -> Result<(), String> {
    let characters = text.chars().count();
    if text.trim().is_empty() || characters > characters_max {
        return Err(format!("{what}: expected 1 to {characters_max} letters, got {characters}"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what}: expected one line without control characters"));
    }
    if holds_identity_code(text) {
        return Err(format!(
            "{what}: something in it looks like a personal identity code, and those stand in no \
             text here: name the record instead"
        ));
    }
    Ok(())
}

/// Six digits, a sign for the century, three digits and a letter or digit, whether or not it is a
/// true one: a slip of the pen is somebody's code as well.
fn holds_identity_code(text: &str) -> bool {
    let letters: Vec<char> = text.to_uppercase().chars().collect();
    letters.windows(11).any(|window| {
        let digits = |part: &[char]| part.iter().all(char::is_ascii_digit);
        let [a, b, c, d, e, f, sign, i, j, k, check] = window else { return false };
        digits(&[*a, *b, *c, *d, *e, *f, *i, *j, *k])
            && (CENTURY_SIGNS.contains(*sign) || ('\u{2010}'..='\u{2015}').contains(sign))
            && check.is_ascii_alphanumeric()
    })
}

impl Desk {
    /// Ends a record for `user`.
    pub(super) async fn end(&self, asked: End, user: u32) -> Answer {
        let End { record, reason, by } = asked;
        let texts = check_text("--reason", &reason, REASON_CHARACTERS_MAX)
            .and_then(|()| check_text("--by", &by, NAME_CHARACTERS_MAX));
        if let Err(problem) = texts {
            return Answer::no(problem);
        }
        let id = match RecordId::parse(&record) {
            Ok(id) if id.is_of(self.reader.stream()) => id,
            Ok(id) => return Answer::no(format!("{id} is of another stream than this journal")),
            Err(error) => return Answer::no(error.to_string()),
        };
        let mut finder = Finder {
            reader: self.reader.clone(),
            index: self.index.clone(),
            aside: set_aside(&self.cursors),
        };
        let found = tokio::task::spawn_blocking(move || finder.find(id.sequence())).await;
        let (record, wire) = match found {
            Ok(Ok(found)) => found,
            Ok(Err(problem)) => return Answer::no(problem),
            Err(_) => return Answer::no("the journal could not be read"),
        };
        let ending = Ending { record, wire, by, reason, user };
        let (done, outcome) = oneshot::channel();
        let sent = self.requests.send(Request::End(Box::new(ending), done)).is_ok();
        let id = RecordId::of(self.reader.stream(), record);
        match outcome.await {
            Ok(Outcome::Ended) if sent => {
                tracing::warn!(user, record = %id, "a person has ended a record");
                let line = format!("{id} is ended: it is not carried forward any more");
                Answer { done: true, lines: vec![line] }
            }
            Ok(Outcome::Already) => Answer::no(format!("{id} is ended already")),
            Ok(_) | Err(_) => Answer::no("the journal takes nothing now: nothing has changed"),
        }
    }
}

/// What destinations have set aside, by their cursors.
fn set_aside(cursors: &Path) -> Vec<u64> {
    let files = std::fs::read_dir(cursors).into_iter().flatten().flatten();
    let paths =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(is_cursor));
    // A cursor that cannot be read names nothing; its destination says so itself.
    let states = paths.filter_map(|path| match cursor::peek(&path) {
        Ok(Found::State(state)) => Some(state),
        Ok(Found::New | Found::Lost) | Err(_) => None,
    });
    states.flat_map(|state| state.set_aside).map(|one| one.sequence).collect()
}

fn is_cursor(extension: &std::ffi::OsStr) -> bool {
    extension == "cursor"
}

/// Finds records in their segment, or where they are carried.
struct Finder {
    reader: Reader,
    index: Option<Index>,
    aside: Vec<u64>,
}

/// The record that waits, and its message with what else of it may wait.
type Waiting = (Sequence, Option<(u64, Vec<u64>)>);

impl Finder {
    fn find(&mut self, named: Sequence) -> Result<Waiting, String> {
        let record = self.read(named)?;
        // A person may name the record that says so.
        let about = describe(&record).about.and_then(Sequence::new);
        let record = match about.map(|about| (about, self.read(about))) {
            None => record,
            Some((_, Ok(record))) => record,
            Some((_, Err(problem))) if self.rebuilding() => return Err(problem),
            // It is gone; that it is set aside is still listed.
            Some((about, Err(_))) => return Ok((about, None)),
        };
        if !self.waits(&record) && about.is_none() {
            return Err(
                "that record waits for nobody: it is not held, of nobody or set aside".to_owned()
            );
        }
        let own = self.sequence(&record);
        let wire = Stored::from_bytes(&payload(&record))
            .and_then(|stored| stored.data.get("wire")?.as_u64())
            .filter(|wire| *wire < own.number());
        let Some(wire) = wire else { return Ok((own, None)) };
        let batch = match Sequence::new(wire).map(|wire| self.read(wire)) {
            Some(Ok(record)) => batch_records(&record),
            Some(Err(_)) | None => return Ok((own, None)),
        };
        let mut others = Vec::new();
        for other in (wire + 1..wire + u64::from(batch)).filter(|one| *one != own.number()) {
            let read = Sequence::new(other).map(|other| self.read(other));
            if read.is_some_and(|read| read.is_ok_and(|record| self.waits(&record))) {
                others.push(other);
            }
        }
        Ok((own, Some((wire, others))))
    }

    /// Whether a record is carried forward, or listed as unresolved.
    fn waits(&self, record: &Record) -> bool {
        let entry = describe(record);
        entry.classes.contains(&Class::Unresolved) || self.aside.contains(&entry.sequence)
    }

    fn rebuilding(&self) -> bool {
        let shown = self.index.as_ref().map(Index::shown);
        shown.is_some_and(|shown| shown.rebuilding.load(Ordering::Relaxed))
    }

    fn sequence(&self, record: &Record) -> Sequence {
        Sequence::new(describe(record).sequence).unwrap_or(record.sequence)
    }

    fn read(&mut self, sequence: Sequence) -> Result<Record, String> {
        let unknown = || format!("record {sequence} is not here, and nothing carries it");
        let failed = |error| format!("the journal cannot be read: {error}");
        if let Some(record) = self.reader.read(sequence).map_err(failed)? {
            return Ok(record);
        }
        let index = self.index.as_ref().ok_or_else(unknown)?;
        let carried = index.carried(sequence.number()).map_err(|error| error.to_string())?;
        let Some(place) = carried.and_then(Sequence::new) else {
            let later = "the index is being rebuilt, so it cannot be found yet: try again later";
            return Err(if self.rebuilding() { later.to_owned() } else { unknown() });
        };
        let record = self.reader.read(place).map_err(failed)?.ok_or_else(unknown)?;
        if describe(&record).sequence == sequence.number() { Ok(record) } else { Err(unknown()) }
    }
}

fn payload(record: &Record) -> Vec<u8> {
    kept(record).map_or_else(|| record.payload.clone(), |kept| kept.payload)
}

fn batch_records(record: &Record) -> u16 {
    kept(record).map_or(record.batch_records, |kept| kept.batch_records)
}

fn kept(record: &Record) -> Option<super::keeping::Kept> {
    let carries = record.kind == Kind::Carried;
    super::keeping::Kept::from_carried(&record.payload).filter(|_| carries)
}

impl Ending {
    /// What the journal keeps of it; `is_ended`: what was ended before.
    pub(super) fn payload(&self, is_ended: impl Fn(u64) -> bool) -> Ended {
        let mut ended = vec![self.record.number()];
        // The message goes with the last of its records.
        let wire = self.wire.iter().filter(|(_, others)| others.iter().all(|one| is_ended(*one)));
        ended.extend(wire.map(|(wire, _)| *wire));
        let Self { by, reason, user, .. } = self.clone();
        Ended { ended, by, reason, user: Some(user) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_pinned() {
        let ending = Ending {
            record: Sequence::new(17).unwrap(),
            wire: Some((16, vec![18])),
            by: "K. Nurse".to_owned(),
            reason: "a test sample".to_owned(),
            user: 1000,
        };
        let written = |ended: bool| serde_json::to_string(&ending.payload(|_| ended)).unwrap();
        let rest = r#""by":"K. Nurse","reason":"a test sample","user":1000}"#;
        assert_eq!(written(false), format!(r#"{{"ended":[17],{rest}"#));
        assert_eq!(written(true), format!(r#"{{"ended":[17,16],{rest}"#));
        assert_eq!(Ended::from_bytes(written(true).as_bytes()), [17, 16]);
        // As journals of before have it.
        assert_eq!(Ended::from_bytes(br#"{"ended":[5],"by":"somebody"}"#), [5]);
        let aside = br#"{"destination":"core","sequence":5,"record":"1f1f1f1f-5","code":"AR"}"#;
        assert_eq!(Ended::from_bytes(aside), Vec::<u64>::new());
    }

    #[test]
    fn no_text_holds_an_identity_code() {
        // Published fictional codes, and what slips look like.
        for code in [
            "131052-308T",
            "131052+308t",
            "010107A9067",
            "010594Y9021",
            "x131052-308Tx",
            "131052\u{2013}308T",
            "131052-308A",
        ] {
            let problem = check_text("--reason", &format!("of {code}."), 400).expect_err(code);
            assert!(problem.starts_with("--reason:") && !problem.contains(code), "{problem}");
        }
        for text in ["bed 3, 28.11.2026 at 10:00", "sample 131052-308", "lot 131052/308T", "\u{e4}"]
        {
            assert_eq!(check_text("--reason", text, 400), Ok(()), "{text}");
        }
        for text in ["", "  ", "two\nlines", "\u{1b}[31mred", &"x".repeat(401)] {
            assert!(check_text("--reason", text, 400).is_err(), "{text:?}");
        }
    }
}
