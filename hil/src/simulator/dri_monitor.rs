//! A GE monitor with the S/5 Computer Interface on a serial line (facts/monitors.md 2): silent until
//! it is asked, then it sends displayed values, the times of cuff pressures, waves and alarms until
//! it is switched off. After a power cycle it knows of no subscription and counts its records anew.
//!
//! What a gateway must not send ends it with an error: a request that is none of those that only
//! ask, trends, more waves than fit, or anything within 5 s of the request before.
//!
//! A cuff pressure repeats in every record. It is logged once: when its values have been shown
//! before and after its time was sent, which is when somebody can know whose time it is; or when the
//! line goes dark before that.

mod patient;
mod wire;

use std::io;
use std::time::{Duration, Instant};

use clap::Args;

use super::log::Reading;
use super::pty::{Pty, Written};
use super::{Bench, SerialOptions, clock};
use patient::Patient;
use wire::{Line, Request};

/// One record in so many is damaged, or has foreign bytes before it, if noise is wanted.
const NOISE: u64 = 12;
/// Requests that come nearer to each other are ignored, so nobody should send them.
const APART: Duration = Duration::from_secs(5);
/// How long the line stays dark when the power goes.
const DARK: Duration = Duration::from_millis(4500);
/// How long it listens at a time.
const LISTEN: Duration = Duration::from_millis(5);
const WAVES_EVERY: Duration = Duration::from_millis(500);
const ALARMS_EVERY: Duration = Duration::from_secs(11);

const DISPLAYED: u8 = 1;
const AUXILIARY: u8 = 4;

/// A monitor on a serial line.
#[derive(Args, Clone, Debug)]
pub struct MonitorOptions {
    #[command(flatten)]
    pub serial: SerialOptions,
    /// The interface level that it reports: 10 and more know alarms.
    #[arg(long, default_value_t = 10)]
    pub level: u8,
    /// Switch it off and on again every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub power_cycle: Option<u64>,
}

pub async fn run(options: MonitorOptions) -> io::Result<()> {
    let mut pty = Pty::open(&options.serial.link)?;
    let mut bench = Bench::set_up(options.serial.common)?;
    if !bench.go().await {
        return Ok(());
    }
    let mut monitor = Monitor {
        level: options.level,
        noise: options.serial.noise,
        patient: Patient::default(),
        line: Line::default(),
        message: 0,
        number: 0,
        last_request: None,
        asked: Asked::default(),
        began: Instant::now(),
        cycle: options.power_cycle.map(Duration::from_secs),
    };
    while !bench.stop.is_asked() {
        let Some(bytes) = bench.stop.or(pty.read(LISTEN)).await else { break };
        for byte in bytes? {
            if let Some(request) = monitor.line.take(byte).map_err(wrong)? {
                monitor.hears(request)?;
            }
        }
        monitor.sends(&mut pty, &mut bench).await?;
    }
    monitor.ended(&mut bench)?;
    pty.unplug().await;
    Ok(())
}

/// Every so often, and when next.
#[derive(Clone, Copy)]
struct Every {
    every: Duration,
    next: Instant,
}

impl Every {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.next;
        if is_due {
            self.next = (self.next + self.every).max(now);
        }
        is_due
    }
}

/// What somebody has asked for.
#[derive(Default)]
struct Asked {
    displayed: Option<(Every, u32)>,
    auxiliary: Option<Every>,
    waves: Option<(Every, Vec<u8>)>,
    alarms: Option<Every>,
}

struct Monitor {
    level: u8,
    noise: bool,
    patient: Patient,
    line: Line,
    message: u64,
    /// Of the next record.
    number: u8,
    last_request: Option<Instant>,
    asked: Asked,
    began: Instant,
    cycle: Option<Duration>,
}

fn wrong(what: String) -> io::Error {
    io::Error::other(format!("a gateway must not do this: {what}"))
}

impl Monitor {
    fn hears(&mut self, request: Request) -> io::Result<()> {
        let now = Instant::now();
        if let Some(before) = self.last_request.replace(now)
            && now.duration_since(before) < APART
        {
            let ms = now.duration_since(before).as_millis();
            return Err(wrong(format!("a request {ms} ms behind another one")));
        }
        match request {
            Request::Displayed { interval_s, classes } => {
                let every = Every::new(Duration::from_secs(interval_s.into()));
                self.asked.displayed = Some((every, classes));
            }
            Request::Auxiliary { interval_s } => {
                let mut every = Every::new(Duration::from_secs(interval_s.into()));
                every.next += Duration::from_millis(700);
                self.asked.auxiliary = Some(every);
            }
            Request::StartWaves(kinds) => {
                self.asked.waves = Some((Every::new(WAVES_EVERY), kinds));
            }
            Request::StopWaves => self.asked.waves = None,
            Request::Alarms if self.level < 10 => {
                return Err(wrong(format!("level {} knows no alarms", self.level)));
            }
            Request::Alarms => self.asked.alarms = Some(Every::new(ALARMS_EVERY)),
        }
        Ok(())
    }

