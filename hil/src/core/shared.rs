//! What both bindings of the stand-in core share: the store, the faults, and who is let in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use serde_json::{Value as Json, json};

use super::answer::ranges;
use super::faults::{Fault, Faults, Moment};
use super::store::{Arrived, FIRST_GENERATION, Outcome, Store};
use super::{Error, Options, manifest, now_us, tls};

pub struct Shared {
    store: Mutex<Store>,
    path: PathBuf,
    faults: Mutex<Faults>,
    pub receiver: String,
    pub tls: tls::Files,
    /// The `Authorization` header of the client; `None`: everybody is let in.
    client: Option<String>,
    tokens: Mutex<BTreeSet<String>>,
    /// The generation that each MQTT response topic was told, per stream.
    told: Mutex<BTreeMap<(String, String), u64>>,
}

impl Shared {
    pub fn new(options: &Options) -> Result<Self, Error> {
        let shared = Self {
            store: Mutex::new(Store::open(&options.store, options.filter)?),
            path: options.store.clone(),
            faults: Mutex::new(Faults::default()),
            receiver: options.receiver.clone(),
            tls: options.tls.clone(),
            client: options.client.as_deref().map(basic),
            tokens: Mutex::default(),
            told: Mutex::default(),
        };
        options.fault.iter().try_for_each(|fault| shared.set(fault.clone()))?;
        Ok(shared)
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets faults by their words, and says so on standard output.
    pub fn set_faults<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        for words in words.into_iter().filter(|words| !words.trim().is_empty()) {
            let fault = words.parse()?;
            self.set(fault).map_err(|error| error.to_string())?;
            println!("{}", json!({ "core": "fault", "set": words }));
        }
        Ok(())
    }

    fn set(&self, fault: Fault) -> Result<(), Error> {
        if let Fault::Restore(lines) = fault {
            return self.store().restore(&self.path, lines);
        }
        self.faults().add(fault);
        Ok(())
    }

    /// Stores a group durably and says what became of each, or dies if it was told to.
    pub fn receive(&self, group: Vec<Arrived>) -> Result<Vec<Outcome>, Error> {
        let mut faults = self.faults();
        faults.group();
        faults.die_at(Moment::BeforeCommit);
        let outcomes = self.store().keep(group, now_us(), &faults)?;
        faults.die_at(Moment::AfterCommit);
        Ok(outcomes)
    }

    /// `have` for the topic beside this response topic, once after each restore.
    pub fn have_after_restore(&self, topic: &str, stream: &str) -> Option<(String, Vec<u8>)> {
        let store = self.store();
        let generation = store.generation();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.insert((topic.to_owned(), stream.to_owned()), generation);
        if before.unwrap_or(FIRST_GENERATION) == generation {
            return None;
        }
        let have = json!({
            "stream": stream,
            "ranges": ranges(store.known(stream)?),
            "receiver_id": self.receiver,
            "generation": generation,
        });
        let topic = topic.replacen("/acknowledgement/", "/have/", 1);
        Some((topic, have.to_string().into_bytes()))
    }

    /// The answer to a manifest that came; `None`: there is none.
    pub fn manifest_answer(&self, stream: &str, sequence: u64, faults: &Faults) -> Option<Json> {
        // What is being stored now is on disk before it is compared.
        let _store = self.store();
        manifest::answer(&self.path, (stream, sequence), &self.receiver, faults)
    }

    /// Whether the request carries a token of ours, where one is wanted.
    pub fn lets_in(&self, headers: &HeaderMap) -> bool {
        if self.client.is_none() || self.faults().has(&Fault::Open) {
            return true;
        }
        let asked = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = asked.and_then(|asked| asked.strip_prefix("Bearer "));
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        token.is_some_and(|token| tokens.contains(token))
    }

    pub fn is_client(&self, authorization: &str) -> bool {
        self.client.as_deref() == Some(authorization)
    }

    /// A token that is good as long as the process lives.
    pub fn new_token(&self) -> String {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = format!("token-{}-{}", tokens.len(), now_us());
        tokens.insert(token.clone());
        token
    }
}

/// The header of HTTP Basic for `id:secret`.
fn basic(pair: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for three in pair.as_bytes().chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let digit = if place > three.len() { b'=' } else { DIGITS[digit as usize] };
            text.push(char::from(digit));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_base64() {
        // RFC 7617, 2, and RFC 4648, 10.
        assert_eq!(basic("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("fooba"), "Basic Zm9vYmE=");
        assert_eq!(basic("foobar"), "Basic Zm9vYmFy");
    }
}
