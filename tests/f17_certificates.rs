//! Fault 17 of the fault matrix: a certificate has ended, is not valid yet, of another authority,
//! for another name or revoked, on either side, or the clock is wrong. Nothing is ever sent in the
//! clear, the data are kept, and they arrive once when the certificate is put right, without a
//! restart. Certificates that end soon are named before they do.

mod house;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::core::Core;
use house::fhir::FhirServer;
use house::hl7_core::{Hl7Core, observations, ready_made};
use house::receiver::{Answers, Receiver};
use house::tls_front::{Authority, Front, GOOD, Identity, authority};
use house::{House, PATIENCE, Plan, TCP_SERVER, device, free_port, judges, oximeter};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use serde_json::Value as Json;
use tempfile::TempDir;

/// The destinations, one per binding.
const BINDINGS: [&str; 4] = ["mqtt", "https", "fhir", "hl7v2"];

/// Words of what is sent, which nobody may hear in the clear.
const DATA: [&str; 8] =
    ["MQTT", "POST ", "GET ", "MSH|", "spo2", "PULS_OXIM", "oximeter", "Observation"];

/// The files of the gateway's side.
struct Files {
    folder: TempDir,
    ours: Authority,
}

impl Files {
    /// An authority of both sides, and a certificate of the gateway.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), ours: authority(GOOD) };
        files.write("ca.pem", &files.ours.pem());
        files.box_shows(&Identity::new(&files.ours, "box-1", GOOD, 100));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The gateway's own certificate is replaced, key first.
    fn box_shows(&self, identity: &Identity) {
        self.write("box.key", &identity.key_pem);
        self.write("box.pem", &identity.pem);
    }

    /// A core's certificate, good in every respect.
    fn good(&self) -> Arc<ServerConfig> {
        Identity::new(&self.ours, "localhost", GOOD, 7).serves(&self.ours)
    }

    fn keys(&self, more: &str) -> String {
        let [ca, certificate, key] =
            ["ca.pem", "box.pem", "box.key"].map(|name| self.path(name).display().to_string());
        format!("ca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{more}")
    }

    /// One destination per binding, in the order of [`BINDINGS`].
    fn destinations(&self, ports: [u16; 4], more: &str) -> String {
        let [mqtt, https, fhir, hl7v2] = ports;
        let map = ready_made("pcd-01.toml");
        let tables = [
            format!(
                "host = \"localhost\"\nport = {mqtt}\nreceivers = [\"core\"]\nresend_after_s = 1"
            ),
            format!(
                "url = \"https://localhost:{https}\"\nreceivers = [\"core\"]\nresend_after_s = 1\n\
                 answer_within_s = 5"
            ),
            format!("url = \"https://localhost:{fhir}\"\nresend_after_s = 1\nanswer_within_s = 5"),
            format!(
                "host = \"localhost\"\nport = {hl7v2}\nmap = \"{}\"\nanswer_within_s = 5",
                map.display()
            ),
        ];
        let keys = self.keys(more);
        let whole = BINDINGS.iter().zip(tables).map(|(name, table)| {
            format!(
                "[[destination]]\nname = \"{name}\"\nfiles = \"trial\"\nrequired = \"required\"\n\
                 proves = \"stored-by-core\"\n[destination.{name}]\n{table}\n{keys}\n\n"
            )
        });
        whole.collect()
    }
}

/// Four cores behind TLS, one per binding.
struct Cores {
    folder: TempDir,
    _mqtt: Core,
    _https: Core,
    fhir: FhirServer,
    _hl7v2: Hl7Core,
    fronts: [Front; 4],
}

