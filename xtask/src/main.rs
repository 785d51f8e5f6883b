//! The laboratory: `cargo xtask COMMAND`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use flawforge::fault::{in_one_line, printable};
use flawforge_lab::array::{self, SweepCommand};
use flawforge_lab::export_maps::{ExportMapsArgs, export_maps};
use flawforge_lab::plan::SweepArgs;
use flawforge_lab::reproduce::{self, FigureArgs};
use flawforge_lab::simulated::{SimulateDatasetArgs, simulate_dataset};
use flawforge_lab::tables::PaperTable;
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::{campaign, compare, demo_data, download};

/// Downloads data, runs sweeps and regenerates the paper's tables.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Table 1: image AUROC and AP of every method
    ReproduceTable1(SweepArgs),
    /// Table 2: pixel AUROC and AP of every method
    ReproduceTable2(SweepArgs),
    /// Table 3: pixel AUROC and AP on simulated anomalies, by kind
    ReproduceTable3(SweepArgs),
    /// Table 4: the ablation of rotation, simulation and split training
    ReproduceTable4(SweepArgs),
    /// Figure 4: reconstructions and anomaly maps of DRAEM and Lin & Yan on the hardest test images
    ReproduceFigure4(FigureArgs),
    /// All four tables and the figure from one set of cells
    ReproduceAll(FigureArgs),
    /// The cells of a sweep for a scheduler, one an index: plan, run one, tell how far they are, gather; Slurm, Kubernetes
    #[command(subcommand)]
    Sweep(SweepCommand),
    /// Write the simulated dataset of table 3 as image files in MVTec layout
    SimulateDataset(SimulateDatasetArgs),
    /// Write anomaly maps as TIFF files for MVTec's own evaluation script
    ExportMaps(ExportMapsArgs),
    /// Download MVTec AD, the textures of DTD, and backbone weights
    Download(download::DownloadArgs),
    /// Measure time and memory beside baselines (PyTorch, OpenCV, FAISS, …)
    Compare(compare::CompareArgs),
    /// Try the promises on the real program: failing writes, kills, two at once, long runs, hostile bytes
    Campaign(campaign::CampaignArgs),
    /// Install a CUDA toolkit from Python wheels, to build the feature `cuda` without root or a GPU
    #[cfg(unix)]
    CudaToolchain(xtask::cuda_toolchain::CudaToolchainArgs),
    /// Run the tests for GPUs, or a program that was built for one, on an emulated GPU
    #[cfg(unix)]
    EmulatedGpu(xtask::emulated_gpu::EmulatedGpuArgs),
    /// Write the generated demo data as image files in MVTec layout
    DemoData {
        /// Folder to write into
        #[arg(long, value_name = "DIR", default_value = "out/demo-data")]
        out: PathBuf,
        /// A category, `sheet` (2048x1024 pixels) among them; may be given several times [default: all but `sheet`]
        #[arg(long = "category", value_name = "NAME")]
        categories: Vec<String>,
        /// Side of the images, pixels
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=512))]
        size: u32,
    },
}

fn main() -> ExitCode {
    flawforge::ops::runtime::keep_freed_memory();
    // SAFETY: there is no other thread yet.
    unsafe { flawforge::ops::runtime::one_thread_pool() };
    flawforge::file_limit::tell_of_the_file_limit();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_timestamp(None)
        .init();
    let outcome: Result<()> = match Arguments::parse().command {
        Command::Sweep(command) => return ended(array::run(command)),
        Command::ReproduceTable1(args) => reproduce::table(PaperTable::One, &args),
        Command::ReproduceTable2(args) => reproduce::table(PaperTable::Two, &args),
        Command::ReproduceTable3(args) => reproduce::table(PaperTable::Three, &args),
        Command::ReproduceTable4(args) => reproduce::table(PaperTable::Four, &args),
        Command::ReproduceFigure4(args) => reproduce::figure4(&args),
        Command::ReproduceAll(args) => reproduce::all(&args),
        Command::SimulateDataset(args) => simulate_dataset(&args),
        Command::ExportMaps(args) => export_maps(&args),
        Command::Download(args) => download::run(args),
        Command::Campaign(args) => return ended(campaign::run(&args)),
        Command::Compare(args) => compare::run(args),
        #[cfg(unix)]
        Command::CudaToolchain(args) => xtask::cuda_toolchain::run(&args),
        #[cfg(unix)]
        Command::EmulatedGpu(args) => xtask::emulated_gpu::run(&args),
        Command::DemoData {
            out,
            categories,
            size,
        } => demo_data(&out, &categories, size),
    };
    ended(outcome.map(|()| ExitCode::SUCCESS))
}

fn ended(outcome: Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", printable(&in_one_line(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}
