//! Assembly: one task per device, the committer, the destinations, orderly stop.
//!
//! | file | what |
//! |---|---|
//! | `configuration` | the file of the site, checked as a whole |
//! | `device` | what a device's connections share: mapping, checks, its share of the committer |
//! | `connection` | one task per connection: port and driver |
//! | `datagrams` | one task per UDP port: a driver per sender |
//! | `committer` | one task that owns sequence, repeats, attribution, routes and the journal's write side |
//! | `destinations` | one pump per destination, with the binding that its table names |
//! | `door` | what happens when the journal takes nothing any more |
//! | `ending` | a person ends what is carried forward |
//! | `freeing` | when room in the journal is freed |
//! | `gaps` | records of spans in which data could not be had |
//! | `guests` | who may hold a connection to the box, and who makes room |
//! | `housekeeping` | records about the house: start, configuration, associations, clock, checkpoints |
//! | `bedside` | the port for phones: charting |
//! | `chartings` | what a core's own app charted, over its destination's connection |
//! | `background` | what runs behind everybody else: the index, the scrub of the journal |
//! | `indexing` | what the index has to know of a record |
//! | `ledger` | entries and acts over a desk, kept in order with the data |
//! | `keeping` | what outlives the segment that it was written in |
//! | `look_up` | what a person looks up in the journal through the index |
//! | `manifests` | counts what each destination must have, once a day, signed |
//! | `memory` | what the committer remembers, and how it is rebuilt from the journal |
//! | `noted` | what destinations and persons need in the journal before it takes effect |
//! | `certificates` | when certificates end: rows of the status, warnings in the log |
//! | `asked` | what a person asks of the running daemon's destinations |
//! | `record` | what stands in a record |
//! | `replay` | a device file tried on bytes, with a virtual clock |
//! | `room` | how much room there is, and what is refused at the door when it gets short |
//! | `routing` | where a record goes, decided once when it is kept |
//! | `run` | starting and stopping it all, in order |
//! | `sampling` | routes with `every`: one value per interval, chosen by time alone. Pure |
//! | `simulation` | the whole house between simulated devices, disk, clock and cores (tests only) |
//! | `snapshot` | what the house looks like at a moment, for the status |
//! | `status` | what the house says of itself over a Unix socket |
//! | `waveforms` | samples of waveforms: a journal of their own, which numbers never wait for |
//! | `world` | the disk and the ports under the house |
//!
//! Stop order: links, committer, settlements, waveforms, destinations, cursors. No task is aborted.

pub mod adt;
pub mod asked;
mod background;
mod bedside;
pub mod certificates;
mod chartings;
pub mod committer;
pub mod configuration;
pub mod connection;
pub mod datagrams;
mod destinations;
pub mod device;
mod door;
pub mod ending;
mod freeing;
pub mod gaps;
pub mod guests;
pub mod housekeeping;
pub mod indexing;
pub mod keeping;
pub mod ledger;
pub mod look_up;
mod manifests;
pub mod memory;
mod noted;
pub mod pcim;
pub mod record;
pub mod replay;
pub mod room;
pub mod routing;
pub mod run;
mod sampling;
pub mod shifts;
#[cfg(test)]
mod simulation;
mod snapshot;
pub mod status;
pub mod waveforms;
mod world;

#[cfg(test)]
mod tests;
