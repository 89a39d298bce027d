//! Every row of the list of checks, as a forged token.

use super::*;
use crate::charting::identity::claims::{Claims, Now, check};
use crate::charting::identity::keys::{Algorithm, PublicKey};
use crate::charting::identity::{Refused, Role, Token};

fn judge(token: &str, keys: &[Json], settings: &Settings, now: Moment) -> Result<Claims, Refused> {
    let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    check(&Token::parse(token)?, &keys, settings, Now::of(now, 0))
}

/// Claims that were changed, signed as they should be.
fn claimed(more: Json) -> Result<Claims, Refused> {
    claimed_by(more, &settings_with(""))
}

fn claimed_by(more: Json, settings: &Settings) -> Result<Claims, Refused> {
    let pair = Pair::new();
    let token = pair.signs(&header(), &with(&claims("t1", at(0)), more));
    judge(&token, &[pair.published("k1")], settings, at(0))
}

fn headed(more: Json, settings: &Settings) -> Result<Claims, Refused> {
    let pair = Pair::new();
    let token = pair.signs(&with(&header(), more), &claims("t1", at(0)));
    judge(&token, &[pair.published("k1")], settings, at(0))
}

#[test]
fn a_good_token_makes_a_nurse() {
    let nurse = claimed(json!({})).unwrap();
    assert_eq!(nurse.person.reveal(), "nurse-1");
    assert_eq!((nurse.name.as_str(), nurse.role, nurse.student), ("Aino Esimerkki", NURSE, false));
    assert_eq!((nurse.wards, nurse.bound_to), (vec!["3a".to_owned(), "3b".to_owned()], None));
    // An audience among others is ours too, and a list may be one text.
    assert!(claimed(json!({ "aud": ["other", "wardgate"] })).is_ok());
    assert_eq!(claimed(json!({ "wards": "3c 3d" })).unwrap().wards, ["3c", "3d"]);
}

const NURSE: Role = Role::RegisteredNurse;

#[test]
fn issuer_and_audience_are_needed_and_ours() {
    let other = [
        json!("https://id.example/"),
        json!("https://ID.example"),
        json!("https://evil.example"),
        json!(["https://id.example"]),
        Json::Null,
        json!(""),
    ];
    for issuer in other {
        assert_eq!(claimed(json!({ "iss": issuer })), Err(Refused::TokenIssuer));
    }
    let other = [
        json!("bedside"),
        json!("wardgate2"),
        json!(["other"]),
        json!([]),
        json!(["wardgate", 5]),
        json!({ "wardgate": true }),
        Json::Null,
    ];
    for audience in other {
        assert_eq!(claimed(json!({ "aud": audience })), Err(Refused::TokenAudience));
    }
}

#[test]
fn times_are_needed_numbers_and_now() {
    for exp in [json!(null), json!("1800000300"), json!(true), json!(-1), json!(1e300)] {
        assert_eq!(claimed(json!({ "exp": exp })), Err(Refused::TokenClaim("exp")));
    }
    assert_eq!(claimed(json!({ "iat": null })), Err(Refused::TokenClaim("iat")));
    assert_eq!(claimed(json!({ "nbf": "now" })), Err(Refused::TokenClaim("nbf")));
    let past = |iat: i64, exp: i64| claimed(json!({ "iat": START_S + iat, "exp": START_S + exp }));
    assert_eq!(past(-300, -31), Err(Refused::TokenExpired));
    assert_eq!(past(-300, -30), Err(Refused::TokenExpired));
    assert!(past(-300, -29).is_ok());
    assert!(past(30, 300).is_ok());
    assert_eq!(past(31, 300), Err(Refused::TokenEarly));
    assert_eq!(past(20, 20), Err(Refused::TokenLifetime));
    assert!(past(0, 900).is_ok());
    assert_eq!(past(0, 901), Err(Refused::TokenLifetime));
    assert!(claimed(json!({ "nbf": START_S + 30 })).is_ok());
    assert_eq!(claimed(json!({ "nbf": START_S + 31 })), Err(Refused::TokenEarly));
}

