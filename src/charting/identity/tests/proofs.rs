//! Proofs of a phone's key.

use super::*;
use crate::charting::identity::Refused;
use crate::charting::identity::proof::{Asked, Proof, Replays};

fn checked(proof: &str, asked: Asked<'_>, now_s: i64) -> Result<Proof, Refused> {
    Proof::check(proof, asked, now_s)
}

/// RFC 9449, 7.1: its proof, its token and its thumbprint.
#[test]
fn the_published_proof_is_good_for_its_request_alone() {
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZy\
        aHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOS\
        mFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwia\
        HRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsIm\
        lhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ\
        9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let origins = ["https://resource.example.org".to_owned()];
    let asked = Asked {
        method: "GET",
        path: "/protectedresource",
        origins: &origins,
        credential: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
    };
    let good = checked(proof, asked, 1_562_262_620).unwrap();
    assert_eq!(good.thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!((good.jti.as_str(), good.issued_s), ("e1j3V_bKic8-LAEB", 1_562_262_618));
    let other = ["https://resource.example.com".to_owned()];
    for wrong in [
        Asked { method: "POST", ..asked },
        Asked { path: "/protected", ..asked },
        Asked { path: "/protectedresource/x", ..asked },
        Asked { credential: "another", ..asked },
        Asked { origins: &other, ..asked },
        Asked { origins: &[], ..asked },
    ] {
        assert_eq!(checked(proof, wrong, 1_562_262_620), Err(Refused::ProofWrong));
    }
    assert!(checked(proof, asked, 1_562_262_678).is_ok());
    assert_eq!(checked(proof, asked, 1_562_262_679), Err(Refused::ProofTime));
    assert!(checked(proof, asked, 1_562_262_588).is_ok());
    assert_eq!(checked(proof, asked, 1_562_262_587), Err(Refused::ProofTime));
}

#[test]
fn a_proof_brings_its_own_public_key_and_nothing_else() {
    let phone = Phone::new();
    let origins = [ORIGIN.to_owned()];
    let asked = Asked { method: "POST", path: "/v1/x", origins: &origins, credential: "secret" };
    let claims = phone.proof_claims("POST", "/v1/x", "secret", at(0));
    let good = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": phone.pair.jwk() });
    let by = |header: &Json, claims: &Json| {
        checked(&phone.pair.signs(header, claims), asked, START_S).map(drop)
    };
    assert_eq!(by(&good, &claims), Ok(()));
    for more in [
        json!({ "typ": "at+jwt" }),
        json!({ "typ": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "RS256" }),
        json!({ "jwk": Pair::new().jwk() }),
        json!({ "jwk": null }),
        json!({ "jwk": with(&phone.pair.jwk(), json!({ "d": "AAAA" })) }),
        json!({ "jwk": rsa().1 }),
        json!({ "crit": [] }),
    ] {
        assert_eq!(by(&with(&good, more.clone()), &claims), Err(Refused::ProofWrong), "{more}");
    }
    let queried = json!({ "htu": format!("{ORIGIN}/v1/x?a=b#c") });
    assert_eq!(by(&good, &with(&claims, queried)), Ok(()));
    for more in [
        json!({ "ath": null }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": "j".repeat(129) }),
        json!({ "iat": null }),
        json!({ "iat": "now" }),
        json!({ "htm": "post" }),
        json!({ "htu": format!("{ORIGIN}/v1/x/?a=b") }),
        json!({ "htu": "/v1/x" }),
    ] {
        assert_eq!(by(&good, &with(&claims, more.clone())), Err(Refused::ProofWrong), "{more}");
    }
}

#[test]
fn a_proof_is_used_once() {
    let proof =
        |jti: &str| Proof { thumbprint: "a".to_owned(), jti: jti.to_owned(), issued_s: START_S };
    let mut replays = Replays::default();
    assert_eq!(replays.take(&proof("1"), START_S), Ok(()));
    assert_eq!(replays.take(&proof("1"), START_S + 59), Err(Refused::ProofReplayed));
    assert_eq!(replays.take(&proof("2"), START_S), Ok(()));
    let other = Proof { thumbprint: "b".to_owned(), ..proof("1") };
    assert_eq!(replays.take(&other, START_S), Ok(()));
}
