//! What the sender is told, and when: only after the fate of its message is known.
//!
//! | the message | original mode | enhanced, MSH-15 | enhanced, MSH-16 |
//! |---|---|---|---|
//! | is on stable storage | AA | CA | AA |
//! | is on stable storage, but is no message that is taken here | AR | CR | AR |
//! | could not be kept now | AE | CE | AE |
//! | can never be kept (too large) | AR | CR | AR |
//!
//! AL always, NE never, ER only for the last three rows, SU only for the first. Both empty, or a
//! value outside that table (Mindray writes 0, 1, 2 for its kinds of sample), is original mode. CA
//! goes out before AA, both at once; behind CE or CR comes nothing. Sources: facts/semantics.md
//! 1.4, facts/lab.md 3.1.
//!
//! Two decisions. A failure is told even if MSH-15 and MSH-16 would have it silent, as AE or AR:
//! who hears nothing takes his message for delivered. And a message in which one OBX cannot be
//! read is accepted: its bytes and the refusal are kept and shown, nothing is lost, and AE would
//! make the device send the same bytes for ever.
//!
//! MSH-3 to 6 are swapped, MSH-10, 11, 12 and 18 echoed as the bytes that came, in the sender's own
//! delimiters. An acknowledgement is never acknowledged.

use super::profile::{AcknowledgementMode, AcknowledgementType, Hl7v2Profile};
use super::segments::{Delimiters, Segment, parts, slice};
use crate::protocol::{MessageId, NotKept, Settled};
use crate::vocabulary::moment::utc_digits;
use crate::vocabulary::{Moment, Why};

/// The parts of a header that an answer needs, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    delimiters: Delimiters,
    encoding: Vec<u8>,
    /// MSH-3 to MSH-6.
    parties: [Vec<u8>; 4],
    pub code: Vec<u8>,
    pub trigger: Vec<u8>,
    control_id: Vec<u8>,
    processing: Vec<u8>,
    version: Vec<u8>,
    accept: Condition,
    application: Condition,
    charset: Vec<u8>,
}

/// When an acknowledgement is wanted: MSH-15, MSH-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    NotValued,
    Always,
    Never,
    Error,
    Success,
}

impl Header {
    /// From an MSH segment.
    pub fn read(bytes: &[u8], msh: &Segment, delimiters: Delimiters) -> Self {
        let field = |number: usize| {
            msh.field(number).map(|at| slice(bytes, &at).to_vec()).unwrap_or_default()
        };
        let message_type = msh.field(9).unwrap_or(0..0);
        let components = parts(bytes, message_type, Some(delimiters.component));
        let component = |index: usize| {
            let text = components.get(index).map(|at| slice(bytes, at)).unwrap_or_default();
            text.trim_ascii().to_vec()
        };
        Self {
            delimiters,
            encoding: field(2),
            parties: [field(3), field(4), field(5), field(6)],
            code: component(0),
            trigger: component(1),
            control_id: field(10),
            processing: field(11),
            version: field(12),
            accept: Condition::read(&field(15)),
            application: Condition::read(&field(16)),
            charset: field(18),
        }
    }

    /// What an answer looks like when nothing of the message's header is known.
    pub fn unknown() -> Self {
        Self {
            delimiters: Delimiters::USUAL,
            encoding: b"^~\\&".to_vec(),
            parties: [const { Vec::new() }; 4],
            code: Vec::new(),
            trigger: Vec::new(),
            control_id: Vec::new(),
            processing: b"P".to_vec(),
            version: b"2.6".to_vec(),
            accept: Condition::NotValued,
            application: Condition::NotValued,
            charset: Vec::new(),
        }
    }

    /// Whether the message answers one of ours, so that answering it could go on for ever.
    pub fn is_acknowledgement(&self) -> bool {
        matches!(self.code.as_slice(), b"ACK" | b"MCF")
    }
}

impl Condition {
    fn read(field: &[u8]) -> Self {
        match field.trim_ascii() {
            b"AL" => Self::Always,
            b"NE" => Self::Never,
            b"ER" => Self::Error,
            b"SU" => Self::Success,
            _ => Self::NotValued,
        }
    }

