//! The laboratory's library: what `cargo xtask` does, callable and testable.

pub mod backbone;
pub mod cell;
pub mod compare;
#[cfg(unix)]
pub mod cuda_toolchain;
pub mod download;
pub mod published;
pub mod reproduce;
pub mod source;
pub mod sweep;
pub mod table;

use anyhow::Result;
use flawforge::datasets::demo;
use std::path::Path;

/// Writes the generated demo data as image files in MVTec layout.
///
/// # Errors
/// When the folder cannot be written.
pub fn demo_data(out: &Path, size: u32) -> Result<()> {
    demo::export(out, size, source::DEMO_SEED)?;
    println!("{}: {}", out.display(), demo::CATEGORIES.join(", "));
    Ok(())
}
