//! The bedside in the house: the port for phones, what it is shown of the journal, and the audit.

mod filling;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::adt::server::serve as serve_mllp;
use super::chartings;
use super::chartings::oru::OruPort;
use super::configuration::{Configuration, DestinationTable, Files, Mode};
use super::ledger::{Act, ActKind, LedgerDesk, NewEntry, NotAdded, TRAIL};
use super::snapshot::Shown as HouseOnShow;
use crate::association::Ledger;
use crate::association::scan::Grammar;
use crate::charting::acts::Bedside;
use crate::charting::api::{self, Door, Server, SiteWords};
use crate::charting::charted::Chart;
use crate::charting::house::{House, Machine, Shown, Waiting};
use crate::charting::identity::audit::Notice;
use crate::charting::identity::provider::Source;
use crate::charting::identity::{Gatekeeper, Role, Setup};
use crate::charting::shaken::{PhoneAddress, Shaken};
use crate::forward::Inbound;
use crate::forward::stored::Stored;
use crate::journal::{Kind, Reader, beside};
use crate::link::clock;
use crate::link::tls_server::Renewed;
use crate::vocabulary::{Moment, PatientId, Purpose, RecordId, Sequence};

/// How much of the journal is read at a time to follow it.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;
/// How often what waits for another hand or for the core is written again: the journal keeps
/// nothing for less than an hour.
const CARRY_EVERY: Duration = Duration::from_secs(1800);
/// After the journal could not be read.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The bedside's tasks.
#[derive(Default)]
pub struct BedsideTasks {
    stop: Option<watch::Sender<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the bedside sees of this house.
struct Seen {
    name: String,
    ward: String,
    /// The destinations that file into patients' records; all where none does.
    filing: Vec<String>,
    desk: LedgerDesk,
    machines: Vec<Machine>,
    grammar: Grammar,
    purpose: Purpose,
    reader: Reader,
    /// Up to where each required destination has stored what it must have.
    delivered: Vec<watch::Receiver<u64>>,
    shown: Arc<HouseOnShow>,
}

impl House for Seen {
    fn now(&self) -> Moment {
        clock::now()
    }

    fn ledger(&self) -> Arc<Ledger> {
        self.desk.now()
    }

    fn shown(&self, patient: &PatientId) -> Shown {
        let known = self.desk.register().persons.known(patient, &self.desk.now());
        known.map_or_else(Shown::default, |person| Shown {
            name: person.name,
            birth_date: person.birth_date,
            verified: true,
            protected: person.protected.unwrap_or(false),
        })
    }

    fn machines(&self) -> &[Machine] {
        &self.machines
    }

    fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn reader(&self) -> Reader {
        self.reader.clone()
    }

    fn delivered(&self) -> u64 {
        self.delivered.iter().map(|one| *one.borrow()).min().unwrap_or(0)
    }

    fn core_is_away(&self) -> bool {
        self.shown.cores_are_away(&self.filing)
    }

    fn ward(&self) -> &str {
        &self.ward
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn add(&self, entries: Vec<NewEntry>) -> Waiting<'_, Result<(), NotAdded>> {
        Box::pin(async move { self.desk.add(entries).await.map(drop) })
    }

    fn act(&self, act: Act) -> Waiting<'_, Result<RecordId, NotAdded>> {
        Box::pin(self.desk.act(act))
    }
}

/// What the house hands to the bedside when it opens.
pub(super) struct Ground<'a> {
    pub configuration: &'a Configuration,
    pub desk: &'a LedgerDesk,
    pub reader: &'a Reader,
    pub durable: watch::Receiver<u64>,
    /// The acts of the last two days, by client id, with their records.
    pub acts: Vec<(String, u64)>,
    /// Up to where each required destination has stored what it must have.
    pub delivered: Vec<watch::Receiver<u64>>,
    /// The house as the status shows it.
    pub shown: Arc<HouseOnShow>,
    /// In place of the port and the provider.
    #[cfg(test)]
    pub seat: Option<Arc<super::simulation::Seat>>,
}

impl BedsideTasks {
    /// Serves the bedside, if the configuration wants it. `charted`: what cores say of their own
    /// charting.
    ///
    /// # Errors
    /// Why the port cannot be served.
    pub(super) async fn start(
        ground: Ground<'_>,
        charted: mpsc::Receiver<Inbound>,
    ) -> Result<Self, String> {
        let configuration = ground.configuration;
        let (Some(table), Some(identity)) = (&configuration.charting, &configuration.identity)
        else {
            return Ok(Self::default());
        };
        let mode = configuration.gateway.mode;
        #[cfg(test)]
        if let Some(seat) = &ground.seat {
            let source = Source::Simulated(seat.provider());
            let (server, tasks) = Self::furnish(&ground, charted, source)?;
            seat.open(api::router(server));
            return Ok(tasks);
        }
        let files = Renewed::of(table.files());
        let is_plain = files.acceptor().map_err(|error| error.to_string())?.is_none();
        let listener = TcpListener::bind(table.listen).await;
        let listener = listener.map_err(|error| format!("{}: {error}", table.listen))?;
        let source = Source::of(identity, mode).map_err(|error| error.to_string())?;
        let (server, mut all) = Self::furnish(&ground, charted, source)?;
        let stopping = all.stop.as_ref().map(watch::Sender::subscribe);
        let stopping = stopping.unwrap_or_else(|| watch::channel(false).1);
        let served =
            serve(listener, (files, is_plain), server, stopping).map_err(|one| one.to_string())?;
        all.tasks.push(served);
        tracing::info!(address = %table.listen, "the bedside is open");
        Ok(all)
    }

