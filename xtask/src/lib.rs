//! What `cargo xtask` does beside the laboratory's work (`flawforge-lab`): downloads, comparisons with baselines, the CUDA
//! toolkit and an emulated GPU.

#![forbid(unsafe_code)]

pub mod campaign;
pub mod compare;
#[cfg(unix)]
pub mod cuda_toolchain;
pub mod download;
#[cfg(unix)]
pub mod emulated_gpu;

use anyhow::Result;
use flawforge::datasets::demo;
use flawforge::source::DEMO_SEED;
use std::path::Path;

/// Writes generated data as image files in MVTec layout: these categories, or those of the demo where none is named.
///
/// # Errors
/// An unknown category; when the folder cannot be written.
pub fn demo_data(out: &Path, categories: &[String], size: u32) -> Result<()> {
    let named: Vec<&str> = categories.iter().map(String::as_str).collect();
    let names = if named.is_empty() {
        &demo::CATEGORIES[..]
    } else {
        &named
    };
    demo::export(out, names, size, DEMO_SEED)?;
    println!("{}: {}", out.display(), names.join(", "));
    Ok(())
}
