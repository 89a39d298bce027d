//! Public keys (RFC 7517) and what they sign: ES256 and RS256 through `ring`, nothing else.
//!
//! A key decides by itself which algorithm it is for. A token's `alg` only has to agree, so that no
//! token can have a public key taken for a shared secret.

use std::fmt;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::refused::Refused;
use super::token::{Token, base64url, bytes, strict_object};

/// A provider with more keys than this is not one of ours.
const KEYS_MAX: usize = 32;
/// The longest key id, in bytes.
const KID_BYTES_MAX: usize = 256;
/// A coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

/// A signature algorithm (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits.
    Rs256,
}

impl Algorithm {
    /// By its name in RFC 7518; no other name is known.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

/// One public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    /// The uncompressed point: 04, x, y.
    P256(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm())
    }
}

impl PublicKey {
    /// Reads a JWK that is for verifying; `None` if it is anything else: another kind, for
    /// encryption, with a private part.
    pub fn of_jwk(jwk: &Map<String, Json>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Json::as_str);
        if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.contains_key(*name)) {
            return None;
        }
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|one| *one == "verify")?;
        }
        let part = |name: &str| bytes(text(name)?);
        let material = match text("kty")? {
            "EC" if text("crv") == Some("P-256") => {
                let (x, y) = (part("x")?, part("y")?);
                if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
                    return None;
                }
                Material::P256([&[4], &x[..], &y[..]].concat())
            }
            "RSA" => Material::Rsa { modulus: part("n")?, exponent: part("e")? },
            _ => return None,
        };
        let key = Self { material };
        let agrees = !jwk.contains_key("alg")
            || text("alg").and_then(Algorithm::named) == Some(key.algorithm());
        agrees.then_some(key)
    }

    /// The algorithm that it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::P256(_) => Algorithm::Es256,
            Material::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// Whether it has signed that.
    ///
    /// # Errors
    /// [`Refused::TokenSignature`].
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match &self.material {
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Material::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                    &RSA_PKCS1_2048_8192_SHA256,
                    signed,
                    signature,
                )
            }
        };
        verified.map_err(|_| Refused::TokenSignature)
    }

    /// The thumbprint (RFC 7638) in base64url; `None` for RSA, which no phone of ours uses.
    pub fn thumbprint(&self) -> Option<String> {
        let Material::P256(point) = &self.material else { return None };
        let (x, y) = point.get(1..)?.split_at_checked(COORDINATE_BYTES)?;
        let (x, y) = (base64url(x), base64url(y));
        let members = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
        Some(base64url(&Sha256::digest(members)))
    }
}

/// What a provider publishes: its keys by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<(String, PublicKey)>,
}

impl KeySet {
    /// Reads a JWK set. Keys that are not for us, or have no id, are left out. `None`: it is no key
    /// set, or has nothing for us, or more than [`KEYS_MAX`].
    pub fn parse(text: &[u8]) -> Option<Self> {
        let set = strict_object(text)?;
        let listed = set.get("keys")?.as_array().filter(|listed| listed.len() <= KEYS_MAX)?;
        let mut keys = Vec::new();
        for jwk in listed.iter().filter_map(Json::as_object) {
            let kid = jwk.get("kid").and_then(Json::as_str);
            let kid = kid.filter(|kid| (1..=KID_BYTES_MAX).contains(&kid.len()));
            if let (Some(kid), Some(key)) = (kid, PublicKey::of_jwk(jwk)) {
                keys.push((kid.to_owned(), key));
            }
        }
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// The key that a token was signed with, proven by its signature.
    ///
    /// # Errors
    /// [`Refused::TokenAlgorithm`], [`Refused::TokenKeyUnknown`], [`Refused::TokenSignature`].
    pub fn verify(&self, token: &Token<'_>, allowed: &[Algorithm]) -> Result<(), Refused> {
        let named = token.header_text("alg").and_then(Algorithm::named);
        let algorithm = named.filter(|one| allowed.contains(one)).ok_or(Refused::TokenAlgorithm)?;
        let unknown = Refused::TokenKeyUnknown;
        let kid = token.header_text("kid").filter(|kid| kid.len() <= KID_BYTES_MAX);
        let kid = kid.ok_or(unknown)?;
        // Two keys of different kinds may share an id (RFC 7517, 4.5).
        let mut of_that_id = self.keys.iter().filter(|(id, _)| id == kid).peekable();
        of_that_id.peek().ok_or(unknown)?;
        let mut fitting = of_that_id.filter(|(_, key)| key.algorithm() == algorithm).peekable();
        fitting.peek().ok_or(Refused::TokenAlgorithm)?;
        if fitting.any(|(_, key)| key.verify(token.signed, &token.signature).is_ok()) {
            return Ok(());
        }
        Err(Refused::TokenSignature)
    }

    /// Takes a key away, whatever the provider says.
    pub fn remove(&mut self, kid: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|(id, _)| id != kid);
        self.keys.len() < before
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