    /// Everything of the bedside but its port.
    fn furnish(
        ground: &Ground<'_>,
        charted: mpsc::Receiver<Inbound>,
        source: Source,
    ) -> Result<(Server, Self), String> {
        let configuration = ground.configuration;
        let (Some(table), Some(identity)) = (&configuration.charting, &configuration.identity)
        else {
            return Err("there is no bedside in the configuration".to_owned());
        };
        let house: Arc<dyn House> = Arc::new(seen(ground));
        let folder = configuration.gateway.data.join("identity");
        let setup = Setup {
            settings: identity.into(),
            source,
            origins: table.origins.clone(),
            folder: folder.clone(),
        };
        let opened = Gatekeeper::open(setup, clock::now()).map_err(|error| error.to_string())?;
        let (gatekeeper, notices) = opened;
        if let Some(desk) = ground.shown.desk() {
            // A house that is opened anew has a desk of its own.
            let _ = desk.gatekeeper.set(Arc::clone(&gatekeeper));
        }
        let secret = secret(&folder.join("refs.key")).map_err(|error| error.to_string())?;
        let rules = table.rules(&configuration.vocabulary);
        let bedside = Arc::new(Bedside::of(Arc::clone(&house), rules, &secret));
        let (door, rows) = Door::of(Arc::clone(&gatekeeper), house);
        let site = SiteWords {
            site: configuration.gateway.site.clone(),
            ward: configuration.gateway.ward.clone(),
            name: configuration.gateway.name.clone(),
            is_development: identity.development,
            zone: configuration.zone(),
        };
        let server =
            Server { bedside: Arc::clone(&bedside), door: Arc::new(door), site: Arc::new(site) };
        let (stop, stopping) = watch::channel(false);
        let (desk, name) = (&ground.desk, &configuration.gateway.name);
        let (durable, acts) = (ground.durable.clone(), ground.acts.clone());
        let live = ground.reader.durable().map_or(Sequence::FIRST, |last| last.plus(1));
        // Before anybody can ask.
        bedside.shelf().fills();
        let mut tasks = Vec::new();
        if let Some(oru) = &table.oru {
            let map = configuration.maps.get(&oru.destination).cloned();
            let map = map.ok_or("the map of [charting.oru] is not there")?;
            let (bedside, zone) = (Arc::clone(&bedside), configuration.stated_zone());
            let (port, stopping) = (Arc::new(OruPort { bedside, map, zone }), stopping.clone());
            tasks.push(tokio::spawn(serve_mllp(oru.listen, oru.tls.clone(), port, stopping)));
        }
        tasks.extend([
            tokio::spawn(chartings::hear(Arc::clone(&bedside), charted)),
            tokio::spawn(filling::fill(Arc::clone(&bedside), live, stopping.clone())),
            tokio::spawn(follow(bedside, (live, durable), acts, stopping.clone())),
            tokio::spawn(audit((*desk).clone(), name.clone(), rows)),
            tokio::spawn(notice((*desk).clone(), name.clone(), notices)),
        ]);
        tasks.push(tokio::spawn(async move { gatekeeper.run(stopping, clock::now).await }));
        Ok((server, Self { stop: Some(stop), tasks }))
    }

    /// Ends, without waiting for phones.
    pub fn stop(self) {
        if let Some(stop) = self.stop {
            stop.send_replace(true);
        }
        self.tasks.into_iter().for_each(|task| task.abort());
    }
}

fn serve(
    listener: TcpListener,
    (files, is_plain): (Renewed, bool),
    server: Server,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    let router = api::router(server).into_make_service_with_connect_info::<PhoneAddress>();
    let until = async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let closed = |error| tracing::error!(%error, "the bedside is closed");
    if is_plain {
        return Ok(tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            served.unwrap_or_else(closed);
        }));
    }
    let listener = Shaken::start(listener, move || files.acceptor().ok().flatten())?;
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
        served.unwrap_or_else(closed);
    }))
}

