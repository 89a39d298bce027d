//! What the gateway's process costs, as the kernel counts it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

/// Clock ticks a second in `/proc/PID/stat`; the same on every Linux that this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// A process that is watched for some time.
pub struct Watched {
    id: u32,
    began: Instant,
    cpu_before: f64,
}

/// What it cost meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Processor time per second: 0.5 is half a core.
    pub cores: f64,
    /// The most memory that was ever resident, in MiB.
    pub peak_mib: f64,
}

impl Watched {
    /// Begins to count; `None` if the kernel does not tell.
    pub fn new(id: u32) -> Option<Self> {
        Some(Self { id, began: Instant::now(), cpu_before: cpu_seconds(id)? })
    }

    /// What it cost since.
    pub fn cost(&self) -> Option<Cost> {
        let cpu = cpu_seconds(self.id)? - self.cpu_before;
        let time = self.began.elapsed().max(Duration::from_millis(1));
        Some(Cost { cores: cpu / time.as_secs_f64(), peak_mib: peak_mib(self.id)? })
    }
}

impl Cost {
    /// For programs.
    pub fn json(self) -> Json {
        json!({ "cores": self.cores, "peak_mib": self.peak_mib })
    }

    /// For people.
    pub fn text(self) -> String {
        format!("the gateway took {:.3} cores and {:.1} MiB at most", self.cores, self.peak_mib)
    }
}

/// User and system time of a process so far.
fn cpu_seconds(id: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    of_stat(&text)
}

/// The name in brackets may hold spaces: fields are counted behind it.
fn of_stat(text: &str) -> Option<f64> {
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
}

fn peak_mib(id: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_fields_that_proc_5_names() {
        // utime is field 14 and stime field 15 of proc(5); here 250 and 50 ticks.
        let text = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(of_stat(text), Some(3.0));
        let own = Watched::new(std::process::id()).unwrap();
        assert!(own.cost().unwrap().peak_mib > 0.5);
    }
}