impl Cores {
    fn start(shown: &Arc<ServerConfig>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = |name: &str| folder.path().join(name);
        let mqtt = Core::start(&store("mqtt"), 0);
        let http = ["--http".to_owned(), "127.0.0.1:0".to_owned()];
        let https = Core::with(&store("https"), 0, &http);
        let fhir = FhirServer::start(&store("fhir"), 0, &[]);
        let hl7v2 = Hl7Core::start(&store("hl7v2"), 0, &[]);
        let ports = [mqtt.port, https.http.unwrap(), fhir.port, hl7v2.port];
        let fronts = ports.map(|port| Front::start(port, Arc::clone(shown)));
        Self { folder, _mqtt: mqtt, _https: https, fhir, _hl7v2: hl7v2, fronts }
    }

    fn show(&self, shown: &Arc<ServerConfig>) {
        self.fronts.iter().for_each(|front| front.show(Arc::clone(shown)));
    }

    fn ports(&self) -> [u16; 4] {
        [0, 1, 2, 3].map(|index: usize| self.fronts[index].port)
    }

    /// How many saturations each core holds, each counted as often as it is there.
    fn held(&self) -> [usize; 4] {
        let store = |name: &str| self.folder.path().join(name);
        let lines = |name: &str| {
            let text = std::fs::read_to_string(store(name)).unwrap_or_default();
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let records = whole.map(|line| serde_json::from_str::<Json>(line).unwrap());
            let is_value = |one: &Json| one["record"]["type"] == "fi.wardgate.observation.v1";
            records.filter(is_value).count()
        };
        let fhir = self.fhir.held("Observation");
        let fhir = fhir.values().filter(|one| one.to_string().contains("\"59408-5\"")).count();
        let is_saturation = |one: &Json| one["id"].to_string().contains("MDC_PULS_OXIM_SAT_O2");
        let hl7v2 = observations(&store("hl7v2")).iter().filter(|one| is_saturation(one)).count();
        [lines("mqtt"), lines("https"), fhir, hl7v2]
    }

    /// Whatever came on any connection was TLS, and none of it can be read.
    fn heard_nothing_in_the_clear(&self) {
        for (binding, front) in BINDINGS.iter().zip(&self.fronts) {
            for raw in front.raw() {
                assert!(raw.first().is_none_or(|first| *first == 0x16), "{binding}: no handshake");
                let text = String::from_utf8_lossy(&raw);
                for word in DATA {
                    assert!(!text.contains(word), "{binding}: {word:?} came in the clear");
                }
            }
        }
    }
}

fn plan(destinations: String) -> Plan {
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    Plan { destinations: Some(destinations), ..Plan::of(devices) }
}

fn sends(house: &mut House, count: usize) -> TcpStream {
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    let heard = house.device("oximeter").messages + count as u64;
    for _ in 0..count {
        stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    }
    house.wait("the readings are heard", |house| house.device("oximeter").messages >= heard);
    stream
}

fn everything_is_there(house: &mut House, cores: &Cores, count: usize) {
    // What was heard is not yet kept, and nothing waits for a destination that has not looked.
    house.wait("every core has everything", |_| cores.held().iter().all(|held| *held >= count));
    house.wait("everything is acknowledged", |house| {
        let done = |one: &wardgate::gateway::status::DestinationSnapshot| {
            one.connected && one.backlog == 0
        };
        house.status().destinations.iter().all(done)
    });
    assert_eq!(cores.held(), [count; 4], "each once");
}

/// A core shows this; every binding refuses it, says why, and keeps the data.
fn refused_until_put_right(files: &Files, shown: &Arc<ServerConfig>, more: &str, why: &str) {
    let cores = Cores::start(shown);
    let mut house = House::open(plan(files.destinations(cores.ports(), more)));
    let _oximeter = sends(&mut house, 2);
    house.wait("every binding has refused it", |house| {
        house.status().destinations.iter().all(|one| one.trouble.contains(why))
    });
    house.wait("what waits is shown", |house| {
        house.status().destinations.iter().all(|one| one.backlog > 0)
    });
    for one in house.status().destinations {
        assert!(!one.connected && one.sent == 0, "{one:?}");
    }
    assert_eq!(cores.held(), [0; 4]);
    cores.heard_nothing_in_the_clear();
    for (binding, front) in BINDINGS.iter().zip(&cores.fronts) {
        assert!(front.clients().is_empty(), "{binding} showed itself to it");
    }
    let said = String::from_utf8(house.verb(&["status"]).stdout).unwrap();
    assert_eq!(said.matches(why).count(), 4, "{said}");
    cores.show(&files.good());
    everything_is_there(&mut house, &cores, 2);
    cores.heard_nothing_in_the_clear();
}

