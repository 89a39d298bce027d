//! Family astm.