    fn wants(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::NotValued | Self::Never => false,
            Self::Error => outcome != Outcome::Accepted,
            Self::Success => outcome == Outcome::Accepted,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// It may be sent again.
    Error,
    /// It is never taken.
    Rejected,
}

/// How a message is answered once its fate is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody waits for one: stray bytes, a broken block, an acknowledgement.
    None,
    /// Taken, or refused as a whole for a reason.
    Owed { header: Box<Header>, refused: Option<Why> },
}

impl Answer {
    /// The blocks to send, in order.
    pub fn blocks(
        &self,
        message: MessageId,
        settled: Settled,
        profile: &Hl7v2Profile,
        now: Moment,
    ) -> Vec<Vec<u8>> {
        let Self::Owed { header, refused } = self else { return Vec::new() };
        let error = error_code(settled, *refused).map(Trouble::of_table);
        let kind = profile.acknowledge_message_type;
        let outcome = Outcome::of(settled, refused.is_some());
        told(header, outcome, profile.acknowledgement, kind, message, error.as_ref(), now)
    }

    /// The blocks for another system, which asks in its message for what it wants to hear. An
    /// application's own error refuses the message for good, whatever became of it.
    pub fn blocks_by_message(
        &self,
        message: MessageId,
        settled: Settled,
        application: Option<ApplicationError<'_>>,
        now: Moment,
    ) -> Vec<Vec<u8>> {
        let Self::Owed { header, refused } = self else { return Vec::new() };
        let error = match application {
            Some(application) => {
                let of_table = ("207", "Application internal error");
                Some(Trouble { of_table, application: Some(application) })
            }
            None => error_code(settled, *refused).map(Trouble::of_table),
        };
        let outcome = Outcome::of(settled, refused.is_some() || application.is_some());
        let (mode, kind) = (AcknowledgementMode::ByMessage, AcknowledgementType::WithTrigger);
        told(header, outcome, mode, kind, message, error.as_ref(), now)
    }
}

/// ERR-5: an error of a profile's own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationError<'a> {
    pub code: u32,
    /// Holds no delimiters.
    pub text: &'a str,
}

/// What an ERR says.
struct Trouble<'a> {
    /// HL7 table 0357.
    of_table: (&'a str, &'a str),
    application: Option<ApplicationError<'a>>,
}

impl<'a> Trouble<'a> {
    fn of_table(of_table: (&'a str, &'a str)) -> Self {
        Self { of_table, application: None }
    }
}

impl Outcome {
    fn of(settled: Settled, is_refused: bool) -> Self {
        match settled {
            Settled::Durable | Settled::Repeat if is_refused => Self::Rejected,
            Settled::Durable | Settled::Repeat => Self::Accepted,
            Settled::NotKept(NotKept::NoStorage | NotKept::Stopping) => Self::Error,
            Settled::NotKept(NotKept::TooLarge) => Self::Rejected,
        }
    }
}

fn told(
    header: &Header,
    outcome: Outcome,
    mode: AcknowledgementMode,
    kind: AcknowledgementType,
    message: MessageId,
    error: Option<&Trouble<'_>>,
    now: Moment,
) -> Vec<Vec<u8>> {
    let codes = codes(header, outcome, mode).into_iter().zip(["A", "B"]);
    let blocks = codes.map(|(acknowledgement, part)| {
        let id = format!("{}-{}{part}", message.session.0, message.number);
        block(header, acknowledgement, &id, error, kind, now)
    });
    blocks.collect()
}

/// MSA-1 of each answer, in order.
fn codes(header: &Header, outcome: Outcome, mode: AcknowledgementMode) -> Vec<&'static str> {
    let accept = match outcome {
        Outcome::Accepted => "CA",
        Outcome::Error => "CE",
        Outcome::Rejected => "CR",
    };
    let application = match outcome {
        Outcome::Accepted => "AA",
        Outcome::Error => "AE",
        Outcome::Rejected => "AR",
    };
    let valued = |condition: Condition| condition != Condition::NotValued;
    let original = !valued(header.accept) && !valued(header.application);
    match mode {
        AcknowledgementMode::Original => vec![application],
        AcknowledgementMode::EnhancedAccept => vec![accept],
        AcknowledgementMode::ByMessage if original => vec![application],
        AcknowledgementMode::ByMessage => {
            let mut codes = Vec::new();
            if header.accept.wants(outcome) {
                codes.push(accept);
            }
            // A message that is not committed is not processed: CE or CR is the only answer.
            let is_over = outcome != Outcome::Accepted && !codes.is_empty();
            if header.application.wants(outcome) && !is_over {
                codes.push(application);
            }
            if codes.is_empty() && outcome != Outcome::Accepted {
                codes.push(application);
            }
            codes
        }
    }
}