#[test]
fn f17_a_core_whose_certificate_has_expired_gets_nothing_until_it_is_renewed() {
    let files = Files::new();
    let shown = Identity::new(&files.ours, "localhost", (-10, -1), 7).serves(&files.ours);
    refused_until_put_right(&files, &shown, "", "has expired, or this box's clock is ahead");
}

/// The same as a box whose clock is a day behind.
#[test]
fn f17_a_core_whose_certificate_is_not_valid_yet_gets_nothing_until_it_is() {
    let files = Files::new();
    let shown = Identity::new(&files.ours, "localhost", (1, 30), 7).serves(&files.ours);
    refused_until_put_right(&files, &shown, "", "not valid yet, or this box's clock is behind");
}

#[test]
fn f17_a_core_of_another_authority_gets_nothing() {
    let files = Files::new();
    let other = authority(GOOD);
    let shown = Identity::new(&other, "localhost", GOOD, 7).serves(&files.ours);
    refused_until_put_right(&files, &shown, "", "of no authority that ca names");
}

#[test]
fn f17_a_core_of_another_name_gets_nothing() {
    let files = Files::new();
    let shown = Identity::new(&files.ours, "other.example", GOOD, 7).serves(&files.ours);
    refused_until_put_right(&files, &shown, "", "for another name");
}

#[test]
fn f17_a_core_whose_certificate_is_revoked_gets_nothing() {
    let files = Files::new();
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2126, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(66),
            revocation_time: date_time_ymd(2026, 1, 2),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    files.write("crl.pem", &list.signed_by(&files.ours).unwrap().pem().unwrap());
    let shown = Identity::new(&files.ours, "localhost", GOOD, 66).serves(&files.ours);
    let more = format!("crl = \"{}\"", files.path("crl.pem").display());
    refused_until_put_right(&files, &shown, &more, "is revoked");
}

/// The gateway's own certificate has expired, or is of an authority that the core does not know.
#[test]
fn f17_a_gateway_that_a_core_refuses_keeps_its_data_until_it_has_a_good_certificate() {
    let files = Files::new();
    let cores = Cores::start(&files.good());
    for (round, bad) in [
        Identity::new(&files.ours, "box-1", (-10, -1), 101),
        Identity::new(&authority(GOOD), "box-1", GOOD, 102),
    ]
    .iter()
    .enumerate()
    {
        files.box_shows(bad);
        let mut house = House::open(plan(files.destinations(cores.ports(), "")));
        let _oximeter = sends(&mut house, 2);
        house.wait("every core has refused it", |house| {
            house.status().destinations.iter().all(|one| !one.trouble.is_empty())
        });
        let status = house.status();
        assert!(status.destinations.iter().all(|one| !one.connected && one.acknowledged == 0));
        assert_eq!(cores.held(), [round * 2; 4]);
        assert!(cores.fronts.iter().all(|front| !front.clients().contains(&bad.der)));
        if round == 0 {
            let said = |one: &wardgate::gateway::status::DestinationSnapshot| {
                let ours = one.certificates.iter().find(|one| one.which == "certificate");
                ours.and_then(|ours| ours.attention.clone()).unwrap_or_default()
            };
            assert!(status.destinations.iter().all(|one| said(one).contains("has ended")));
        }
        files.box_shows(&Identity::new(&files.ours, "box-1", GOOD, 110 + round as u64));
        everything_is_there(&mut house, &cores, (round + 1) * 2);
        cores.heard_nothing_in_the_clear();
    }
}

