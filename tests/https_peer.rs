//! A running house and a core that speaks HTTPS: nothing is lost and nothing counts twice while the
//! core dies, answers late, is busy, rejects, or comes back from an older backup. The core's own
//! filter of duplicates is off, so that what the transport repeats is seen.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;

use house::core::Core;
use house::{House, Plan, TCP_SERVER, device, oximeter};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value as Json;
use tempfile::TempDir;
use wardgate::forward::stored::Stored;

/// A folder with the authority, the core's certificate and the gateway's, and the core's store.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text);
        write("ca.pem", authority.pem()).unwrap();
        for (who, name) in [("core", "localhost"), ("box", "box-1")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            write(&format!("{who}.pem"), certificate.pem()).unwrap();
            write(&format!("{who}.key"), key.serialize_pem()).unwrap();
        }
        write("secret", "s3cret-of-the-ward\n".to_owned()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A core on this HTTP port; it counts everything that comes.
    fn core(&self, http: u16, more: &[&str]) -> Core {
        let (certificate, key) = (self.text("core.pem"), self.text("core.key"));
        let http = format!("127.0.0.1:{http}");
        let arguments = ["--filter", "off", "--http", &http, "--certificate", &certificate];
        let arguments = arguments.into_iter().chain(["--key", &key]).chain(more.iter().copied());
        let arguments: Vec<String> = arguments.map(str::to_owned).collect();
        Core::with(&self.path("store"), 0, &arguments)
    }

    fn house(&self, http: u16, more: &str) -> House {
        let destinations = format!(
            "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
             [destination.https]\nurl = \"https://localhost:{http}\"\nreceivers = [\"core\"]\n\
             ca = \"{}\"\nanswer_within_s = 2\nresend_after_s = 1\nbatch_records = 4\n{more}\n",
            self.text("ca.pem"),
        );
        let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
        House::open(Plan { destinations: Some(destinations), ..Plan::of(devices) })
    }

    /// The lines of the core's store by sequence, as they came.
    fn stored(&self) -> BTreeMap<u64, Vec<String>> {
        let text = std::fs::read_to_string(self.path("store")).unwrap_or_default();
        let mut stored: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let sequence = json(line)["record"]["data"]["sequence"].as_u64().unwrap();
            let record = line.split_once(r#","record":"#).unwrap().1.to_owned();
            stored.entry(sequence).or_default().push(record);
        }
        stored
    }

    /// The core has everything that was routed to it, whatever came twice was the same to the
    /// byte, and every reading is there as one observation.
    fn exactly_once(&self, house: &mut House, readings: usize) {
        house.wait("everything is acknowledged", |house| {
            let status = house.status();
            let core = &status.destinations[0];
            core.connected && core.backlog == 0 && self.stored().len() >= readings
        });
        let routed: BTreeSet<u64> = house
            .journal_records()
            .iter()
            .filter(|record| {
                let stored = Stored::from_bytes(&record.payload);
                stored.is_some_and(|stored| stored.routes.contains_key("core"))
            })
            .map(|record| record.sequence.number())
            .collect();
        let stored = self.stored();
        let has: BTreeSet<u64> = stored.keys().copied().collect();
        assert_eq!(has, routed);
        let mut observations = BTreeSet::new();
        for (sequence, lines) in &stored {
            assert!(lines.iter().all(|line| line == &lines[0]), "{sequence} came differently");
            let record = json(lines[0].trim_end().strip_suffix('}').unwrap());
            if record["subject"] == "oximeter" && record["type"] == "fi.wardgate.observation.v1" {
                assert_eq!(house::value(&record, "spo2"), "97");
                observations.insert(record["data"]["metrics"][0]["observation_id"].to_string());
            }
        }
        assert_eq!(observations.len(), readings, "one observation per reading");
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

const MUTUAL: [&str; 2] = ["box.pem", "box.key"];

fn mutual(ground: &Ground) -> String {
    let [certificate, key] = MUTUAL.map(|name| ground.text(name));
    format!("certificate = \"{certificate}\"\nkey = \"{key}\"")
}

/// An oximeter that has sent so many readings.
struct Oximeter {
    stream: TcpStream,
    sent: usize,
}

impl Oximeter {
    fn connect(house: &mut House) -> Self {
        let stream = TcpStream::connect(house.listening("oximeter")).unwrap();
        Self { stream, sent: 0 }
    }

    fn sends(&mut self, house: &mut House, count: usize) {
        for _ in 0..count {
            self.stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
        }
        self.sent += count;
        let sent = self.sent as u64;
        house.wait("the readings are heard", |house| house.device("oximeter").messages >= sent);
    }
}

#[test]
fn over_mutual_tls_the_effect_is_exactly_once_whatever_the_core_does() {
    let ground = Ground::new();
    let ca = ground.text("ca.pem");
    let arguments = ["--client-ca", ca.as_str()];
    let mut core = ground.core(0, &arguments);
    let http = core.http.unwrap();
    let mut house = ground.house(http, &mutual(&ground));
    let mut oximeter = Oximeter::connect(&mut house);
    oximeter.sends(&mut house, 10);
    ground.exactly_once(&mut house, 10);

    for moment in ["before-commit", "after-commit"] {
        core.fault(&format!("die={moment}@2"));
        oximeter.sends(&mut house, 10);
        house.wait("the core has died", |_| core.has_ended());
        core = ground.core(http, &arguments);
        ground.exactly_once(&mut house, oximeter.sent);
    }
    let twice = ground.stored().values().filter(|lines| lines.len() > 1).count();
    assert!(twice > 0, "what the core had committed before it died came again");

    // Later than the gateway waits.
    core.fault("late=3s");
    oximeter.sends(&mut house, 5);
    house.wait("the gateway gives up", |house| house.log().contains("no answer in time"));
    core.fault("none");
    ground.exactly_once(&mut house, oximeter.sent);

    for words in ["status=429:1s@every 2", "status=503@every 2", "status=500@every 2"] {
        core.fault(words);
        oximeter.sends(&mut house, 8);
        core.fault("none");
        ground.exactly_once(&mut house, oximeter.sent);
    }
    for words in ["twice", "out-of-order", "reject=not-now:later@every 3"] {
        core.fault(words);
        oximeter.sends(&mut house, 5);
        core.fault("none");
        ground.exactly_once(&mut house, oximeter.sent);
    }
    assert_eq!(house.status().destinations[0].set_aside, 0);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn what_the_core_never_sent_or_never_takes_is_seen() {
    let ground = Ground::new();
    let mut core = ground.core(0, &[]);
    let mut house = ground.house(core.http.unwrap(), "");
    let mut oximeter = Oximeter::connect(&mut house);
    for words in ["wrong-id", "wrong-stream", "beyond"] {
        let before = house.status().destinations[0].refused_acknowledgements;
        core.fault(words);
        oximeter.sends(&mut house, 2);
        house.wait("the wrong answer is counted", |house| {
            house.status().destinations[0].refused_acknowledgements > before
        });
        assert!(house.status().destinations[0].backlog > 0, "{words} retires nothing");
        core.fault("none");
        ground.exactly_once(&mut house, oximeter.sent);
    }
    core.fault("reject=unknown-code:permanent");
    oximeter.sends(&mut house, 3);
    house.wait("three are set aside", |house| house.status().destinations[0].set_aside == 3);
    house.wait("and block nothing", |house| house.status().destinations[0].backlog == 0);
    // A batch refused whole by its status: every record in it is asked about alone.
    core.fault("none");
    core.fault("status=422");
    oximeter.sends(&mut house, 4);
    house.wait("four more are set aside", |house| house.status().destinations[0].set_aside == 7);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_core_from_an_older_backup_gets_again_what_it_lost() {
    let ground = Ground::new();
    let mut core = ground.core(0, &[]);
    let http = core.http.unwrap();
    let mut house = ground.house(http, "");
    let mut oximeter = Oximeter::connect(&mut house);
    oximeter.sends(&mut house, 20);
    ground.exactly_once(&mut house, 20);
    let before = ground.stored();
    core.fault("restore=12");
    assert_eq!(ground.stored().len(), before.len() - 12);
    core.kill();
    let core = ground.core(http, &[]);
    oximeter.sends(&mut house, 1);
    ground.exactly_once(&mut house, 21);
    let after = ground.stored();
    assert!(before.iter().all(|(sequence, lines)| after[sequence][0] == lines[0]));
    drop(core);
}

#[test]
fn a_token_is_the_key_and_the_secret_is_told_to_nobody() {
    let ground = Ground::new();
    let mut core = ground.core(0, &["--client", "ward-4:s3cret-of-the-ward"]);
    let http = core.http.unwrap();
    let oauth2 = |id: &str| {
        format!(
            "oauth2 = {{ token_url = \"https://localhost:{http}/token\", client_id = \"{id}\", \
             secret_file = \"{}\", scope = \"ingest\" }}",
            ground.text("secret")
        )
    };
    let mut stranger = ground.house(http, &oauth2("somebody"));
    let mut oximeter = Oximeter::connect(&mut stranger);
    oximeter.sends(&mut stranger, 1);
    stranger.wait("it is refused", |house| house.log().contains("token endpoint answers 401"));
    assert!(!stranger.status().destinations[0].connected);
    assert!(!stranger.log().contains("s3cret"));
    assert!(ground.stored().is_empty());
    drop(stranger);

    let mut house = ground.house(http, &oauth2("ward-4"));
    let mut oximeter = Oximeter::connect(&mut house);
    oximeter.sends(&mut house, 5);
    ground.exactly_once(&mut house, 5);
    // A core that starts anew does not know the old token.
    core.kill();
    let core = ground.core(http, &["--client", "ward-4:s3cret-of-the-ward"]);
    oximeter.sends(&mut house, 5);
    ground.exactly_once(&mut house, 10);
    assert!(!house.log().contains("s3cret") && !house.log().contains("token-"));
    drop(core);
}
