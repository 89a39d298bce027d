//! A JSON web token in compact form (RFC 7515, 7519), read strictly and believed in nothing: who
//! has signed it and whether its claims hold is asked elsewhere.
//!
//! ```text
//! base64url(header) . base64url(claims) . base64url(signature)
//! ```
//!
//! Refused: more or fewer than three parts, 8 kB or more, padding, letters outside base64url or
//! bits behind the last byte, anything but a JSON object, a member that is there twice (two readers
//! would believe different ones), and header members that bring a key or demand something that we
//! do not know.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::refused::Refused;

/// Tokens of this size or more are refused before they are read.
pub const TOKEN_BYTES_MAX: usize = 8192;

/// Header members that would let the token choose its own key, or demand something unknown.
const NEVER: [&str; 5] = ["crit", "jku", "x5u", "x5c", "jwk"];

/// The parts of a token.
#[derive(Clone)]
pub struct Token<'a> {
    /// What it says of itself.
    pub header: Map<String, Json>,
    /// What it says of somebody.
    pub claims: Map<String, Json>,
    /// The bytes that are signed.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

/// A token's text is a secret and its claims are of a person.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl<'a> Token<'a> {
    /// Reads a token of a provider.
    ///
    /// ```
    /// use wardgate::charting::identity::{Refused, Token};
    /// // {"alg":"none"} . {} . nothing
    /// let none = Token::parse("eyJhbGciOiJub25lIn0.e30.").unwrap();
    /// assert_eq!(none.header["alg"], "none");
    /// assert_eq!(Token::parse("eyJhbGciOiJub25lIn0.e30").unwrap_err(), Refused::TokenMalformed);
    /// ```
    ///
    /// # Errors
    /// [`Refused::TokenTooLong`], [`Refused::TokenMalformed`], [`Refused::TokenHeader`].
    pub fn parse(text: &'a str) -> Result<Self, Refused> {
        Self::read(text, &NEVER)
    }

    /// Reads a proof of possession (RFC 9449), whose header brings its key.
    ///
    /// # Errors
    /// [`Refused::TokenTooLong`], [`Refused::TokenMalformed`], [`Refused::TokenHeader`].
    pub fn parse_proof(text: &'a str) -> Result<Self, Refused> {
        let never: Vec<&str> = NEVER.into_iter().filter(|name| *name != "jwk").collect();
        Self::read(text, &never)
    }

    fn read(text: &'a str, never: &[&str]) -> Result<Self, Refused> {
        if text.len() >= TOKEN_BYTES_MAX {
            return Err(Refused::TokenTooLong);
        }
        let malformed = Refused::TokenMalformed;
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let signed_bytes = header.len() + 1 + claims.len();
        let signed = text.as_bytes().get(..signed_bytes).ok_or(malformed)?;
        let token = Self {
            header: object(header)?,
            claims: object(claims)?,
            signed,
            signature: bytes(signature).ok_or(malformed)?,
        };
        if never.iter().any(|name| token.header.contains_key(*name)) {
            return Err(Refused::TokenHeader);
        }
        Ok(token)
    }

    /// A member of the header that is a text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Json::as_str)
    }

    /// A claim that is a text, and not an empty one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Json::as_str).filter(|text| !text.is_empty())
    }

    /// A claim that is a time: whole seconds since 1970.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Json::as_i64).filter(|s| (0..=SECONDS_MAX).contains(s))
    }
}

/// The last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

/// base64url without padding, strictly.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn object(part: &str) -> Result<Map<String, Json>, Refused> {
    let bytes = bytes(part).ok_or(Refused::TokenMalformed)?;
    strict_object(&bytes).ok_or(Refused::TokenMalformed)
}

/// A JSON object in which no object has a member twice.
pub fn strict_object(bytes: &[u8]) -> Option<Map<String, Json>> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(Json::Object(object))) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// JSON without members that are there twice; `serde_json` alone would take the last one.
struct Strict(Json);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Reader.deserialize(from).map(Self)
    }
}

struct Reader;

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without members that are there twice")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Reader)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(Reader)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str, claims: &str) -> String {
        format!("{}.{}.AA", base64url(header.as_bytes()), base64url(claims.as_bytes()))
    }

    #[test]
    fn what_is_no_compact_token_is_refused() {
        let good = of("{\"alg\":\"ES256\"}", "{\"sub\":\"a\"}");
        assert!(Token::parse(&good).is_ok());
        let header = base64url(b"{}");
        for bad in [
            String::new(),
            "..".to_owned(),
            format!("{header}.{header}"),
            format!("{good}.AA"),
            format!("{header}.{header}.AA=="),
            format!("{header}.{header}.A+/A"),
            // The last two bits belong to no byte and must be zero.
            format!("{header}.{header}.AB"),
            format!("{header}.{header}.A"),
            format!(" {good}"),
            format!("{good}\n"),
            of("[]", "{}"),
            of("{}", "\"text\""),
            of("{}", "{} {}"),
            of("{}", "{\"a\":1,}"),
            format!("{header}.{}.AA", base64url(&[0xFF, 0xFE])),
        ] {
            assert_eq!(Token::parse(&bad).unwrap_err(), Refused::TokenMalformed, "{bad}");
        }
        let long = of("{}", &format!("{{\"a\":\"{}\"}}", "a".repeat(TOKEN_BYTES_MAX)));
        assert_eq!(Token::parse(&long).unwrap_err(), Refused::TokenTooLong);
        let deep = of("{}", &format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)));
        assert_eq!(Token::parse(&deep).unwrap_err(), Refused::TokenMalformed);
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_at_any_depth() {
        for twice in [
            "{\"aud\":\"a\",\"aud\":\"b\"}",
            "{\"cnf\":{\"jkt\":\"a\",\"jkt\":\"b\"}}",
            "{\"a\":[{\"b\":1,\"b\":1}]}",
            // The same name, written with an escape.
            "{\"iss\":\"a\",\"\\u0069ss\":\"b\"}",
        ] {
            assert_eq!(Token::parse(&of("{}", twice)).unwrap_err(), Refused::TokenMalformed);
            assert_eq!(Token::parse(&of(twice, "{}")).unwrap_err(), Refused::TokenMalformed);
        }
    }

    #[test]
    fn a_header_brings_no_key_and_demands_nothing() {
        for name in NEVER {
            let token = of(&format!("{{\"alg\":\"ES256\",\"{name}\":[]}}"), "{}");
            assert_eq!(Token::parse(&token).unwrap_err(), Refused::TokenHeader);
            assert_eq!(Token::parse_proof(&token).is_ok(), name == "jwk");
        }
    }

    #[test]
    fn a_time_is_a_whole_number_and_not_a_text() {
        let token =
            of("{}", "{\"a\":\"1700000000\",\"b\":1700000000,\"c\":-1,\"d\":1e300,\"e\":1.5}");
        let token = Token::parse(&token).unwrap();
        let read = ["a", "b", "c", "d", "e", "f"].map(|name| token.seconds(name));
        assert_eq!(read, [None, Some(1_700_000_000), None, None, None, None]);
    }
}