#[test]
fn a_box_that_nobody_vouches_for_extends_nothing() {
    let pair = Pair::new();
    let keys = json!({ "keys": [pair.published("k1")] }).to_string();
    let keys = KeySet::parse(keys.as_bytes()).unwrap();
    let token = pair.signs(&header(), &claims("t1", at(0)));
    let token = Token::parse(&token).unwrap();
    let by = |moment: Moment, proven_s| {
        check(&token, &keys, &settings_with(""), Now::of(moment, proven_s)).map(drop)
    };
    let unproven = |s| Moment::new(0, at(s).utc_us(), Certainty::Unproven);
    assert_eq!(by(at(301), 0), Ok(()));
    assert_eq!(by(unproven(299), 0), Ok(()));
    assert_eq!(by(unproven(300), 0), Err(Refused::TokenExpired));
    // The clock says that it is early, but the provider has said a later time already.
    assert_eq!(by(unproven(10), START_S + 300), Err(Refused::TokenExpired));
}

#[test]
fn person_application_and_id_are_needed() {
    for (name, why) in [
        ("sub", Refused::TokenClaim("sub")),
        ("jti", Refused::TokenClaim("jti")),
        ("client_id", Refused::TokenClaim("client_id")),
    ] {
        assert_eq!(claimed(json!({ (name): null })), Err(why));
        assert_eq!(claimed(json!({ (name): "" })), Err(why));
        assert_eq!(claimed(json!({ (name): 5 })), Err(why));
    }
    assert_eq!(claimed(json!({ "sub": "a\u{7}" })), Err(Refused::TokenClaim("sub")));
    assert_eq!(claimed(json!({ "client_id": "wiki" })), Err(Refused::TokenClient));
    assert_eq!(claimed(json!({ "azp": "wiki" })), Err(Refused::TokenClient));
}

#[test]
fn roles_are_denied_unless_a_rule_gives_them() {
    let role = |roles: Json| claimed(json!({ "ward": { "roles": roles } }));
    for roles in [json!([]), json!(["SH"]), json!(["shx"]), json!({ "sh": true }), json!(5)] {
        assert_eq!(role(roles), Err(Refused::NoRole));
    }
    assert_eq!(claimed(json!({ "ward": "sh" })), Err(Refused::NoRole));
    // The site's order decides, not the token's; a student is one under any other role.
    let both = role(json!(["opiskelija", "lh", "sh"])).unwrap();
    assert_eq!((both.role, both.student), (NURSE, true));
    assert_eq!(role(json!("lh other")).unwrap().role, Role::PracticalNurse);
    let core = claimed(json!({ "client_id": "core", "ward": null })).unwrap();
    assert_eq!(core.role, Role::CoreSystem);
}

#[test]
fn scope_and_sign_in_are_needed_where_the_site_asks() {
    let settings = settings_with("scope = \"ward\"\nsign_in_minutes_max = 10");
    let by = |scope: &str, auth_time: Json| {
        let more = json!({ "scope": scope, "auth_time": auth_time });
        claimed_by(more, &settings).map(drop)
    };
    assert_eq!(by("openid ward", json!(START_S - 600)), Ok(()));
    assert_eq!(by("openid wards", json!(START_S)), Err(Refused::TokenScope));
    assert_eq!(by("openid ward", json!(START_S - 601)), Err(Refused::TokenAuthTime));
    assert_eq!(by("openid ward", json!(null)), Err(Refused::TokenAuthTime));
}

#[test]
fn an_id_token_and_its_like_are_no_access_tokens() {
    let rfc = settings_with("");
    for typ in [json!("JWT"), json!(null), json!("dpop+jwt"), json!("logout+jwt"), json!(5)] {
        assert_eq!(headed(json!({ "typ": typ }), &rfc), Err(Refused::TokenType));
    }
    assert!(headed(json!({ "typ": "application/AT+JWT" }), &rfc).is_ok());
    let unmarked = settings_with("access_token = \"unmarked\"");
    assert!(headed(json!({ "typ": "JWT" }), &unmarked).is_ok());
    assert!(headed(json!({ "typ": null }), &unmarked).is_ok());
    assert_eq!(headed(json!({ "typ": "logout+jwt" }), &unmarked), Err(Refused::TokenType));
    for more in [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "events": {} }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
    ] {
        assert_eq!(claimed_by(more.clone(), &unmarked), Err(Refused::TokenType));
        assert_eq!(claimed_by(more, &rfc), Err(Refused::TokenType));
    }
    // What an ID token says of its audience: the application.
    let id = json!({ "aud": "bedside", "azp": "bedside", "client_id": null });
    assert_eq!(claimed_by(id, &unmarked), Err(Refused::TokenAudience));
    let azp = json!({ "azp": "bedside", "client_id": null, "typ": "Bearer" });
    assert!(claimed_by(azp, &unmarked).is_ok());
}

