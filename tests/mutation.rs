//! Promise 1 under damage: whatever bytes come, no driver panics, none hangs, and none makes a
//! value of a line or frame whose checksum, computed here apart from the program, is wrong.
//!
//! The shipped device files, inputs that are flipped, cut, doubled and swapped, cut into reads at
//! random, with every fate of a message. `WARDGATE_MUTATIONS` says how many in all (200000 if not
//! set), `WARDGATE_SEED` repeats a run. The last test holds that events do not depend on how the
//! input was cut.

mod house;

use house::damage::mutated;
use house::{XorShift, binary_oximeter, lis01, mllp, oximeter, repository};
use wardgate::profile::{Drafts, Profile};
use wardgate::protocol::{
    Driver, Event, LinkChange, Message, NotKept, Peer, Session, Settled, Site,
};
use wardgate::vocabulary::{Certainty, Moment, Reading, Vocabulary};

/// How many in all, unless the environment says otherwise.
const MUTATIONS: usize = 200_000;

/// A driver that is idle asks for no further wake after this many.
const WAKES_MAX: usize = 20;

/// No input of these tests is worth so many events.
const EVENTS_MAX: usize = 10_000;

/// How many inputs one driver lives through: long enough to carry damage over from one to the next.
const CASES_PER_DRIVER: usize = 500;

struct Family {
    name: &'static str,
    profile: Profile,
    firmware: &'static str,
    /// Good input, whole.
    inputs: Vec<Vec<u8>>,
    /// Whether a reading stands in bytes whose checksum is right.
    is_proven: fn(&[u8], &Reading) -> bool,
}

fn profile(id: &str) -> Profile {
    let folder = repository().join("device-profiles");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let parameters = read("vocabulary/parameters.toml");
    let vocabulary = Vocabulary::parse(&parameters, &read("vocabulary/units.toml")).unwrap();
    Profile::read(&read(&format!("{id}/profile.toml")), &vocabulary, Drafts::Accepted).unwrap()
}

fn line() -> Family {
    let inputs = vec![
        oximeter::line("97", "60", "2.5"),
        oximeter::line("---", "***", "--.-"),
        [oximeter::line("98", "61", "2.4"), oximeter::line("99", "62", "2.3")].concat(),
    ];
    Family {
        name: "line",
        profile: profile("nordpuls/po-100"),
        firmware: "2.2",
        inputs,
        is_proven: |raw, _| {
            let (Some(start), Some(end)) = (
                raw.iter().position(|byte| *byte == b'$'),
                raw.iter().rposition(|byte| *byte == b'*'),
            ) else {
                return false;
            };
            let sum = format!("{:02X}", oximeter::xor(&raw[start + 1..end]));
            raw[end + 1..].eq_ignore_ascii_case(format!("{sum}\r\n").as_bytes())
        },
    }
}

fn frame() -> Family {
    Family {
        name: "frame",
        profile: profile("nordpuls/bx-2"),
        firmware: "3.1",
        inputs: vec![
            binary_oximeter::frame(970, 60, 25, 1),
            binary_oximeter::frame(0x7fff, 0x7fff, 0xff, 2),
            [binary_oximeter::frame(981, 61, 24, 3), binary_oximeter::frame(992, 62, 23, 4)]
                .concat(),
        ],
        is_proven: |raw, _| {
            let Some((checked, sent)) = raw.get(2..).and_then(|rest| rest.split_last_chunk::<2>())
            else {
                return false;
            };
            raw.starts_with(&[0xaa, 0x55])
                && usize::from(checked[0]) + 1 == checked.len()
                && binary_oximeter::crc16_modbus(checked) == u16::from_le_bytes(*sent)
        },
    }
}

fn astm() -> Family {
    let transmission = |ph: &str| {
        let records = lis01::ph_result("P-1", "S-1", ph, "20261120101010");
        let frames = records.iter().enumerate();
        let frames = frames.flat_map(|(index, one)| lis01::frame(index + 1, one.as_bytes()));
        [vec![lis01::ENQ], frames.collect(), vec![lis01::EOT]].concat()
    };
    // The same packed into one frame.
    let records = lis01::ph_result("P-2", "S-2", "7.38", "20261120101011").join("\r");
    let packed = [vec![lis01::ENQ], lis01::frame(1, records.as_bytes()), vec![lis01::EOT]];
    Family {
        name: "astm",
        profile: profile("laborin/bg-7"),
        firmware: "1.8.2",
        inputs: vec![transmission("7.41"), packed.concat()],
        is_proven: |raw, reading| {
            let last = reading.at.end.saturating_sub(1).max(reading.at.start);
            stands_in_good_frame(raw, reading.at.start) && stands_in_good_frame(raw, last)
        },
    }
}

