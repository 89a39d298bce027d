//! Data export messages (facts/monitors.md 1.6).
//!
//! ```text
//! | E1 00 | context u16 | operation u16 | length u16 | invoke id, command, length | argument |
//! ```
//! A linked result has state u8 and count u8 in front of its invoke id. Each part of a linked
//! result is a whole poll result of its own objects, so each is read for itself; the one without
//! link that follows the last completes the reply.
//!
//! A poll result whose lengths do not nest gives nothing at all.

use super::request::{ACTION_EXTENDED_POLL, ACTION_POLL, SESSION};
use super::wire::{Attribute, Cursor, Short};

/// What a data export message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Export {
    /// The monitor invokes: an event report.
    Event {
        invoke: u16,
        /// Whether it waits for an answer.
        confirmed: bool,
        report: EventReport,
    },
    /// A whole or the last part of an answer to what we invoked.
    Result {
        invoke: u16,
        poll: Option<PollResult>,
    },
    /// A part of an answer.
    Linked {
        invoke: u16,
        poll: Option<PollResult>,
    },
    Error {
        invoke: u16,
        error: u16,
    },
    /// An operation that this family has no use for.
    Other,
}

/// An event of the monitor: created, or announcing itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventReport {
    /// Class, context and handle of the object, as sent.
    pub object: [u8; 6],
    /// Ticks of 1/8 ms.
    pub time: u32,
    pub event: u16,
    /// Where its information stands.
    pub information: std::ops::Range<usize>,
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PollResult {
    pub poll_number: u16,
    /// Only of extended polls: which reply it is.
    pub sequence: Option<u16>,
    /// Ticks of 1/8 ms since the monitor started.
    pub time: u32,
    /// BCD, all FF where the monitor has none.
    pub absolute_time: [u8; 8],
    pub class: u16,
    pub group: u16,
    pub objects: Vec<PolledObject>,
}

/// One object with the attributes that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolledObject {
    pub context: u16,
    pub handle: u16,
    pub attributes: Vec<Attribute>,
}

mod operation {
    pub const INVOKE: u16 = 1;
    pub const RESULT: u16 = 2;
    pub const ERROR: u16 = 3;
    pub const LINKED_RESULT: u16 = 5;
}

mod command {
    pub const EVENT_REPORT: u16 = 0;
    pub const CONFIRMED_EVENT_REPORT: u16 = 1;
    pub const CONFIRMED_ACTION: u16 = 7;
}

/// Reads a message that begins with [`SESSION`]'s first two bytes.
pub(super) fn read(message: &[u8]) -> Result<Export, Short> {
    let mut cursor = Cursor::new(message);
    let [session_high, session_low, ..] = SESSION;
    let session = cursor.array::<2>("a session id")?;
    if session != [session_high, session_low] {
        return Err(Short { at: 0..2, expected: "the session id E1 00" });
    }
    cursor.u16("a presentation context")?;
    operation(&mut cursor)
}

/// Operation and what follows it: also the body of a connect indication.
pub(super) fn operation(cursor: &mut Cursor<'_>) -> Result<Export, Short> {
    let kind = cursor.u16("an operation")?;
    let length = cursor.u16("an operation's length")?;
    let mut body = cursor.part(usize::from(length), "an operation")?;
    match kind {
        operation::INVOKE => invoke(&mut body),
        operation::RESULT => {
            let (invoke, poll) = result(&mut body)?;
            Ok(Export::Result { invoke, poll })
        }
        operation::LINKED_RESULT => {
            body.array::<2>("a linked result's state and count")?;
            let (invoke, poll) = result(&mut body)?;
            Ok(Export::Linked { invoke, poll })
        }
        operation::ERROR => {
            let invoke = body.u16("an invoke id")?;
            let error = body.u16("an error value")?;
            Ok(Export::Error { invoke, error })
        }
        _ => Ok(Export::Other),
    }
}

fn invoke(body: &mut Cursor<'_>) -> Result<Export, Short> {
    let invoke = body.u16("an invoke id")?;
    let command = body.u16("a command")?;
    let length = body.u16("a command's length")?;
    let mut argument = body.part(usize::from(length), "a command's argument")?;
    let confirmed = match command {
        command::EVENT_REPORT => false,
        command::CONFIRMED_EVENT_REPORT => true,
        _ => return Ok(Export::Other),
    };
    let object = argument.array("an object")?;
    let time = argument.u32("an event's time")?;
    let event = argument.u16("an event's type")?;
    let length = argument.u16("an event's length")?;
    let information = argument.part(usize::from(length), "an event's information")?;
    let information = information.at()..information.at() + information.left();
    Ok(Export::Event {
        invoke,
        confirmed,
        report: EventReport { object, time, event, information },
    })
}

fn result(body: &mut Cursor<'_>) -> Result<(u16, Option<PollResult>), Short> {
    let invoke = body.u16("an invoke id")?;
    let command = body.u16("a command")?;
    let length = body.u16("a command's length")?;
    let mut argument = body.part(usize::from(length), "a result")?;
    if command != command::CONFIRMED_ACTION {
        return Ok((invoke, None));
    }
    argument.array::<6>("an object")?;
    let action = argument.u16("an action")?;
    let length = argument.u16("an action's length")?;
    let mut reply = argument.part(usize::from(length), "a poll result")?;
    match action {
        // The reply that completes a linked one may be empty.
        _ if reply.left() == 0 => Ok((invoke, None)),
        ACTION_POLL => Ok((invoke, Some(poll_result(&mut reply, Extended::No)?))),
        ACTION_EXTENDED_POLL => Ok((invoke, Some(poll_result(&mut reply, Extended::Yes)?))),
        _ => Ok((invoke, None)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extended {
    No,
    Yes,
}

fn poll_result(reply: &mut Cursor<'_>, extended: Extended) -> Result<PollResult, Short> {
    let poll_number = reply.u16("a poll number")?;
    let sequence = match extended {
        Extended::No => None,
        Extended::Yes => Some(reply.u16("a sequence number")?),
    };
    let time = reply.u32("a relative time")?;
    let absolute_time = reply.array("an absolute time")?;
    reply.u16("a partition")?;
    let class = reply.u16("an object class")?;
    let group = reply.u16("an attribute group")?;
    let (count, mut contexts) = reply.list("the list of polled contexts")?;
    let mut objects = Vec::new();
    for _ in 0..count {
        let context = contexts.u16("a context")?;
        let (count, mut polled) = contexts.list("the list of polled objects")?;
        for _ in 0..count {
            let handle = polled.u16("an object's handle")?;
            let attributes = polled.attributes()?;
            objects.push(PolledObject { context, handle, attributes });
        }
    }
    Ok(PollResult { poll_number, sequence, time, absolute_time, class, group, objects })
}