fn seen(ground: &Ground<'_>) -> Seen {
    let configuration = ground.configuration;
    let lines = configuration.lines();
    let machines = configuration.devices.iter().filter_map(|setup| {
        let line = lines.get(setup.name.as_str())?;
        let device = &setup.profile.file().device;
        Some(Machine {
            id: line.machine.clone(),
            line: line.line.clone(),
            model: format!("{} {}", device.manufacturer, device.model),
            class: device.kind.clone(),
            place: setup.place.clone(),
            whose: if line.is_analyser {
                crate::association::Whose::ByResult
            } else {
                crate::association::Whose::ByLedger
            },
            channels: setup.profile.channels(),
            codes: line.codes.clone(),
        })
    });
    let files = |table: &&DestinationTable| table.files == Files::Patients;
    let filing = configuration.destinations.iter().filter(files);
    Seen {
        name: configuration.gateway.name.clone(),
        ward: configuration.gateway.ward.clone(),
        filing: filing.map(|table| table.name.clone()).collect(),
        desk: ground.desk.clone(),
        machines: machines.collect(),
        grammar: configuration.association.scan.clone(),
        purpose: match configuration.gateway.mode {
            Mode::Production => Purpose::Production,
            Mode::Bench => Purpose::Test,
        },
        reader: ground.reader.clone(),
        delivered: ground.delivered.clone(),
        shown: Arc::clone(&ground.shown),
    }
}

/// The secret that patients' names in addresses are made with; made once.
fn secret(path: &std::path::Path) -> std::io::Result<[u8; 32]> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Ok(bytes) = std::fs::read(path)
        && let Ok(secret) = <[u8; 32]>::try_from(bytes.as_slice())
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| std::io::ErrorKind::Other)?;
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, &secret)?;
    file.sync_all()?;
    Ok(secret)
}

/// Reads back what was charted, then follows the journal from where it was at the start.
async fn follow(
    bedside: Arc<Bedside>,
    (mut next, mut durable): (Sequence, watch::Receiver<u64>),
    acts: Vec<(String, u64)>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut reader = bedside.house.reader();
    let chart = loop {
        let (mut reading, wanted) = (reader.clone(), acts.clone());
        match beside(move || read_back(&mut reading, &wanted)).await {
            Some(Ok(chart)) => break chart,
            Some(Err(error)) => tracing::error!(%error, "what was charted cannot be read back"),
            None => return,
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    };
    bedside.read_back(chart);
    if let Err(error) = bedside.state_again().await {
        tracing::error!(%error, "what was confirmed cannot be stated again");
    }
    let mut carry = tokio::time::interval(CARRY_EVERY);
    loop {
        let read = match reader.read_from(next, READ_RECORDS, READ_BYTES) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "the bedside cannot follow the journal");
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        let is_at_end = read.records.is_empty() && read.next == next;
        next = read.next;
        for record in read.records.iter().filter(|record| record.kind == Kind::Observation) {
            bedside.shelf().take(record.sequence.number(), &record.payload);
        }
        if !is_at_end {
            tokio::task::yield_now().await;
            continue;
        }
        let is_due = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = carry.tick() => true,
            changed = durable.changed() => if changed.is_err() { return } else { false },
        };
        if is_due && let Err(error) = bedside.carry_held().await {
            tracing::error!(%error, "what waits for the core is not written again");
        }
    }
}

/// The acts of the last two days.
fn read_back(reader: &mut Reader, acts: &[(String, u64)]) -> Result<Chart, crate::journal::Error> {
    let mut acts: Vec<&(String, u64)> = acts.iter().collect();
    acts.sort_by_key(|(_, sequence)| *sequence);
    let (mut chart, stream) = (Chart::default(), reader.stream());
    for (client_id, sequence) in acts {
        let Some(sequence) = Sequence::new(*sequence) else { continue };
        let Some(record) = reader.read(sequence)? else { continue };
        let id = RecordId::of(stream, sequence);
        if let Some(data) = data_of(record.kind, &record.payload) {
            chart.take(id.as_str(), client_id, &data);
        }
    }
    Ok(chart)
}

fn data_of(kind: Kind, payload: &[u8]) -> Option<Map<String, Json>> {
    if kind == Kind::Audit {
        let value: Json = serde_json::from_slice(payload).ok()?;
        return value.get("data")?.as_object().cloned();
    }
    Stored::from_bytes(payload).map(|stored| stored.data)
}

/// Writes rows of the audit into the journal.
async fn audit(desk: LedgerDesk, name: String, mut rows: mpsc::Receiver<Map<String, Json>>) {
    while let Some(data) = rows.recv().await {
        let act = Act {
            kind: ActKind::Trail,
            subject: name.clone(),
            time_us: clock::now().utc_us(),
            data,
            client_id: TRAIL.to_owned(),
        };
        if let Err(error) = desk.act(act).await {
            tracing::error!(%error, "a row of the audit is not kept");
        }
    }
}

/// Writes what the gatekeeper notices into the journal.
async fn notice(desk: LedgerDesk, name: String, mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let data = json!({
            "act": format!("audit:{}", notice.happened.word()),
            "by": notice.person.as_ref().map(|person| json!({
                "id": person.reveal(),
                "role": notice.role.map(Role::word),
                "session": notice.session,
            })),
            "outcome": notice.why.map_or("done", |why| why.code()),
            "unverified_since_s": notice.unverified_since_s,
        });
        let act = Act {
            kind: ActKind::Trail,
            subject: name.clone(),
            time_us: notice.utc_us,
            data: data.as_object().cloned().unwrap_or_default(),
            client_id: TRAIL.to_owned(),
        };
        if let Err(error) = desk.act(act).await {
            tracing::error!(%error, "a row of the audit is not kept");
        }
    }
}
