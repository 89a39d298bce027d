//! Family line.
