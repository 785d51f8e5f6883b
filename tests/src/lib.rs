//! Tests of the repository itself: its rules (`tests/tidy.rs`, `tests/layers.rs`), its documents (`tests/documents.rs`), and the README's example,
//! which must compile as it stands.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
