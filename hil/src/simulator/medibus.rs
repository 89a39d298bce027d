//! A Dräger ventilator that speaks MEDIBUS over a serial line, as Evita 4 or as Infinity V500: it
//! initialises, asks who the host is, answers what it is asked, keeps the line alive, and gives up
//! a host that falls silent (facts/monitors.md 3).
//!
//! It never sends a value unasked. What a host must not send ends it with an error: a command that
//! is not among those that only ask, one with arguments, a second question before the first was
//! answered, an answer to nothing, bytes that are no frame.

mod patient;
mod wire;

use std::io;
use std::time::{Duration, Instant};

use clap::Args;

use super::log::Reading;
use super::pty::{Pty, Written};
use super::{Bench, SerialOptions, clock};
use patient::{Patient, Variant};
use wire::{Line, Received};

/// A device without a host says 51 about that often.
const ICC_EVERY: Duration = Duration::from_secs(3);
/// A host that says nothing for so long is gone.
const HOST_SILENT: Duration = Duration::from_secs(3);
/// When the device itself keeps the line alive.
const NOP_EVERY: Duration = Duration::from_millis(1900);
/// How long the line stays dark when the power goes.
const DARK: Duration = Duration::from_millis(4500);
/// One answer in so many is damaged, has a command in it, or real-time bytes, if noise is wanted.
const NOISE: u64 = 20;
/// How long it listens at a time.
const LISTEN: Duration = Duration::from_millis(5);

const NOP: u8 = 0x30;
const ICC: u8 = 0x51;
const IDENTIFICATION: u8 = 0x52;
const NAK: u8 = 0x15;

/// A ventilator on a serial line.
#[derive(Args, Clone, Debug)]
pub struct VentilatorOptions {
    #[command(flatten)]
    pub serial: SerialOptions,
    /// Which ventilator.
    #[arg(long, value_enum, default_value_t = Variant::Evita4)]
    pub variant: Variant,
    /// Switch it off and on again every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub power_cycle: Option<u64>,
}

pub async fn run(options: VentilatorOptions) -> io::Result<()> {
    let mut pty = Pty::open(&options.serial.link)?;
    let mut bench = Bench::set_up(options.serial.common)?;
    if !bench.go().await {
        return Ok(());
    }
    let now = Instant::now();
    let mut device = Device {
        variant: options.variant,
        noise: options.serial.noise,
        patient: Patient::new(options.variant),
        line: Line::default(),
        message: 0,
        session: Session::None,
        last_heard: now,
        last_sent: now - ICC_EVERY,
        expected: Vec::new(),
        began: now,
        cycle: options.power_cycle.map(Duration::from_secs),
    };
    while !bench.stop.is_asked() {
        let Some(bytes) = bench.stop.or(pty.read(LISTEN)).await else { break };
        for byte in bytes? {
            if let Some(received) = device.line.take(byte) {
                device.last_heard = Instant::now();
                device.hears(received, &mut pty, &mut bench).await?;
            }
        }
        device.timers(&mut pty, &mut bench).await?;
    }
    pty.unplug().await;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    None,
    /// 51 was exchanged.
    Initialised,
    /// The host knows which device this is.
    Known,
}

struct Device {
    variant: Variant,
    noise: bool,
    patient: Patient,
    line: Line,
    message: u64,
    session: Session,
    last_heard: Instant,
    last_sent: Instant,
    /// The device's own commands that are not answered yet.
    expected: Vec<u8>,
    began: Instant,
    cycle: Option<Duration>,
}

fn wrong(what: String) -> io::Error {
    io::Error::other(format!("a gateway must not do this: {what}"))
}

impl Device {
    async fn send(&mut self, bytes: &[u8], pty: &mut Pty) -> io::Result<Written> {
        self.last_sent = Instant::now();
        pty.write(bytes).await
    }

    /// A command of the device's own.
    async fn ask(&mut self, code: u8, pty: &mut Pty) -> io::Result<()> {
        if self.send(&wire::command(code), pty).await? != Written::NobodyListens {
            self.expected.push(code);
        }
        Ok(())
    }

    async fn timers(&mut self, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        if self.cycle.is_some_and(|every| self.began.elapsed() >= every) {
            return self.power_cycle(pty, bench).await;
        }
        match self.session {
            Session::None if self.last_sent.elapsed() >= ICC_EVERY => self.ask(ICC, pty).await,
            Session::None => Ok(()),
            Session::Initialised | Session::Known => {
                if self.last_heard.elapsed() >= HOST_SILENT {
                    self.session = Session::None;
                    self.expected.clear();
                } else if self.last_sent.elapsed() >= NOP_EVERY {
                    self.ask(NOP, pty).await?;
                }
                Ok(())
            }
        }
    }

    /// Dark for a while; whatever the host says meanwhile nobody hears.
    async fn power_cycle(&mut self, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        let dark = Instant::now();
        while dark.elapsed() < DARK {
            match bench.stop.or(pty.read(LISTEN)).await {
                Some(read) => drop(read?),
                None => return Ok(()),
            }
        }
        self.patient = Patient::new(self.variant);
        self.line = Line::default();
        self.session = Session::None;
        self.expected.clear();
        self.began = Instant::now();
        self.last_heard = self.began;
        Ok(())
    }

