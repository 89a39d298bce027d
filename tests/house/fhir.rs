//! The stand-in FHIR server: `wardgate-hil fhir`, built beside the gateway, and what it holds.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value as Json;

use super::{judges, repository};

/// The server's process. It ends with its standard input, too.
pub struct FhirServer {
    pub process: Child,
    pub port: u16,
    pub store: PathBuf,
    _input: ChildStdin,
}

impl FhirServer {
    /// Starts it and waits until it is ready; port 0 takes a free one.
    pub fn start(store: &Path, port: u16, faults: &[&str]) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_wardgate")).with_file_name("wardgate-hil");
        let what = "wardgate-hil is built beside wardgate (cargo build --workspace)";
        assert!(binary.exists(), "{what}");
        let mut process = Command::new(binary)
            .args(["fhir", "--listen", &format!("127.0.0.1:{port}"), "--store"])
            .arg(store)
            .args(faults)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in FHIR server starts");
        let input = process.stdin.take().expect("a pipe");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a line");
        let ready: Json = serde_json::from_str(&line).expect("the server is ready");
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let store = store.to_owned();
        Self { process, port: port.expect("a port"), store, _input: input }
    }

    /// Every version of every resource of a kind, in order, by its id, as text.
    pub fn versions(&self, kind: &str) -> BTreeMap<String, Vec<String>> {
        let text = std::fs::read_to_string(&self.store).unwrap_or_default();
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let value: Json = serde_json::from_str(line).expect("a line of JSON");
            if value["kind"] == *kind {
                let id = value["id"].as_str().expect("an id").to_owned();
                let at = line.find("\"resource\":").expect("a resource") + "\"resource\":".len();
                let resource = line.trim_end()[at..].strip_suffix('}').expect("its end");
                versions.entry(id).or_default().push(resource.to_owned());
            }
        }
        versions
    }

    /// What it holds of a kind now, by every identifier. Two resources with one identifier fail.
    pub fn held(&self, kind: &str) -> BTreeMap<String, Json> {
        let mut held = BTreeMap::new();
        for versions in self.versions(kind).into_values() {
            let last = versions.last().expect("a version");
            let resource: Json = serde_json::from_str(last).expect("JSON");
            for identifier in resource["identifier"].as_array().expect("identifiers") {
                let value = identifier["value"].as_str().expect("a value").to_owned();
                let twice = held.insert(value.clone(), resource.clone());
                assert!(twice.is_none(), "two resources for {value}");
            }
        }
        held
    }

    /// The file with every bundle that came.
    pub fn bundles(&self) -> PathBuf {
        let mut path = self.store.as_os_str().to_owned();
        path.push(".bundles");
        path.into()
    }

    /// Every bundle that came passes all judges; missing ones are skipped by name.
    pub fn judged(&self, test: &str) {
        if let Some(python) = judges::python(test) {
            let judged = judges::judge(&python, "fhir_bundles.py").arg(self.bundles()).output();
            accepted(judged.expect("the judge runs"), test);
        }
        if let Some(modules) = judges::node_modules(test) {
            let folder = repository().join("tests/judges");
            let judged = Command::new("node")
                .arg(folder.join("fhir_bundles.js"))
                .arg(modules)
                .arg(folder.join("fhirpath_rules.txt"))
                .arg(self.bundles())
                .output();
            accepted(judged.expect("node runs"), test);
        }
    }
}

fn accepted(judged: std::process::Output, test: &str) {
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    let error = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{test}: {said}\n{error}");
    println!("{test}: {said}");
}

impl Drop for FhirServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
