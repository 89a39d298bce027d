//! What a person does at the bedside, judged and kept. Nothing takes effect before it is durable,
//! and the same act sent again is the same record.
//!
//! | file | what |
//! |---|---|
//! | `linking` | a device on a patient: begun, moved, ended, seen |
//! | `checking` | one measurement of a device that is on nobody |
//! | `signing` | a set confirmed, rejected in part, withdrawn, countersigned; what no device measures |
//! | `stating` | what a confirmation says of each record, in the form of an observation |
//! | `reconciling` | what the core's own app charted, and what was confirmed while it was away |
//! | `listing` | what waits for a person |
//! | `showing` | what a person is shown before they decide: places, who says what, what was signed |
//! | `vouching` | whose acts the provider has not vouched for yet |

mod checking;
mod linking;
mod listing;
mod reconciling;
mod showing;
mod signing;
mod stating;
mod vouching;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value as Json, json};

pub use self::checking::SpotCheck;
pub use self::linking::{Associate, Decide, End, Linked, Seen};
pub use self::listing::{CHARTED_TWICE, Worklist};
pub use self::reconciling::{CoreAct, CoreCharted, CoreCharting, Release, Settle, Told};
pub use self::signing::{Confirm, Countersign, Signed, Withdraw};
use super::charted::{Chart, Fate, Known};
use super::form::Form;
use super::house::{Act, ActKind, House, Machine, NotAdded};
use super::identity::{Person, SessionMode};
use super::owners::{ENTRIES, Owners};
use super::refs::Refs;
use super::set::{self, NotRead, Row, Wanted};
use super::shelf::{Reach, Shelf};
use crate::association::{BadName, DeviceId, EntryId, Utc};
use crate::vocabulary::{PatientId, RecordId};

/// How old an act may be when it comes in from a phone that was offline.
pub const STATED_HOURS_MAX: i64 = 24;

