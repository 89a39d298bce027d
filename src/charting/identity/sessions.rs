//! Shift sessions: opened by a token of the provider, bound to the key of one phone, over at a time
//! that nothing moves. Pure; [`super::kept`] puts them on the disk.
//!
//! Of the secret that the phone sends only the hash is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::claims::Claims;
use super::refused::Refused;
use super::settings::Settings;
use super::token::base64url;
use crate::association::PersonId;
use crate::vocabulary::role::Role;

/// A hospital has fewer people at once on what one box serves.
const SESSIONS_MAX: usize = 2000;
/// The provider can be reached again, but a phone has not asked it yet: so long it may take.
const VERIFY_GRACE_S: i64 = 15 * 60;

/// Longer than anybody asks whether an act was verified: two days of acts, and the shift before.
const VOUCHED_KEPT_S: i64 = 72 * 3600;

/// Why a session is over before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    SignedOut,
    /// The operator ended it.
    Revoked,
    /// The person opened more sessions than one may have.
    Replaced,
}

/// One session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Names it in audit rows; opens nothing.
    pub id: String,
    /// The thumbprint of the phone's key.
    pub key: String,
    pub person: PersonId,
    pub name: String,
    pub role: Role,
    pub student: bool,
    pub wards: Vec<String>,
    pub client: String,
    pub opened_s: i64,
    /// Never moved.
    pub ends_s: i64,
    /// When the provider vouched for the person last.
    pub verified_s: i64,
    /// Since when something was done that the provider has not vouched for.
    pub unverified_since_s: Option<i64>,
    pub end: Option<End>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {:?})", self.id, self.end)
    }
}

/// What the provider is at the moment, as far as sessions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Since when, in seconds since 1970.
    Reached {
        since_s: i64,
    },
    Away,
}

/// All sessions and what else must survive a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// By the hash of the secret.
    sessions: BTreeMap<String, Session>,
    /// Tokens that opened a session: hash of the token's id; key, end of the token.
    used: BTreeMap<String, (String, i64)>,
    /// A time that has certainly been: the newest `iat` of a token that was believed.
    proven_s: i64,
    /// Ids of keys that the operator does not believe any more.
    pub removed_keys: Vec<String>,
    /// When the provider vouched for each person last: the newest `iat` of a token of theirs.
    #[serde(default)]
    vouched: BTreeMap<PersonId, i64>,
}

/// The hash by which a secret is kept.
pub fn hash(secret: &str) -> String {
    base64url(&Sha256::digest(secret))
}

