//! Tokens of a provider that others wrote (npm oidc-provider), proofs and forgeries of npm jose: what
//! is good is believed, and every variation of it is refused. In ES256 and in RS256.

mod house;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use wardgate::charting::identity::provider::Source;
use wardgate::charting::identity::{
    Gatekeeper, Headers, Opened, Person, Refused, Role, SessionMode, Settings, Setup, Verified,
};
use wardgate::gateway::configuration::{IdentityTable, Mode};
use wardgate::link::clock;
use wardgate::vocabulary::Moment;

const ORIGIN: &str = "https://box.ward.example";

/// The provider in node, which is the phone too.
struct Provider {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    issuer: String,
}

impl Provider {
    fn start(modules: &Path, algorithm: &str) -> Self {
        let mut child = Command::new("node")
            .arg(house::repository().join("tests/judges/identity_provider.mjs"))
            .arg(modules)
            .arg(algorithm)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut provider = Self { child, orders, answers, issuer: String::new() };
        // What the package says of the version of node comes first.
        provider.issuer = provider.answer()["issuer"].as_str().unwrap().to_owned();
        provider
    }

    fn answer(&mut self) -> Json {
        loop {
            let mut line = String::new();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the provider ended");
            if line.starts_with('{') {
                let answer: Json = serde_json::from_str(&line).unwrap();
                assert!(answer.get("error").is_none(), "{answer}");
                return answer;
            }
        }
    }

    fn asked(&mut self, order: &Json) -> Json {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }

    fn sign_in(&mut self, bound: bool) -> Json {
        self.asked(&json!({
            "do": "sign-in", "person": "nurse-1", "roles": ["sh"], "wards": ["3a"], "bound": bound,
        }))
    }

    fn access_token(&mut self) -> String {
        self.sign_in(false)["tokens"]["access_token"].as_str().unwrap().to_owned()
    }

