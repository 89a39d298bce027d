//! What the stand-in core can be told to do wrong, on both bindings.
//!
//! | words | what happens |
//! |---|---|
//! | `late=2s`, `late=500ms` | every answer comes so late |
//! | `twice` | every answer is given twice (over HTTP: names everything twice) |
//! | `out-of-order` | an answer names records one by one, the last first |
//! | `wrong-id` | answers come from `somebody-else` |
//! | `wrong-stream` | answers speak of a stream of zeros |
//! | `beyond` | answers name a range that goes 1000 beyond what came |
//! | `reject=CODE:permanent@every 10` | every tenth sequence is rejected for good; `:later`: for now; without `@`: every one |
//! | `reject-duplicates` | what came before is rejected |
//! | `needs-previous` | a record whose `previous` is not there is rejected for now |
//! | `forget` | everything is accepted and nothing is stored |
//! | `believe-damaged` | a batch with something damaged in it is taken whole |
//! | `open` | whoever asks is let in, without a token |
//! | `status=429:2s@every 3` | HTTP: every third batch gets this status, with `Retry-After` if a time is given |
//! | `die=before-commit@5`, `die=after-commit@5` | the fifth group of records from now ends the process, without an answer |
//! | `restore=20` | at once: the last 20 records are gone, as after a restore from a backup; the generation is one higher |
//! | `manifest=never`, `manifest=foreign` | manifests are not answered, or by `somebody-else` |
//! | `manifest=wrong-hash` | every manifest is said to hold, by a hash of zeros |
//! | `manifest=differs` | every manifest is said not to hold, without a word of what is lacking |
//! | `none` | everything is right again |

use std::str::FromStr;
use std::time::Duration;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Late(Duration),
    Twice,
    OutOfOrder,
    WrongId,
    WrongStream,
    Beyond,
    Reject { code: String, permanent: bool, every: u64 },
    RejectDuplicates,
    NeedsPrevious,
    Forget,
    BelieveDamaged,
    Open,
    ManifestNever,
    ManifestForeign,
    ManifestHash,
    ManifestDiffers,
    Status { status: u16, retry_after: Option<Duration>, every: u64 },
    Die { moment: Moment, group: u64 },
    Restore(usize),
    None,
}

/// When the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    BeforeCommit,
    AfterCommit,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let fault = match (name, value) {
            ("twice", "") => Some(Fault::Twice),
            ("out-of-order", "") => Some(Fault::OutOfOrder),
            ("wrong-id", "") => Some(Fault::WrongId),
            ("wrong-stream", "") => Some(Fault::WrongStream),
            ("beyond", "") => Some(Fault::Beyond),
            ("reject-duplicates", "") => Some(Fault::RejectDuplicates),
            ("needs-previous", "") => Some(Fault::NeedsPrevious),
            ("forget", "") => Some(Fault::Forget),
            ("believe-damaged", "") => Some(Fault::BelieveDamaged),
            ("open", "") => Some(Fault::Open),
            ("manifest", "never") => Some(Fault::ManifestNever),
            ("manifest", "foreign") => Some(Fault::ManifestForeign),
            ("manifest", "wrong-hash") => Some(Fault::ManifestHash),
            ("manifest", "differs") => Some(Fault::ManifestDiffers),
            ("none", "") => Some(Fault::None),
            ("late", value) => time(value).map(Fault::Late),
            ("reject", value) => reject(value),
            ("status", value) => status(value),
            ("die", value) => die(value),
            ("restore", value) => value.parse().ok().map(Fault::Restore),
            _ => None,
        };
        fault.ok_or_else(|| format!("{text:?} is no fault; see `wardgate-hil core --help`"))
    }
}

fn time(text: &str) -> Option<Duration> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// What stands before `@every N`, and N.
fn every(text: &str) -> Option<(&str, u64)> {
    let Some((what, every)) = text.split_once('@') else { return Some((text, 1)) };
    let number: u64 = every.strip_prefix("every ")?.trim().parse().ok()?;
    (number > 0).then_some((what, number))
}

fn reject(text: &str) -> Option<Fault> {
    let (what, every) = every(text)?;
    let (code, how) = what.split_once(':')?;
    let permanent = match how {
        "permanent" => true,
        "later" => false,
        _ => return None,
    };
    let good = (1..=40).contains(&code.chars().count());
    good.then(|| Fault::Reject { code: code.to_owned(), permanent, every })
}