    async fn hears(
        &mut self,
        received: Received,
        pty: &mut Pty,
        bench: &mut Bench,
    ) -> io::Result<()> {
        match received {
            Received::Command(code, arguments) if arguments.is_empty() => {
                self.command(code, pty, bench).await
            }
            Received::Command(code, _) => Err(wrong(format!("{code:02X} with arguments"))),
            Received::Answer(code, data) => self.answered(code, &data),
            Received::Realtime(byte) => Err(wrong(format!("real-time byte {byte:02X}"))),
            Received::Foreign(bytes) => Err(wrong(format!("{bytes:02X?} is no frame"))),
        }
    }

    /// The host answers the device's own commands, each with what belongs to it.
    fn answered(&mut self, code: u8, data: &[u8]) -> io::Result<()> {
        let Some(at) = self.expected.iter().position(|one| *one == code) else {
            // A command before a power cut may be answered after it.
            let late = matches!(code, NOP | ICC | IDENTIFICATION);
            return if late { Ok(()) } else { Err(wrong(format!("{code:02X} answers nothing"))) };
        };
        self.expected.remove(at);
        let full = data.iter().filter(|byte| **byte == b'\'').count() == 2 && data.len() > 15;
        match code {
            ICC if self.session == Session::None => {
                self.session = Session::Initialised;
                self.patient.forgets();
            }
            // Evita 4 rejects an empty identification.
            IDENTIFICATION if !full => return Err(wrong("an empty identification".to_owned())),
            _ => {}
        }
        Ok(())
    }

    async fn command(&mut self, code: u8, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        match code {
            ICC => {
                self.session = Session::Initialised;
                self.patient.forgets();
                self.send(&wire::answer(ICC, b""), pty).await?;
                // A device that is initialised says so itself, and asks who it talks to.
                self.ask(ICC, pty).await?;
                self.ask(IDENTIFICATION, pty).await
            }
            _ if self.session == Session::None => {
                // The host still believes in the session before the power cut: no answer.
                Ok(())
            }
            IDENTIFICATION => {
                self.session = Session::Known;
                let answer = wire::answer(code, self.variant.identification().as_bytes());
                self.send(&answer, pty).await.map(drop)
            }
            NOP => self.send(&wire::answer(code, b""), pty).await.map(drop),
            0x23..=0x2e if self.session != Session::Known => {
                Err(wrong(format!("{code:02X} before it knows the device")))
            }
            0x23..=0x2e if self.variant.answers(code) => self.poll(code, pty, bench).await,
            0x23..=0x2e => self.send(&wire::answer(NAK, b""), pty).await.map(drop),
            _ => Err(wrong(format!("command {code:02X}"))),
        }
    }

    async fn poll(&mut self, code: u8, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        self.message += 1;
        if self.noise && bench.random.once_in(NOISE) {
            return self.damaged(code, pty, bench).await;
        }
        let time = clock::medibus(clock::now_us());
        let content = self.patient.content(code, &time, &mut bench.random);
        let mut bytes = wire::answer(code, &content.data);
        if self.noise && bench.random.once_in(NOISE) {
            self.interleave(&mut bytes, bench);
        }
        match self.send(&bytes, pty).await? {
            Written::At(sent_us) => {
                let anchor = self.message.to_string();
                for (name, value) in content.values {
                    let reading = Reading::new(&anchor, &name, value);
                    bench.log.sent(self.message, &reading, sent_us)?;
                }
                bench.log.flush()
            }
            Written::NobodyListens => bench.log.dropped(self.message, "nobody listens"),
        }
    }

    /// Real-time bytes between the others, and a command in the middle.
    fn interleave(&mut self, bytes: &mut Vec<u8>, bench: &mut Bench) {
        let at = 2 + usize::try_from(bench.random.below(bytes.len() as u64 - 3)).unwrap_or(0);
        let realtime = [0xd1, 0x91, 0x81, 0xd1, 0x8d];
        if bench.random.once_in(2) {
            bytes.splice(at..at, wire::command(NOP));
            self.expected.push(NOP);
        }
        bytes.splice(at..at, realtime);
    }

    /// An answer with one digit changed, which its checksum cannot miss, or with bytes in front
    /// that belong to nothing and an end that never comes.
    async fn damaged(&mut self, code: u8, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        let mut bytes = wire::answer(code, &wire::entry("D6", "14", 5));
        if bench.random.once_in(2) {
            bytes.truncate(6);
            bytes.splice(0..0, *b"~noise~");
            bytes.extend(wire::answer(NAK, b""));
        } else if let Some(byte) = bytes.get_mut(5) {
            *byte ^= 1;
        }
        match self.send(&bytes, pty).await? {
            Written::At(sent_us) => bench.log.refused(self.message, "damaged answer", sent_us),
            Written::NobodyListens => bench.log.dropped(self.message, "nobody listens"),
        }
    }
}