/// HL7 table 0357.
fn error_code(settled: Settled, refused: Option<Why>) -> Option<(&'static str, &'static str)> {
    match (settled, refused) {
        (Settled::Durable | Settled::Repeat, None) => None,
        (Settled::Durable | Settled::Repeat, Some(Why::UnsupportedMessage)) => {
            Some(("200", "Unsupported message type"))
        }
        (Settled::Durable | Settled::Repeat, Some(_)) => Some(("100", "Segment sequence error")),
        (Settled::NotKept(_), _) => Some(("207", "Application internal error")),
    }
}

fn block(
    header: &Header,
    acknowledgement: &str,
    id: &str,
    error: Option<&Trouble<'_>>,
    message_type: AcknowledgementType,
    now: Moment,
) -> Vec<u8> {
    let field = [header.delimiters.field];
    let component = [header.delimiters.component];
    let [application, facility, our_application, our_facility] = &header.parties;
    let kind = match message_type {
        AcknowledgementType::WithTrigger if !header.trigger.is_empty() => {
            [b"ACK".as_slice(), &header.trigger, b"ACK"].join(component.as_slice())
        }
        AcknowledgementType::WithTrigger | AcknowledgementType::Bare => b"ACK".to_vec(),
    };
    let time = now_text(now);
    let mut msh: Vec<&[u8]> = vec![
        &header.encoding,
        our_application,
        our_facility,
        application,
        facility,
        time.as_bytes(),
        b"",
        &kind,
        id.as_bytes(),
        &header.processing,
        &header.version,
    ];
    if !header.charset.is_empty() {
        msh.extend([b"".as_slice(); 5]);
        msh.push(&header.charset);
    }
    let mut block = b"\x0BMSH".to_vec();
    block.extend_from_slice(&field);
    block.extend(msh.join(field.as_slice()));
    block.push(b'\r');
    let msa: [&[u8]; 3] = [b"MSA", acknowledgement.as_bytes(), &header.control_id];
    block.extend(msa.join(field.as_slice()));
    block.push(b'\r');
    if let Some(error) = error {
        block.extend(error_segment(header, error));
        block.push(b'\r');
    }
    block.extend_from_slice(b"\x1C\x0D");
    block
}

/// ERR-3 and ERR-4 from version 2.5 on, ERR-1 before it. Holds nothing of the message.
fn error_segment(header: &Header, error: &Trouble<'_>) -> Vec<u8> {
    let (code, words) = error.of_table;
    let field = [header.delimiters.field];
    let component = [header.delimiters.component];
    let coded = |separator: &[u8]| [code.as_bytes(), words.as_bytes(), b"HL70357"].join(separator);
    let version = header.version.split(|byte| *byte == header.delimiters.component).next();
    let is_older =
        version.is_some_and(|version| !version.is_empty() && version < b"2.5".as_slice());
    if !is_older {
        let coded = coded(&component);
        let mut segment = [b"ERR".as_slice(), b"", b"", &coded, b"E"].join(field.as_slice());
        if let Some(ApplicationError { code, text }) = error.application {
            let own = [code.to_string().as_bytes(), text.as_bytes()].join(component.as_slice());
            segment.extend([field.as_slice(), &own].concat());
        }
        return segment;
    }
    let coded = match header.delimiters.sub_component {
        Some(sub) => coded(&[sub]),
        None => code.as_bytes().to_vec(),
    };
    let position = [b"".as_slice(), b"", b"", &coded].join(component.as_slice());
    [b"ERR".as_slice(), &position].join(field.as_slice())
}

fn now_text(now: Moment) -> String {
    // Years beyond these cannot come from a clock; an empty field invents no time.
    utc_digits(now.utc_us()).map(|digits| digits + "+0000").unwrap_or_default()
}
