//! The laboratory's library: what `cargo xtask` does, callable and testable.

#![forbid(unsafe_code)]

pub mod backbone;
pub mod cell;
pub mod compare;
#[cfg(unix)]
pub mod cuda_toolchain;
mod differences;
mod earlier;
pub mod download;
pub mod estimate;
pub mod export_maps;
pub mod figure4;
pub mod plan;
pub mod published;
pub mod reproduce;
pub mod simulated;
pub mod sweep;
pub mod tables;

use anyhow::Result;
use flawforge::datasets::demo;
use flawforge::source::DEMO_SEED;
use std::path::Path;

/// Writes the generated demo data as image files in MVTec layout.
///
/// # Errors
/// When the folder cannot be written.
pub fn demo_data(out: &Path, size: u32) -> Result<()> {
    demo::export(out, size, DEMO_SEED)?;
    println!("{}: {}", out.display(), demo::CATEGORIES.join(", "));
    Ok(())
}
