//! Reading the provider's keys, and what is on the disk.

use super::*;

/// The file of sessions.
pub(super) const SESSIONS: &str = "sessions.json";
/// The file of the keys as they were read last. They are public.
const KEYS: &str = "keys.json";

/// The provider's documents as they came.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptKeys {
    issuer: String,
    read_s: i64,
    discovery: String,
    key_set: String,
}

/// What a file holds. A damaged one is put aside: people sign in again, which harms nobody.
pub(super) fn kept<T: serde::de::DeserializeOwned>(folder: &Folder, name: &str) -> Option<T> {
    match folder.read(name) {
        Ok(found) => found,
        Err(error) => {
            let aside = folder.set_aside(name).is_ok();
            tracing::warn!(file = name, %error, aside, "begun anew: people have to sign in again");
            None
        }
    }
}

/// The keys of the last run, if they are of this issuer.
pub(super) fn kept_keys(
    folder: &Folder,
    settings: &Settings,
    sessions: &Sessions,
) -> Option<(Cache, Option<Endpoints>)> {
    let kept: KeptKeys = kept(folder, KEYS)?;
    if kept.issuer != settings.issuer {
        return None;
    }
    let endpoints = Endpoints::of(kept.discovery.as_bytes(), &settings.issuer)?;
    let keys = without(KeySet::parse(kept.key_set.as_bytes())?, &sessions.removed_keys);
    Some((Cache::kept(keys, kept.read_s), Some(endpoints)))
}

fn without(mut keys: KeySet, removed: &[String]) -> KeySet {
    for kid in removed {
        keys.remove(kid);
    }
    keys
}

impl Gatekeeper {
    /// What a token says, if it is believed; reads the keys again if it names one that is not
    /// there.
    pub(super) async fn believed(&self, text: &str, now: Moment) -> Result<Claims, Refused> {
        let token = Token::parse(text)?;
        self.refresh_if_stale(now).await;
        let checked = self.checked(&token, now);
        let unknown = matches!(checked, Err(Refused::TokenKeyUnknown));
        let claims = if unknown && self.read_keys_for_one(now).await {
            self.checked(&token, now)?
        } else {
            checked?
        };
        let mut inner = self.inner();
        if claims.issued_s >= inner.sessions.proven_s() {
            inner.proven_us = Some(now.monotonic_us());
        }
        Ok(claims)
    }

    fn checked(&self, token: &Token<'_>, now: Moment) -> Result<Claims, Refused> {
        let time = self.now(now);
        let inner = self.inner();
        let keys = inner.cache.keys(now, self.settings.outage_s);
        check(token, keys.ok_or(Refused::IdentityUnavailable)?, &self.settings, time)
    }

    pub(super) async fn refresh_if_stale(&self, now: Moment) {
        let stale = self.inner().cache.is_stale(now);
        if stale {
            self.read_keys_for_one(now).await;
        }
    }

    /// Reads the keys for somebody who waits, unless they were read just before. Whether it is
    /// worth looking again.
    async fn read_keys_for_one(&self, now: Moment) -> bool {
        if self.inner().cache.must_wait(now) && self.reading.try_lock().is_ok() {
            return false;
        }
        let _one = self.reading.lock().await;
        // Whoever waited here gets what the other one has read.
        if self.inner().cache.must_wait(now) {
            return true;
        }
        self.read_now(now).await;
        true
    }

    pub(super) async fn read_keys(&self, now: Moment, clock: fn() -> Moment) {
        let _one = self.reading.lock().await;
        let due = self.inner().cache.is_due(clock());
        if due {
            self.read_now(now).await;
        }
    }

    /// Asks the provider, and keeps what it says on the disk.
    async fn read_now(&self, now: Moment) {
        self.inner().cache.tries(now);
        let fetched = self.source.fetch(&self.settings.issuer).await;
        let (changed, alarm) = {
            let mut inner = self.inner();
            inner.counts.key_readings += 1;
            inner.counts.key_readings_failed += u64::from(fetched.is_err());
            let removed = inner.sessions.removed_keys.clone();
            let keys = fetched.as_ref().ok().map(|one| without(one.keys.clone(), &removed));
            if let Ok(one) = &fetched {
                inner.endpoints = Endpoints::of(&one.discovery, &self.settings.issuer);
            }
            (inner.cache.read(keys, now), inner.cache.alarm(now))
        };
        match &fetched {
            Ok(_) if changed => tracing::info!("the identity provider answers"),
            Ok(_) => {}
            Err(error) if changed => {
                tracing::warn!(%error, "the identity provider is out of reach: sessions go on");
            }
            Err(error) if alarm => {
                tracing::error!(%error, "the provider's keys are an hour old and cannot be read");
            }
            Err(_) => {}
        }
        if let Ok(one) = fetched {
            self.keep_keys(one, now).await;
        }
    }

    /// Keys that are not kept cost nothing but a restart during an outage.
    async fn keep_keys(&self, fetched: Fetched, now: Moment) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let (Some(discovery), Some(key_set)) = (text(fetched.discovery), text(fetched.key_set))
        else {
            return;
        };
        let kept = KeptKeys {
            issuer: self.settings.issuer.clone(),
            read_s: now.utc_us().div_euclid(1_000_000),
            discovery,
            key_set,
        };
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || folder.write(KEYS, &kept)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!("the provider's keys are not kept: a restart would have to read them");
        }
    }

    /// Makes a change of the sessions durable, and then true. The caller holds `changing`.
    pub(super) async fn keep(&self, sessions: Sessions, now: Moment) -> Result<(), Refused> {
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            folder.write(SESSIONS, &sessions).map(|()| sessions)
        });
        match written.await {
            Ok(Ok(sessions)) => {
                let mut inner = self.inner();
                if sessions.proven_s() > inner.sessions.proven_s() {
                    inner.proven_us = Some(now.monotonic_us());
                }
                inner.sessions = sessions;
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "sessions are not kept: the disk does not take them");
                Err(Refused::NotKept)
            }
            Err(_) => Err(Refused::NotKept),
        }
    }
}
