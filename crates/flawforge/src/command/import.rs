//! `flawforge import`: a run made of published weights.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use flawforge::training::import_draem;

/// Options of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    whose: Whose,
}

#[derive(Subcommand, Debug)]
enum Whose {
    /// DRAEM's published checkpoints: state dicts of PyTorch, in which nothing is executed, or safetensors
    Draem(DraemArgs),
}

#[derive(Args, Debug)]
struct DraemArgs {
    /// The reconstructive network, such as DRAEM_seg_large_ae_large_0.0001_800_bs8_bottle_.pckl
    #[arg(value_name = "RECONSTRUCTIVE")]
    reconstructive: PathBuf,
    /// The discriminative network, such as DRAEM_seg_large_ae_large_0.0001_800_bs8_bottle__seg.pckl
    #[arg(value_name = "DISCRIMINATIVE")]
    discriminative: PathBuf,
    /// Folder of the run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Name of the product that the weights were trained on
    #[arg(long, value_name = "NAME", default_value = "imported")]
    category: String,
}

/// Runs the command.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let Whose::Draem(args) = &args.whose;
    let experiment = import_draem(
        &args.reconstructive,
        &args.discriminative,
        &args.category,
        &args.out,
    )?;
    log::info!(
        "{}: draem at {} px, as published; evaluate, predict and export take it",
        args.out.display(),
        experiment.image_size
    );
    log::warn!(
        "published weights come without scores of good parts, so there are no verdicts; --threshold of predict and export gives them one"
    );
    Ok(())
}
