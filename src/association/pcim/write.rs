//! Evidence as a DEV-51 or DEV-52, by the tables and not by the examples.

use super::codes::{ACTS, Code, EVENT, OBSERVATION};
use super::site::PcimSite;
use super::{Act, Evidence, Status, Transaction};
use crate::association::names::{EntryId, PersonId};
use crate::association::time::Utc;
use crate::protocol::hl7v2::escape::escape;
use crate::protocol::hl7v2::segments::Delimiters;
use crate::vocabulary::moment::utc_digits;

/// What stands around the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MSH-3 and MSH-5.
    pub from: String,
    pub to: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-7.
    pub now: Utc,
    /// MSH-11: `P`, or `T` for made-up patients.
    pub processing: &'static str,
}

fn text(text: &str) -> String {
    escape(text, Delimiters::USUAL)
}

fn time(at: Option<Utc>) -> String {
    // Years beyond these cannot come from a clock; an empty field invents no time.
    at.and_then(|at| utc_digits(at.us())).map(|digits| digits + "+0000").unwrap_or_default()
}

fn coded<T>((code, words, _): Code<T>) -> String {
    format!("{code}^{words}^MDC")
}

/// Its components, with `between` them.
fn id(id: &EntryId, between: &str) -> String {
    id.as_str().split('^').map(text).collect::<Vec<_>>().join(between)
}

/// A segment with fields at their numbers.
fn segment(name: &str, fields: &[(usize, String)]) -> String {
    let last = fields.iter().map(|(number, _)| *number).max().unwrap_or(0);
    let mut all = vec![String::new(); last + 1];
    let fields = fields.iter().cloned().chain([(0, name.to_owned())]);
    for (number, field) in fields {
        if let Some(place) = all.get_mut(number) {
            *place = field;
        }
    }
    all.join("|").trim_end_matches('|').to_owned() + "\r"
}

/// One message in the framing of MLLP, in UTF-8.
pub fn write(
    transaction: Transaction,
    evidence: &Evidence,
    site: &PcimSite,
    envelope: &Envelope,
) -> Vec<u8> {
    let times = times(evidence);
    let stated = times.iter().flatten().flatten().copied();
    let (first, last) = (stated.clone().min(), stated.max());
    let is_first = evidence.event == evidence.association;
    let parent = format!("^{}", id(&evidence.association, "&"));
    let parent = if is_first { String::new() } else { parent };
    let act = ACTS.into_iter().find(|(.., act)| *act == evidence.act);
    let place = place(evidence, site);
    let head = header(transaction, envelope);
    let pid = segment("PID", &[(3, patient(evidence, site))]);
    let pv1 = segment("PV1", &[(2, "U".to_owned()), (3, place.clone())]);
    let obr = segment(
        "OBR",
        &[
            (3, id(&evidence.event, "^")),
            (4, coded(OBSERVATION)),
            (7, time(first)),
            (8, time(last)),
            (29, parent),
        ],
    );
    let obx = segment(
        "OBX",
        &[
            (1, "1".to_owned()),
            (2, "CWE".to_owned()),
            (3, coded(EVENT)),
            (4, "0.0.0.0".to_owned()),
            (5, act.map(coded).unwrap_or_default()),
            (11, evidence.status.code().to_owned()),
        ],
    );
    let [equipment, author, validator] = times;
    let device = (10, text(evidence.device.as_str()));
    let at = (9, place);
    let mut message = [head, pid, pv1, obr, obx].concat();
    message += &participant(1, "EQUIP", equipment, [at.clone(), device]);
    message += &participant(2, "AUT", author, [person(&evidence.author), at.clone()]);
    if evidence.validator.is_some() {
        message += &participant(3, "RO", validator, [person(&evidence.validator), at]);
    }
    format!("\u{b}{message}\u{1c}\r").into_bytes()
}

/// PRT-11 and PRT-12 of EQUIP, AUT and RO. Who validated has the time at which it was said, and
/// then the author has none.
fn times(evidence: &Evidence) -> [[Option<Utc>; 2]; 3] {
    let equipment = match (evidence.status, evidence.act) {
        (Status::Wrong, _) => [None, None],
        (_, Act::Begins) => [evidence.begin, evidence.end],
        (_, Act::Ends) => [None, evidence.end],
    };
    let ends = evidence.act == Act::Ends && evidence.status != Status::Wrong;
    let stated = Some(evidence.stated);
    let stated = if ends { [None, stated] } else { [stated, None] };
    match evidence.validator {
        Some(_) => [equipment, [None, None], stated],
        None => [equipment, stated, [None, None]],
    }
}

fn header(transaction: Transaction, envelope: &Envelope) -> String {
    let Envelope { from, to, control_id, now, processing } = envelope;
    let (from, to, control_id) = (text(from), text(to), text(control_id));
    let now = time(Some(*now));
    let profile = transaction.profile();
    format!(
        "MSH|^~\\&|{from}||{to}||{now}||ORU^R01^ORU_R01|{control_id}|{processing}|2.6|||AL|NE||\
         UNICODE UTF-8|||{profile}\r"
    )
}

fn person(person: &Option<PersonId>) -> (usize, String) {
    (5, person.as_ref().map(|person| text(person.reveal())).unwrap_or_default())
}

fn participant(
    number: u32,
    role: &str,
    [begin, end]: [Option<Utc>; 2],
    more: [(usize, String); 2],
) -> String {
    let mut fields = vec![
        (1, number.to_string()),
        (2, "UC".to_owned()),
        (4, format!("{role}^{role}^HL70912")),
        (11, time(begin)),
        (12, time(end)),
    ];
    fields.extend(more);
    segment("PRT", &fields)
}

/// `value^^^&root&ISO^MR`.
fn patient(evidence: &Evidence, site: &PcimSite) -> String {
    let (value, root) = (text(evidence.patient.reveal()), evidence.patient.root());
    let mut names = site.patients.authorities.iter().filter(|(_, of)| *of == root);
    let name = names.next().map(|(name, _)| text(name)).unwrap_or_default();
    format!("{value}^^^{name}&{root}&ISO^{}", site.identifier_type)
}

/// Unit, room and bed, as the patient administration writes them.
fn place(evidence: &Evidence, site: &PcimSite) -> String {
    let Some(place) = &evidence.place else { return String::new() };
    let mut names = site.patients.places.iter().filter(|(_, of)| *of == place);
    names
        .next()
        .map(|(name, _)| name.parts().map(text).collect::<Vec<_>>().join("^"))
        .unwrap_or_default()
}
