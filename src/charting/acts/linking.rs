//! A device on a patient: begun, moved, ended, seen.

use serde::Deserialize;

use super::super::identity::Person;
use super::{Bedside, Refused};
use crate::association::{By, Channel, Conflict, EntryId, Says, Span, Utc, Whose};
use crate::charting::house::{Machine, NewEntry};
use crate::vocabulary::PatientId;
use crate::vocabulary::moment::utc_text;

/// A device is put on a patient; both were scanned, unless said.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Associate {
    pub client_id: String,
    /// The patient's name in addresses.
    pub patient: String,
    /// The device's id.
    pub device: String,
    #[serde(default)]
    pub channel: Option<String>,
    /// Since when; the time of the act unless said.
    #[serde(default)]
    pub from: Option<String>,
    pub stated: String,
    pub scanned: Scanned,
    /// The person knows that it is on another patient.
    #[serde(default, rename = "move")]
    pub moves: bool,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// What was scanned for it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanned {
    pub patient: bool,
    pub device: bool,
}

/// An association ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub client_id: String,
    /// When; the time of the act unless said.
    #[serde(default)]
    pub at: Option<String>,
    pub stated: String,
    #[serde(default)]
    pub reason: Option<String>,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// A person looked, and it holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub client_id: String,
    pub stated: String,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// A person settles a conflict.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    pub client_id: String,
    pub stated: String,
    /// The entry that holds against the others of the conflict.
    pub holds: String,
    pub reason: String,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// What stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub association: String,
}

impl Bedside {
    /// Puts a device on a patient.
    ///
    /// # Errors
    /// The device is on somebody else and the person did not say that it moves; an analyser; what
    /// the ledger does not take.
    pub async fn associate(&self, person: &Person, asked: &Associate) -> Result<Linked, Refused> {
        let patient = self.patient(&asked.patient)?;
        let machine = self.machine(&asked.device)?;
        if machine.whose == Whose::ByResult {
            return Err(Refused::Analyser);
        }
        let stated = self.stated(&asked.stated)?;
        let from = match &asked.from {
            Some(from) => self.stated(from)?.min(stated),
            None => stated,
        };
        let channel = part(machine, asked.channel.as_deref())?;
        let id = EntryId::parse(&asked.client_id)?;
        let ledger = self.house.ledger();
        if ledger.entry(&id).is_some() {
            return Ok(Linked { association: asked.client_id.clone() });
        }
        let (by, mut entries) = (self.by(person, asked.scanned), Vec::new());
        for standing in ledger.standing(stated) {
            let is_same_part = standing.channel == channel || standing.channel.is_none();
            if standing.device != machine.id || standing.is_stale || !is_same_part {
                continue;
            }
            if standing.patient == patient && asked.from.is_none() {
                return Ok(Linked { association: standing.association.as_str().to_owned() });
            }
            if standing.patient == patient {
                continue;
            }
            if !asked.moves {
                return Err(Refused::OnOtherPatient {
                    since: utc_text(standing.span.from.us()),
                    patient: self.refs.name(&standing.patient),
                });
            }
            let number = entries.len() + 1;
            entries.push(NewEntry {
                id: EntryId::parse(&format!("{}.end-{number}", asked.client_id))?,
                stated,
                by: by.clone(),
                says: Says::Ended { association: standing.association, at: from },
            });
        }
        let span = Span { from, until: None };
        let says = Says::Associated { device: machine.id.clone(), channel, patient, span };
        entries.push(NewEntry { id, stated, by, says });
        self.house.add(entries).await?;
        Ok(Linked { association: asked.client_id.clone() })
    }

    pub(super) fn by(&self, person: &Person, scanned: Scanned) -> By {
        let id = person.id.clone();
        if scanned.patient && scanned.device {
            By::Scan { person: id }
        } else {
            By::Person { person: id }
        }
    }

    /// Whose an association is.
    pub fn patient_of_association(&self, id: &str) -> Option<PatientId> {
        let ledger = self.house.ledger();
        let entry = ledger.entry(&EntryId::parse(id).ok()?)?;
        if let Says::Associated { patient, .. } = &entry.says {
            Some(patient.clone())
        } else {
            None
        }
    }

