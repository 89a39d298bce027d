//! The clauses of the contract that can be asked of a core, by their stable short names, and what
//! was found of each.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// One clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clause {
    pub name: &'static str,
    /// The chapter of docs/ingestion/README.md.
    pub chapter: &'static str,
    pub says: &'static str,
}

const fn clause(name: &'static str, chapter: &'static str, says: &'static str) -> Clause {
    Clause { name, chapter, says }
}

pub const AUTHENTICATION: &str = "authentication";
pub const UNKNOWN_STREAM: &str = "unknown-stream";
pub const ANSWERS: &str = "answers";
pub const ANSWER_FORM: &str = "answer-form";
pub const SAME_STREAM: &str = "same-stream";
pub const RECEIVER_ID: &str = "receiver-id";
pub const ONLY_WHAT_CAME: &str = "only-what-came";
pub const STORES_NEW: &str = "stores-new";
pub const DUPLICATES: &str = "duplicates";
pub const ANY_ORDER: &str = "any-order";
pub const PREVIOUS_MISSING: &str = "previous-missing";
pub const DAMAGED_RECORD: &str = "damaged-record";
pub const UNKNOWN_TYPE: &str = "unknown-type";
pub const WAVEFORM: &str = "waveform";
pub const OVERSIZED: &str = "oversized";
pub const NOT_A_BATCH: &str = "not-a-batch";
pub const TWO_AT_ONCE: &str = "two-at-once";
pub const HAVE: &str = "have";
pub const KEEPS: &str = "keeps";
pub const DURABLE_COMMIT: &str = "durable-commit";
pub const AFTER_RESTORE: &str = "after-restore";

const ANSWER: &str = "acknowledgement";
const MUST: &str = "what-a-receiver-must-do";
const HTTPS: &str = "over-https";

/// All of them, in the order in which they are shown.
pub const CLAUSES: [Clause; 21] = [
    clause(AUTHENTICATION, HTTPS, "who does not prove itself is not let in"),
    clause(UNKNOWN_STREAM, HTTPS, "a stream of which nothing came is answered with 404"),
    clause(ANSWERS, ANSWER, "what comes is answered, in time"),
    clause(ANSWER_FORM, ANSWER, "the answer is the object, every field and no other"),
    clause(SAME_STREAM, ANSWER, "the answer speaks of the stream that came"),
    clause(RECEIVER_ID, ANSWER, "the answer has the receiver's own id"),
    clause(ONLY_WHAT_CAME, ANSWER, "no range goes beyond the highest sequence that came"),
    clause(STORES_NEW, MUST, "a conforming record is accepted"),
    clause(DUPLICATES, MUST, "the same bytes again are accepted again"),
    clause(ANY_ORDER, MUST, "records are accepted in any order"),
    clause(PREVIOUS_MISSING, MUST, "a record is stored whether or not its previous one is there"),
    clause(DAMAGED_RECORD, MUST, "a damaged record is never accepted, and costs no other record"),
    clause(UNKNOWN_TYPE, MUST, "a type that is not known is accepted, or rejected with a code"),
    clause(WAVEFORM, MUST, "samples of waveforms are accepted, or rejected with a code"),
    clause(OVERSIZED, MUST, "what is too large is refused in words, not in silence"),
    clause(NOT_A_BATCH, HTTPS, "what is no batch is refused with 400, 413, 415 or 422"),
    clause(TWO_AT_ONCE, ANSWER, "two connections of one stream do not disturb each other"),
    clause(HAVE, HTTPS, "have is the object, with ranges of what came and a generation"),
    clause(KEEPS, ANSWER, "what was acknowledged is there"),
    clause(DURABLE_COMMIT, ANSWER, "it is acknowledged after the durable commit, not before"),
    clause(AFTER_RESTORE, ANSWER, "a restored core says what it has with a higher generation"),
];

/// What was found of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Kept,
    Broken(String),
    NotTestable(String),
}

/// What was found of all of them.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<&'static str, Finding>);

impl Findings {
    /// Seen to be kept once; a break before or after it counts more.
    pub fn kept(&mut self, name: &'static str) {
        match self.0.get(name) {
            Some(Finding::Broken(_)) => {}
            Some(Finding::Kept | Finding::NotTestable(_)) | None => {
                self.0.insert(name, Finding::Kept);
            }
        }
    }

    /// The first break is the one that is shown.
    pub fn broken(&mut self, name: &'static str, why: impl Into<String>) {
        if !matches!(self.0.get(name), Some(Finding::Broken(_))) {
            self.0.insert(name, Finding::Broken(why.into()));
        }
    }

    /// Cannot be seen from here.
    pub fn not_testable(&mut self, name: &'static str, why: &str) {
        self.0.entry(name).or_insert_with(|| Finding::NotTestable(why.to_owned()));
    }

    /// Kept or broken.
    pub fn judge(&mut self, name: &'static str, keeps: Result<(), String>) {
        match keeps {
            Ok(()) => self.kept(name),
            Err(why) => self.broken(name, why),
        }
    }

    fn of(&self, clause: &Clause) -> Finding {
        let nothing = || Finding::NotTestable("no answer to judge by".to_owned());
        self.0.get(clause.name).cloned().unwrap_or_else(nothing)
    }

    /// Whether any clause is broken.
    pub fn any_broken(&self) -> bool {
        self.0.values().any(|finding| matches!(finding, Finding::Broken(_)))
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for clause in &CLAUSES {
            let (mark, why) = match self.of(clause) {
                Finding::Kept => ("kept", String::new()),
                Finding::Broken(why) => ("BROKEN", why),
                Finding::NotTestable(why) => ("not testable here", why),
            };
            text.push_str(&format!("{:18} {:18} {}\n", mark, clause.name, clause.says));
            if !why.is_empty() {
                text.push_str(&format!("{:18} {:18} -> {why}\n", "", ""));
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let one = |clause: &Clause| {
            let (finding, why) = match self.of(clause) {
                Finding::Kept => ("kept", None),
                Finding::Broken(why) => ("broken", Some(why)),
                Finding::NotTestable(why) => ("not-testable", Some(why)),
            };
            json!({
                "clause": clause.name,
                "finding": finding,
                "why": why,
                "says": clause.says,
                "see": format!("docs/ingestion/README.md#{}", clause.chapter),
            })
        };
        CLAUSES.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_is_not_forgotten() {
        let mut findings = Findings::default();
        findings.kept(HAVE);
        findings.broken(HAVE, "first");
        findings.broken(HAVE, "second");
        findings.kept(HAVE);
        findings.not_testable(HAVE, "third");
        assert_eq!(findings.0[HAVE], Finding::Broken("first".to_owned()));
        assert!(findings.any_broken());
    }

    #[test]
    fn the_chapters_that_clauses_point_at_are_there() {
        let page = include_str!("../../../docs/ingestion/README.md");
        let anchors: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|title| title.to_lowercase().replace(' ', "-"))
            .collect();
        for clause in &CLAUSES {
            assert!(anchors.iter().any(|anchor| anchor == clause.chapter), "{}", clause.chapter);
            assert!(page.contains(&format!("`{}`", clause.name)), "{} stands there", clause.name);
        }
    }
}
