//! `core-check` finds nothing wrong with the stand-in core, and names the right clause for each fault
//! that is switched on.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value as Json;

struct Core {
    process: Child,
    http: u64,
    mqtt: u64,
    _input: ChildStdin,
}

impl Core {
    fn start(store: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate-hil"))
            .args(["core", "--http", "127.0.0.1:0", "--store"])
            .arg(store)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Json = serde_json::from_str(&line).expect("the core is ready");
        let port = |key: &str| ready[key].as_u64().unwrap();
        Self { process, http: port("http"), mqtt: port("port"), _input: input }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the check found: its exit code, and the names of broken, and of kept clauses.
fn check(url: &str, more: &[&str]) -> (i32, BTreeSet<String>, BTreeSet<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate-hil"));
    command.args(["core-check", url, "--json"]).args(more);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let found: Json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{errors}"));
    let of = |finding: &str| {
        let clauses = found["clauses"].as_array().unwrap().iter();
        let these = clauses.filter(|one| one["finding"] == finding);
        these.map(|one| one["clause"].as_str().unwrap().to_owned()).collect()
    };
    (output.status.code().unwrap(), of("broken"), of("kept"))
}

fn names(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_stand_in_core_keeps_every_clause_that_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("core.jsonl");
    let core = Core::start(&store, &[]);
    let over_https = names(
        "unknown-stream answers answer-form same-stream receiver-id only-what-came stores-new \
         duplicates any-order previous-missing damaged-record unknown-type waveform \
         not-a-batch two-at-once have keeps",
    );
    let url = format!("http://127.0.0.1:{}", core.http);
    let (code, broken, kept) = check(&url, &["--receiver", "core"]);
    assert_eq!((code, broken), (0, BTreeSet::new()));
    assert!(kept.is_superset(&over_https), "{:?}", over_https.difference(&kept));
    let over_mqtt = names(
        "answers answer-form same-stream receiver-id only-what-came stores-new duplicates \
         any-order previous-missing damaged-record unknown-type",
    );
    let (code, broken, kept) = check(&format!("mqtt://127.0.0.1:{}", core.mqtt), &[]);
    assert_eq!((code, broken, kept), (0, BTreeSet::new(), over_mqtt));
    for line in std::fs::read_to_string(&store).unwrap().lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        assert_eq!(line["record"]["subject"], "core-check");
        assert_eq!(line["record"]["data"]["mode"], "debugging");
    }
}

/// Each fault with what it breaks over HTTPS and over MQTT; `-` is not tried.
const FAULTS: [(&str, &str, &str); 14] = [
    ("late=4s", "answers", "answers"),
    ("wrong-id", "receiver-id", "receiver-id"),
    ("wrong-stream", "same-stream", "same-stream"),
    ("beyond", "only-what-came", "only-what-came"),
    ("reject=odd:permanent", "stores-new", "stores-new"),
    ("reject=odd:later@every 3", "stores-new", "stores-new"),
    ("reject-duplicates", "duplicates", "duplicates"),
    ("needs-previous", "previous-missing", "previous-missing"),
    ("forget", "keeps", "-"),
    ("believe-damaged", "damaged-record", "-"),
    ("status=500", "answers", "-"),
    ("status=503:1s", "answers", "-"),
    ("die=before-commit", "answers", "answers"),
    ("die=after-commit", "answers", "answers"),
];

/// How many are tried side by side: nearly all of their time is waiting for answers.
const SIDE_BY_SIDE: usize = 12;

#[test]
fn every_fault_breaks_the_clause_that_it_should() {
    let tried: Vec<(&str, &str, &str)> = FAULTS
        .iter()
        .flat_map(|(fault, https, mqtt)| [(*fault, "http", *https), (*fault, "mqtt", *mqtt)])
        .filter(|(_, _, clause)| *clause != "-")
        .collect();
    for some in tried.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            for (fault, scheme, clause) in some {
                scope.spawn(move || breaks(fault, scheme, clause));
            }
        });
    }
}

fn breaks(fault: &str, scheme: &str, clause: &str) {
    let arguments = ["--within", "2", "--receiver", "core"];
    let folder = tempfile::tempdir().unwrap();
    let core = Core::start(&folder.path().join("core.jsonl"), &["--fault", fault]);
    let port = if scheme == "http" { core.http } else { core.mqtt };
    let (code, broken, _) = check(&format!("{scheme}://127.0.0.1:{port}"), &arguments);
    assert_eq!(code, 1, "{fault} over {scheme}");
    assert!(broken.contains(clause), "{fault} over {scheme}: {broken:?}");
}

#[test]
fn what_the_contract_allows_is_not_called_broken() {
    for fault in ["twice", "out-of-order", "late=100ms", "status=429:1s@every 4"] {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(&folder.path().join("core.jsonl"), &["--fault", fault]);
        let (code, broken, _) = check(&format!("http://127.0.0.1:{}", core.http), &[]);
        assert_eq!((code, broken), (0, BTreeSet::new()), "{fault}");
    }
}

#[test]
fn a_core_that_lets_strangers_in_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    for (fault, code, expected) in [("none", 0, ""), ("open", 1, "authentication")] {
        let store = folder.path().join(fault);
        let core = Core::start(&store, &["--client", "ward:s3cret", "--fault", fault]);
        let url = format!("http://127.0.0.1:{}", core.http);
        let token = format!("{url}/token");
        let more = [
            "--token-url",
            &token,
            "--client-id",
            "ward",
            "--secret-file",
            &secret.display().to_string(),
        ]
        .map(str::to_owned);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (found, broken, kept) = check(&url, &more);
        assert_eq!((found, broken), (code, names(expected)), "{fault}");
        assert_eq!(kept.contains("authentication"), fault == "none");
    }
}

#[test]
fn over_mutual_tls_a_stranger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    for (who, name) in [("core", "localhost"), ("check", "core-check")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(path(&format!("{who}.pem")), certificate.pem()).unwrap();
        std::fs::write(path(&format!("{who}.key")), key.serialize_pem()).unwrap();
    }
    let text = |name: &str| path(name).display().to_string();
    let (ca, certificate, key) = (text("ca.pem"), text("core.pem"), text("core.key"));
    let core = Core::start(
        &path("store"),
        &["--certificate", &certificate, "--key", &key, "--client-ca", &ca],
    );
    let (certificate, key) = (text("check.pem"), text("check.key"));
    let more = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    let (code, broken, kept) = check(&format!("https://localhost:{}", core.http), &more);
    assert_eq!((code, broken), (0, BTreeSet::new()));
    assert!(kept.contains("authentication"));
}
