//! Whether a token of the provider is believed: the whole list of facts/association.md 4.3.
//!
//! Pure: keys, settings and time come from outside. An ID token is never taken for an access token.

use serde_json::Value as Json;

use super::keys::KeySet;
use super::refused::Refused;
use super::settings::{AccessToken, Settings};
use super::token::Token;
use crate::association::PersonId;
use crate::vocabulary::role::Role;
use crate::vocabulary::{Certainty, Moment};

/// How far the clocks of provider and box may be apart. A box whose clock nobody vouches for gets
/// none of it: it may not extend a token.
const LEEWAY_S: i64 = 30;
/// The longest name that is shown of a person.
const NAME_CHARACTERS_MAX: usize = 100;
/// The longest id of a token.
const JTI_BYTES_MAX: usize = 256;

/// Now, as far as the box knows: never before what the provider has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub utc_s: i64,
    pub leeway_s: i64,
}

impl Now {
    /// `proven_s`: a time that has certainly been, such as the `iat` of a token that was believed.
    pub fn of(moment: Moment, proven_s: i64) -> Self {
        let leeway_s = match moment.certainty() {
            Certainty::Synchronised => LEEWAY_S,
            Certainty::Unproven => 0,
        };
        Self { utc_s: moment.utc_us().div_euclid(1_000_000).max(proven_s), leeway_s }
    }
}

/// Whom a believed token makes, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub person: PersonId,
    pub name: String,
    pub role: Role,
    pub student: bool,
    pub wards: Vec<String>,
    pub client: String,
    pub jti: String,
    pub issued_s: i64,
    pub expires_s: i64,
    /// The thumbprint of the key that the token is bound to (RFC 9449).
    pub bound_to: Option<String>,
}

/// Checks a token of the provider.
///
/// # Errors
/// The first thing that is wrong. [`Refused::TokenKeyUnknown`] may be cured by reading the keys
/// again; nothing else may.
pub fn check(
    token: &Token<'_>,
    keys: &KeySet,
    settings: &Settings,
    now: Now,
) -> Result<Claims, Refused> {
    is_access_token(token, settings)?;
    keys.verify(token, &settings.algorithms)?;
    if token.text("iss") != Some(&settings.issuer) {
        return Err(Refused::TokenIssuer);
    }
    audience(token, settings)?;
    let (issued_s, expires_s) = times(token, settings, now)?;
    let client = client(token, settings)?;
    let subject = token.text("sub").ok_or(Refused::TokenClaim("sub"))?;
    let person = PersonId::parse(subject).map_err(|_| Refused::TokenClaim("sub"))?;
    let jti = token.text("jti").filter(|jti| jti.len() <= JTI_BYTES_MAX);
    let jti = jti.ok_or(Refused::TokenClaim("jti"))?;
    scope(token, settings)?;
    let bound_to = bound_to(token)?;
    let (role, student) = if settings.core_clients.iter().any(|core| core == client) {
        (Role::CoreSystem, false)
    } else {
        settings.role(&token.claims).ok_or(Refused::NoRole)?
    };
    Ok(Claims {
        name: name(token, settings).unwrap_or_else(|| subject.to_owned()),
        person,
        role,
        student,
        wards: settings.wards(&token.claims),
        client: client.to_owned(),
        jti: jti.to_owned(),
        issued_s,
        expires_s,
        bound_to,
    })
}

/// By its type, or where the provider marks none, by what only other tokens have.
fn is_access_token(token: &Token<'_>, settings: &Settings) -> Result<(), Refused> {
    let not = Err(Refused::TokenType);
    let typ = match token.header.get("typ") {
        None => None,
        Some(Json::String(typ)) => Some(typ.to_ascii_lowercase()),
        Some(_) => return not,
    };
    let marked = matches!(typ.as_deref(), Some("at+jwt" | "application/at+jwt"));
    match settings.access_token {
        AccessToken::Rfc9068 if !marked => return not,
        AccessToken::Unmarked if !marked && !matches!(typ.as_deref(), None | Some("jwt")) => {
            return not;
        }
        AccessToken::Rfc9068 | AccessToken::Unmarked => {}
    }
    // OpenID Connect Core 2 and 3.1.3.6, Back-Channel Logout 2.4.
    let others = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
    if others.iter().any(|name| token.claims.contains_key(*name)) {
        return not;
    }
    // Keycloak says in a claim what a token is.
    match token.claims.get("typ") {
        Some(said) if said != "Bearer" && said != "DPoP" => not,
        Some(_) | None => Ok(()),
    }
}

