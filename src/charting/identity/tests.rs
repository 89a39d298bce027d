//! Tokens that are not what they say, sessions in wrong hands, a provider that is away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache::Fetched;
use super::keys::KeySet;
use super::provider::FetchError;

/// A provider without a network.
#[derive(Default)]
pub struct Simulated {
    /// What it publishes; nothing: it is away.
    pub key_set: Mutex<Option<Vec<u8>>>,
    pub asked: AtomicU64,
}

impl Simulated {
    pub fn fetch(&self) -> Result<Fetched, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let key_set = self.key_set.lock().unwrap().clone().ok_or(FetchError::Discovery)?;
        let keys = KeySet::parse(&key_set).ok_or(FetchError::Keys)?;
        let discovery =
            b"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/k\"}";
        Ok(Fetched { keys, discovery: discovery.to_vec(), key_set })
    }
}
