//! `cargo xtask compare WHAT`: this project's work beside that of baselines, measured alternately in one run.
//!
//! ```text
//!  venv: Python packages under target/ ──> baseline ────┐
//!                                                        ├─ alternate: one iteration each on request ──> rows: table, JSON
//!  this program, started again ──────────> our process  ┘
//! ```
//!
//! Both sides run in processes of their own that live as long as the comparison and time one iteration whenever they
//! are asked to, so that neither pays for starting up and a disturbance of the machine meets both. Before anything is
//! timed, both sides compute the values that they can be compared by, and the command fails if these differ.

pub mod alternate;
pub mod augment;
pub mod efficientnet;
pub mod http;
pub mod patchcore;
pub mod process;
pub mod rows;
pub mod serve;
pub mod torch;
mod torch_ours;
pub mod venv;

use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    #[command(subcommand)]
    what: What,
}

/// What every comparison takes.
#[derive(Args, Debug, Clone)]
pub struct Common {
    /// Run one work item
    #[arg(long, value_name = "NAME")]
    pub work: Option<String>,
    /// Write the rows to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Number of timed rounds [default: depends on the work]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Simulation, beside numpy, OpenCV, imgaug and scikit-image
    Augment(augment::AugmentArgs),
    /// Features of EfficientNet-Lite, beside PyTorch and onnxruntime
    Efficientnet(efficientnet::EfficientNetArgs),
    /// PatchCore's coreset and search, beside torch and FAISS
    Patchcore(patchcore::PatchCoreArgs),
    /// Requests a second of `flawforge serve`, beside FastAPI and onnxruntime
    Serve(http::HttpArgs),
    /// Training steps and inference of the networks, beside PyTorch and onnxruntime
    Torch(torch::TorchArgs),
}

/// Runs a comparison.
///
/// # Errors
/// When the baselines cannot be set up, both sides compute different values, or a process fails.
pub fn run(args: CompareArgs) -> Result<()> {
    match args.what {
        What::Augment(args) => augment::run(&args),
        What::Efficientnet(args) => efficientnet::run(&args),
        What::Patchcore(args) => patchcore::run(&args),
        What::Serve(args) => http::run(&args),
        What::Torch(args) => torch::run(&args),
    }
}
