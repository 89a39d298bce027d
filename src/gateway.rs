//! Assembly: one task per device, the committer, the destinations, orderly stop.
//!
//! | file | what |
//! |---|---|
//! | `configuration` | the file of the site, checked as a whole |
//! | `device` | one task per device: port, driver, mapping, checks |
//! | `committer` | one task that owns sequence, repeats, attribution, routes and the journal's write side |
//! | `memory` | what the committer remembers, and how it is rebuilt from the journal |
//! | `record` | what stands in a record |
//! | `replay` | a device file tried on bytes, with a virtual clock |
//! | `run` | starting and stopping it all, in order |
//! | `status` | what the house says of itself over a Unix socket |
//!
//! Stop order: links, committer, settlements, destinations, cursors. No task is aborted.

pub mod committer;
pub mod configuration;
pub mod device;
pub mod memory;
pub mod record;
pub mod replay;
pub mod run;
pub mod status;