/// A connection may live for weeks: when the files are replaced it is made anew with them.
#[test]
fn f17_a_living_connection_is_renewed_when_its_files_are() {
    let files = Files::new();
    let cores = Cores::start(&files.good());
    let mut house = House::open(plan(files.destinations(cores.ports(), "")));
    let mut oximeter = sends(&mut house, 2);
    everything_is_there(&mut house, &cores, 2);
    let losses = || house_log_lines(&house, "connection lost");
    let before = losses();
    let new = Identity::new(&files.ours, "box-1", GOOD, 300);
    files.box_shows(&new);
    house.wait("every core has seen the new certificate", |_| {
        cores.fronts.iter().all(|front| front.clients().contains(&new.der))
    });
    oximeter.write_all(&oximeter::line("96", "60", "2.5")).unwrap();
    house.wait("it is heard", |house| house.device("oximeter").messages >= 3);
    everything_is_there(&mut house, &cores, 3);
    assert_eq!(house_log_lines(&house, "connection lost"), before, "nothing was lost by it");
    cores.heard_nothing_in_the_clear();
}

fn house_log_lines(house: &House, words: &str) -> usize {
    house.log().lines().filter(|line| line.contains(words)).count()
}

/// A port where nobody speaks TLS: it hears the beginning of a handshake and nothing else.
#[test]
fn f17_who_speaks_no_tls_hears_a_client_hello_and_no_more() {
    let files = Files::new();
    let mut heard = Vec::new();
    let ports = BINDINGS.map(|_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        heard.push(Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = vec![0; 4096];
                let count = stream.read(&mut bytes).unwrap_or(0);
                bytes.truncate(count);
                // No TLS, but what a careless client might take for a go-ahead.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.read_to_end(&mut bytes);
                connections.lock().unwrap().push(bytes);
            }
        });
        port
    });
    let mut house = House::open(plan(files.destinations(ports, "")));
    let _oximeter = sends(&mut house, 2);
    house.wait("each was tried twice", |_| {
        heard.iter().all(|connections| connections.lock().unwrap().len() >= 2)
    });
    for (binding, connections) in BINDINGS.iter().zip(&heard) {
        for bytes in connections.lock().unwrap().iter() {
            // RFC 8446, 5.1 and 4: a record of type handshake that holds a ClientHello.
            assert_eq!((bytes[0], bytes[1], bytes[5]), (22, 3, 1), "{binding}");
            let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let behind = &bytes[5 + length..];
            let is_alert = behind.len() == 7 && behind[0] == 21;
            assert!(behind.is_empty() || is_alert, "{binding}: {behind:02X?}");
            let text = String::from_utf8_lossy(bytes);
            assert!(DATA.iter().all(|word| !text.contains(word)), "{binding}");
        }
    }
    house.wait("what waits is shown", |house| {
        house.status().destinations.iter().all(|one| !one.connected && one.backlog > 0)
    });
}

