//! Assembly: one task per device, the committer, the destinations, orderly stop.
//!
//! | file | what |
//! |---|---|
//! | `configuration` | the file of the site, checked as a whole |
//! | `device` | what a device's connections share: mapping, checks, its share of the committer |
//! | `connection` | one task per connection: port and driver |
//! | `committer` | one task that owns sequence, repeats, attribution, routes and the journal's write side |
//! | `gaps` | records of spans in which data could not be had |
//! | `memory` | what the committer remembers, and how it is rebuilt from the journal |
//! | `record` | what stands in a record |
//! | `replay` | a device file tried on bytes, with a virtual clock |
//! | `run` | starting and stopping it all, in order |
//! | `status` | what the house says of itself over a Unix socket |
//!
//! Stop order: links, committer, settlements, destinations, cursors. No task is aborted.

pub mod committer;
pub mod configuration;
pub mod connection;
pub mod device;
pub mod gaps;
pub mod memory;
pub mod record;
pub mod replay;
pub mod run;
pub mod status;
