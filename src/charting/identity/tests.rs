//! Tokens that are not what they say, sessions in wrong hands, a provider that is away.

mod doors;
mod outage;
mod proofs;
mod rights;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::audit::Notice;
use super::cache::Fetched;
use super::keys::KeySet;
use super::provider::{FetchError, Source};
use super::token::{base64url, bytes};
use super::{Gatekeeper, Headers, Settings, Setup};
use crate::gateway::configuration::IdentityTable;
use crate::vocabulary::{Certainty, Moment};

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const ORIGIN: &str = "https://box.ward.example";

/// What a site says.
pub(crate) const TABLE: &str = r#"
issuer = "https://id.example"
audience = "wardgate"
algorithms = ["ES256", "RS256"]
clients = ["bedside"]
core_clients = ["core"]
roles_claim = ["ward", "roles"]
role = [
  { value = "sh", role = "registered-nurse" },
  { value = "lh", role = "practical-nurse" },
  { value = "opiskelija", role = "student" },
]
"#;

fn settings_with(more: &str) -> Settings {
    let table: IdentityTable = toml::from_str(&format!("{more}\n{TABLE}")).unwrap();
    Settings::from(&table)
}

/// Seconds after the start of the story, by a clock that is proven.
fn at(s: i64) -> Moment {
    let since = u64::try_from(s).unwrap();
    Moment::new(50_000_000 + since * 1_000_000, (START_S + s) * 1_000_000, Certainty::Synchronised)
}

/// 2027-01-15T08:00:00Z
const START_S: i64 = 1_800_000_000;

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
        let discovery = json!({ "issuer": ISSUER, "jwks_uri": "https://id.example/keys" });
        Ok(Fetched { keys, discovery: discovery.to_string().into_bytes(), key_set })
    }

    pub(crate) fn publish(&self, keys: &[Json]) {
        *self.key_set.lock().unwrap() = Some(json!({ "keys": keys }).to_string().into_bytes());
    }

    pub(crate) fn go_away(&self) {
        *self.key_set.lock().unwrap() = None;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A pair for ES256.
pub(crate) struct Pair {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap();
        Self { key, random }
    }

    fn jwk(&self) -> Json {
        let point = self.key.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        base64url(&Sha256::digest(text))
    }

    pub(crate) fn published(&self, kid: &str) -> Json {
        with(&self.jwk(), json!({ "kid": kid, "use": "sig", "alg": "ES256" }))
    }

    pub(crate) fn signs(&self, header: &Json, claims: &Json) -> String {
        let signed = unsigned(header, claims);
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}

/// Header and claims in base64url.
fn unsigned(header: &Json, claims: &Json) -> String {
    let part = |json: &Json| base64url(json.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// An object with other members put in; `null` takes one out.
pub(crate) fn with(json: &Json, more: Json) -> Json {
    let mut object = json.as_object().unwrap().clone();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    object.into()
}

/// The example key of RFC 7515, A.2, with its public half.
fn rsa() -> (RsaKeyPair, Json) {
    let key: Json = serde_json::from_str(include_str!("tests/rfc_7515_a2.json")).unwrap();
    let part = |name: &str| bytes(key[name].as_str().unwrap()).unwrap();
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: part("n"), e: part("e") },
        d: part("d"),
        p: part("p"),
        q: part("q"),
        dP: part("dp"),
        dQ: part("dq"),
        qInv: part("qi"),
    };
    let pair = RsaKeyPair::from_components(&components).unwrap();
    (pair, json!({ "kty": "RSA", "n": key["n"], "e": key["e"] }))
}

fn signed_rs256(pair: &RsaKeyPair, header: &Json, claims: &Json) -> String {
    let signed = unsigned(header, claims);
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = SystemRandom::new();
    pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", base64url(&signature))
}

pub(crate) fn header() -> Json {
    json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" })
}

/// The claims of a nurse, made-up as everybody here.
pub(crate) fn claims(jti: &str, now: Moment) -> Json {
    let now_s = now.utc_us() / 1_000_000;
    json!({
        "iss": ISSUER, "aud": "wardgate", "sub": "nurse-1", "client_id": "bedside", "jti": jti,
        "iat": now_s, "exp": now_s + 300, "name": "Aino Esimerkki",
        "ward": { "roles": ["sh"] }, "wards": ["3a", "3b"],
    })
}

/// One phone, with a key.
pub(crate) struct Phone {
    pair: Pair,
    proofs: AtomicU64,
    from: IpAddr,
}

impl Phone {
    pub(crate) fn new() -> Self {
        let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        Self { pair: Pair::new(), proofs: AtomicU64::new(0), from }
    }

    fn proof_claims(&self, method: &str, path: &str, credential: &str, now: Moment) -> Json {
        let number = self.proofs.fetch_add(1, Ordering::SeqCst);
        json!({
            "htm": method, "htu": format!("{ORIGIN}{path}"), "iat": now.utc_us() / 1_000_000,
            "jti": format!("p{number}"), "ath": base64url(&Sha256::digest(credential)),
        })
    }

    pub(crate) fn proof(&self, method: &str, path: &str, credential: &str, now: Moment) -> String {
        let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.pair.jwk() });
        self.pair.signs(&header, &self.proof_claims(method, path, credential, now))
    }

    /// Asks with a secret or token.
    fn asks(&self, path: &'static str, credential: &str, now: Moment) -> Request {
        Request {
            path,
            authorization: format!("DPoP {credential}"),
            proof: Some(self.proof("POST", path, credential, now)),
            from: self.from,
        }
    }
}

/// A request that can be sent again.
#[derive(Clone)]
struct Request {
    path: &'static str,
    authorization: String,
    proof: Option<String>,
    from: IpAddr,
}

impl Request {
    fn headers(&self) -> Headers<'_> {
        Headers {
            method: "POST",
            path: self.path,
            authorization: Some(&self.authorization),
            proof: self.proof.as_deref(),
            from: self.from,
        }
    }
}

/// A gatekeeper, its provider and what it told.
struct House {
    gatekeeper: Arc<Gatekeeper>,
    provider: Arc<Simulated>,
    pair: Pair,
    told: mpsc::Receiver<Notice>,
}

impl House {
    fn new(folder: &Path, more: &str) -> Self {
        let (pair, provider) = (Pair::new(), Arc::new(Simulated::default()));
        provider.publish(&[pair.published("k1")]);
        let (gatekeeper, told) = opened(folder, more, &provider, at(0));
        Self { gatekeeper, provider, pair, told }
    }

    /// The box stops and starts again.
    fn restarted(self, folder: &Path, now: Moment) -> Self {
        let Self { gatekeeper, provider, pair, .. } = self;
        drop(gatekeeper);
        let (gatekeeper, told) = opened(folder, "", &provider, now);
        Self { gatekeeper, provider, pair, told }
    }

    fn token(&self, jti: &str, now: Moment) -> String {
        self.pair.signs(&header(), &claims(jti, now))
    }

    fn token_with(&self, jti: &str, now: Moment, more: Json) -> String {
        self.pair.signs(&header(), &with(&claims(jti, now), more))
    }
}

fn opened(
    folder: &Path,
    more: &str,
    provider: &Arc<Simulated>,
    now: Moment,
) -> (Arc<Gatekeeper>, mpsc::Receiver<Notice>) {
    let setup = Setup {
        settings: settings_with(more),
        source: Source::Simulated(Arc::clone(provider)),
        origins: vec![ORIGIN.to_owned()],
        folder: folder.join("identity"),
    };
    Gatekeeper::open(setup, now).unwrap()
}
