//! `flawforge evaluate`: metrics of a run on test images.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use flawforge::files;
use flawforge::metrics::Metric;
use flawforge::ops::Precision;
use flawforge::pictures::HeatMapSheet;
use flawforge::training::{Evaluation, Run, evaluate_each};

use super::source::{CategoryArgs, make_folder};

/// Options of `evaluate`.
#[derive(Args, Debug)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    category: CategoryArgs,
    /// A trained run: its folder, or its checkpoint.safetensors alone
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder for evaluation.json, scores.csv and heatmaps.png [default: `evaluation` beside the run's file]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
}

/// Runs the command.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let category = args.category.load(&run.loading())?;
    if run.category() != category.name {
        log::warn!(
            "the run was trained on `{}`, the images are `{}`",
            run.category(),
            category.name
        );
    }
    if run.step() < run.total_steps() {
        log::warn!(
            "the run is not finished: step {} of {}",
            run.step(),
            run.total_steps()
        );
    }
    let detector = run.detector_in(args.precision.unwrap_or(run.precision()))?;
    let mut sheet = HeatMapSheet::new(&category, detector.full_scale());
    let settings = &run.experiment().evaluation;
    let evaluation = evaluate_each(
        detector.as_ref(),
        &category,
        settings,
        &mut |position, detection| {
            sheet.add(position, detection);
        },
    )?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| run.file().with_file_name("evaluation"));
    make_folder(&out)?;
    let json = serde_json::to_vec_pretty(&evaluation).context("evaluation.json")?;
    files::write(&out.join("evaluation.json"), &json)?;
    write_scores(&out.join("scores.csv"), &evaluation)?;
    sheet.write(&out.join("heatmaps.png"), &evaluation.headline())?;
    // A closed pipe behind this command is not an error.
    let _ = std::io::stdout().write_all(summary(&evaluation).as_bytes());
    log::info!("details in {}", out.display());
    Ok(())
}

fn summary(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{}, {} test images\n",
        evaluation.category,
        evaluation.images.len()
    );
    for &metric in Metric::ALL {
        let value = match evaluation.scores.get(&metric) {
            Some(value) => format!("{:.2}", 100.0 * value),
            None => "not defined here".to_owned(),
        };
        // In bounded memory: how far the exact value can be.
        let bound = match evaluation.error_bounds.get(&metric) {
            Some(bound) => format!(" (within {:.2})", 100.0 * bound),
            None => String::new(),
        };
        text.push_str(&format!("{:<38}{value}{bound}\n", metric.title()));
    }
    text
}

fn write_scores(path: &Path, evaluation: &Evaluation) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["image", "defect", "defective", "score"])?;
    for image in &evaluation.images {
        let score = image.score.to_string();
        let defective = if image.defective { "1" } else { "0" };
        table.write_record([
            image.name.as_str(),
            image.defect.as_str(),
            defective,
            score.as_str(),
        ])?;
    }
    let bytes = table.into_inner().context("scores.csv")?;
    Ok(files::write(path, &bytes)?)
}