    async fn sends(&mut self, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        if self.cycle.is_some_and(|cycle| self.began.elapsed() >= cycle) {
            return self.power_cycle(pty, bench).await;
        }
        let displayed = self.asked.displayed.as_mut();
        if let Some(classes) =
            displayed.and_then(|(every, classes)| every.is_due().then_some(*classes))
        {
            self.displayed(classes, pty, bench).await?;
        }
        if self.asked.auxiliary.as_mut().is_some_and(Every::is_due) {
            let time = seconds();
            let part = self.patient.auxiliary(time);
            self.message += 1;
            let message = self.message;
            let sent = self.record(0, vec![(AUXILIARY, part)], time, pty).await?;
            if let Written::At(sent_us) = sent {
                let surface = Reading::new(&message.to_string(), "aux.pat_bsa", "1.83");
                bench.log.sent(message, &surface, sent_us)?;
                bench.log.flush()?;
            }
        }
        if self.asked.alarms.as_mut().is_some_and(Every::is_due) {
            self.alarms(pty, bench).await?;
        }
        let waves = self.asked.waves.as_mut();
        if let Some(kinds) = waves.and_then(|(every, kinds)| every.is_due().then(|| kinds.clone()))
        {
            let parts = kinds.into_iter().map(|kind| (kind, self.patient.wave(kind, 2))).collect();
            self.record(1, parts, seconds(), pty).await?;
        }
        Ok(())
    }

    async fn displayed(
        &mut self,
        classes: u32,
        pty: &mut Pty,
        bench: &mut Bench,
    ) -> io::Result<()> {
        self.message += 1;
        let message = self.message;
        let time = seconds();
        let (parts, shown) = self.patient.displayed(time, classes, &mut bench.random);
        let parts: Vec<_> = parts.into_iter().map(|part| (DISPLAYED, part)).collect();
        if self.noise && bench.random.once_in(NOISE) {
            let frame = self.frame(0, parts, time);
            let damaged = damaged(&frame, &mut bench.random);
            if let Written::At(sent_us) = pty.write(&damaged).await? {
                bench.log.refused(message, "damaged record", sent_us)?;
            }
            return Ok(());
        }
        if self.noise && bench.random.once_in(NOISE) {
            // Foreign bytes on an idle line end at the next flag.
            if let Written::At(sent_us) = pty.write(&[0x00, 0x41, 0x13]).await? {
                bench.log.refused(message, "foreign bytes", sent_us)?;
            }
        }
        match self.record(0, parts, time, pty).await? {
            Written::At(sent_us) => {
                for (parameter, value) in shown.into_iter().chain(self.patient.certain(time)) {
                    let reading = Reading::new(&message.to_string(), parameter, value);
                    bench.log.sent(message, &reading, sent_us)?;
                }
                bench.log.flush()?;
            }
            Written::NobodyListens => bench.log.dropped(message, "nobody listens")?,
        }
        Ok(())
    }

    async fn alarms(&mut self, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        self.message += 1;
        let message = self.message;
        let (part, shown) = self.patient.alarms(&mut bench.random);
        if let Written::At(sent_us) = self.record(4, vec![(1, part)], seconds(), pty).await? {
            for (parameter, value) in shown {
                let reading = Reading::new(&message.to_string(), parameter, value);
                bench.log.sent(message, &reading, sent_us)?;
            }
            bench.log.flush()?;
        }
        Ok(())
    }

    /// What was shown and not dated before the line went dark.
    fn ended(&mut self, bench: &mut Bench) -> io::Result<()> {
        self.message += 1;
        for (parameter, value) in self.patient.ended() {
            let reading = Reading::new(&self.message.to_string(), parameter, value);
            bench.log.sent(self.message, &reading, clock::now_us())?;
        }
        bench.log.flush()
    }

    /// Dark for a while; what is written to it meanwhile is gone.
    async fn power_cycle(&mut self, pty: &mut Pty, bench: &mut Bench) -> io::Result<()> {
        self.ended(bench)?;
        let dark = Instant::now();
        while dark.elapsed() < DARK {
            let Some(read) = bench.stop.or(pty.read(LISTEN)).await else { return Ok(()) };
            read?;
        }
        self.asked = Asked::default();
        (self.number, self.last_request) = (0, None);
        self.line = Line::default();
        self.patient.switched_on();
        self.began = Instant::now();
        Ok(())
    }

    fn frame(&mut self, main_type: u8, parts: Vec<(u8, Vec<u8>)>, time: u32) -> Vec<u8> {
        self.number = self.number.wrapping_add(1);
        wire::frame(&wire::record(self.number, self.level, time, main_type, &parts))
    }

    async fn record(
        &mut self,
        main_type: u8,
        parts: Vec<(u8, Vec<u8>)>,
        time: u32,
        pty: &mut Pty,
    ) -> io::Result<Written> {
        let frame = self.frame(main_type, parts, time);
        pty.write(&frame).await
    }
}

/// The monitor's clock: its local time, counted in seconds since 1970. This one's local time is
/// UTC.
fn seconds() -> u32 {
    u32::try_from(clock::now_us() / 1_000_000).unwrap_or(u32::MAX)
}

/// One bit of the data turned over: the sum of a frame cannot miss a single one.
fn damaged(frame: &[u8], random: &mut super::random::Random) -> Vec<u8> {
    let mut damaged = frame.to_vec();
    let span = u64::try_from(frame.len().saturating_sub(60)).unwrap_or(1);
    for _ in 0..50 {
        let at = 50 + usize::try_from(random.below(span)).unwrap_or(0);
        let Some(byte) = damaged.get_mut(at) else { break };
        // A bit that makes no flag and no escape, nor takes one away.
        let turned = *byte ^ 1;
        if !matches!((*byte, turned), (0x7c..=0x7f, _) | (_, 0x7c..=0x7f)) {
            *byte = turned;
            break;
        }
    }
    damaged
}
