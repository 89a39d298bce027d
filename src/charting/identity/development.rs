//! A tiny issuer in the box, for demo and tests: listed, made-up people get a token without a
//! password. Mode `production` refuses a configuration with it.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value as Json, json};

use super::refused::Refused;
use super::token::base64url;
use crate::vocabulary::Moment;

/// The id of its one key.
const KID: &str = "development";
/// The life of its tokens.
const TOKEN_S: i64 = 300;

/// Somebody made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUp {
    /// The subject of the token, and what one asks for.
    pub id: String,
    pub name: String,
    /// Values of the role claim.
    pub roles: Vec<String>,
    pub wards: Vec<String>,
}

/// Signs tokens for made-up people with a key that ends with the process.
pub struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    issuer: String,
    audience: String,
    client: String,
    people: Vec<MadeUp>,
    /// Where the claims go: as the site's settings say.
    claims: Places,
}

/// Claim paths of name, roles and wards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub name: Vec<String>,
    pub roles: Vec<String>,
    pub wards: Vec<String>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({}, {} people)", self.issuer, self.people.len())
    }
}

impl Issuer {
    /// Makes a key.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn new(
        issuer: &str,
        audience: &str,
        client: &str,
        people: Vec<MadeUp>,
        claims: Places,
    ) -> Result<Self, Refused> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .ok()
            .and_then(|made| EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).ok())
            .ok_or(Refused::NotKept)?;
        let [issuer, audience, client] = [issuer, audience, client].map(str::to_owned);
        Ok(Self { key, random, issuer, audience, client, people, claims })
    }

    /// Who can be asked for.
    pub fn people(&self) -> &[MadeUp] {
        &self.people
    }

    /// The answer of `POST /dev/token`: a token for one of the people, as a token endpoint gives
    /// it (RFC 6749, 5.1).
    ///
    /// # Errors
    /// [`Refused::NoRole`]: nobody of that id.
    pub fn token(&self, id: &str, now: Moment) -> Result<Json, Refused> {
        let person = self.people.iter().find(|one| one.id == id).ok_or(Refused::NoRole)?;
        let now_s = now.utc_us().div_euclid(1_000_000);
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).map_err(|_| Refused::NotKept)?;
        let mut claims = json!({
            "iss": self.issuer, "aud": self.audience, "sub": person.id, "client_id": self.client,
            "iat": now_s, "exp": now_s + TOKEN_S, "auth_time": now_s, "jti": base64url(&jti),
        });
        put(&mut claims, &self.claims.name, json!(person.name));
        put(&mut claims, &self.claims.roles, json!(person.roles));
        put(&mut claims, &self.claims.wards, json!(person.wards));
        let token = self.sign(&claims)?;
        Ok(json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S }))
    }

    fn sign(&self, claims: &Json) -> Result<String, Refused> {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": KID });
        let part = |json: &Json| base64url(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| Refused::NotKept)?;
        Ok(format!("{signed}.{}", base64url(signature.as_ref())))
    }

    /// Its discovery document.
    pub fn discovery(&self) -> Vec<u8> {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({ "issuer": self.issuer, "jwks_uri": at("/jwks"), "token_endpoint": at("/token") })
            .to_string()
            .into_bytes()
    }

    /// Its key set.
    pub fn key_set(&self) -> Vec<u8> {
        // 04, x, y.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        let (x, y) = (base64url(x), base64url(y));
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID, "x": x, "y": y,
        }] })
        .to_string()
        .into_bytes()
    }
}

/// Puts a claim at a path.
fn put(claims: &mut Json, path: &[String], value: Json) {
    let Some((first, rest)) = path.split_first() else {
        *claims = value;
        return;
    };
    if let Some(object) = claims.as_object_mut() {
        put(object.entry(first).or_insert_with(|| json!({})), rest, value);
    }
}