    fn proof(&mut self, path: &str, credential: &str, now: Moment) -> String {
        let address = format!("{ORIGIN}{path}");
        let order = json!({
            "do": "prove", "method": "POST", "address": address, "credential": credential,
            "at": now.utc_us() / 1_000_000,
        });
        self.asked(&order)["proof"].as_str().unwrap().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gatekeeper(provider: &Provider, algorithm: &str, folder: &Path) -> Arc<Gatekeeper> {
    let table = format!(
        r#"
        issuer = "{}"
        audience = "wardgate"
        algorithms = ["{algorithm}"]
        clients = ["bedside"]
        roles_claim = ["ward", "roles"]
        scope = "ward"
        role = [{{ value = "sh", role = "registered-nurse" }}]
        "#,
        provider.issuer
    );
    let table: IdentityTable = toml::from_str(&table).unwrap();
    let setup = Setup {
        settings: Settings::from(&table),
        source: Source::of(&table, Mode::Production).unwrap(),
        origins: vec![ORIGIN.to_owned()],
        folder: folder.to_owned(),
    };
    // What is told is of no matter here; the receiver ends with this line.
    Gatekeeper::open(setup, clock::now()).unwrap().0
}

/// A box, and the provider that it asks.
struct Bedside {
    provider: Provider,
    gatekeeper: Arc<Gatekeeper>,
}

impl Bedside {
    async fn opens(&mut self, scheme: &str, token: &str, now: Moment) -> Result<Opened, Refused> {
        let proof = self.provider.proof("/v1/session", token, now);
        let authorization = format!("{scheme} {token}");
        let headers = headers("/v1/session", &authorization, &proof);
        self.gatekeeper.open_session(&headers, now).await
    }

    async fn comes(&mut self, opened: &Opened, now: Moment) -> Result<Person, Refused> {
        let proof = self.provider.proof("/v1/scan", &opened.secret, now);
        let authorization = format!("DPoP {}", opened.secret);
        self.gatekeeper.person(&headers("/v1/scan", &authorization, &proof), now).await
    }

    async fn verifies(
        &mut self,
        opened: &Opened,
        token: &str,
        now: Moment,
    ) -> Result<Verified, Refused> {
        let proof = self.provider.proof("/v1/session/verify", &opened.secret, now);
        let authorization = format!("DPoP {}", opened.secret);
        let headers = headers("/v1/session/verify", &authorization, &proof);
        self.gatekeeper.verify_session(&headers, token, now).await
    }

    /// The good token with other header members and claims, signed with the provider's own key.
    async fn forged(&mut self, token: &str, header: Json, claims: Json) -> Result<(), Refused> {
        let forged = self.forge(token, "k1", header, claims);
        self.opens("Bearer", &forged, clock::now()).await.map(drop)
    }

    fn forge(&mut self, token: &str, key: &str, header: Json, claims: Json) -> String {
        let part = |index: usize| {
            let text = token.split('.').nth(index).unwrap();
            let bytes = wardgate::charting::identity::token::bytes(text).unwrap();
            serde_json::from_slice::<Json>(&bytes).unwrap()
        };
        let order = json!({
            "do": "forge", "key": key,
            "header": with(part(0), header), "claims": with(part(1), claims),
        });
        self.provider.asked(&order)["token"].as_str().unwrap().to_owned()
    }
}

fn with(mut json: Json, more: Json) -> Json {
    let object = json.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        object.insert(name.clone(), value.clone());
        if value.is_null() {
            object.remove(name);
        }
    }
    json
}

fn headers<'a>(path: &'a str, authorization: &'a str, proof: &'a str) -> Headers<'a> {
    Headers {
        method: "POST",
        path,
        authorization: Some(authorization),
        proof: Some(proof),
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

async fn judged(algorithm: &str, test: &str) {
    let Some(modules) = house::judges::node_modules(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&modules, algorithm);
    let gatekeeper = gatekeeper(&provider, algorithm, &folder.path().join("identity"));
    let mut bedside = Bedside { provider, gatekeeper };

    let now = clock::now();
    let token = bedside.provider.access_token();
    let opened = bedside.opens("Bearer", &token, now).await.unwrap();
    assert_eq!(opened.person.role, Role::RegisteredNurse);
    assert_eq!(
        (opened.person.name.as_str(), &opened.person.wards[..]),
        ("nurse-1", &["3a".into()][..])
    );
    assert_eq!(bedside.comes(&opened, clock::now()).await.unwrap().mode, SessionMode::Online);

    bound_to_the_phone(&mut bedside).await;
    variations(&mut bedside, &token, algorithm).await;
    turned_and_away(&mut bedside).await;
}

/// The provider binds the token to the phone's key by its own reckoning (RFC 9449).
async fn bound_to_the_phone(bedside: &mut Bedside) {
    let answer = bedside.provider.sign_in(true);
    assert_eq!(answer["tokens"]["token_type"], "DPoP");
    let token = answer["tokens"]["access_token"].as_str().unwrap();
    assert!(bedside.opens("DPoP", token, clock::now()).await.is_ok());
    // An ID token is none, though the same provider has signed it.
    let id_token = answer["tokens"]["id_token"].as_str().unwrap();
    let refused = bedside.opens("Bearer", id_token, clock::now()).await;
    assert_eq!(refused.map(drop), Err(Refused::TokenType));
    let as_access = bedside.forged(id_token, json!({ "typ": "at+jwt" }), json!({})).await;
    assert_eq!(as_access, Err(Refused::TokenType));
}

async fn variations(bedside: &mut Bedside, token: &str, algorithm: &str) {
    let now_s = clock::now().utc_us() / 1_000_000;
    // The forger itself makes tokens that are believed, when nothing is wrong with them.
    assert_eq!(bedside.forged(token, json!({}), json!({ "jti": "f1" })).await, Ok(()));
    let claims = [
        (json!({ "iss": "https://evil.example" }), Refused::TokenIssuer),
        (json!({ "iss": null }), Refused::TokenIssuer),
        (json!({ "aud": "bedside" }), Refused::TokenAudience),
        (json!({ "aud": null }), Refused::TokenAudience),
        (json!({ "exp": now_s - 60, "iat": now_s - 120 }), Refused::TokenExpired),
        (json!({ "exp": (now_s + 60).to_string() }), Refused::TokenClaim("exp")),
        (json!({ "exp": null }), Refused::TokenClaim("exp")),
        (json!({ "iat": now_s + 120, "exp": now_s + 200 }), Refused::TokenEarly),
        (json!({ "nbf": now_s + 120 }), Refused::TokenEarly),
        (json!({ "exp": now_s + 3600 }), Refused::TokenLifetime),
        (json!({ "client_id": "wiki" }), Refused::TokenClient),
        (json!({ "sub": null }), Refused::TokenClaim("sub")),
        (json!({ "jti": null }), Refused::TokenClaim("jti")),
        (json!({ "scope": "openid" }), Refused::TokenScope),
        (json!({ "cnf": { "jkt": "another" } }), Refused::TokenBinding),
        (json!({ "ward": { "roles": ["admin"] } }), Refused::NoRole),
    ];
    for (more, why) in claims {
        assert_eq!(bedside.forged(token, json!({}), more.clone()).await, Err(why), "{more}");
    }
    let header = [
        (json!({ "typ": "JWT" }), Refused::TokenType),
        (json!({ "kid": null }), Refused::TokenKeyUnknown),
        (json!({ "kid": "k9" }), Refused::TokenKeyUnknown),
        (json!({ "jku": "https://evil.example/keys" }), Refused::TokenHeader),
    ];
    for (more, why) in header {
        assert_eq!(bedside.forged(token, more.clone(), json!({})).await, Err(why), "{more}");
    }
    // The good token under the other algorithm's name.
    let other = if algorithm == "ES256" { "RS256" } else { "ES256" };
    let (_, rest) = token.split_once('.').unwrap();
    let header = json!({ "alg": other, "typ": "at+jwt", "kid": "k1" }).to_string();
    let header = wardgate::charting::identity::token::base64url(header.as_bytes());
    let refused = bedside.opens("Bearer", &format!("{header}.{rest}"), clock::now()).await;
    assert_eq!(refused.map(drop), Err(Refused::TokenAlgorithm));
}

/// Keys are turned as the provider does it: k1, then k2 before k1, then k2 alone. Then it is away.
async fn turned_and_away(bedside: &mut Bedside) {
    let asked = bedside.provider.asked(&json!({ "do": "asked" }))["asked"].as_u64().unwrap();
    // All of the above is one reading: unknown keys within half a minute are no reason for more.
    assert_eq!(asked, 1);
    bedside.provider.asked(&json!({ "do": "turn", "keys": ["k2", "k1"] }));
    let new = bedside.provider.access_token();
    let later = clock::now().plus_ms(31_000);
    assert!(bedside.opens("Bearer", &new, later).await.is_ok());
    bedside.provider.asked(&json!({ "do": "turn", "keys": ["k2"] }));
    let new = bedside.provider.access_token();
    let opened = bedside.opens("Bearer", &new, later.plus_ms(1000)).await.unwrap();
    let asked = bedside.provider.asked(&json!({ "do": "asked" }))["asked"].as_u64().unwrap();
    assert_eq!(asked, 2);

    bedside.provider.asked(&json!({ "do": "away" }));
    let hours = |hours: u64| later.plus_ms(hours * 3_600_000);
    let away = bedside.comes(&opened, hours(2)).await.unwrap();
    assert!(matches!(away.mode, SessionMode::Offline { identity_age_s: 7100..=7300 }));
    bedside.provider.asked(&json!({ "do": "back" }));
    let back = bedside.comes(&opened, hours(3)).await.unwrap();
    assert!(matches!(back.mode, SessionMode::Offline { identity_age_s: 10_700..=10_900 }));
    let vouch_s = hours(3).utc_us() / 1_000_000;
    let claims = json!({ "iat": vouch_s, "exp": vouch_s + 300, "jti": "after" });
    let token = bedside.forge(&new, "k2", json!({}), claims);
    let verified = bedside.verifies(&opened, &token, hours(3)).await.unwrap();
    let since_s = hours(2).utc_us() / 1_000_000;
    assert_eq!(verified.unverified_since_s, Some(since_s));
    let person = bedside.comes(&opened, hours(3).plus_ms(1000)).await.unwrap();
    assert_eq!(person.mode, SessionMode::Online);
}

#[tokio::test]
async fn tokens_of_another_maker_in_es256() {
    judged("ES256", "tokens_of_another_maker_in_es256").await;
}

#[tokio::test]
async fn tokens_of_another_maker_in_rs256() {
    judged("RS256", "tokens_of_another_maker_in_rs256").await;
}
