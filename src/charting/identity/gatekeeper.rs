//! The one who stands at the door: takes a request's headers and says who it is, or why not.
//!
//! | request | headers | answer |
//! |---|---|---|
//! | open a session | `Authorization: Bearer TOKEN` or `DPoP TOKEN`, `DPoP: PROOF` | the session's secret |
//! | anything after | `Authorization: DPoP SECRET`, `DPoP: PROOF` | a [`Person`] |
//! | vouch again | the same, and a new token in the body | since when it was not vouched for |
//! | of the core | `Authorization: Bearer TOKEN` (with a proof if the token is bound) | a [`Person`] |
//!
//! The box keeps no token of the provider: when the provider can be reached again, the page gets a
//! new one there and hands it in.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::audit::{Counts, Happened, Notice};
use super::cache::{Cache, Fetched};
use super::claims::{Claims, Now, check};
use super::development::Issuer;
use super::kept::Folder;
use super::keys::KeySet;
use super::limits::{ADDRESS, Limits, Pace, SESSION};
use super::proof::{Asked, Proof, Replays};
use super::provider::{Endpoints, Source};
use super::refused::Refused;
use super::sessions::{Session, Sessions};
use super::settings::Settings;
use super::token::{Token, base64url};
use super::{Person, SessionMode};
use crate::association::PersonId;
use crate::vocabulary::Moment;
use crate::vocabulary::role::Role;

mod doors;
mod reading;

/// Rows of the audit record that wait to be written; more are counted and lost.
const NOTICES_MAX: usize = 1024;
/// So many refusals of one sort become rows of the audit record; all of them are counted.
const TOLD: Pace = Pace { per_second: 1, at_once: 60 };
/// How often the background looks whether keys are due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a gatekeeper is made of.
pub struct Setup {
    pub settings: Settings,
    /// Where keys come from.
    pub source: Source,
    /// `https://host[:port]` of every address at which phones reach the box.
    pub origins: Vec<String>,
    /// Where sessions and keys are kept.
    pub folder: PathBuf,
}

/// What of a request matters here.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// `GET`, `POST` ...
    pub method: &'a str,
    /// The path without query.
    pub path: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `DPoP`.
    pub proof: Option<&'a str>,
    pub from: IpAddr,
}

/// A session that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The secret that the phone sends from now on; given once.
    pub secret: String,
    pub person: Person,
    /// When the session ends whatever happens, in seconds since 1970.
    pub ends_s: i64,
}

/// The provider vouched for a session again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub person: Person,
    /// Since when the session's acts were not vouched for; they are now.
    pub unverified_since_s: Option<i64>,
}

