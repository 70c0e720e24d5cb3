//! Outbound customer-support messaging: one crate for embedders, one feature per channel
