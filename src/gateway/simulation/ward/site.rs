//! The configuration of the ward, and the value that its oximeters send.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::story::LINES;
use crate::charting::identity::tests::{ISSUER, ORIGIN, TABLE};
use crate::gateway::configuration::{self, Configuration, Files, load_profile, load_vocabulary};
use crate::link::clock;
use crate::mapping::Mapper;
use crate::profile::{Drafts, Profile};
use crate::protocol::{Event, LinkChange, Message, Peer, Session, Site};
use crate::vocabulary::Observation;

pub(super) const CHART: &str = "chart";
pub(super) const ARCHIVE: &str = "archive";
/// So small that a history fills some of them.
pub(super) const SEGMENT_BYTES: u64 = 96 << 10;

const LINE: &[u8] = b"$PO,10:11:12,097,072,04.5,00*25\r\n";

fn profiles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles")
}

/// The configuration as a site would write it.
pub(super) fn configured(is_loose: bool) -> Configuration {
    thread_local! {
        // A folder for each test that runs beside others.
        static LOADED: (tempfile::TempDir, [Configuration; 2]) = {
            let folder = tempfile::tempdir().unwrap();
            let loaded = [false, true].map(|is_loose| loaded(folder.path(), is_loose));
            (folder, loaded)
        };
    }
    LOADED.with(|(_, loaded)| loaded[usize::from(is_loose)].clone())
}

fn loaded(folder: &Path, is_loose: bool) -> Configuration {
    let file = folder.join("wardgate.toml");
    std::fs::write(&file, text(folder, is_loose)).unwrap();
    let mut configuration = configuration::load(&file).unwrap();
    configuration.gateway.segment_bytes = Some(SEGMENT_BYTES);
    for destination in &mut configuration.destinations {
        // The device file that is at hand is no released one; its values are.
        if destination.name == CHART {
            destination.files = Files::Patients;
        }
    }
    configuration
}

fn text(folder: &Path, is_loose: bool) -> String {
    let (folder, profiles) = (folder.display(), profiles());
    let mut text = format!(
        r#"
[gateway]
id = "urn:uuid:00000000-0000-0000-0000-000000000000"
tenant = "region"
site = "hospital"
ward = "icu"
name = "box-1"
data = "{folder}"
device_profiles = "{profiles}"
socket = "{folder}/status.socket"
mode = "bench"
time_zone = "Europe/Helsinki"
"#,
        profiles = profiles.display(),
    );
    if is_loose {
        text += r#"
[association]
one_patient_places = ["icu/bed-1"]
enough = ["scan", "core-claim", "device-admission-in-census", "location-of-fixed-device"]
"#;
    }
    for (number, name) in LINES.iter().enumerate() {
        let mobility = if number == 0 { "mobility = \"fixed\"" } else { "" };
        text += &format!(
            r#"
[[device]]
name = "{name}"
profile = "nordpuls/po-100"
place = "icu/{name}"
firmware = "2.2"
codes = ["D00000{number}"]
link = {{ serial = "{name}" }}
{mobility}
"#
        );
    }
    for name in [CHART, ARCHIVE] {
        text += &format!(
            r#"
[[destination]]
name = "{name}"
files = "trial"
required = "required"
mqtt = {{ host = "127.0.0.1", receivers = ["{name}"] }}
"#
        );
    }
    text
}

/// The same ward with a bedside, whose files lie in this folder.
pub(super) fn with_bedside(folder: &Path) -> Configuration {
    let file = folder.join("wardgate.toml");
    let text = format!(
        r#"{ward}
[association.scan]
code = [
  {{ means = "wristband", form = "P{{8 digits}}", root = "1.2.246.10.1234567.22.2026" }},
  {{ means = "device", form = "D{{6 digits}}" }},
]

[[device]]
name = "analyser"
profile = "laborin/bg-7"
place = "icu/lab"
firmware = "1.8.2"
codes = ["D000009"]
link = {{ tcp_client = "analyser" }}

[charting]
listen = "127.0.0.1:8443"
origins = ["http://127.0.0.1:8443"]
owner = "core, box in downtime"

[identity]
session_hours = 12
outage_hours = 13
{TABLE}
"#,
        ward = text(folder, false),
        // Whose authorities would have to be named; nobody asks over a network.
        TABLE = TABLE.replace(ISSUER, "http://127.0.0.1:1"),
    );
    std::fs::write(&file, text).unwrap();
    let mut configuration = configuration::load(&file).unwrap();
    for destination in &mut configuration.destinations {
        if destination.name == CHART {
            destination.files = Files::Patients;
        }
    }
    if let Some(charting) = &mut configuration.charting {
        // As the phones of the provider's tests know it.
        charting.origins = vec![ORIGIN.to_owned()];
    }
    if let Some(identity) = &mut configuration.identity {
        identity.issuer = ISSUER.to_owned();
    }
    configuration
}

/// What an oximeter says, read by its device file; two of its values.
pub(super) struct Spoken {
    pub profile: Profile,
    pub message: Message,
    pub observation: Observation,
}

pub(super) fn spoken() -> &'static Spoken {
    static SPOKEN: OnceLock<Spoken> = OnceLock::new();
    SPOKEN.get_or_init(|| {
        let words = Arc::new(load_vocabulary(&profiles()).unwrap());
        let file = profiles().join("nordpuls/po-100/profile.toml");
        let profile = load_profile(&file, &words, Drafts::Accepted).unwrap();
        let mapper = Mapper::new(&profile, "2.2", words);
        let now = clock::now();
        let mut driver = profile.driver("2.2", Site::default());
        driver.link(LinkChange::Opened { session: Session(1) }, now);
        driver.receive(LINE, Peer::STREAM, now);
        let mut events = std::iter::from_fn(|| driver.poll());
        let message =
            events.find_map(
                |event| {
                    if let Event::Message(message) = event { Some(message) } else { None }
                },
            );
        let message = message.expect("a message");
        let mut observation = mapper.map(&message.groups).observations.remove(0);
        observation.metrics.truncate(2);
        Spoken { profile, message, observation }
    })
}
