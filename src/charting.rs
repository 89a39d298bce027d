//! Charting at the bedside: who is there, what they may do, and what they say of a value.

pub mod identity;