/// The files end in 13 and 29 days, the receivers' certificates in 6.
#[test]
fn f17_certificates_that_end_soon_are_named_in_status_check_and_log() {
    let mut files = Files::new();
    files.ours = authority((-300, 30));
    files.write("ca.pem", &files.ours.pem());
    files.box_shows(&Identity::new(&files.ours, "box-1", (-300, 14), 100));
    let shown = Identity::new(&files.ours, "localhost", (-300, 7), 7).serves(&files.ours);
    let cores = Cores::start(&shown);
    let mut house = House::open(plan(files.destinations(cores.ports(), "")));
    house.wait("all are connected", |house| {
        house.status().destinations.iter().all(|one| one.connected)
    });
    let expected = [("ca", 29), ("certificate", 13), ("receiver", 6)];
    for one in house.status().destinations {
        let certificates: Vec<(&str, i64)> =
            one.certificates.iter().map(|one| (one.which.as_str(), one.days_left)).collect();
        assert_eq!(certificates, expected, "{}", one.name);
        for certificate in &one.certificates {
            let attention = certificate.attention.clone().unwrap_or_default();
            assert_eq!(attention, format!("ends in {} days", certificate.days_left));
        }
    }
    let said = String::from_utf8(house.verb(&["status"]).stdout).unwrap();
    for (which, days) in expected {
        let line = format!("ATTENTION {which} ends in {days} days");
        assert_eq!(said.matches(&line).count(), 4, "{line}\n{said}");
    }
    let checked = String::from_utf8(house.verb(&["check"]).stdout).unwrap();
    assert_eq!(checked.matches("ATTENTION certificate ends in 13 days").count(), 4, "{checked}");
    house.wait("the log names each once", |house| {
        let log = house.log();
        let lines = || log.lines().filter(|line| line.contains("WARN") && line.contains("days"));
        expected.iter().all(|(_, days)| {
            lines().filter(|line| line.contains(&format!("ends in {days} days"))).count() == 4
        })
    });
}

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real broker: TLS with our authority's clients only on one port, and a plain one for the core.
fn mosquitto(binary: &PathBuf, files: &Files, shown: &Identity, tls: u16, plain: u16) -> Running {
    files.write("broker.pem", &shown.pem);
    files.write("broker.key", &shown.key_pem);
    let path = |name: &str| files.path(name).display().to_string();
    let text = format!(
        "per_listener_settings false\nallow_anonymous true\nuser root\n\
         listener {plain} 127.0.0.1\n\
         listener {tls} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        path("ca.pem"),
        path("broker.pem"),
        path("broker.key")
    );
    files.write("mosquitto.conf", &text);
    let mut command = Command::new(binary);
    command.arg("-c").arg(files.path("mosquitto.conf"));
    let broker = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    for port in [tls, plain] {
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the broker takes no connection");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    broker
}

#[test]
fn f17_mosquitto_over_mutual_tls_gets_everything_once_both_certificates_are_good() {
    let Some(binary) = judges::mosquitto("f17_certificates") else { return };
    let files = Files::new();
    let (tls, plain) = (free_port(), free_port());
    let keys = files.keys("").replace('\n', ", ");
    let destinations = format!(
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"localhost\", port = {tls}, receivers = [\"core\"], \
         resend_after_s = 1, {} }}\n",
        keys.trim_end_matches(", ")
    );
    let expired = Identity::new(&files.ours, "localhost", (-10, -1), 7);
    let good = Identity::new(&files.ours, "localhost", GOOD, 8);
    files.box_shows(&Identity::new(&files.ours, "box-1", (-10, -1), 101));
    let broker = mosquitto(&binary, &files, &expired, tls, plain);
    let mut house = House::open(plan(destinations));
    let _oximeter = sends(&mut house, 3);
    house.wait("the broker's certificate is refused", |house| {
        house.status().destinations[0].trouble.contains("the receiver's certificate has expired")
    });
    drop(broker);
    let _broker = mosquitto(&binary, &files, &good, tls, plain);
    let core = Receiver::start(plain, "core", Answers::After(Duration::ZERO));
    house.wait("the broker refuses ours", |house| {
        house.status().destinations[0].trouble.contains("our certificate has expired")
    });
    assert!(core.heard().is_empty());
    files.box_shows(&Identity::new(&files.ours, "box-1", GOOD, 102));
    let sequences = || {
        let values = core.heard().into_iter().filter(|one| one.topic.contains("/observation/"));
        values.map(|one| one.sequence).collect::<std::collections::BTreeSet<u64>>()
    };
    house.wait("everything is acknowledged", |house| {
        let one = &house.status().destinations[0];
        one.connected && one.backlog == 0 && sequences().len() >= 3
    });
    assert_eq!(sequences().len(), 3);
}
