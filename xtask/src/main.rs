//! The laboratory: `cargo xtask COMMAND`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::{compare, demo_data, download, reproduce};

/// Downloads data, runs sweeps and regenerates the paper's tables.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train and score DRAEM and the paper's method, and print Table 2 beside the paper's values
    ReproduceTable2(reproduce::ReproduceArgs),
    /// Fetch MVTec AD and the textures of DTD
    Download(download::DownloadArgs),
    /// Measure this project beside others: time and memory, alternately in one run
    Compare(compare::CompareArgs),
    /// Install a CUDA toolkit from Python wheels, to build the feature `cuda` without root and without a GPU
    #[cfg(unix)]
    CudaToolchain(xtask::cuda_toolchain::CudaToolchainArgs),
    /// Write the generated demo data as image files in MVTec layout
    DemoData {
        /// Folder to write into
        #[arg(long, value_name = "DIR", default_value = "out/demo-data")]
        out: PathBuf,
        /// Side of the images, pixels
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=512))]
        size: u32,
    },
}

fn main() -> ExitCode {
    flawforge::ops::process::keep_freed_memory();
    // SAFETY: there is no other thread yet.
    unsafe { flawforge::ops::process::one_thread_pool() };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_timestamp(None)
        .init();
    let outcome: Result<()> = match Arguments::parse().command {
        Command::ReproduceTable2(args) => reproduce::table2(&args),
        Command::Download(args) => download::run(args),
        Command::Compare(args) => compare::run(args),
        #[cfg(unix)]
        Command::CudaToolchain(args) => xtask::cuda_toolchain::run(&args),
        Command::DemoData { out, size } => demo_data(&out, size),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
