//! Family hl7v2.