#[test]
fn a_binding_that_is_not_understood_is_refused() {
    for cnf in [
        json!({ "x5t#S256": "a" }),
        json!({ "jkt": "a", "x5t#S256": "b" }),
        json!({ "jkt": 5 }),
        json!({}),
        json!("a"),
    ] {
        assert_eq!(claimed(json!({ "cnf": cnf })), Err(Refused::TokenBinding));
    }
    let bound = claimed(json!({ "cnf": { "jkt": "a" } })).unwrap();
    assert_eq!(bound.bound_to.as_deref(), Some("a"));
}

#[test]
fn algorithms_are_the_keys_and_not_the_tokens() {
    let settings = settings_with("");
    let (rsa_pair, rsa_jwk) = rsa();
    let pair = Pair::new();
    let rsa_key = with(&rsa_jwk, json!({ "kid": "r1" }));
    let keys = [pair.published("k1"), rsa_key.clone()];
    let good = claims("t1", at(0));
    let rs256 = |kid: &str| with(&header(), json!({ "alg": "RS256", "kid": kid }));
    let by = |token: &str| judge(token, &keys, &settings, at(0)).map(drop);
    // One site may have both, each by its own key.
    assert_eq!(by(&pair.signs(&header(), &good)), Ok(()));
    assert_eq!(by(&signed_rs256(&rsa_pair, &rs256("r1"), &good)), Ok(()));
    // The other kind's key.
    assert_eq!(by(&signed_rs256(&rsa_pair, &rs256("k1"), &good)), Err(Refused::TokenAlgorithm));
    let es256 = with(&header(), json!({ "kid": "r1" }));
    assert_eq!(by(&pair.signs(&es256, &good)), Err(Refused::TokenAlgorithm));
    // None, and a public key taken for a shared secret.
    for alg in ["none", "None", "NONE", "nOnE", "", "ES256K", "ES384", "PS256", "es256"] {
        let none = with(&header(), json!({ "alg": alg }));
        let nothing = format!("{}.", unsigned(&none, &good));
        assert_eq!(by(&nothing), Err(Refused::TokenAlgorithm), "{alg}");
        assert_eq!(by(&pair.signs(&none, &good)), Err(Refused::TokenAlgorithm), "{alg}");
    }
    let hs256 = with(&header(), json!({ "alg": "HS256" }));
    let signed = unsigned(&hs256, &good);
    let public = [pair.jwk().to_string().into_bytes(), pair.key.public_key().as_ref().to_vec()];
    for secret in public {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let tag = ring::hmac::sign(&key, signed.as_bytes());
        let token = format!("{signed}.{}", base64url(tag.as_ref()));
        assert_eq!(by(&token), Err(Refused::TokenAlgorithm));
    }
    assert_eq!(headed(json!({ "alg": null }), &settings), Err(Refused::TokenAlgorithm));
    // A site without RS256 refuses a good signature of it.
    let only = Settings { algorithms: vec![Algorithm::Es256], ..settings.clone() };
    let token = signed_rs256(&rsa_pair, &rs256("r1"), &good);
    assert_eq!(judge(&token, &keys, &only, at(0)), Err(Refused::TokenAlgorithm));
}

