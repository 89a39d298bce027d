//! A phone at the bedside: it speaks HTTP with the box's own interface, over memory.

use std::io;
use std::sync::Arc;

use axum::serve::Listener;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::seat::Seat;
use crate::charting::identity::tests::{self as provider, Pair};
use crate::link::clock;

const BUFFER_BYTES: usize = 64 << 10;

/// The hospital's provider: its key, and whom it vouches for.
pub(super) struct Provider {
    seat: Arc<Seat>,
    pair: Pair,
    closed: Vec<&'static str>,
    tokens: u64,
}

impl Provider {
    pub fn of(seat: &Arc<Seat>) -> Self {
        let provider =
            Self { seat: Arc::clone(seat), pair: Pair::new(), closed: Vec::new(), tokens: 0 };
        provider.comes_back();
        provider
    }

    pub fn comes_back(&self) {
        self.seat.provider().publish(&[self.pair.published("k1")]);
    }

    pub fn goes_away(&self) {
        self.seat.provider().go_away();
    }

    /// The account of a person is closed.
    pub fn closes(&mut self, person: &'static str) {
        self.closed.push(person);
    }

    /// A token as of now; none for whom it does not vouch.
    pub fn token(&mut self, person: &str, name: &str, role: &str) -> Option<String> {
        if self.closed.contains(&person) {
            return None;
        }
        self.tokens += 1;
        let claims = provider::claims(&format!("token-{}", self.tokens), clock::now());
        let mine = json!({ "sub": person, "name": name, "ward": { "roles": [role] } });
        let claims = provider::with(&claims, mine);
        Some(self.pair.signs(&provider::header(), &claims))
    }

    /// A token of the core system itself.
    pub fn core_token(&mut self) -> String {
        self.tokens += 1;
        let claims = provider::claims(&format!("token-{}", self.tokens), clock::now());
        let own = json!({ "sub": "core", "client_id": "core", "name": "core" });
        self.pair.signs(&provider::header(), &provider::with(&claims, own))
    }
}

/// What a request was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Json,
    pub text: String,
}

impl Answer {
    /// The body, if it was answered so.
    #[track_caller]
    pub fn is(self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// The code of a refusal, which has words.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        let body = self.is(status);
        assert!(body["message"].as_str().is_some_and(|words| words.len() > 8), "{body}");
        body["error"].as_str().expect("a code").to_owned()
    }
}

/// One phone, and who holds it.
pub(super) struct Phone {
    seat: Arc<Seat>,
    keys: provider::Phone,
    pub person: &'static str,
    pub name: &'static str,
    pub role: &'static str,
    secret: Option<String>,
    acts: u64,
}

impl Phone {
    pub fn of(
        seat: &Arc<Seat>,
        person: &'static str,
        name: &'static str,
        role: &'static str,
    ) -> Self {
        let (seat, keys) = (Arc::clone(seat), provider::Phone::new());
        Self { seat, keys, person, name, role, secret: None, acts: 0 }
    }

    /// Opens a session with this token.
    pub async fn signs_in(&mut self, token: &str) -> Answer {
        let answer = self.sends("POST", "/v1/session", Some(token), "").await;
        if answer.status == 201 {
            self.secret = answer.body["session"].as_str().map(str::to_owned);
        }
        answer
    }

    /// An act's own id and time.
    pub fn stated(&mut self) -> Json {
        self.acts += 1;
        let client_id = format!("{}-{}", self.person, self.acts);
        json!({ "client_id": client_id, "stated": clock::now().utc_text() })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.sends("GET", path, self.secret.as_deref(), "").await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Answer {
        self.sends("POST", path, self.secret.as_deref(), &body.to_string()).await
    }

    /// As a core system does: with a token of its own each time.
    pub async fn post_as_core(&self, path: &str, token: &str, body: &Json) -> Answer {
        let head = format!("authorization: Bearer {token}\r\n");
        exchange(&self.seat, "POST", path, &head, &body.to_string()).await
    }

    async fn sends(
        &self,
        method: &str,
        path: &str,
        credential: Option<&str>,
        body: &str,
    ) -> Answer {
        let plain = path.split('?').next().unwrap_or_default();
        let head = credential.map_or_else(String::new, |credential| {
            let proof = self.keys.proof(method, plain, credential, clock::now());
            format!("authorization: DPoP {credential}\r\ndpop: {proof}\r\n")
        });
        exchange(&self.seat, method, path, &head, body).await
    }
}

/// Connections that phones have made.
struct Calls(UnboundedReceiver<DuplexStream>);

impl Listener for Calls {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(call) => (call, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One request on a connection of its own.
async fn exchange(seat: &Seat, method: &str, path: &str, head: &str, body: &str) -> Answer {
    let (call, calls) = unbounded_channel();
    let (mut phone, there) = tokio::io::duplex(BUFFER_BYTES);
    call.send(there).expect("somebody listens");
    let serving = axum::serve(Calls(calls), seat.router());
    let serving = tokio::spawn(async move { serving.await });
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: box.ward.example\r\nconnection: close\r\n{head}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    phone.write_all(request.as_bytes()).await.expect("the box reads");
    let mut bytes = Vec::new();
    phone.read_to_end(&mut bytes).await.expect("the box answers");
    serving.abort();
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        body: serde_json::from_str(body).unwrap_or(Json::Null),
        text: body.to_owned(),
    }
}
