//! The monitor itself: associations, polls, pushes once a second, its own time-out, power cycles.

use super::MonitorOptions;
use super::judge::{Judge, Wish};
use super::messages::{
    self, Polled, abort, accept, attribute, created, data, indication, list, object, refuse,
    string, text, word, words,
};
use super::patient::{Patient, Readings, Shown};
use super::waves::Waves;
use crate::simulator::clock;
use crate::simulator::random::Random;

/// The monitor gives an association up after so long without a message, at a poll period of up to
/// 3.3 s.
const UNHEARD_MS: u64 = 10_000;
const PUSH_EVERY_MS: u64 = 1_000;
const ANNOUNCE_EVERY_MS: u64 = 2_000;
/// How long it is off in a power cycle.
const OFF_MS: u64 = 3_000;
/// An event that is not answered comes again.
const EVENT_AGAIN_MS: u64 = 1_000;
/// So many objects fit into one answer; every few pushes they come in several.
const AT_ONCE: usize = 64;
const AT_ONCE_LINKED: usize = 4;
const LINKED_EVERY: u16 = 5;

const TICKS_PER_MS: u64 = 8;

/// A message to the client, and what it says.
pub struct Outgoing {
    pub message: Vec<u8>,
    pub readings: Readings,
    /// Set where a gateway must not take it for a patient's.
    pub refused: Option<&'static str>,
}

impl Outgoing {
    fn control(message: Vec<u8>) -> Self {
        Self { message, readings: Vec::new(), refused: None }
    }
}

/// An extended poll that runs.
struct Running {
    polled: Polled,
    until_ms: u64,
}

struct Association {
    heard_ms: u64,
    begun_ms: u64,
    /// When the create event was sent, until it is answered.
    event_sent_ms: Option<u64>,
    running: Vec<Running>,
    sequence: u16,
    has_told_demographics: bool,
}

/// One monitor.
pub struct Monitor {
    options: MonitorOptions,
    port: u16,
    patient: Patient,
    waves: Waves,
    judge: Judge,
    association: Option<Association>,
    refusals_left: u32,
    off_until_ms: Option<u64>,
    on_since_ms: u64,
    first_handle: u16,
    pushed_ms: u64,
    announced_ms: Option<u64>,
    numbers: u64,
}

impl Monitor {
    pub fn new(options: &MonitorOptions, port: u16) -> Self {
        Self {
            options: options.clone(),
            port,
            patient: Patient::new(options.demo_mode),
            waves: Waves::default(),
            judge: Judge::default(),
            association: None,
            refusals_left: options.refuse,
            off_until_ms: None,
            on_since_ms: 0,
            first_handle: 0,
            pushed_ms: 0,
            announced_ms: None,
            numbers: 0,
        }
    }