/// What the operator ends.
#[derive(Clone, Copy, Debug)]
pub enum Revoke<'a> {
    /// All sessions of a person.
    Person(&'a PersonId),
    /// One session by its id.
    Session(&'a str),
    /// All sessions of a phone, by the thumbprint of its key.
    Phone(&'a str),
    Everything,
}

/// Why there is no gatekeeper.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder for sessions cannot be used: {0}")]
    Folder(std::io::Error),
    #[error("the provider's keys cannot be read by this configuration: {0}")]
    Provider(crate::forward::http::HttpError),
}

/// Stands at the door.
pub struct Gatekeeper {
    settings: Settings,
    source: Source,
    origins: Vec<String>,
    folder: Folder,
    inner: Mutex<Inner>,
    /// One reading of the provider at a time.
    reading: tokio::sync::Mutex<()>,
    /// One change of the sessions at a time: it is durable before it is true.
    changing: tokio::sync::Mutex<()>,
    notices: mpsc::Sender<Notice>,
    /// Proofs from before cannot be known to be new.
    began_s: i64,
}

struct Inner {
    cache: Cache,
    endpoints: Option<Endpoints>,
    sessions: Sessions,
    replays: Replays,
    addresses: Limits<IpAddr>,
    phones: Limits<String>,
    /// Rows of the audit record about refusals, by their sort.
    told: Limits<&'static str>,
    counts: Counts,
    /// When `proven_s` of the sessions was seen, in microseconds since boot.
    proven_us: Option<u64>,
}

impl Gatekeeper {
    /// Reads what was kept. Keys are read by [`Gatekeeper::run`], or when somebody comes.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(
        setup: Setup,
        now: Moment,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Notice>), OpenError> {
        let folder = Folder::open(&setup.folder).map_err(OpenError::Folder)?;
        let sessions: Sessions = reading::kept(&folder, reading::SESSIONS).unwrap_or_default();
        let cache = reading::kept_keys(&folder, &setup.settings, &sessions);
        let (notices, received) = mpsc::channel(NOTICES_MAX);
        let (cache, endpoints) = cache.unwrap_or_default();
        let inner = Inner {
            cache,
            endpoints,
            sessions,
            replays: Replays::default(),
            addresses: Limits::new(ADDRESS),
            phones: Limits::new(SESSION),
            told: Limits::new(TOLD),
            counts: Counts::default(),
            proven_us: None,
        };
        let gatekeeper = Self {
            settings: setup.settings,
            source: setup.source,
            origins: setup.origins,
            folder,
            inner: Mutex::new(inner),
            reading: tokio::sync::Mutex::new(()),
            changing: tokio::sync::Mutex::new(()),
            notices,
            began_s: now.utc_us().div_euclid(1_000_000),
        };
        Ok((Arc::new(gatekeeper), received))
    }

    /// Reads the provider's keys when they are due, until it is time to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>, clock: fn() -> Moment) {
        loop {
            let now = clock();
            let due = self.inner().cache.is_due(now);
            if due {
                self.read_keys(now, clock).await;
            }
            tokio::select! {
                biased;
                // Its sender is gone only when the house ends.
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// The issuer for demo and tests, where the site has one.
    pub fn development(&self) -> Option<&Arc<Issuer>> {
        match &self.source {
            Source::Development(issuer) => Some(issuer),
            Source::Provider(_) => None,
            #[cfg(test)]
            Source::Simulated(_) => None,
        }
    }

    /// Where the page signs people in, as the provider's discovery says; known once it was read.
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.inner().endpoints.clone()
    }

    /// What the site pins.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How often what was refused.
    pub fn counts(&self) -> Counts {
        self.inner().counts.clone()
    }

    /// The sessions that are open now, oldest first.
    pub fn open_sessions(&self, now: Moment) -> Vec<Session> {
        let now_s = self.now(now).utc_s;
        let mut open: Vec<Session> = self.inner().sessions.open_ones(now_s).cloned().collect();
        open.sort_by_key(|one| one.opened_s);
        open
    }

    /// When the provider vouched for this person last, in seconds since 1970.
    pub fn vouched_s(&self, person: &PersonId) -> Option<i64> {
        self.inner().sessions.vouched_s(person)
    }

    /// Seconds since the provider's keys were read.
    pub fn keys_age_s(&self, now: Moment) -> i64 {
        self.inner().cache.age_s(now)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds it panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, never before what the provider has proven.
    fn now(&self, moment: Moment) -> Now {
        let inner = self.inner();
        let since = inner.proven_us.map(|us| moment.monotonic_us().saturating_sub(us) / 1_000_000);
        let since = since.and_then(|s| i64::try_from(s).ok()).unwrap_or(0);
        Now::of(moment, inner.sessions.proven_s().saturating_add(since))
    }

    /// Counts and tells a refusal, where it is worth a row.
    fn refused(&self, why: Refused, moment: Moment, session: Option<&Session>) -> Refused {
        let mut inner = self.inner();
        *inner.counts.refused.entry(why.code()).or_default() += 1;
        // Whoever asks too much must not fill the audit record with it.
        let is_told = inner.told.take(why.code(), moment.monotonic_us()).is_ok();
        if why.status() == 429 || !is_told {
            inner.counts.refused_untold += 1;
            return why;
        }
        let notice = Notice {
            why: Some(why),
            person: session.map(|one| one.person.clone()),
            role: session.map(|one| one.role),
            session: session.map(|one| one.id.clone()),
            ..Notice::of(Happened::Refused, moment.utc_us())
        };
        if self.notices.try_send(notice).is_err() {
            inner.counts.notices_lost += 1;
        }
        why
    }

    fn tell(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.inner().counts.notices_lost += 1;
        }
    }
}