    /// Ends an association.
    ///
    /// # Errors
    /// There is none of that id.
    pub async fn end(&self, person: &Person, id: &str, asked: &End) -> Result<Linked, Refused> {
        let stated = self.stated(&asked.stated)?;
        let at = match &asked.at {
            Some(at) => self.stated(at)?.min(stated),
            None => stated,
        };
        self.about(person, id, &asked.client_id, stated, |association| Says::Ended {
            association,
            at,
        })
        .await
    }

    /// Notes that a person looked and it holds.
    ///
    /// # Errors
    /// There is no association of that id.
    pub async fn seen(&self, person: &Person, id: &str, asked: &Seen) -> Result<Linked, Refused> {
        let stated = self.stated(&asked.stated)?;
        let says = |association| Says::Seen { association, at: stated };
        self.about(person, id, &asked.client_id, stated, says).await
    }

    async fn about(
        &self,
        person: &Person,
        id: &str,
        client_id: &str,
        stated: Utc,
        says: impl FnOnce(EntryId) -> Says,
    ) -> Result<Linked, Refused> {
        let association = EntryId::parse(id)?;
        if self.house.ledger().entry(&association).is_none() {
            return Err(Refused::UnknownAssociation);
        }
        let entry = NewEntry {
            id: EntryId::parse(client_id)?,
            stated,
            by: By::Person { person: person.id.clone() },
            says: says(association),
        };
        self.house.add(vec![entry]).await?;
        Ok(Linked { association: id.to_owned() })
    }

    /// A person settles a conflict: the entry that `holds`, against the others of it.
    ///
    /// # Errors
    /// There is no open conflict of that name, or the entry is none of it.
    pub async fn decide(&self, person: &Person, id: &str, asked: &Decide) -> Result<(), Refused> {
        let stated = self.stated(&asked.stated)?;
        if asked.reason.trim().is_empty() {
            return Err(Refused::ReasonNeeded);
        }
        let entry_id = EntryId::parse(&asked.client_id)?;
        let ledger = self.house.ledger();
        if ledger.entry(&entry_id).is_some() {
            return Ok(());
        }
        let conflicts = ledger.conflicts(Utc::MAX).into_iter();
        let mut open = conflicts.filter(|one| one.settled_by.is_none());
        let conflict = open.find(|one| self.conflict_name(one) == id);
        let conflict = conflict.ok_or(Refused::UnknownConflict)?;
        let holds = EntryId::parse(&asked.holds)?;
        if !conflict.entries.contains(&holds) {
            return Err(Refused::UnknownConflict);
        }
        let against = conflict.entries.into_iter().filter(|entry| *entry != holds).collect();
        let says = Says::Decided { holds, against, reason: asked.reason.clone() };
        let by = By::Person { person: person.id.clone() };
        self.house.add(vec![NewEntry { id: entry_id, stated, by, says }]).await?;
        Ok(())
    }

    /// How a conflict is named in addresses.
    pub(super) fn conflict_name(&self, conflict: &Conflict) -> String {
        let entries: Vec<&str> = conflict.entries.iter().map(|entry| entry.as_str()).collect();
        self.refs.hash(format!("{}{entries:?}", conflict.kind.as_str()).as_bytes())
    }
}

/// The part of a device that goes on a patient: one of its own, or none where it has none. Of a
/// device with parts nothing is anybody's before somebody has said which part.
fn part(machine: &Machine, named: Option<&str>) -> Result<Option<Channel>, Refused> {
    match named.filter(|name| !name.is_empty()) {
        None if machine.channels.is_empty() => Ok(None),
        Some(name) if machine.channels.iter().any(|one| one.as_str() == name) => {
            Ok(Some(Channel::parse(name)?))
        }
        None | Some(_) => {
            let channels = machine.channels.iter().map(|one| one.as_str().to_owned()).collect();
            Err(Refused::ChannelNeeded { channels })
        }
    }
}
