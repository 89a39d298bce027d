//! Family frame.
