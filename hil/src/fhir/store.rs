//! Resources with their versions, and what a transaction does to them: all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value as Json, json};

/// Why a transaction is refused: the status, and the type of the issue.
pub struct Outcome {
    pub status: u16,
    pub code: &'static str,
}

/// Kind and id.
type Key = (String, String);

struct Held {
    version: u64,
    text: String,
    identifiers: BTreeSet<String>,
}

/// A line of the store's file.
#[derive(Serialize, Deserialize)]
struct Line {
    kind: String,
    id: String,
    version: u64,
    resource: Box<RawValue>,
}

pub struct Store {
    file: File,
    bundles: File,
    duplicates: bool,
    held: BTreeMap<Key, Held>,
    /// By kind and `system|value`.
    named: BTreeMap<Key, BTreeSet<String>>,
    next: u64,
}

#[derive(Deserialize)]
struct Bundle {
    r#type: String,
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default, rename = "fullUrl")]
    full_url: Option<String>,
    resource: Box<RawValue>,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default, rename = "ifNoneExist")]
    if_none_exist: Option<String>,
    #[serde(default, rename = "ifMatch")]
    if_match: Option<String>,
}

/// What one entry comes to.
struct Plan {
    key: Key,
    status: u16,
    writes: bool,
}

impl Store {
    pub fn open(path: &Path, duplicates: bool) -> io::Result<Self> {
        let append = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let mut bundles = path.as_os_str().to_owned();
        bundles.push(".bundles");
        let mut store = Self {
            file: append(path)?,
            bundles: append(Path::new(&bundles))?,
            duplicates,
            held: BTreeMap::new(),
            named: BTreeMap::new(),
            next: 1,
        };
        for line in BufReader::new(File::open(path)?).lines() {
            let line: Line = serde_json::from_str(&line?)?;
            store.next = store.next.max(line.id.parse::<u64>().map_or(1, |id| id + 1));
            store.hold((line.kind, line.id), line.version, line.resource.get().to_owned());
        }
        Ok(store)
    }

