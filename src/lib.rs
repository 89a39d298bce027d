//! Wardgate: an edge daemon for ward hardware. This page is the map.
//!
//! | floor | rooms | may do |
//! |---|---|---|
//! | 0 words | [`vocabulary`] | nothing: types only |
//! | 1 bytes to readings | [`protocol`] | pure state machines |
//! | 2 meaning | `profile`, `mapping`, `check`, `association` | pure functions |
//! | 3 the world | `link`, `journal`, `forward`, `index` | ports, files, sockets; no clinical meaning |
//! | 4 assembly | `gateway`, `charting`, `operate`, `cli` | everything |
//!
//! Imports run downwards only; `tests/floors.rs` checks it.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod association;
pub mod charting;
pub mod check;
pub mod cli;
pub mod forward;
pub mod gateway;
pub mod index;
pub mod journal;
pub mod link;
pub mod mapping;
pub mod operate;
pub mod profile;
pub mod protocol;
pub mod vocabulary;