/// Why an act is refused. The page has words for each of them.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this patient is not known here any more: scan the wristband again")]
    UnknownPatient,
    #[error("this device is not known here")]
    UnknownDevice,
    #[error("an analyser cannot be associated: its results bring their own patient or specimen")]
    Analyser,
    #[error("several patients can be on this device: expected one of its parts")]
    ChannelNeeded { channels: Vec<String> },
    #[error("the device is on another patient")]
    OnOtherPatient { since: String, patient: String },
    #[error("no such association")]
    UnknownAssociation,
    #[error("no such open conflict")]
    UnknownConflict,
    #[error("no such confirmation")]
    UnknownConfirmation,
    #[error("expected a time such as 2026-11-29T10:00:00Z, not in the future, of the last day")]
    Time,
    #[error("the set has changed since it was shown")]
    Changed,
    #[error("a value is too old for the time of the set")]
    Stale { observation_id: String },
    #[error("a value is on the chart already")]
    AlreadyCharted { observation_id: String, fate: &'static str },
    #[error("a value is not there")]
    UnknownValue { observation_id: String },
    #[error("a set for so long ago needs a reason")]
    ReasonNeeded,
    #[error("{0}")]
    Form(String),
    #[error("the core's own app confirms this")]
    OwnedByCore { what: String },
    #[error("the core is still away: what it charted meanwhile is not known")]
    StillAway,
    #[error("expected what the core charted: {0}")]
    Charting(&'static str),
    #[error("a student's confirmation is signed by somebody else")]
    OwnHand,
    #[error("expected 1 to 100 characters as the act's id")]
    ClientId(#[from] BadName),
    #[error(transparent)]
    NotKept(#[from] NotAdded),
    #[error(transparent)]
    NotRead(#[from] NotRead),
    #[error("a set for so long ago cannot be had")]
    TooLongAgo,
    #[error("the box is reading back what was charted: try again in a moment")]
    ReadingBack,
}

impl Refused {
    /// The code that the page has words for, and the status of the answer.
    pub const fn code(&self) -> (&'static str, u16) {
        match self {
            Self::UnknownPatient => ("unknown-patient", 404),
            Self::UnknownDevice => ("unknown-device", 404),
            Self::Analyser => ("analyser", 409),
            Self::ChannelNeeded { .. } => ("channel-needed", 422),
            Self::OnOtherPatient { .. } => ("device-on-other-patient", 409),
            Self::UnknownAssociation => ("unknown-association", 404),
            Self::UnknownConflict => ("unknown-conflict", 404),
            Self::UnknownConfirmation => ("unknown-confirmation", 404),
            Self::Time => ("time", 422),
            Self::Changed => ("changed", 409),
            Self::Stale { .. } => ("stale", 409),
            Self::AlreadyCharted { .. } => ("already-charted", 409),
            Self::UnknownValue { .. } => ("unknown-value", 404),
            Self::ReasonNeeded => ("reason-needed", 422),
            Self::Form(_) => ("form", 422),
            Self::OwnedByCore { .. } => ("charting-owned-by-core", 409),
            Self::StillAway => ("core-still-away", 409),
            Self::Charting(_) => ("charting", 422),
            Self::OwnHand => ("own-hand", 403),
            Self::ClientId(_) => ("client-id", 422),
            Self::NotKept(NotAdded::NotKept) => ("not-kept", 503),
            Self::NotKept(_) => ("refused-by-ledger", 409),
            Self::NotRead(_) => ("not-read", 503),
            Self::TooLongAgo => ("too-long-ago", 422),
            Self::ReadingBack => ("reading-back", 503),
        }
    }

    /// What stands beside the code.
    pub fn details(&self) -> Map<String, Json> {
        let details = match self {
            Self::ChannelNeeded { channels } => json!({ "channels": channels }),
            Self::OnOtherPatient { since, patient } => {
                json!({ "since": since, "patient_ref": patient })
            }
            Self::Stale { observation_id } | Self::UnknownValue { observation_id } => {
                json!({ "observation_id": observation_id })
            }
            Self::AlreadyCharted { observation_id, fate } => {
                json!({ "observation_id": observation_id, "charted": fate })
            }
            Self::OwnedByCore { what } if what == ENTRIES => json!({ "entries": true }),
            Self::OwnedByCore { what } => json!({ "observation_id": what }),
            Self::UnknownPatient
            | Self::UnknownDevice
            | Self::Analyser
            | Self::UnknownAssociation
            | Self::UnknownConflict
            | Self::UnknownConfirmation
            | Self::Time
            | Self::TooLongAgo
            | Self::Changed
            | Self::ReasonNeeded
            | Self::Form(_)
            | Self::StillAway
            | Self::Charting(_)
            | Self::OwnHand
            | Self::ClientId(_)
            | Self::NotKept(_)
            | Self::NotRead(_)
            | Self::ReadingBack => json!({}),
        };
        details.as_object().cloned().unwrap_or_default()
    }
}

/// What the site says of charting.
#[derive(Clone, Debug)]
pub struct Rules {
    pub owners: Owners,
    /// A set for longer ago needs a reason.
    pub as_of_minutes_max: i64,
    /// A patient with devices whose values nobody has confirmed for so long is listed.
    pub unconfirmed_minutes: i64,
    pub form: Form,
}

/// The bedside of one box.
pub struct Bedside {
    pub house: Arc<dyn House>,
    pub rules: Rules,
    pub refs: Refs,
    shelf: Mutex<Shelf>,
    chart: Mutex<Option<Chart>>,
    /// One act about values at a time: each is judged by what the ones before it left.
    turn: tokio::sync::Mutex<()>,
}

impl Bedside {
    /// Nothing is read back yet.
    pub fn of(house: Arc<dyn House>, rules: Rules, secret: &[u8; 32]) -> Self {
        let now_us = house.now().utc_us();
        Self {
            house,
            rules,
            refs: Refs::of(secret),
            shelf: Mutex::new(Shelf::begins_at(now_us)),
            chart: Mutex::new(None),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The values, for whoever follows the journal.
    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was charted in the last two days is read back: from now on sets can be signed.
    pub fn read_back(&self, chart: Chart) {
        *self.chart.lock().unwrap_or_else(PoisonError::into_inner) = Some(chart);
    }

    /// The rows of a set, each with what became of it.
    ///
    /// # Errors
    /// The journal cannot be read, or what was charted is not read back yet; it is for a time that
    /// cannot be had, or not yet.
    pub fn rows(&self, wanted: &Wanted<'_>) -> Result<Vec<Row>, Refused> {
        match self.shelf().reaches((wanted.at_us, wanted.now_us), set::PERIODIC_WITHIN_US) {
            Reach::Whole => {}
            Reach::Filling => return Err(Refused::ReadingBack),
            Reach::TooLongAgo => return Err(Refused::TooLongAgo),
        }
        let core_is_away = self.house.core_is_away();
        self.with_chart(|chart| {
            let fate = |id: &str| chart.of(id).map(|one| one.fate.as_str().to_owned());
            let mut rows = set::rows(self.house.as_ref(), &self.shelf(), wanted, fate)?;
            for row in &mut rows {
                let owner = self.owner_on(&row.device.name, &row.parameter);
                row.owner = owner.as_str();
                row.signed_here = owner.signs_here(core_is_away);
                let charted = chart.of(&row.observation_id);
                row.charted_by = charted.map(|one| if one.by_core { "core" } else { "box" });
            }
            Ok(rows)
        })?
    }

    /// The acts of one person in the last two days, newest last.
    ///
    /// # Errors
    /// They are not read back yet.
    pub fn acts_of(&self, person: &Person) -> Result<Vec<Json>, Refused> {
        let sent_through = self.house.delivered();
        self.with_chart(|chart| {
            let own = chart.acts().filter(|(_, known)| {
                known.by == person.id.reveal() && !known.data.contains_key("releases")
            });
            let rows = own.map(|(client_id, known)| {
                let standing = chart.standing_for(known);
                let sequence = RecordId::parse(&standing.record).ok().map(|id| id.sequence());
                let is_there = sequence.is_some_and(|sequence| sequence.number() <= sent_through);
                let is_withdrawn = known.is_withdrawn || standing.is_withdrawn;
                let held = standing.is_held;
                let state = match (known.needs_countersign, is_withdrawn, is_there) {
                    (true, ..) => "needs-countersign",
                    (_, true, _) => "withdrawn",
                    (_, _, true) if !held => "on-chart",
                    (..) => "kept",
                };
                let (id, at) = (&known.record, &known.at);
                json!({ "client_id": client_id, "id": id, "at": at, "state": state, "held": held })
            });
            rows.collect()
        })
    }

    /// The acts about one patient in the last two days, by time.
    ///
    /// # Errors
    /// They are not read back yet.
    pub fn acts_on(&self, patient: &PatientId) -> Result<Vec<Known>, Refused> {
        let json = patient_json(patient);
        self.with_chart(|chart| {
            // One that another stands for is that other one.
            let on = chart
                .acts()
                .filter(|(_, known)| known.patient == json && known.replaced_by.is_none());
            let mut acts: Vec<Known> = on.map(|(_, known)| known.clone()).collect();
            acts.sort_by(|one, other| one.at.cmp(&other.at));
            acts
        })
    }

    fn with_chart<T>(&self, with: impl FnOnce(&mut Chart) -> T) -> Result<T, Refused> {
        let mut chart = self.chart.lock().unwrap_or_else(PoisonError::into_inner);
        chart.as_mut().map(with).ok_or(Refused::ReadingBack)
    }

    /// The patient that a name in an address stands for.
    pub fn patient(&self, name: &str) -> Result<PatientId, Refused> {
        let ledger = self.house.ledger();
        let standing = ledger.standing(Utc::from_us(self.house.now().utc_us()));
        let patients = standing.iter().map(|one| &one.patient);
        self.refs.patient(name, patients).ok_or(Refused::UnknownPatient)
    }

    /// A configured device by its id.
    pub fn machine(&self, id: &str) -> Result<&Machine, Refused> {
        let id = DeviceId::parse(id).map_err(|_| Refused::UnknownDevice)?;
        self.house.machines().iter().find(|one| one.id == id).ok_or(Refused::UnknownDevice)
    }

    /// When the person did it: what the phone says, if that can be.
    fn stated(&self, text: &str) -> Result<Utc, Refused> {
        let now = self.house.now().utc_us();
        let stated: jiff::Timestamp = text.parse().map_err(|_| Refused::Time)?;
        let stated = stated.as_microsecond();
        // A phone's clock may be a little ahead; nothing was done in the future.
        if stated > now.saturating_add(60_000_000) {
            return Err(Refused::Time);
        }
        if stated < now.saturating_sub(STATED_HOURS_MAX * 3_600_000_000) {
            return Err(Refused::Time);
        }
        Ok(Utc::from_us(stated.min(now)))
    }

    /// Keeps an act and what it does to the chart.
    async fn keep(
        &self,
        kind: ActKind,
        client_id: &str,
        time: Utc,
        data: Map<String, Json>,
    ) -> Result<String, Refused> {
        EntryId::parse(client_id)?;
        self.keep_own(kind, client_id, time, data).await
    }

    /// The same under an id of the box's own, which is longer.
    async fn keep_own(
        &self,
        kind: ActKind,
        client_id: &str,
        time: Utc,
        data: Map<String, Json>,
    ) -> Result<String, Refused> {
        let act = Act {
            kind,
            subject: self.house.name().to_owned(),
            client_id: client_id.to_owned(),
            time_us: time.us(),
            data: data.clone(),
        };
        let record = self.house.act(act).await?.as_str().to_owned();
        self.with_chart(|chart| chart.take(&record, client_id, &data))?;
        Ok(record)
    }
}

/// A patient as it stands in an act.
pub fn patient_json(patient: &PatientId) -> Json {
    Json::Object(crate::gateway::record::patient(patient))
}

/// A person as it stands in an act.
pub fn person_json(person: &Person) -> Json {
    let mode = match person.mode {
        SessionMode::Online => json!({ "identity": "online" }),
        SessionMode::Offline { identity_age_s } => {
            json!({ "identity": "offline", "identity_age_s": identity_age_s })
        }
    };
    json!({
        "id": person.id.reveal(),
        "name": person.name,
        "role": person.role.word(),
        "session": person.session,
        "student": person.student,
        "verified": mode,
    })
}
