//! What a person sees while the demo runs: the values as they reach the core, one line per device,
//! and how far the time has gone. Not on a terminal, a line now and then takes its place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Options;
use super::acknowledged::Times;
use super::plan::Plan;
use super::stored::{self, Value};

/// Without a terminal: how often a line per device is written.
const LINES_EVERY: Duration = Duration::from_secs(2);
/// How many values of a device fit on a line.
const VALUES_SHOWN: usize = 4;

pub struct Watch {
    json: bool,
    time: Duration,
    screen: Option<Screen>,
    began: Option<Instant>,
    lines_at: Option<Instant>,
    /// How far the core's store has been read.
    read: u64,
    unfinished: Vec<u8>,
    links: BTreeMap<String, Seen>,
}

/// Lines on a terminal that are drawn over.
struct Screen {
    all: MultiProgress,
    clock: ProgressBar,
    links: BTreeMap<String, ProgressBar>,
}

#[derive(Default)]
struct Seen {
    count: u64,
    last: String,
}

impl Watch {
    pub fn new(options: &Options) -> Self {
        let watch = Self {
            json: options.json,
            time: options.time,
            screen: None,
            began: None,
            lines_at: None,
            read: 0,
            unfinished: Vec::new(),
            links: BTreeMap::new(),
        };
        let seconds = options.time.as_secs_f64();
        watch.say(&format!(
            "Wardgate demo: {}.\n\
             Each is a process of its own; they talk over serial lines (pseudo terminals), TCP\n\
             and MQTT. For {seconds} s the devices send, the gateway keeps each reading on disk\n\
             before it acknowledges it, and the core stores it. Then both ends are compared,\n\
             value by value.\n",
            options.ward.words()
        ));
        watch
    }

    /// A line for people.
    pub fn say(&self, words: &str) {
        match (&self.screen, self.json) {
            // A terminal that cannot be written to shows nothing; the comparison goes on.
            (Some(screen), _) => drop(screen.all.println(words)),
            (None, true) => eprintln!("{words}"),
            (None, false) => println!("{words}"),
        }
    }

    /// The devices send from now on.
    pub fn go(&mut self, plan: &Plan) {
        self.say(&format!("go; the core's store is {}\n", plan.store().display()));
        self.began = Some(Instant::now());
        if !std::io::stderr().is_terminal() {
            return;
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let line = |template: &str| {
            let style = ProgressStyle::with_template(template);
            let bar = ProgressBar::new(u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX));
            // The templates below are fixed; a wrong one would only look plain.
            all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        };
        let links =
            plan.devices().map(|name| (name.to_owned(), line("{prefix:<22} {wide_msg}"))).collect();
        let clock = line("{elapsed:>22} {wide_bar} {msg}");
        self.screen = Some(Screen { all, clock, links });
    }

    /// Reads what the core has stored since, and shows it.
    pub fn look(&mut self, plan: &Plan) {
        self.read_store(plan);
        let elapsed = self.began.map(|began| began.elapsed()).unwrap_or_default();
        if let Some(screen) = &self.screen {
            screen.clock.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            for (name, bar) in &screen.links {
                let seen = self.links.get(name);
                bar.set_prefix(name.clone());
                bar.set_message(seen.map(Seen::text).unwrap_or_default());
            }
            return;
        }
        if self.lines_at.is_none_or(|at| at.elapsed() >= LINES_EVERY) {
            self.lines_at = Some(Instant::now());
            for name in plan.devices() {
                let seen = self.links.get(name).map(Seen::text).unwrap_or_default();
                self.say(&format!("{:>6.1} s  {name:<22} {seen}", elapsed.as_secs_f64()));
            }
        }
    }

    /// Nothing moves any more.
    pub fn done(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.links.values().for_each(ProgressBar::abandon);
            screen.clock.finish_and_clear();
        }
    }

    /// What cannot be read now is read at the next look; the comparison reads it all again.
    fn read_store(&mut self, plan: &Plan) {
        let Ok(mut file) = File::open(plan.store()) else { return };
        let mut new = Vec::new();
        if file.seek(SeekFrom::Start(self.read)).is_err() || file.read_to_end(&mut new).is_err() {
            return;
        }
        self.read += new.len() as u64;
        self.unfinished.append(&mut new);
        let Some(end) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.unfinished.split_off(end + 1);
        let lines = std::mem::replace(&mut self.unfinished, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            let values = stored::of_line(line, &Times::new()).unwrap_or_default();
            let Some(first) = values.first() else { continue };
            let seen = self.links.entry(first.link.clone()).or_default();
            seen.count += values.len() as u64;
            seen.last = words(&values);
        }
    }
}

impl Seen {
    fn text(&self) -> String {
        format!("{:>5} in the core   {}", self.count, self.last)
    }
}

/// `spo2 097 %, pulse-rate-pleth 072 /min`.
fn words(values: &[Value]) -> String {
    let shown = values.iter().take(VALUES_SHOWN).map(|value| {
        let name = value.names.first().map(String::as_str).unwrap_or_default();
        if value.value.is_empty() {
            return format!("{name} absent");
        }
        format!("{name} {} {}", value.value, value.unit).trim_end().to_owned()
    });
    let more = if values.len() > VALUES_SHOWN { ", ..." } else { "" };
    format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
}
