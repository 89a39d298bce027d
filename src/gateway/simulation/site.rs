//! The configuration of the simulated site.

use std::sync::OnceLock;

use super::life::{ARCHIVE, CORE, DEVICES};
use super::options::Options;
use crate::forward::window::Order;
use crate::gateway::configuration::{self, Configuration, OrderKey};

/// The configuration as a site would write it, with what the options say.
pub(super) fn configured(options: &Options) -> Configuration {
    static LOADED: OnceLock<(tempfile::TempDir, Configuration)> = OnceLock::new();
    let (_, loaded) = LOADED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wardgate.toml");
        std::fs::write(&file, text(folder.path())).unwrap();
        let configuration = configuration::load(&file).unwrap();
        (folder, configuration)
    });
    let mut configuration = loaded.clone();
    configuration.gateway.segment_bytes = Some(options.segment_bytes);
    configuration.gateway.retention.bytes = Some(options.quota_segments * options.segment_bytes);
    configuration.gateway.retention.hours = 1;
    configuration.gateway.manifest_every_s = options.manifest_every_s;
    let has_archive = options.archive.is_some();
    configuration.destinations.retain(|one| has_archive || one.name != ARCHIVE);
    for destination in &mut configuration.destinations {
        if options.manifest_every_s.is_none() {
            // What gets HL7 v2 gets no manifest; what speaks to the core is simulated anyway.
            destination.hl7v2 = Some(toml::from_str(HL7_V2).unwrap());
        }
        destination.order = match options.order {
            Order::Lanes => OrderKey::Lanes,
            Order::Strict => OrderKey::Strict,
        };
    }
    configuration
}

const HL7_V2: &str = r#"host = "127.0.0.1"
port = 1
map = "none""#;

/// `folder` holds the gateway's own signing key and nothing else.
fn text(folder: &std::path::Path) -> String {
    let profiles = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles");
    let [oximeter, monitor, analyser] = DEVICES;
    format!(
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

[[device]]
name = "{oximeter}"
profile = "nordpuls/po-100"
place = "icu/bed-1"
firmware = "2.2"
link = {{ serial = "{oximeter}" }}

[[device]]
name = "{monitor}"
profile = "generic/pcd-01"
place = "icu/bed-2"
firmware = "PCD-01 2.6"
link = {{ tcp_client = "{monitor}" }}

[[device]]
name = "{analyser}"
profile = "laborin/bg-7"
place = "icu/lab"
firmware = "1.8.2"
link = {{ tcp_client = "{analyser}" }}

[[destination]]
name = "{CORE}"
files = "trial"
required = "required"
mqtt = {{ host = "127.0.0.1", receivers = ["{CORE}"] }}

[[destination]]
name = "{ARCHIVE}"
files = "trial"
required = "best-effort"
mqtt = {{ host = "127.0.0.1", receivers = ["{ARCHIVE}"] }}
"#,
        folder = folder.display(),
        profiles = profiles.display(),
    )
}
