//! A ward under the simulated house: people and systems say who is on which machine, now, later,
//! wrongly, and take it back; values come with clocks of all kinds; the house is stopped, killed
//! and loses its power in the middle of it, and the oldest of its journal goes. When the dust has
//! settled, what stands in the core must be what the words on the ward say, by an oracle that
//! shares nothing with the ledger.
//!
//! Real: committer, journal, checkpoints, corrections, restart, pump, window, cursor. A value comes
//! in where a device's task hands it in, with the times that its clock would have given it.
//!
//! | part | what |
//! |---|---|
//! | `story` | what happens, made up from the seed |
//! | `lives` | the house in which it happens |
//! | `oracle` | whose each value is by the words alone |
//! | `chart` | what a core makes of the messages, in whatever order |
//! | `checks` | what must hold |
//! | `tests` | the seeds, and that the checks can fail |
//! | `seat`, `phone` | the bedside without a port, and phones that speak to it |
//! | `scenarios` | single evenings: a handover, an A11 by mistake, a swap at night |
//! | `outage`, `back` | twelve hours without core and provider, and both again |

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a word that is about something else says nothing, whatever it is"
)]

mod back;
mod chart;
mod checks;
mod lives;
mod oracle;
mod outage;
mod phone;
mod scenarios;
mod seat;
mod site;
mod story;
mod tests;

pub(in crate::gateway) use self::seat::Seat;
