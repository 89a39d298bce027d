//! A provider, phones, and the core's own app, seen from outside: tokens (RFC 9068) and proofs
//! (RFC 9449) are made here with a key of the test's own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wardgate::charting::identity::token::base64url;

/// Every token and proof has a name of its own.
static NUMBER: AtomicU64 = AtomicU64::new(1);

fn number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Now, in seconds since 1970 UTC.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Now, as phones write it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

struct Pair {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Pair {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("a key");
        Self { key, random }
    }

    fn jwk(&self) -> Json {
        let point = self.key.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    fn signs(&self, header: &Json, claims: &Json) -> String {
        let part = |json: &Json| base64url(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}

/// A provider on loopback that hands out tokens to whoever asks the test.
#[derive(Clone)]
pub struct Provider {
    pair: Arc<Pair>,
    pub issuer: String,
}

impl Provider {
    /// Serves its two documents until the process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let pair = Arc::new(Pair::new());
        let mut key = pair.jwk();
        for (name, value) in [("kid", "k1"), ("use", "sig"), ("alg", "ES256")] {
            key[name] = json!(value);
        }
        let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
        let keys = json!({ "keys": [key] });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &discovery, &keys);
            }
        });
        Self { pair, issuer }
    }

    /// A token for a client of these roles.
    pub fn token(&self, client: &str, subject: &str, roles: &[&str]) -> String {
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" });
        let claims = json!({
            "iss": self.issuer, "aud": "wardgate", "sub": subject, "client_id": client,
            "jti": format!("t{}", number()), "iat": now_s(), "exp": now_s() + 300,
            "name": subject, "roles": roles, "wards": ["3a", "3b", "3c"],
        });
        self.pair.signs(&header, &claims)
    }
}

fn serve(mut stream: TcpStream, discovery: &Json, keys: &Json) -> std::io::Result<()> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    let body = if head.starts_with(b"GET /keys ") { keys } else { discovery }.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// A request on a connection of its own: the status, and the answer in JSON. A box that is still
/// opening, or has not read the provider's keys since, is asked again.
pub fn ask(
    port: u16,
    (method, path): (&str, &str),
    headers: impl Fn() -> Vec<(&'static str, String)>,
    body: Option<&Json>,
) -> (u16, Json) {
    let begun = Instant::now();
    loop {
        let answered = ask_once(port, (method, path), &headers(), body);
        let is_late = begun.elapsed() > super::PATIENCE;
        match answered {
            Ok(answer) if is_late || (answer.0 != 503 && answer.1["error"] != "offline") => {
                return answer;
            }
            Err(error) if is_late => panic!("{path}: {error}"),
            Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn ask_once(
    port: u16,
    (method, path): (&str, &str),
    headers: &[(&str, String)],
    body: Option<&Json>,
) -> std::io::Result<(u16, Json)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let body = body.map(Json::to_string).unwrap_or_default();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((status, serde_json::from_str(body).unwrap_or(Json::Null)))
}

/// The core's own app, or anybody else with a token instead of a session.
pub fn with_token(port: u16, token: &str, path: &str, body: &Json) -> (u16, Json) {
    ask(port, ("POST", path), || vec![("authorization", format!("Bearer {token}"))], Some(body))
}

/// One phone, with somebody signed in.
pub struct Phone {
    pair: Pair,
    port: u16,
    session: String,
}

impl Phone {
    /// Signs somebody of this role in.
    pub fn sign_in(provider: &Provider, port: u16, person: &str, role: &str) -> Self {
        let mut phone = Self { pair: Pair::new(), port, session: String::new() };
        let token = provider.token("bedside", person, &[role]);
        let headers = || {
            let proof = phone.proof("POST", "/v1/session", &token);
            vec![("authorization", format!("Bearer {token}")), ("dpop", proof)]
        };
        let (status, opened) = ask(port, ("POST", "/v1/session"), headers, Some(&json!({})));
        assert_eq!(status, 201, "{opened}");
        phone.session = opened["session"].as_str().expect("a session").to_owned();
        phone
    }

    fn proof(&self, method: &str, path: &str, credential: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        let header = json!({ "alg": "ES256", "typ": "dpop+jwt", "jwk": self.pair.jwk() });
        let claims = json!({
            "htm": method, "htu": format!("http://127.0.0.1:{}{path}", self.port),
            "iat": now_s(), "jti": format!("p{}", number()),
            "ath": base64url(&Sha256::digest(credential)),
        });
        self.pair.signs(&header, &claims)
    }

    /// Asks within the session.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        let headers = || {
            let proof = self.proof(method, path, &self.session);
            vec![("authorization", format!("DPoP {}", self.session)), ("dpop", proof)]
        };
        ask(self.port, (method, path), headers, body)
    }

    /// Reads, and has to be answered.
    pub fn get(&self, path: &str) -> Json {
        let (status, answer) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Does something, and has to be answered with this status.
    pub fn does(&self, path: &str, body: &Json, expected: u16) -> Json {
        let (status, answer) = self.ask("POST", path, Some(body));
        assert_eq!(status, expected, "{path}: {answer}");
        answer
    }

    /// An act's own id and time.
    pub fn stated() -> Json {
        json!({ "client_id": format!("act-{}-{}", now_s(), number()), "stated": now() })
    }
}