/// Whether a place lies in the text of a frame whose sum is right.
fn stands_in_good_frame(raw: &[u8], at: usize) -> bool {
    let Some(start) = raw[..at].iter().rposition(|byte| *byte == 0x02) else { return false };
    let is_end = |byte: &u8| matches!(*byte, 0x03 | 0x17);
    let Some(length) = raw[start..].iter().position(is_end) else { return false };
    let end = start + length;
    let sum = lis01::checksum(&raw[start + 1..=end]);
    at <= end
        && raw.get(end + 1..end + 3).is_some_and(|sent| sent.eq_ignore_ascii_case(sum.as_bytes()))
}

fn hl7v2() -> Family {
    let vital = |time: &str, heart_rate: &str| {
        let (sent, patient) = (time, "P-1");
        mllp::framed(&mllp::vital(mllp::Vital { sent, control_id: "1", time, patient, heart_rate }))
    };
    let first = vital("20261120101010", "61");
    let text =
        b"MSH|^~\\&|X||||||ORU^R01|2|P|2.6|||AL|AL||8859/1\rPID|||P\r\r?\rOBX|1|ST|T||\xe4\\T\\|\r";
    Family {
        name: "hl7v2",
        profile: profile("generic/pcd-01"),
        firmware: "PCD-01 2.6",
        inputs: vec![
            first.clone(),
            mllp::framed(text),
            [first, vital("20261120101011", "62")].concat(),
        ],
        // MLLP has no checksum.
        is_proven: |_, _| true,
    }
}

/// Shows the input that a driver did not survive.
struct Shown<'a>(&'a str, usize, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(name, case, input) = self;
            println!("{name}: case {case}: {}", input.escape_ascii());
        }
    }
}

/// One driver on its bench.
struct Bench {
    driver: Box<dyn Driver>,
    now: Moment,
    session: u64,
}

impl Bench {
    fn new(family: &Family) -> Self {
        let driver = family.profile.driver(family.firmware, Site::default());
        let now = Moment::new(1_000_000, 1_767_225_600_000_000, Certainty::Unproven);
        Self { driver, now, session: 0 }
    }

    fn open(&mut self) {
        self.session += 1;
        self.driver.link(LinkChange::Opened { session: Session(self.session) }, self.now);
    }

    /// Takes all events and gives every message a fate.
    fn drain(&mut self, events: &mut Vec<Event>, fate: &mut dyn FnMut() -> Settled) {
        while let Some(event) = self.driver.poll() {
            assert!(events.len() < EVENTS_MAX, "events without end");
            if let Event::Message(message) = &event {
                self.driver.settled(message.id, fate(), self.now);
            }
            events.push(event);
        }
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        events: &mut Vec<Event>,
        fate: &mut dyn FnMut() -> Settled,
    ) {
        self.driver.receive(bytes, Peer::STREAM, self.now);
        self.drain(events, fate);
    }

    /// Lets time pass until the driver waits for nothing.
    fn rest(&mut self, events: &mut Vec<Event>, fate: &mut dyn FnMut() -> Settled) {
        for _ in 0..WAKES_MAX {
            let Some(due) = self.driver.next_wake() else { return };
            self.now = due.max(self.now);
            self.driver.wake(self.now);
            self.drain(events, fate);
        }
        panic!("a driver that is never at rest");
    }
}

fn messages(events: &[Event]) -> impl Iterator<Item = &Message> {
    events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message),
        Event::Send { .. }
        | Event::Samples(_)
        | Event::Identity(_)
        | Event::Trouble { .. }
        | Event::Close { .. } => None,
    })
}

