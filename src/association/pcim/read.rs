//! A DEV-51 or DEV-52 as evidence.

use super::super::message::{Opened, Reading};
use super::super::names::{EntryId, PersonId};
use super::super::time::Utc;
use super::codes::{self, ACTS, Code, EVENT, OBSERVATION, Trouble};
use super::site::PcimSite;
use super::{Act, Evidence, Status, Transaction};
use crate::protocol::hl7v2::segments::{Segment, parts};
use crate::vocabulary::{PatientId, Place, Refused, Why};

/// What a message said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub transaction: Transaction,
    /// Whether OBR-29 names the association. If not, [`Evidence::association`] is the event's own
    /// id, which is right for a first event; for a later one [`super::Book::matched`] finds it.
    pub names_association: bool,
    pub evidence: Evidence,
    /// What stood in it that this profile does not allow and that changes nothing.
    pub refusals: Vec<Refused>,
}

/// A message that is not taken, with the profile's error for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub trouble: Trouble,
    /// Shows nothing of persons.
    pub refused: Refused,
}

fn unread(trouble: Trouble, why: Why, at: &Segment, detail: &str) -> Unread {
    Unread { trouble, refused: Refused::new(why, at.at.clone(), detail) }
}

impl From<Refused> for Unread {
    fn from(refused: Refused) -> Self {
        Self { trouble: Trouble::Other, refused }
    }
}

/// Reads one message, with the framing bytes of MLLP or up to the end of its last segment.
///
/// # Errors
/// It is neither, or what it says cannot be read for certain.
pub fn read(raw: &[u8], site: &PcimSite) -> Result<Heard, Unread> {
    let opened = Opened::read(raw)?;
    let wire = opened.wire();
    let zone = site.zone.as_ref();
    let mut reading = Reading { wire: &wire, site: &site.patients, zone, refusals: Vec::new() };
    let transaction = reading.transaction(&opened.msh)?;
    let parts = Parts::of(&opened)?;
    if wire.delimiters.sub_component.is_none() {
        let detail =
            "expected four delimiters in MSH-2: component, repetition, escape, sub-component";
        let at = opened.msh.field(2).unwrap_or(0..0);
        reading.refusals.push(Refused::new(Why::OddSegment, at, detail));
    }
    for odd in opened.named(b"SFT") {
        let detail = "expected no SFT in this profile";
        reading.refusals.push(Refused::new(Why::OddSegment, odd.at.clone(), detail));
    }
    reading.coded(parts.obr, 4, &[OBSERVATION])?;
    reading.coded(parts.obx, 3, &[EVENT])?;
    let act = reading.coded(parts.obx, 5, &ACTS)?;
    let status = codes::status(wire.field_text(parts.obx, 11)?.trim());
    let Some(status) = status else {
        let detail = "expected R, F, C, W or D in OBX-11";
        return Err(unread(Trouble::Other, Why::Unreadable, parts.obx, detail));
    };
    let Some(patient) = reading.patient(parts.pid) else {
        let detail = "expected a patient with an identifier of a known authority in PID-3";
        return Err(unread(Trouble::UnknownPatient, Why::Unreadable, parts.pid, detail));
    };
    let event = reading.event(parts.obr)?;
    let named = reading.named(parts.obr)?;
    let association = named.clone().unwrap_or_else(|| event.clone());
    let said = Said { association, event, act, status, patient };
    let evidence = said.by_whom(&mut reading, &opened.msh, &parts, site)?;
    let refusals = reading.refusals;
    Ok(Heard { transaction, names_association: named.is_some(), evidence, refusals })
}

/// What is said, without the participants.
struct Said {
    association: EntryId,
    event: EntryId,
    act: Act,
    status: Status,
    patient: PatientId,
}

impl Said {
    fn by_whom(
        self,
        reading: &mut Reading<'_>,
        msh: &Segment,
        parts: &Parts<'_>,
        site: &PcimSite,
    ) -> Result<Evidence, Unread> {
        let Self { association, event, act, status, patient } = self;
        let Participants { equipment, author, validator } = Participants::of(reading, &parts.prt)?;
        let names = reading.device_names(equipment)?;
        let Some(device) = site.machine(&names).cloned() else {
            let detail = "expected one device of the site's list in PRT-10";
            return Err(unread(Trouble::UnknownDevice, Why::Unreadable, equipment, detail));
        };
        let (begin, end) = match status {
            Status::Wrong => (None, None),
            Status::Asserted | Status::Validated | Status::Corrected => {
                (reading.certain(equipment, 11)?, reading.certain(equipment, 12)?)
            }
        };
        let asserted = match act {
            Act::Begins => begin,
            Act::Ends => end,
        };
        if status == Status::Asserted && asserted.is_none() {
            let detail = "expected the time that is asserted, in PRT-11 or PRT-12 of EQUIP";
            return Err(unread(Trouble::Other, Why::Unreadable, equipment, detail));
        }
        let said = reading.said_at(validator).or_else(|| reading.said_at(author));
        let Some(stated) = said.or_else(|| reading.time(msh, 7)) else {
            let detail = "expected a time in PRT-11 or PRT-12 of AUT or RO, or in MSH-7";
            return Err(unread(Trouble::Other, Why::Unreadable, msh, detail));
        };
        let place = reading.where_it_was(equipment, parts.pv1);
        let (author, validator) = (reading.who(author), reading.who(validator));
        Ok(Evidence {
            association,
            event,
            act,
            status,
            device,
            patient,
            begin,
            end,
            stated,
            place,
            author,
            validator,
        })
    }
}