fn status(text: &str) -> Option<Fault> {
    let (what, every) = every(text)?;
    let (status, wait) = what.split_once(':').map_or((what, None), |(s, wait)| (s, Some(wait)));
    let retry_after = match wait {
        Some(wait) => Some(time(wait)?),
        None => None,
    };
    let status = status.parse().ok().filter(|status| (300..=599).contains(status))?;
    Some(Fault::Status { status, retry_after, every })
}

fn die(text: &str) -> Option<Fault> {
    let (moment, group) = text.split_once('@').unwrap_or((text, "1"));
    let moment = match moment {
        "before-commit" => Moment::BeforeCommit,
        "after-commit" => Moment::AfterCommit,
        _ => return None,
    };
    let group = group.parse().ok().filter(|group| *group > 0)?;
    Some(Fault::Die { moment, group })
}

/// The faults in force, and what they count.
#[derive(Debug, Default)]
pub struct Faults {
    set: Vec<Fault>,
    groups: u64,
    requests: u64,
}

impl Faults {
    /// In force from now on.
    #[cfg(test)]
    pub fn of(set: Vec<Fault>) -> Self {
        Self { set, ..Self::default() }
    }

    /// One more; `none` takes all away.
    pub fn add(&mut self, fault: Fault) {
        if fault == Fault::None {
            *self = Self::default();
        } else {
            if matches!(fault, Fault::Die { .. }) {
                // The groups are counted from here.
                self.groups = 0;
            }
            self.set.push(fault);
        }
    }

    pub fn has(&self, fault: &Fault) -> bool {
        self.set.contains(fault)
    }

    /// How late answers come.
    pub fn late(&self) -> Duration {
        let late = |fault: &Fault| {
            let Fault::Late(late) = fault else { return None };
            Some(*late)
        };
        self.set.iter().find_map(late).unwrap_or_default()
    }

    /// The rejection of this sequence, if it is one of those.
    pub fn rejects(&self, sequence: u64) -> Option<(String, bool)> {
        self.set.iter().find_map(|fault| {
            let Fault::Reject { code, permanent, every } = fault else { return None };
            sequence.is_multiple_of(*every).then(|| (code.clone(), *permanent))
        })
    }

    /// Counts a request; its status if it is refused as it is.
    pub fn refuses(&mut self) -> Option<(u16, Option<Duration>)> {
        self.requests += 1;
        self.set.iter().find_map(|fault| {
            let Fault::Status { status, retry_after, every } = fault else { return None };
            self.requests.is_multiple_of(*every).then_some((*status, *retry_after))
        })
    }

    /// Counts a group of records.
    pub fn group(&mut self) {
        self.groups += 1;
    }

    /// Ends the process if this is the moment for it.
    pub fn die_at(&self, now: Moment) {
        let due = |fault: &Fault| matches!(fault, Fault::Die { moment, group } if *moment == now && *group == self.groups);
        if self.set.iter().any(due) {
            tracing::warn!(?now, "dies as told");
            std::process::exit(DIED);
        }
    }
}

/// The exit code of a process that was told to die.
pub const DIED: i32 = 86;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_as_its_table_says() {
        let good = [
            ("late=2s", Fault::Late(Duration::from_secs(2))),
            ("late=500ms", Fault::Late(Duration::from_millis(500))),
            ("twice", Fault::Twice),
            (
                "reject=unknown-code:permanent@every 10",
                Fault::Reject { code: "unknown-code".to_owned(), permanent: true, every: 10 },
            ),
            ("reject=x:later", Fault::Reject { code: "x".to_owned(), permanent: false, every: 1 }),
            (
                "status=429:2s@every 3",
                Fault::Status { status: 429, retry_after: Some(Duration::from_secs(2)), every: 3 },
            ),
            ("status=500", Fault::Status { status: 500, retry_after: None, every: 1 }),
            ("die=after-commit@5", Fault::Die { moment: Moment::AfterCommit, group: 5 }),
            ("restore=20", Fault::Restore(20)),
        ];
        for (text, fault) in good {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
        for bad in [
            "",
            "late",
            "late=2",
            "twice=2",
            "reject=x",
            "reject=x:never",
            "status=200",
            "reject=x:later@10",
            "die=now",
            "die=after-commit@0",
            "reject=x:later@every 0",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_third_is_every_third() {
        let mut faults = Faults::of(vec!["status=503@every 3".parse().unwrap()]);
        let refused: Vec<bool> = (0..6).map(|_| faults.refuses().is_some()).collect();
        assert_eq!(refused, [false, false, true, false, false, true]);
        let faults = Faults::of(vec!["reject=x:later@every 10".parse().unwrap()]);
        assert!(faults.rejects(20).is_some() && faults.rejects(21).is_none());
    }
}