/// How many readings came out, for the summary.
fn judge(family: &Family, events: &[Event]) -> usize {
    let mut count = 0;
    for message in messages(events) {
        let readings = message.groups.iter().flat_map(|group| &group.readings);
        for reading in readings {
            count += 1;
            assert!(reading.at.end <= message.raw.len(), "{reading:?} stands in the raw bytes");
            let proven = (family.is_proven)(&message.raw, reading);
            assert!(proven, "{reading:?} of {}", message.raw.escape_ascii());
        }
        for refused in &message.refusals {
            assert!(refused.at.end <= message.raw.len(), "{refused} stands in the raw bytes");
        }
    }
    count
}

fn mutate(family: &Family) {
    let in_all = std::env::var("WARDGATE_MUTATIONS").ok().and_then(|text| text.parse().ok());
    let cases = in_all.unwrap_or(MUTATIONS).div_ceil(4);
    let mut random = XorShift::seeded(family.name);
    let (mut readings, mut refusals) = (0, 0);
    let mut bench = Bench::new(family);
    for case in 0..cases {
        if case % CASES_PER_DRIVER == 0 {
            bench = Bench::new(family);
        }
        let input = mutated(&family.inputs[random.below(family.inputs.len())], &mut random);
        let _shown = Shown(family.name, case, &input);
        let mut events = Vec::new();
        let mut fates = XorShift::from(random.next());
        let mut fate = || match fates.below(8) {
            0 => Settled::Repeat,
            1 => Settled::NotKept(NotKept::NoStorage),
            _ => Settled::Durable,
        };
        if bench.session == 0 || random.below(3) == 0 {
            bench.open();
        }
        let mut rest = &input[..];
        while !rest.is_empty() {
            let (read, later) = rest.split_at(1 + random.below(rest.len()));
            bench.receive(read, &mut events, &mut fate);
            rest = later;
        }
        if random.below(4) > 0 {
            bench.rest(&mut events, &mut fate);
        }
        if random.below(4) == 0 {
            bench.driver.link(LinkChange::Closed, bench.now);
            bench.drain(&mut events, &mut fate);
        }
        readings += judge(family, &events);
        refusals += messages(&events).map(|message| message.refusals.len()).sum::<usize>();
    }
    println!("{}: {cases} mutations, {readings} readings, {refusals} refusals", family.name);
    // A transmission in several frames rarely survives, since its sender does not repair it here.
    let seen = refusals > cases / 10 && readings > cases / 50;
    assert!(seen, "the damage is seen, and the good too");
}

#[test]
fn damaged_lines() {
    mutate(&line());
}

#[test]
fn damaged_frames() {
    mutate(&frame());
}

#[test]
fn damaged_astm_transmissions() {
    mutate(&astm());
}

#[test]
fn damaged_hl7_messages() {
    mutate(&hl7v2());
}

/// What is handed over, and what is sent, of an input that comes in these pieces over a link that
/// then closes. How the two interleave depends on when a message is kept, and so on the cuts.
fn events_of(family: &Family, pieces: &[&[u8]]) -> (Vec<Event>, Vec<Event>) {
    let (mut bench, mut events) = (Bench::new(family), Vec::new());
    bench.open();
    for piece in pieces {
        bench.receive(piece, &mut events, &mut || Settled::Durable);
    }
    bench.driver.link(LinkChange::Closed, bench.now);
    bench.drain(&mut events, &mut || Settled::Durable);
    events.into_iter().partition(|event| !matches!(event, Event::Send { .. }))
}

#[test]
fn events_do_not_depend_on_how_the_input_is_cut() {
    let mut random = XorShift::seeded("cuts");
    for family in [line(), frame(), astm(), hl7v2()] {
        let mut inputs = family.inputs.clone();
        // Damaged ones, too: finding one's footing again must not depend on the reads.
        for index in 0..60 {
            inputs.push(mutated(&family.inputs[index % family.inputs.len()], &mut random));
        }
        for (case, input) in inputs.iter().enumerate() {
            let _shown = Shown(family.name, case, input);
            let whole = events_of(&family, &[input]);
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(events_of(&family, &bytes), whole, "{} byte by byte", family.name);
            for cut in 1..input.len() {
                let (first, second) = input.split_at(cut);
                let found = events_of(&family, &[first, second]);
                assert_eq!(found, whole, "{} cut at {cut}", family.name);
            }
            if case < family.inputs.len() {
                assert!(judge(&family, &whole.0) > 0, "{}: a good input has values", family.name);
            }
        }
    }
}