fn audience(token: &Token<'_>, settings: &Settings) -> Result<(), Refused> {
    let ours = |one: &Json| one.as_str() == Some(&settings.audience);
    let holds = match token.claims.get("aud") {
        Some(Json::Array(several)) => {
            several.iter().all(Json::is_string) && several.iter().any(ours)
        }
        Some(one) => ours(one),
        None => false,
    };
    if holds { Ok(()) } else { Err(Refused::TokenAudience) }
}

/// When it was issued and when it ends.
fn times(token: &Token<'_>, settings: &Settings, now: Now) -> Result<(i64, i64), Refused> {
    let needed = |name| token.seconds(name).ok_or(Refused::TokenClaim(name));
    let (issued, expires) = (needed("iat")?, needed("exp")?);
    if expires.saturating_add(now.leeway_s) <= now.utc_s {
        return Err(Refused::TokenExpired);
    }
    let latest = now.utc_s.saturating_add(LEEWAY_S);
    if issued > latest {
        return Err(Refused::TokenEarly);
    }
    if token.claims.contains_key("nbf") && needed("nbf")? > latest {
        return Err(Refused::TokenEarly);
    }
    if expires <= issued || expires - issued > settings.token_s_max {
        return Err(Refused::TokenLifetime);
    }
    if let Some(most) = settings.sign_in_s_max {
        let signed_in = needed("auth_time").map_err(|_| Refused::TokenAuthTime)?;
        if now.utc_s.saturating_sub(signed_in) > most || signed_in > latest {
            return Err(Refused::TokenAuthTime);
        }
    }
    Ok((issued, expires))
}

fn client<'a>(token: &'a Token<'_>, settings: &Settings) -> Result<&'a str, Refused> {
    let client = match settings.access_token {
        AccessToken::Rfc9068 => token.text("client_id"),
        AccessToken::Unmarked => token.text("client_id").or_else(|| token.text("azp")),
    };
    let client = client.ok_or(Refused::TokenClaim("client_id"))?;
    // A second word on the same matter must be the same word.
    if token.claims.contains_key("azp") && token.text("azp") != Some(client) {
        return Err(Refused::TokenClient);
    }
    let known = settings.clients.iter().chain(&settings.core_clients).any(|one| one == client);
    if known { Ok(client) } else { Err(Refused::TokenClient) }
}

fn scope(token: &Token<'_>, settings: &Settings) -> Result<(), Refused> {
    let Some(needed) = &settings.scope else { return Ok(()) };
    let has = token.text("scope").is_some_and(|scope| scope.split(' ').any(|one| one == needed));
    if has { Ok(()) } else { Err(Refused::TokenScope) }
}

/// A binding is enforced or the token is refused: a certificate's hash, say, nobody looks at here.
fn bound_to(token: &Token<'_>) -> Result<Option<String>, Refused> {
    let Some(cnf) = token.claims.get("cnf") else { return Ok(None) };
    let cnf = cnf.as_object().ok_or(Refused::TokenBinding)?;
    let jkt = cnf.get("jkt").and_then(Json::as_str).filter(|_| cnf.len() == 1);
    jkt.map(|jkt| Some(jkt.to_owned())).ok_or(Refused::TokenBinding)
}

fn name(token: &Token<'_>, settings: &Settings) -> Option<String> {
    let name = settings.name_claim.find(&token.claims)?.as_str()?.trim();
    let good = !name.is_empty() && !name.chars().any(char::is_control);
    good.then(|| name.chars().take(NAME_CHARACTERS_MAX).collect())
}