impl Sessions {
    /// Opens a session; answers the ids of those that ended for it.
    ///
    /// # Errors
    /// [`Refused::TokenUsed`], [`Refused::TooMany`].
    pub fn open(
        &mut self,
        secret: &str,
        id: String,
        key: &str,
        claims: &Claims,
        now_s: i64,
        settings: &Settings,
    ) -> Result<Vec<String>, Refused> {
        self.forget(now_s);
        self.use_token(claims, key)?;
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Refused::TooMany { retry_after_s: 60 });
        }
        let mut open: Vec<&mut Session> = self.sessions.values_mut().collect();
        open.retain(|session| session.person == claims.person && session.end.is_none());
        open.sort_by_key(|session| session.opened_s);
        // Whoever signs in again with the same phone has lost the answer or the page.
        let mut ended = Vec::new();
        let over = (open.len() + 1).saturating_sub(settings.sessions_per_person);
        for (index, session) in open.into_iter().enumerate() {
            if index < over || session.key == key {
                session.end = Some(End::Replaced);
                ended.push(session.id.clone());
            }
        }
        let session = Session {
            id,
            key: key.to_owned(),
            person: claims.person.clone(),
            name: claims.name.clone(),
            role: claims.role,
            student: claims.student,
            wards: claims.wards.clone(),
            client: claims.client.clone(),
            opened_s: now_s,
            ends_s: now_s.saturating_add(settings.session_s),
            verified_s: now_s,
            unverified_since_s: None,
            end: None,
        };
        self.sessions.insert(hash(secret), session);
        Ok(ended)
    }

    /// A token opens sessions of one phone only: a second phone with it is not its owner's.
    fn use_token(&mut self, claims: &Claims, key: &str) -> Result<(), Refused> {
        let token = hash(&claims.jti);
        if self.used.get(&token).is_some_and(|(other, _)| other != key) {
            return Err(Refused::TokenUsed);
        }
        self.used.insert(token, (key.to_owned(), claims.expires_s));
        self.proven_s = self.proven_s.max(claims.issued_s);
        let vouched = self.vouched.entry(claims.person.clone()).or_insert(claims.issued_s);
        *vouched = claims.issued_s.max(*vouched);
        Ok(())
    }

    /// The session of a secret, as long as it is one.
    ///
    /// # Errors
    /// [`Refused::SessionUnknown`], [`Refused::SessionEnded`], [`Refused::SessionRevoked`].
    pub fn find(&self, secret: &str, now_s: i64) -> Result<&Session, Refused> {
        let session = self.sessions.get(&hash(secret)).ok_or(Refused::SessionUnknown)?;
        match session.end {
            Some(End::Revoked) => Err(Refused::SessionRevoked),
            Some(End::SignedOut | End::Replaced) => Err(Refused::SessionEnded),
            None if now_s >= session.ends_s => Err(Refused::SessionEnded),
            None => Ok(session),
        }
    }

    /// Whether the provider still vouches for a session: `None`, or since how many seconds it has
    /// not.
    ///
    /// # Errors
    /// [`Refused::SessionUnverified`]: it could have been asked, and was not.
    pub fn age(
        session: &Session,
        provider: Provider,
        now_s: i64,
        settings: &Settings,
    ) -> Result<Option<i64>, Refused> {
        let age = now_s.saturating_sub(session.verified_s).max(0);
        let Provider::Reached { since_s } = provider else { return Ok(Some(age)) };
        if age <= settings.verify_every_s {
            return Ok(None);
        }
        let due = session.verified_s.saturating_add(settings.verify_every_s).max(since_s);
        if now_s > due.saturating_add(VERIFY_GRACE_S) {
            return Err(Refused::SessionUnverified);
        }
        Ok(Some(age))
    }

    /// Something was done in the session that the provider has not vouched for. Whether that is
    /// news.
    pub fn note_unverified(&mut self, secret: &str, now_s: i64) -> bool {
        let session = self.sessions.get_mut(&hash(secret));
        session.is_some_and(|session| {
            let is_news = session.unverified_since_s.is_none();
            session.unverified_since_s.get_or_insert(now_s);
            is_news
        })
    }

    /// The provider vouches for the session's person again, with a new token. Answers the session,
    /// and since when it was not vouched for.
    ///
    /// # Errors
    /// [`Refused::TokenPerson`], [`Refused::TokenUsed`].
    pub fn verify(
        &mut self,
        secret: &str,
        claims: &Claims,
        now_s: i64,
    ) -> Result<(Session, Option<i64>), Refused> {
        let found = self.find(secret, now_s)?;
        if found.person != claims.person || found.client != claims.client {
            return Err(Refused::TokenPerson);
        }
        if claims.issued_s < found.verified_s.saturating_sub(60) {
            return Err(Refused::TokenExpired);
        }
        let key = found.key.clone();
        self.use_token(claims, &key)?;
        let session = self.sessions.get_mut(&hash(secret)).ok_or(Refused::SessionUnknown)?;
        session.verified_s = now_s;
        let since = session.unverified_since_s.take();
        // What the provider says of the person now counts from now on.
        session.role = claims.role;
        session.student = claims.student;
        session.wards.clone_from(&claims.wards);
        session.name.clone_from(&claims.name);
        Ok((session.clone(), since))
    }

    /// Ends the session of a secret.
    pub fn sign_out(&mut self, secret: &str) {
        if let Some(session) = self.sessions.get_mut(&hash(secret)) {
            session.end.get_or_insert(End::SignedOut);
        }
    }

    /// Ends sessions that fit; answers their ids.
    pub fn revoke(&mut self, fits: impl Fn(&Session) -> bool) -> Vec<String> {
        let open = self.sessions.values_mut().filter(|session| session.end.is_none());
        open.filter(|session| fits(session))
            .map(|session| {
                session.end = Some(End::Revoked);
                session.id.clone()
            })
            .collect()
    }

    /// A time that has certainly been.
    pub fn proven_s(&self) -> i64 {
        self.proven_s
    }

    /// When the provider vouched for this person last, whichever session that was for.
    pub fn vouched_s(&self, person: &PersonId) -> Option<i64> {
        self.vouched.get(person).copied()
    }

    /// Those that are open, for the operator.
    pub fn open_ones(&self, now_s: i64) -> impl Iterator<Item = &Session> {
        self.sessions.values().filter(move |one| one.end.is_none() && now_s < one.ends_s)
    }

    fn forget(&mut self, now_s: i64) {
        // A phone that asks a little later still hears why.
        self.sessions.retain(|_, session| now_s < session.ends_s.saturating_add(3600));
        self.used.retain(|_, (_, until)| now_s < until.saturating_add(120));
        self.vouched.retain(|_, vouched_s| now_s < vouched_s.saturating_add(VOUCHED_KEPT_S));
    }
}
