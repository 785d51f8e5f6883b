//! What `cargo xtask` does beside the laboratory's work (`flawforge-lab`): downloads, comparisons with baselines, the CUDA toolkit.

#![forbid(unsafe_code)]

pub mod compare;
#[cfg(unix)]
pub mod cuda_toolchain;
pub mod download;

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
