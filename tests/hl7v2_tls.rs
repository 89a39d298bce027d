//! HL7 v2 over mutual TLS: a receiver and the gateway prove themselves to each other, or nothing is
//! said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use wardgate::forward::Counters;
use wardgate::forward::hl7v2::map::Map;
use wardgate::forward::hl7v2::{Hl7v2, Hl7v2Config};
use wardgate::forward::pump::Pump;
use wardgate::forward::stored::{EventKind, Stored};
use wardgate::gateway::configuration::load_vocabulary;
use wardgate::journal::{Journal, Kind, NewRecord, Options};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(ours: &Authority) -> TlsAcceptor {
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

fn record() -> NewRecord {
    let data = json!({
        "mode": "production", "patient": null, "patient_absent": "not-associated",
        "times": {"chart": {"utc": "2026-11-20T08:10:12.000000Z", "rule": "received"}},
        "metrics": [{"observation_id": "1f1f1f1f-1.0", "parameter": "spo2",
            "mdc_code": 150456, "mdc": "MDC_PULS_OXIM_SAT_O2", "value": "97", "status": "final"}],
    });
    let serde_json::Value::Object(data) = data else { unreachable!("an object") };
    let stored = Stored {
        kind: EventKind::Observation,
        time: "2026-11-20T08:10:12.000000Z".to_owned(),
        subject: "bed-1".to_owned(),
        routes: BTreeMap::from([("core".to_owned(), 0)]),
        data,
    };
    NewRecord { kind: Kind::Observation, time_us: 1, payload: stored.to_bytes() }
}

/// Answers every message on every connection whose handshake is good.
async fn receive(listener: tokio::net::TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count) = stream.read(&mut bytes).await {
            if count == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let id = text.split('|').nth(9).unwrap_or_default();
            let answer = format!("\u{b}MSH|^~\\&|C\rMSA|CA|{id}\r\u{1c}\r");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

/// What the counters say after the message came through, or after two attempts failed.
async fn deliver(config: Hl7v2Config) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Journal::open(&folder.path().join("journal"), Options::default()).unwrap();
    let (told, fate) = std::sync::mpsc::channel();
    let done = Box::new(move |how| told.send(how).unwrap());
    opened.appender.try_append(vec![record()], done).unwrap();
    tokio::task::spawn_blocking(move || fate.recv().unwrap().unwrap()).await.unwrap();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let words = Arc::new(load_vocabulary(&root.join("device-profiles")).unwrap());
    let text = std::fs::read_to_string(root.join("destination-maps/pcd-01.toml")).unwrap();
    let map = Arc::new(Map::read(&text, &words).unwrap());
    let counters = Arc::new(Counters::default());
    let binding = Hl7v2::new("core".to_owned(), "urn:uuid:1".to_owned(), config, map);
    let settings = binding.settings(folder.path().to_owned());
    let pump = Pump::open(settings, opened.reader.clone(), Arc::clone(&counters)).unwrap();
    let (_durable, durable) = watch::channel(1);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(pump.run(binding, durable, stopping));
    let begun = Instant::now();
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    while get(&counters.acknowledged) == 0 && get(&counters.losses) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(40), "{counters:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send_replace(true);
    running.await.unwrap();
    (get(&counters.acknowledged), get(&counters.losses))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = format!(
        "host = \"localhost\"\nport = {}\nmap = \"x\"\nanswer_within_s = 5",
        listener.local_addr().unwrap().port()
    );
    let good = Hl7v2Config {
        ca: write("ca", ours.pem()),
        certificate: write("certificate", client(&ours)),
        key: write("key", key.serialize_pem()),
        ..toml::from_str(&text).unwrap()
    };
    let stranger = Hl7v2Config { certificate: write("stranger", client(&other)), ..good.clone() };
    let impostor = Hl7v2Config { ca: write("impostor", other.pem()), ..good.clone() };
    let nameless = Hl7v2Config { certificate: None, key: None, ..good.clone() };
    let plain = Hl7v2Config { ca: None, certificate: None, key: None, ..good.clone() };
    tokio::spawn(receive(listener, acceptor(&ours)));
    assert_eq!(deliver(good).await, (1, 0));
    for (name, wrong) in
        [("stranger", stranger), ("impostor", impostor), ("nameless", nameless), ("plain", plain)]
    {
        let (acknowledged, losses) = deliver(wrong).await;
        assert_eq!(acknowledged, 0, "{name}");
        assert!(losses >= 2, "{name}");
    }
}