/// The segments, one patient and one device.
struct Parts<'a> {
    pid: &'a Segment,
    pv1: Option<&'a Segment>,
    obr: &'a Segment,
    obx: &'a Segment,
    prt: Vec<&'a Segment>,
}

impl<'a> Parts<'a> {
    fn of(opened: &'a Opened<'_>) -> Result<Self, Unread> {
        let one = |id: &'static [u8; 3], detail: &str| {
            let mut found = opened.rest.iter().filter(|segment| segment.id == *id);
            match (found.next(), found.next()) {
                (Some(one), None) => Ok(one),
                (first, _) => {
                    let at = first.unwrap_or(&opened.msh);
                    Err(unread(Trouble::Other, Why::Unparseable, at, detail))
                }
            }
        };
        let pid = one(b"PID", "expected one PID")?;
        let obr = one(b"OBR", "expected one OBR: one device in a message")?;
        let obx = one(b"OBX", "expected one OBX: one event in a message")?;
        let pv1 = opened.rest.iter().find(|segment| segment.id == *b"PV1");
        let prt: Vec<&Segment> =
            opened.rest.iter().filter(|segment| segment.id == *b"PRT").collect();
        if !(2..=3).contains(&prt.len()) {
            let detail = "expected two or three PRT: device, author, and who validated";
            return Err(unread(Trouble::Other, Why::Unparseable, obx, detail));
        }
        Ok(Self { pid, pv1, obr, obx, prt })
    }
}

/// The participants by role (PRT-4).
struct Participants<'a> {
    equipment: &'a Segment,
    author: Option<&'a Segment>,
    validator: Option<&'a Segment>,
}

impl<'a> Participants<'a> {
    fn of(reading: &Reading<'_>, prt: &[&'a Segment]) -> Result<Self, Unread> {
        let (mut equipment, mut author, mut validator) = (None, None, None);
        for participant in prt {
            let role = reading.component(participant, 4, 1)?;
            let place = match role.trim() {
                "EQUIP" => &mut equipment,
                "AUT" => &mut author,
                "RO" => &mut validator,
                _ => {
                    let detail = "expected EQUIP, AUT or RO in PRT-4";
                    return Err(unread(Trouble::Other, Why::Unreadable, participant, detail));
                }
            };
            if place.replace(*participant).is_some() {
                let detail = "expected each of EQUIP, AUT and RO once";
                return Err(unread(Trouble::Other, Why::Unparseable, participant, detail));
            }
        }
        let Some(equipment) = equipment else {
            let at = prt.first().map(|at| at.at.clone()).unwrap_or(0..0);
            let refused = Refused::new(Why::Unparseable, at, "expected a PRT with EQUIP");
            return Err(Unread { trouble: Trouble::UnknownDevice, refused });
        };
        Ok(Self { equipment, author, validator })
    }
}