#[test]
fn keys_are_found_by_their_id_alone() {
    let settings = settings_with("");
    for kid in [json!(null), json!("k2"), json!(""), json!("K1"), json!(["k1"])] {
        assert_eq!(headed(json!({ "kid": kid }), &settings), Err(Refused::TokenKeyUnknown));
    }
    // Another's key under a known id.
    let (ours, other) = (Pair::new(), Pair::new());
    let token = other.signs(&header(), &claims("t1", at(0)));
    let keys = [ours.published("k1"), other.published("k2")];
    assert_eq!(judge(&token, &keys, &settings, at(0)), Err(Refused::TokenSignature));
    for more in [
        json!({ "crit": ["exp"] }),
        json!({ "jku": "https://evil.example/keys" }),
        json!({ "x5u": "https://evil.example/cert" }),
        json!({ "x5c": [] }),
        json!({ "jwk": other.jwk() }),
    ] {
        assert_eq!(headed(more, &settings), Err(Refused::TokenHeader));
    }
}

#[test]
fn whatever_is_changed_is_seen() {
    let settings = settings_with("");
    let pair = Pair::new();
    let keys = [pair.published("k1")];
    let token = pair.signs(&header(), &claims("t1", at(0)));
    let end = token.rfind('.').unwrap();
    for (at_byte, byte) in token.bytes().enumerate() {
        let other = if byte == b'A' { b'B' } else { b'A' };
        let mut bytes = token.clone().into_bytes();
        bytes[at_byte] = other;
        let changed = String::from_utf8(bytes).unwrap();
        assert!(judge(&changed, &keys, &settings, at(0)).is_err(), "byte {at_byte} of {end}");
    }
    let short = &token[..token.len() - 2];
    assert_eq!(judge(short, &keys, &settings, at(0)), Err(Refused::TokenSignature));
    let none = &token[..=end];
    assert_eq!(judge(none, &keys, &settings, at(0)), Err(Refused::TokenSignature));
}

#[test]
fn keys_that_are_not_for_this_are_left_out() {
    let pair = Pair::new();
    let good = pair.published("k1");
    let read = |jwk: Json| PublicKey::of_jwk(jwk.as_object().unwrap()).is_some();
    assert!(read(good.clone()));
    assert!(read(with(&good, json!({ "alg": null, "use": null, "key_ops": ["verify"] }))));
    for more in [
        json!({ "use": "enc" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "ES384" }),
        json!({ "key_ops": ["sign"] }),
        json!({ "crv": "P-384" }),
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({ "d": "AAAA" }),
        json!({ "x": "AAAA" }),
        json!({ "y": null }),
    ] {
        assert!(!read(with(&good, more.clone())), "{more}");
    }
    let set = |text: String| KeySet::parse(text.as_bytes()).map(|keys| keys.len());
    let nameless = with(&good, json!({ "kid": null }));
    assert_eq!(set(json!({ "keys": [good, nameless, { "kty": "oct" }, 5] }).to_string()), Some(1));
    assert_eq!(set(json!({ "keys": [nameless] }).to_string()), None);
    assert_eq!(set(json!({ "keys": vec![good.clone(); 33] }).to_string()), None);
    assert_eq!(set("[]".to_owned()), None);
    assert_eq!(set("{\"keys\":[],\"keys\":[]}".to_owned()), None);
}

/// The signatures of RFC 7515, A.2 and A.3, which others have made.
#[test]
fn published_signatures_are_good() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9p\
                   c19yb290Ijp0cnVlfQ";
    let a2 = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YK\
              t_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBA\
              rLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI\
              7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypG\
              lUPQGe77Rw";
    let a3 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6\
              NU1Q";
    let a3_key = json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let cases = [("eyJhbGciOiJSUzI1NiJ9", a2, rsa().1), ("eyJhbGciOiJFUzI1NiJ9", a3, a3_key)];
    for (header, signature, jwk) in cases {
        let key = PublicKey::of_jwk(jwk.as_object().unwrap()).unwrap();
        let signed = format!("{header}.{payload}");
        let signature = bytes(signature).unwrap();
        assert_eq!(key.verify(signed.as_bytes(), &signature), Ok(()));
        let other = signed.replace("eyJp", "eyJq");
        assert_eq!(key.verify(other.as_bytes(), &signature), Err(Refused::TokenSignature));
    }
}
