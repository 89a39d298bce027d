//! What was measured, each figure beside its limit.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

/// What is asked of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
    /// Shown beside the others; nothing is asked of it.
    None,
}

struct Line {
    what: String,
    /// `None`: it could not be measured, which holds no limit.
    figure: Option<f64>,
    unit: &'static str,
    limit: Limit,
    /// How it came about.
    note: String,
}

/// The run and its lines.
pub struct Report {
    head: Vec<(&'static str, String)>,
    lines: Vec<Line>,
}

impl Report {
    pub fn begin(seed: u64) -> Self {
        let head = vec![
            ("machine", machine()),
            ("load before", first_words("/proc/loadavg", 3)),
            ("seed", seed.to_string()),
            ("commit", output("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
            ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ];
        Self { head, lines: Vec::new() }
    }

    pub fn add(
        &mut self,
        what: impl Into<String>,
        figure: f64,
        unit: &'static str,
        limit: Limit,
        note: impl Into<String>,
    ) {
        let line = Line { what: what.into(), figure: Some(figure), unit, limit, note: note.into() };
        eprintln!("  {}: {figure:.2} {unit} {} {}", line.what, line.verdict(), line.note);
        self.lines.push(line);
    }

    pub fn add_unmeasured(&mut self, what: impl Into<String>, limit: Limit, why: &str) {
        let (what, note) = (what.into(), why.to_owned());
        self.lines.push(Line { what, figure: None, unit: "", limit, note });
    }

    pub fn passed(&self) -> bool {
        self.lines.iter().all(Line::holds)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.head {
            let _ = writeln!(text, "{key:<12} {value}");
        }
        let width = self.lines.iter().map(|line| line.what.chars().count()).max().unwrap_or(0);
        let _ = writeln!(text);
        for line in &self.lines {
            let figure = line.figure.map_or("-".to_owned(), figure_text);
            let limit = match line.limit {
                Limit::AtLeast(limit) => format!(">= {limit}"),
                Limit::AtMost(limit) => format!("<= {limit}"),
                Limit::None => String::new(),
            };
            let (what, unit, verdict, note) = (&line.what, line.unit, line.verdict(), &line.note);
            let row =
                format!("{what:<width$} {figure:>10} {unit:<7} {limit:<9} {verdict:<5} {note}");
            let _ = writeln!(text, "{}", row.trim_end());
        }
        let _ = write!(text, "\n{}", if self.passed() { "passed" } else { "FAILED" });
        text
    }

    pub fn json(&self) -> Value {
        let head: serde_json::Map<String, Value> =
            self.head.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let line = |line: &Line| {
            let (at_least, at_most) = match line.limit {
                Limit::AtLeast(limit) => (Some(limit), None),
                Limit::AtMost(limit) => (None, Some(limit)),
                Limit::None => (None, None),
            };
            json!({
                "what": line.what, "figure": line.figure, "unit": line.unit, "note": line.note,
                "at_least": at_least, "at_most": at_most, "holds": line.holds(),
            })
        };
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        json!({ "run": head, "lines": lines, "passed": self.passed() })
    }
}

impl Line {
    fn holds(&self) -> bool {
        match (self.figure, self.limit) {
            (_, Limit::None) => true,
            (None, Limit::AtLeast(_) | Limit::AtMost(_)) => false,
            (Some(figure), Limit::AtLeast(limit)) => figure >= limit,
            (Some(figure), Limit::AtMost(limit)) => figure <= limit,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.limit, self.holds()) {
            (Limit::None, _) => "",
            (Limit::AtLeast(_) | Limit::AtMost(_), true) => "pass",
            (Limit::AtLeast(_) | Limit::AtMost(_), false) => "FAIL",
        }
    }
}

fn figure_text(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

/// The middle one; of an even number, the lower.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    let gib = kib.unwrap_or(0) >> 20;
    format!("{cores} cores of {model}, {gib} GiB, {}", output("uname", &["-sr"]))
}

fn first_words(path: &str, count: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
