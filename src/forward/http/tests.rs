use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

fn config(url: &str) -> HttpConfig {
    HttpConfig {
        url: url.to_owned(),
        ca: None,
        crl: None,
        certificate: None,
        key: None,
        oauth2: None,
        answer_within_s: 20,
    }
}

fn oauth2(folder: &Path, token_url: &str) -> OAuth2Config {
    let secret_file = folder.join("secret");
    std::fs::write(&secret_file, "a b:c\n").unwrap();
    OAuth2Config {
        token_url: token_url.to_owned(),
        client_id: "ward 4".to_owned(),
        secret_file,
        scope: Some("ingest write".to_owned()),
        ca: None,
    }
}

/// A server that gives these answers, one per connection, and tells what it was asked.
async fn server(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, task)
}

/// Reads one request: its head and as much body as its length says.
async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "{text}");
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn token(text: &str) -> String {
    let body = format!(r#"{{"access_token":"{text}","token_type":"Bearer","expires_in":3600}}"#);
    answer("200 OK", "", &body)
}

#[tokio::test]
async fn a_token_is_fetched_once_and_shown_to_the_receiver_only() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, asked_of_issuer) = server(vec![token("first")]).await;
    let (receiver, asked) = server(vec![answer("200 OK", "", "{}"); 2]).await;
    let oauth2 = Some(oauth2(folder.path(), &format!("{issuer}/token")));
    let http = Http::new(&HttpConfig { oauth2, ..config(&receiver) }, Plain::ToLoopback).unwrap();
    for _ in 0..2 {
        assert_eq!(http.post_json("/x", b"[]".to_vec(), &[]).await.unwrap().status, 200);
    }
    let asked_of_issuer = asked_of_issuer.await.unwrap();
    // RFC 6749, 2.3.1 and 4.4.2: "ward+4:a+b%3Ac" in Base64, and the form.
    let basic = "authorization: Basic d2FyZCs0OmErYiUzQWM=";
    assert!(asked_of_issuer[0].starts_with("POST /token "), "{asked_of_issuer:?}");
    assert!(asked_of_issuer[0].contains(basic), "{asked_of_issuer:?}");
    assert!(
        asked_of_issuer[0].ends_with("\r\n\r\ngrant_type=client_credentials&scope=ingest+write")
    );
    for asked in asked.await.unwrap() {
        assert!(asked.contains("authorization: Bearer first\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn a_401_is_answered_once_with_a_new_token() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, _) = server(vec![token("old"), token("new")]).await;
    let refused = answer("401 Unauthorized", "", "");
    let (receiver, asked) = server(vec![refused.clone(), refused]).await;
    let oauth2 = Some(oauth2(folder.path(), &issuer));
    let http = Http::new(&HttpConfig { oauth2, ..config(&receiver) }, Plain::ToLoopback).unwrap();
    let answer = http.send(Request::get("/x")).await.unwrap();
    assert_eq!(answer.status, 401, "the second one is the answer");
    let asked = asked.await.unwrap();
    assert!(asked[0].contains("Bearer old") && asked[1].contains("Bearer new"), "{asked:?}");
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_is_named_without_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let busy = answer("503 Busy", "retry-after: 7\r\n", "Matti");
    let (issuer, _) = server(vec![busy, answer("200 OK", "", "{}")]).await;
    let oauth2 = Some(oauth2(folder.path(), &issuer));
    let config = HttpConfig { oauth2, ..config("http://127.0.0.1:9") };
    let http = Http::new(&config, Plain::ToLoopback).unwrap();
    let error = http.send(Request::get("/x")).await.unwrap_err();
    let wait = Some(Duration::from_secs(7));
    assert_eq!(error, HttpError::TokenRefused { status: 503, retry_after: wait });
    assert_eq!(error.retry_after(), wait);
    assert_eq!(http.send(Request::get("/x")).await.unwrap_err(), HttpError::NotAToken);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_a_large_answer_none() {
    let elsewhere = answer("307 Elsewhere", "location: http://127.0.0.1:9/\r\n", "");
    let busy = answer("429 Busy", "retry-after: 3\r\netag: W/\"2\"\r\n", "later");
    let large = answer("200 OK", "", &"x".repeat(100));
    let (url, asked) = server(vec![elsewhere, busy, large]).await;
    let http = Http::new(&config(&format!("{url}/core/")), Plain::ToLoopback).unwrap();
    let answer = http.post_json("/x", b"[]".to_vec(), &[]).await.unwrap();
    assert_eq!((answer.status, answer.is_success()), (307, false));
    let answer = http.send(Request::get("/y").with("accept", "text/plain")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(3))));
    assert_eq!((answer.header("etag"), answer.body.as_slice()), (Some("W/\"2\""), &b"later"[..]));
    let limited = Request { answer_bytes_max: 99, ..Request::get("/z") };
    assert_eq!(http.send(limited).await.unwrap_err(), HttpError::TooLarge(99));
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("POST /core/x HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[1].contains("accept: text/plain\r\n"), "{asked:?}");
}

#[test]
fn a_configuration_that_cannot_work_is_named_by_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |config: &HttpConfig, plain| config.check(plain).map_err(|error| error.keys());
    for good in ["http://127.0.0.1:1/x", "http://[::1]/", "http://localhost"] {
        assert_eq!(keys(&config(good), Plain::ToLoopback), Ok(()), "{good}");
    }
    assert_eq!(keys(&config("http://core/"), Plain::Anywhere), Ok(()));
    let bad = [
        "",
        "core",
        "ftp://core/",
        "http://",
        "https://a:b@core/",
        "https://core/?a",
        "https://c/#x",
        "http://core/",
        "http://127.0.0.1.example/",
        "https://core/",
        "http://127.0.0.1:0/",
    ];
    for bad in bad {
        assert_eq!(keys(&config(bad), Plain::ToLoopback), Err(&["url"][..]), "{bad}");
    }
    let with = |ca: Option<&str>, token_url: &str| HttpConfig {
        ca: ca.map(|name| folder.path().join(name)),
        oauth2: Some(oauth2(folder.path(), token_url)),
        ..config("http://127.0.0.1/")
    };
    let plain = Plain::ToLoopback;
    assert_eq!(keys(&with(None, "http://127.0.0.1/token"), plain), Ok(()));
    assert_eq!(keys(&with(Some("ca"), "http://127.0.0.1/token"), plain), Err(&["ca"][..]));
    let token_url = Err(&["oauth2", "token_url"][..]);
    assert_eq!(keys(&with(None, "http://issuer/token"), plain), token_url);
    assert_eq!(keys(&with(None, "https://issuer/token"), plain), token_url);
    let config = with(None, "http://127.0.0.1/token");
    let secret_file = Err(&["oauth2", "secret_file"][..]);
    for bad in ["", "\n", "a\nb"] {
        std::fs::write(folder.path().join("secret"), bad).unwrap();
        assert_eq!(keys(&config, plain), secret_file, "{bad:?}");
    }
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    assert_eq!(keys(&config, plain), secret_file);
}

/// A receiver with mutual TLS, made for the test by `rcgen`.
mod mutual_tls {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn acceptor(ours: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, ours).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            );
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }

    #[tokio::test]
    async fn both_prove_themselves_or_nothing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let (ours, other) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let client = |issuer| {
            let params = CertificateParams::new(vec!["box-1".to_owned()]).unwrap();
            params.signed_by(&key, issuer).unwrap().pem()
        };
        let good = HttpConfig {
            ca: write("ca", ours.pem()),
            certificate: write("certificate", client(&ours)),
            key: write("key", key.serialize_pem()),
            ..config("")
        };
        let stranger =
            HttpConfig { certificate: write("stranger", client(&other)), ..good.clone() };
        let impostor = HttpConfig { ca: write("impostor", other.pem()), ..good.clone() };
        let nameless = HttpConfig { certificate: None, key: None, ..good.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let acceptor = acceptor(&ours);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer("200 OK", "", "").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        let ask = async |config: HttpConfig| {
            let config = HttpConfig { url: url.clone(), ..config };
            let http = Http::new(&config, Plain::ToLoopback)?;
            http.send(Request::get("/")).await.map(|answer| answer.status)
        };
        assert_eq!(ask(good).await, Ok(200));
        for wrong in [stranger, impostor, nameless] {
            let refused = ask(wrong).await;
            assert!(matches!(refused, Err(HttpError::Tls(_))), "{refused:?}");
        }
    }
}
