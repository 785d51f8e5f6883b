//! `flawforge import`: a run made of published weights.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use flawforge::augment::Selection;
use flawforge::datasets::{Limits, counted};
use flawforge::source::probe_writable;
use flawforge::training::fit::Places;
use flawforge::training::{Imported, Product, Rule, RunFiles};

use super::source::{AnomalyArgs, CategoryArgs};
use super::verdicts::{odd, said};

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
    /// Name of the product that the weights were trained on [default: that of --normals, else imported]
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// Folder of normal images to find thresholds on; all are assumed to be new to the weights, so name none of those that they were
    /// trained on
    #[arg(long, value_name = "DIR")]
    normals: Option<String>,
    /// Leave out normal images that cannot be read, and say which
    #[arg(long, requires = "normals")]
    skip_bad: bool,
    #[command(flatten)]
    anomalies: AnomalyArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let Whose::Draem(args) = &args.whose;
    probe_writable(&args.out)?;
    match &args.normals {
        Some(normals) => calibrated(args, &CategoryArgs::at(normals)),
        None => plain(args),
    }
}

/// A run without scores of good parts.
fn plain(args: &DraemArgs) -> Result<()> {
    if args.anomalies.selection.is_some() || !args.anomalies.textures.is_empty() {
        bail!("--selection and --textures are about anomalies simulated on --normals DIR: name that too");
    }
    let name = args.category.as_deref().unwrap_or("imported");
    let product = Product::new(name, Selection::default());
    let imported = Imported::draem(&args.reconstructive, &args.discriminative, &product)?;
    imported.write(&args.out)?;
    tell(args, &imported);
    log::warn!(
        "published weights come without scores of good parts, so there are no verdicts: --normals DIR finds a threshold on good parts, \
         --threshold of predict and export gives one"
    );
    Ok(())
}

/// A run whose thresholds are found on normal images.
fn calibrated(args: &DraemArgs, category: &CategoryArgs) -> Result<()> {
    let textures = &args.anomalies.textures;
    category.check_output(&args.out)?;
    textures.check_output(&args.out)?;
    let found = args.anomalies.product(category)?;
    let product = Product {
        name: args.category.clone().unwrap_or_else(|| found.name.clone()),
        ..found
    };
    let mut imported = Imported::draem(&args.reconstructive, &args.discriminative, &product)?;
    let experiment = imported.experiment();
    let (loading, side) = (experiment.loading(), experiment.image_size);
    let (images, skipped) = category.load_normals(&loading, args.skip_bad, &Limits::default())?;
    log::info!(
        "scores {} and anomalies simulated on them; that the weights were not trained on these images is assumed",
        counted(images.train.len(), "normal image")
    );
    let places = Places {
        images: category.place(),
        textures: textures.place()?,
        skipped,
        ..Places::default()
    };
    let scores = imported.write_calibrated(&args.out, &images, textures.load(side)?, places)?;
    tell(args, &imported);
    let decision = scores.decide(&Rule::of(&imported.experiment().calibration))?;
    for warning in &decision.warnings {
        log::warn!("{warning}");
    }
    log::info!("{}", said(&decision));
    log::info!(
        "normal images least like the others: {}; {} shows them; if one is defective, the threshold is too high: take it out and import again",
        odd(scores.normal(), &category.normal_files()),
        RunFiles::new(&args.out).unusual().display()
    );
    Ok(())
}

fn tell(args: &DraemArgs, imported: &Imported) {
    log::info!(
        "{}: draem at {} px, as published; evaluate, predict, serve and export take it",
        args.out.display(),
        imported.experiment().image_size
    );
}
