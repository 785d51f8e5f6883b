//! The laboratory's library: what `cargo xtask` does, callable and testable.

pub mod download;
