//! The proof that a request comes from the phone that holds the key (RFC 9449).
//!
//! | member | must be |
//! |---|---|
//! | header `typ` | `dpop+jwt` |
//! | header `alg` | `ES256` |
//! | header `jwk` | the public key, P-256, nothing private |
//! | `htm`, `htu` | the request's method, and its address; query and fragment do not count |
//! | `iat` | now by the box's clock: 60 s old at most, 30 s ahead at most |
//! | `jti` | 1 to 128 bytes, used once |
//! | `ath` | base64url(SHA-256) of the credential in `Authorization` |
//!
//! A phone whose own clock is wrong gets the box's time with the refusal and uses that.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::keys::{Algorithm, PublicKey};
use super::refused::Refused;
use super::token::{Token, base64url};

/// How old a proof may be.
pub const PROOF_AGE_S_MAX: i64 = 60;
/// How far ahead of the box a proof's time may be.
const PROOF_AHEAD_S_MAX: i64 = 30;
/// The longest id of a proof.
const JTI_BYTES_MAX: usize = 128;
/// So many proofs are remembered: 1,000 phones at the session's limit fit.
const SEEN_MAX: usize = 100_000;

/// The request that a proof has to be of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Without query.
    pub path: &'a str,
    /// `https://host[:port]` of every address at which phones reach the box.
    pub origins: &'a [String],
    /// What stands in `Authorization` behind the scheme.
    pub credential: &'a str,
}

/// A proof that fits its request; whether it was used before is asked of [`Replays`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Of the key (RFC 7638).
    pub thumbprint: String,
    pub jti: String,
    pub issued_s: i64,
}

impl Proof {
    /// Checks a proof.
    ///
    /// # Errors
    /// [`Refused::ProofWrong`], and [`Refused::ProofTime`] if nothing else is wrong with it.
    pub fn check(text: &str, asked: Asked<'_>, now_s: i64) -> Result<Self, Refused> {
        let wrong = Refused::ProofWrong;
        let token = Token::parse_proof(text).map_err(|_| wrong)?;
        let is_es256 =
            token.header_text("alg").and_then(Algorithm::named) == Some(Algorithm::Es256);
        if !is_es256 || token.header_text("typ") != Some("dpop+jwt") {
            return Err(wrong);
        }
        let jwk = token.header.get("jwk").and_then(serde_json::Value::as_object).ok_or(wrong)?;
        let key = PublicKey::of_jwk(jwk).ok_or(wrong)?;
        // Only a key for ES256 has one.
        let thumbprint = key.thumbprint().ok_or(wrong)?;
        key.verify(token.signed, &token.signature).map_err(|_| wrong)?;
        let address = token.text("htu").ok_or(wrong)?;
        // Query and fragment do not count (RFC 9449, 4.3).
        let address = address.split(['?', '#']).next().unwrap_or_default();
        let here = |origin: &String| address.strip_prefix(origin.as_str()) == Some(asked.path);
        let hash = base64url(&Sha256::digest(asked.credential));
        let fits = token.text("htm") == Some(asked.method)
            && asked.origins.iter().any(here)
            && token.text("ath") == Some(&hash);
        let jti =
            token.text("jti").filter(|jti| jti.len() <= JTI_BYTES_MAX && fits).ok_or(wrong)?;
        let issued_s = token.seconds("iat").ok_or(wrong)?;
        let range = now_s.saturating_sub(PROOF_AGE_S_MAX)..=now_s.saturating_add(PROOF_AHEAD_S_MAX);
        if !range.contains(&issued_s) {
            return Err(Refused::ProofTime);
        }
        Ok(Self { thumbprint, jti: jti.to_owned(), issued_s })
    }
}

/// The proofs that were used and are still young enough to be tried again.
#[derive(Debug, Default)]
pub struct Replays {
    /// When each may be forgotten, in seconds since 1970.
    seen: HashMap<[u8; 32], i64>,
}

impl Replays {
    /// Takes a proof, once.
    ///
    /// # Errors
    /// [`Refused::ProofReplayed`]; [`Refused::TooMany`] where another one cannot be remembered.
    pub fn take(&mut self, proof: &Proof, now_s: i64) -> Result<(), Refused> {
        let key: [u8; 32] =
            Sha256::digest(format!("{} {}", proof.thumbprint, proof.jti).as_bytes()).into();
        if self.seen.contains_key(&key) {
            return Err(Refused::ProofReplayed);
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.retain(|_, until| *until >= now_s);
        }
        if self.seen.len() >= SEEN_MAX {
            return Err(Refused::TooMany { retry_after_s: 10 });
        }
        self.seen.insert(key, proof.issued_s.saturating_add(PROOF_AGE_S_MAX));
        Ok(())
    }
}