impl Reading<'_> {
    /// A component of the first repetition of a field, its sub-components as sent.
    fn component(&self, segment: &Segment, field: usize, number: usize) -> Result<String, Refused> {
        let first = self.wire.repetitions(segment, field).into_iter().next();
        let components = first.map(|at| self.wire.components(&at)).unwrap_or_default();
        self.wire.component(&components, number)
    }

    fn transaction(&self, msh: &Segment) -> Result<Transaction, Unread> {
        let (code, event) = (self.component(msh, 9, 1)?, self.component(msh, 9, 2)?);
        let (name, oid) = (self.component(msh, 21, 1)?, self.component(msh, 21, 3)?);
        let found = codes::transaction(name.trim(), oid.trim());
        found.filter(|_| code == "ORU" && event == "R01").ok_or_else(|| {
            let detail = "expected ORU^R01 in MSH-9 and DEV-51 or DEV-52 in MSH-21";
            unread(Trouble::Other, Why::UnsupportedMessage, msh, detail)
        })
    }

    /// What the code of a field stands for. A code and a reference id that disagree stand for
    /// nothing.
    fn coded<T: Copy>(
        &self,
        segment: &Segment,
        field: usize,
        codes: &[Code<T>],
    ) -> Result<T, Unread> {
        let (code, id) = (self.component(segment, field, 1)?, self.component(segment, field, 2)?);
        let (code, id) = (code.trim(), id.trim());
        let agrees = |sent: &str, meant: &str| sent.is_empty() || sent == meant;
        let mut found = codes.iter().filter(|(number, words, _)| {
            (code == *number || id == *words) && agrees(code, number) && agrees(id, words)
        });
        found.next().map(|(_, _, meant)| *meant).ok_or_else(|| {
            let detail = format!("expected a code of this profile in field {field}");
            unread(Trouble::Other, Why::Unreadable, segment, &detail)
        })
    }

    /// A time of which an empty field says something too: one that cannot be read is no empty one.
    fn certain(&mut self, segment: &Segment, field: usize) -> Result<Option<Utc>, Unread> {
        let before = self.refusals.len();
        let time = self.time(segment, field);
        if time.is_none() && self.refusals.len() > before {
            return Err(self.refusals.remove(before).into());
        }
        Ok(time)
    }

    /// When a person said so: the tables have it in PRT-11 or PRT-12, the examples in PRT-11.
    fn said_at(&mut self, participant: Option<&Segment>) -> Option<Utc> {
        let participant = participant?;
        self.time(participant, 11).or_else(|| self.time(participant, 12))
    }

    fn who(&mut self, participant: Option<&Segment>) -> Option<PersonId> {
        let sent = self.component(participant?, 5, 1);
        PersonId::parse(self.kept(sent).trim()).ok()
    }

    fn where_it_was(&mut self, equipment: &Segment, pv1: Option<&Segment>) -> Option<Place> {
        self.place(equipment, 9).or_else(|| pv1.and_then(|pv1| self.place(pv1, 3)))
    }

    /// Every text that names the device: the first and third component of PRT-10, and the UDI of
    /// PRT-16 and PRT-20.
    fn device_names(&self, equipment: &Segment) -> Result<Vec<String>, Unread> {
        let mut names = Vec::new();
        for repetition in self.wire.repetitions(equipment, 10) {
            let components = self.wire.components(&repetition);
            for number in [1, 3] {
                // The third is an OID where the fourth says so: of a system, and no machine's.
                if number == 3 && self.wire.component(&components, 4)?.trim() == "ISO" {
                    continue;
                }
                names.push(self.wire.component(&components, number)?.trim().to_owned());
            }
        }
        let (kind, serial) = (self.component(equipment, 16, 1)?, self.component(equipment, 20, 1)?);
        if !kind.is_empty() && !serial.is_empty() {
            names.push(format!("(01){kind}(21){serial}"));
        }
        let disagrees = |name: &&String| {
            let lacks = |application: &str, text: &str| {
                !text.is_empty() && !name.contains(&format!("{application}{text}"))
            };
            name.starts_with("(01)") && (lacks("(01)", &kind) || lacks("(21)", &serial))
        };
        if names.iter().find(disagrees).is_some() {
            let detail = "expected the same device in PRT-10 as in PRT-16 and PRT-20";
            return Err(unread(Trouble::UnknownDevice, Why::Unreadable, equipment, detail));
        }
        names.retain(|name| !name.is_empty());
        Ok(names)
    }

    /// OBR-3.
    fn event(&self, obr: &Segment) -> Result<EntryId, Unread> {
        let first = self.wire.repetitions(obr, 3).into_iter().next().unwrap_or(0..0);
        let mut parts = Vec::new();
        for component in self.wire.components(&first) {
            parts.push(self.wire.text(&component)?);
        }
        entry_id(&parts).ok_or_else(|| {
            let detail = "expected the id of the event in OBR-3";
            unread(Trouble::Other, Why::Unreadable, obr, detail)
        })
    }

    /// The second component of OBR-29: the id of the first event, its components as
    /// sub-components.
    fn named(&self, obr: &Segment) -> Result<Option<EntryId>, Unread> {
        let first = self.wire.repetitions(obr, 29).into_iter().next();
        let components = first.map(|at| self.wire.components(&at)).unwrap_or_default();
        let Some(second) = components.get(1) else { return Ok(None) };
        let sub = self.wire.delimiters.sub_component.unwrap_or(b'&');
        let mut found = Vec::new();
        for part in parts(self.wire.raw, second.clone(), Some(sub)) {
            found.push(self.wire.text(&part)?);
        }
        if found.iter().all(|part| part.trim().is_empty()) {
            return Ok(None);
        }
        entry_id(&found).map(Some).ok_or_else(|| {
            let detail = "expected the id of the first event in OBR-29.2";
            unread(Trouble::Other, Why::Unreadable, obr, detail)
        })
    }
}

/// `id^^universal^EUI-64`, without empty parts at the end.
fn entry_id(parts: &[String]) -> Option<EntryId> {
    if parts.iter().any(|part| part.contains('^')) {
        return None;
    }
    let joined = parts.iter().map(|part| part.trim()).collect::<Vec<_>>().join("^");
    let id = joined.trim_end_matches('^');
    // Room for what the ledger's entries of this event add to it.
    EntryId::parse(id).ok().filter(|id| id.as_str().len() <= EVENT_BYTES_MAX)
}

/// The longest id of an event.
const EVENT_BYTES_MAX: usize = 100;