    /// The number of the next message in the log.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn ticks(&self, now_ms: u64) -> u32 {
        let ticks = now_ms.saturating_sub(self.on_since_ms) * TICKS_PER_MS;
        u32::try_from(ticks % (u64::from(u32::MAX) + 1)).unwrap_or(0)
    }

    /// A message of the client's; an error is one that no client may send.
    pub fn receive(&mut self, message: &[u8], now_ms: u64) -> Result<Vec<Outgoing>, String> {
        let wish = self.judge.judge(message, now_ms)?;
        if self.off_until_ms.is_some() {
            return Ok(Vec::new());
        }
        if let Some(association) = &mut self.association {
            association.heard_ms = now_ms;
        }
        Ok(match wish {
            Wish::Associate => self.associate(message, now_ms),
            Wish::Abort => {
                self.association = None;
                Vec::new()
            }
            Wish::Released => Vec::new(),
            Wish::Created => {
                if let Some(association) = &mut self.association {
                    association.event_sent_ms = None;
                }
                Vec::new()
            }
            Wish::Choose => self.chosen(message),
            Wish::Poll { class, group, extended } => {
                let (invoke, number) = (word(message, 8), word(message, 28));
                let polled = Polled { invoke, number, class, group };
                if extended {
                    self.run(polled, message, now_ms);
                    Vec::new()
                } else {
                    self.single(polled, now_ms)
                }
            }
        })
    }

    fn associate(&mut self, message: &[u8], now_ms: u64) -> Vec<Outgoing> {
        if self.refusals_left > 0 || self.association.is_some() {
            self.refusals_left = self.refusals_left.saturating_sub(1);
            return vec![Outgoing::control(refuse())];
        }
        let long = |at| u32::from(word(message, at)) << 16 | u32::from(word(message, at + 2));
        self.association = Some(Association {
            heard_ms: now_ms,
            begun_ms: now_ms,
            event_sent_ms: Some(now_ms),
            running: Vec::new(),
            sequence: 0,
            has_told_demographics: false,
        });
        let event = created(1, self.ticks(now_ms));
        vec![Outgoing::control(accept(long(186), long(190))), Outgoing::control(event)]
    }

    fn chosen(&mut self, message: &[u8]) -> Vec<Outgoing> {
        self.waves.choose(message);
        let result = [words(&[word(message, 8), 5]), messages::sized(&words(&[0x21, 0, 0]))];
        self.association.iter().map(|_| Outgoing::control(data(2, &result.concat()))).collect()
    }

    fn run(&mut self, polled: Polled, message: &[u8], now_ms: u64) {
        let Some(association) = &mut self.association else { return };
        let ticks = u64::from(word(message, 44)) << 16 | u64::from(word(message, 46));
        association.running.retain(|running| running.polled.class != polled.class);
        association.running.push(Running { polled, until_ms: now_ms + ticks / TICKS_PER_MS });
    }

    fn single(&mut self, polled: Polled, now_ms: u64) -> Vec<Outgoing> {
        let ticks = self.ticks(now_ms);
        let listed = self.patient.listed(self.first_handle);
        let mds = self.mds(ticks);
        let Some(association) = &mut self.association else { return Vec::new() };
        let mut readings = Readings::new();
        let objects = match (polled.class, polled.group) {
            (0x21, _) => vec![mds],
            (0x06, 0x0811) => listed,
            (0x09, 0x0811) => self.waves.listed(self.first_handle),
            (0x2a, _) => {
                let Shown { objects, readings: said } = Patient::demographics();
                // A gateway says it once, until it changes.
                if !std::mem::replace(&mut association.has_told_demographics, true) {
                    readings = said;
                }
                objects
            }
            _ => Vec::new(),
        };
        let answers = polled.answer(None, ticks, &objects, AT_ONCE_LINKED);
        let refused = self.options.demo_mode.then_some("a demo patient");
        with_readings(answers, readings, refused)
    }

    /// Model, software, label and clock.
    fn mds(&self, ticks: u32) -> Vec<u8> {
        let attributes = [
            self.identity(),
            vec![
                attribute(0x091e, &string("SIM 1")),
                attribute(0x0987, &bcd(clock::now_us())),
                attribute(0x098f, &ticks.to_be_bytes()),
            ],
        ];
        object(0, &attributes.concat())
    }

    fn identity(&self) -> Vec<Vec<u8>> {
        let specification = |kind: u16, component: u16, words_of: &str| {
            [words(&[kind, component]), text(words_of)].concat()
        };
        let production = list(&[
            specification(1, 8, &self.options.common.serial),
            specification(2, 8, "866062"),
            specification(4, 0x58, "L.01.18"),
        ]);
        let model = [text("Philips"), text("866062")].concat();
        vec![attribute(0x0928, &model), attribute(0x092d, &production)]
    }

    /// The Connect Indication, when it is time.
    pub fn announcement(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let is_due = self.announced_ms.is_none_or(|at| now_ms >= at + ANNOUNCE_EVERY_MS);
        if !is_due || self.off_until_ms.is_some() || self.association.is_some() {
            return None;
        }
        self.announced_ms = Some(now_ms);
        Some(indication(self.port, self.identity()))
    }

    /// What is due: pushes, events again, the time-out, a power cycle.
    pub fn look(&mut self, now_ms: u64, is_on: bool, random: &mut Random) -> Vec<Outgoing> {
        if let Some(until) = self.off_until_ms {
            if now_ms >= until {
                self.off_until_ms = None;
                self.on_since_ms = now_ms;
                // Handles are new after every start.
                self.first_handle = self.first_handle.wrapping_add(1_000) % 50_000;
            }
            return Vec::new();
        }
        let Some(association) = &mut self.association else { return Vec::new() };
        let cycle = self.options.power_cycle.map(|seconds| seconds * 1_000);
        if cycle.is_some_and(|after| now_ms >= association.begun_ms + after) {
            self.association = None;
            self.off_until_ms = Some(now_ms + OFF_MS);
            return Vec::new();
        }
        if now_ms >= association.heard_ms + UNHEARD_MS {
            self.association = None;
            self.judge.forget();
            return vec![Outgoing::control(abort())];
        }
        if association.event_sent_ms.is_some_and(|sent| now_ms >= sent + EVENT_AGAIN_MS) {
            association.event_sent_ms = Some(now_ms);
            let event = created(1, self.ticks(now_ms));
            return vec![Outgoing::control(event)];
        }
        if is_on && self.waves.is_due(now_ms) {
            let pushed = self.push_waves(now_ms);
            if !pushed.is_empty() {
                return pushed;
            }
        }
        let every = self.options.common.every.max(1).max(PUSH_EVERY_MS / 10);
        if !is_on || now_ms < self.pushed_ms + every {
            return Vec::new();
        }
        self.pushed_ms = now_ms;
        self.push(now_ms, random)
    }

    /// Samples are no readings: the log does not have them.
    fn push_waves(&mut self, now_ms: u64) -> Vec<Outgoing> {
        let ticks = self.ticks(now_ms);
        let Some(association) = &mut self.association else { return Vec::new() };
        let runs = |one: &&Running| one.polled.class == 0x09 && now_ms < one.until_ms;
        let Some(polled) = association.running.iter().find(runs).map(|one| one.polled) else {
            return Vec::new();
        };
        association.sequence = association.sequence.wrapping_add(1);
        let objects = self.waves.next(self.first_handle);
        let sequence = Some(association.sequence);
        with_readings(polled.answer(sequence, ticks, &objects, AT_ONCE_LINKED), Vec::new(), None)
    }

    fn push(&mut self, now_ms: u64, random: &mut Random) -> Vec<Outgoing> {
        let ticks = self.ticks(now_ms);
        let refused = self.options.demo_mode.then_some("demo data");
        let (patient, first_handle) = (&mut self.patient, self.first_handle);
        let Some(association) = &mut self.association else { return Vec::new() };
        association.running.retain(|running| now_ms < running.until_ms);
        let polls: Vec<Polled> = association.running.iter().map(|one| one.polled).collect();
        let mut outgoing = Vec::new();
        for polled in polls {
            let shown = match polled.class {
                0x06 => patient.next(first_handle, random),
                0x36 => patient.alarms(),
                _ => continue,
            };
            association.sequence = association.sequence.wrapping_add(1);
            let sequence = association.sequence;
            let at_once = if sequence % LINKED_EVERY == 0 { AT_ONCE_LINKED } else { AT_ONCE };
            let answers = polled.answer(Some(sequence), ticks, &shown.objects, at_once);
            outgoing.extend(with_readings(answers, shown.readings, refused));
        }
        outgoing
    }
}

/// The log has a push's values with its last message: then all of them are on the wire.
fn with_readings(
    answers: Vec<Vec<u8>>,
    readings: Readings,
    refused: Option<&'static str>,
) -> Vec<Outgoing> {
    let mut outgoing: Vec<Outgoing> = answers.into_iter().map(Outgoing::control).collect();
    if let Some(last) = outgoing.last_mut() {
        last.readings = readings;
        last.refused = refused;
    }
    outgoing
}

/// Century, year, month ... second and hundredths, in BCD; the monitor's clock shows UTC.
fn bcd(us: i64) -> Vec<u8> {
    let digits = format!("{}{:02}", clock::astm(us), us.rem_euclid(1_000_000) / 10_000);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| pair.iter().fold(0, |all, digit| all << 4 | (digit - b'0'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_bcd() {
        // `date -u -d @1763896500` says Sun Nov 23 11:15:00 UTC 2025.
        let bytes = bcd(1_763_896_500_120_000);
        assert_eq!(bytes, [0x20, 0x25, 0x11, 0x23, 0x11, 0x15, 0x00, 0x12]);
    }
}