    /// Keeps a bundle for the judges.
    pub fn note_bundle(&mut self, body: &[u8]) -> io::Result<()> {
        let mut line: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'\n').collect();
        line.push(b'\n');
        self.bundles.write_all(&line)
    }

    /// Somebody else touches what this bundle wants to update; `false` if it updates nothing.
    pub fn meddle(&mut self, body: &[u8]) -> bool {
        let Ok(bundle) = serde_json::from_slice::<Bundle>(body) else { return false };
        let keys: Vec<Key> = bundle
            .entry
            .iter()
            .filter(|entry| entry.request.if_match.is_some())
            .filter_map(|entry| key_of(&entry.request.url))
            .collect();
        for key in &keys {
            if let Some(held) = self.held.get_mut(key) {
                held.version += 1;
            }
        }
        !keys.is_empty()
    }

    /// Does a transaction, durably, and gives the answer.
    pub fn transaction(&mut self, body: &[u8]) -> Result<String, Outcome> {
        let refused = |status, code| Err(Outcome { status, code });
        let Ok(bundle) = serde_json::from_slice::<Bundle>(body) else {
            return refused(400, "structure");
        };
        if bundle.r#type != "transaction" {
            return refused(400, "not-supported");
        }
        let mut plans = Vec::new();
        let mut touched = BTreeSet::new();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for entry in &bundle.entry {
            let plan = self.plan(entry)?;
            if !touched.insert(plan.key.clone()) {
                return refused(400, "duplicate");
            }
            let place = format!("{}/{}", plan.key.0, plan.key.1);
            if let Some(full_url) = &entry.full_url
                && places.insert(full_url.clone(), place).is_some()
            {
                return refused(400, "duplicate");
            }
            plans.push(plan);
        }
        let mut lines = Vec::new();
        let mut writes = Vec::new();
        for (plan, entry) in plans.iter().zip(&bundle.entry).filter(|(plan, _)| plan.writes) {
            let version = self.held.get(&plan.key).map_or(1, |held| held.version + 1);
            let text = placed(entry.resource.get(), &plan.key.1, version, &places)?;
            let raw = RawValue::from_string(text.clone());
            let Ok(resource) = raw else { return refused(400, "structure") };
            let (kind, id) = plan.key.clone();
            let line = Line { kind, id, version, resource };
            lines.extend(serde_json::to_vec(&line).unwrap_or_default());
            lines.push(b'\n');
            writes.push((plan.key.clone(), version, text));
        }
        let kept = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        if kept.is_err() {
            return refused(500, "no-store");
        }
        writes.into_iter().for_each(|(key, version, text)| self.hold(key, version, text));
        let entries: Vec<Json> = plans
            .iter()
            .map(|plan| {
                let (kind, id) = &plan.key;
                let version = self.held.get(&plan.key).map_or(0, |held| held.version);
                let words = if plan.status == 201 { "201 Created" } else { "200 OK" };
                json!({ "response": {
                    "status": words,
                    "location": format!("{kind}/{id}/_history/{version}"),
                    "etag": format!("W/\"{version}\""),
                } })
            })
            .collect();
        let answer =
            json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": entries });
        Ok(answer.to_string())
    }

    /// The answer to a search by identifier.
    pub fn search(&self, kind: &str, identifier: &str) -> String {
        let ids = self.named.get(&(kind.to_owned(), identifier.to_owned()));
        let texts = ids.into_iter().flatten().filter_map(|id| {
            let held = self.held.get(&(kind.to_owned(), id.clone()))?;
            // The version as it stands, which somebody else may have raised.
            placed(&held.text, id, held.version, &BTreeMap::new()).ok()
        });
        let entries: Vec<String> = texts.map(|text| format!("{{\"resource\":{text}}}")).collect();
        let total = entries.len();
        let entries = entries.join(",");
        format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"total\":{total},\
             \"entry\":[{entries}]}}"
        )
    }

    fn plan(&mut self, entry: &Entry) -> Result<Plan, Outcome> {
        let Request { method, url, if_none_exist, if_match } = &entry.request;
        match (method.as_str(), url.split_once(['/', '?'])) {
            ("POST", None) => {
                let criteria =
                    if_none_exist.as_deref().and_then(|text| text.strip_prefix("identifier="));
                let ids = criteria.map(|one| self.ids(url, one)).unwrap_or_default();
                if self.duplicates || ids.is_empty() {
                    return Ok(self.fresh(url));
                }
                one_of(url, &ids)
            }
            ("PUT", Some((kind, criteria))) if url.contains('?') => {
                let ids = self.ids(kind, criteria.trim_start_matches("identifier="));
                if ids.is_empty() {
                    return Ok(self.fresh(kind));
                }
                Ok(Plan { writes: true, ..one_of(kind, &ids)? })
            }
            ("PUT", Some((kind, id))) => {
                let key = (kind.to_owned(), id.to_owned());
                let version = self.held.get(&key).map(|held| held.version);
                let wanted =
                    if_match.as_deref().map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
                if wanted.is_some_and(|wanted| {
                    version.map(|one| one.to_string()).as_deref() != Some(wanted)
                }) {
                    return Err(Outcome { status: 412, code: "conflict" });
                }
                let status = if version.is_some() { 200 } else { 201 };
                Ok(Plan { key, status, writes: true })
            }
            (_, _) => Err(Outcome { status: 400, code: "not-supported" }),
        }
    }

    fn fresh(&mut self, kind: &str) -> Plan {
        let id = self.next.to_string();
        self.next += 1;
        Plan { key: (kind.to_owned(), id), status: 201, writes: true }
    }

    fn ids(&self, kind: &str, identifier: &str) -> Vec<String> {
        let named = self.named.get(&(kind.to_owned(), identifier.to_owned()));
        named.into_iter().flatten().cloned().collect()
    }

    fn hold(&mut self, key: Key, version: u64, text: String) {
        let value: Json = serde_json::from_str(&text).unwrap_or_default();
        let identifiers: BTreeSet<String> = value["identifier"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| {
                Some(format!("{}|{}", one["system"].as_str()?, one["value"].as_str()?))
            })
            .collect();
        let before = self.held.get(&key).map(|held| held.identifiers.clone()).unwrap_or_default();
        for gone in before.difference(&identifiers) {
            if let Some(ids) = self.named.get_mut(&(key.0.clone(), gone.clone())) {
                ids.remove(&key.1);
            }
        }
        for identifier in &identifiers {
            let named = self.named.entry((key.0.clone(), identifier.clone())).or_default();
            named.insert(key.1.clone());
        }
        self.held.insert(key, Held { version, text, identifiers });
    }
}

fn one_of(kind: &str, ids: &[String]) -> Result<Plan, Outcome> {
    match ids {
        [id] => Ok(Plan { key: (kind.to_owned(), id.clone()), status: 200, writes: false }),
        _ => Err(Outcome { status: 412, code: "multiple-matches" }),
    }
}

fn key_of(url: &str) -> Option<Key> {
    let (kind, id) = url.split_once('/')?;
    Some((kind.to_owned(), id.to_owned()))
}

/// The resource with its id and version, and with references to what it came with; every other
/// field with its own text.
fn placed(
    text: &str,
    id: &str,
    version: u64,
    places: &BTreeMap<String, String>,
) -> Result<String, Outcome> {
    let bad = |_| Outcome { status: 400, code: "structure" };
    let mut text = text.to_owned();
    for (full_url, place) in places {
        text = text.replace(&format!("\"{full_url}\""), &format!("\"{place}\""));
    }
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).map_err(bad)?;
    let meta = fields.get("meta").map(|meta| meta.get()).unwrap_or("{}");
    let mut meta: Json = serde_json::from_str(meta).map_err(bad)?;
    meta["versionId"] = json!(version.to_string());
    fields.insert("meta".to_owned(), to_raw_value(&meta).map_err(bad)?);
    fields.insert("id".to_owned(), to_raw_value(id).map_err(bad)?);
    serde_json::to_string(&fields).map_err(bad)
}
