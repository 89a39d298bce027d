//! What an operator does about the bedside's shift sessions and the provider's keys: see who is
//! signed in, end sessions, take a key out of belief. Who asked, what and why stands in the journal
//! before it takes effect.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::asked::{Answer, Desk};
use super::ending::{NAME_CHARACTERS_MAX, REASON_CHARACTERS_MAX, check_text};
use crate::association::PersonId;
use crate::charting::identity::{Gatekeeper, Revoke};
use crate::journal::Kind;
use crate::link::clock;
use crate::vocabulary::moment::utc_text;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shift {
    /// The sessions that are open now.
    List,
    /// Ends sessions.
    End { whose: Whose, word: Word },
    /// Takes a key of the provider out of belief for good.
    RemoveKey { kid: String, word: Word },
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// One session, by its id.
    Session(String),
    /// A person's, by the provider's id of the person.
    Person(String),
    /// All of a phone, by the thumbprint of its key.
    Phone(String),
    Everybody,
}

/// Who decides it, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub by: String,
    pub reason: String,
}

impl Word {
    /// Whether both may stand in the journal.
    ///
    /// # Errors
    /// What is wrong with them; never what stands in them.
    pub fn check(&self) -> Result<(), String> {
        check_text("--reason", &self.reason, REASON_CHARACTERS_MAX)
            .and_then(|()| check_text("--by", &self.by, NAME_CHARACTERS_MAX))
    }
}

impl Desk {
    /// Does what `user` asks.
    pub(super) async fn shifts(&self, asked: Shift, user: u32) -> Answer {
        let Some(gatekeeper) = self.gatekeeper.get() else {
            return Answer::no("this house has no bedside: no [charting] in its configuration");
        };
        match asked {
            Shift::List => list(gatekeeper),
            Shift::End { whose, word } => self.end_sessions(gatekeeper, &whose, &word, user).await,
            Shift::RemoveKey { kid, word } => {
                let what = json!({
                    "event": "key-removed", "kid": kid, "by": word.by, "reason": word.reason,
                    "user": user,
                });
                if let Err(no) = self.allowed(&word, what).await {
                    return no;
                }
                match gatekeeper.remove_key(&kid, clock::now()).await {
                    Ok(()) => {
                        tracing::warn!(user, "a key of the provider is not believed any more");
                        let line = "tokens that it signed are refused from now on".to_owned();
                        Answer { done: true, lines: vec![line] }
                    }
                    Err(_) => Answer::no("the disk did not take it: the key is still believed"),
                }
            }
        }
    }

    async fn end_sessions(
        &self,
        gatekeeper: &Gatekeeper,
        whose: &Whose,
        word: &Word,
        user: u32,
    ) -> Answer {
        let person = match whose {
            Whose::Person(id) => match PersonId::parse(id) {
                Ok(person) => Some(person),
                Err(_) => return Answer::no("--person: expected the provider's id of a person"),
            },
            Whose::Session(_) | Whose::Phone(_) | Whose::Everybody => None,
        };
        let revoke = match (whose, &person) {
            (Whose::Session(id), _) => Revoke::Session(id),
            (Whose::Phone(key), _) => Revoke::Phone(key),
            (Whose::Everybody, _) | (Whose::Person(_), None) => Revoke::Everything,
            (Whose::Person(_), Some(person)) => Revoke::Person(person),
        };
        let what = json!({
            "event": "sessions-ended", "whose": whose, "by": word.by, "reason": word.reason,
            "user": user,
        });
        if let Err(no) = self.allowed(word, what).await {
            return no;
        }
        match gatekeeper.revoke(revoke, clock::now()).await {
            Ok(0) => Answer::no("no session of that is open: nothing has changed"),
            Ok(many) => {
                tracing::warn!(user, many, "sessions of the bedside are ended");
                Answer { done: true, lines: vec![format!("{many} sessions are ended")] }
            }
            Err(_) => Answer::no("the disk did not take it: the sessions go on"),
        }
    }

    /// Whether the word is one, and stands in the journal.
    async fn allowed(&self, word: &Word, what: serde_json::Value) -> Result<(), Answer> {
        word.check().map_err(Answer::no)?;
        if self.kept(Kind::Audit, json!({ "data": what })).await {
            return Ok(());
        }
        Err(Answer::no("the journal takes nothing now: nothing has changed"))
    }
}

fn list(gatekeeper: &Gatekeeper) -> Answer {
    let open = gatekeeper.open_sessions(clock::now());
    let head = format!("{:<24} {:<24} {:<22} opened, ends", "session", "person", "role");
    let rows = open.iter().map(|one| {
        let (opened, ends) = (utc_text(one.opened_s * 1_000_000), utc_text(one.ends_s * 1_000_000));
        let seconds = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
        let (id, person, role) = (&one.id, one.person.reveal(), one.role.word());
        format!("{id:<24} {person:<24} {role:<22} {}Z, {}Z", seconds(&opened), seconds(&ends))
    });
    Answer { done: true, lines: std::iter::once(head).chain(rows).collect() }
}
