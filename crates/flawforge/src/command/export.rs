//! `flawforge export`: a run as one ONNX file, for other programs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use flawforge::ops::Precision;
use flawforge::source::probe_new_file;
use flawforge::training::{GraphPrecision, GraphVerdicts, Run};

use super::verdicts::{self, VerdictArgs};

/// Options of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The run: its folder or its file
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file to write, ending in .onnx
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Numbers of the networks' weights and convolutions, and of memory banks in the file: f32, or f16 for half the file
    #[arg(long, value_name = "NUMBERS", default_value = "f32")]
    precision: Numbers,
    #[command(flatten)]
    verdicts: VerdictArgs,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    F32,
    F16,
    #[value(hide = true)]
    Bf16,
}

/// Runs the command.
pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let out = args.out.display();
    let precision = match args.precision {
        Numbers::F32 => GraphPrecision::F32,
        Numbers::F16 => GraphPrecision::F16,
        Numbers::Bf16 => bail!(
            "--precision bf16: ONNX Runtime has most operators in f32 and f16 alone; choose one of these"
        ),
    };
    probe_new_file(&args.out)?;
    let run = Run::open(&args.run)?;
    let decision = args.verdicts.decision(&run)?;
    let verdicts = match &decision {
        Some(decision) => Some(GraphVerdicts::from(decision)),
        None => args.verdicts.threshold().map(GraphVerdicts::at),
    };
    if run.precision() == Precision::Bf16 {
        log::warn!("the run detects in bfloat16, the graph computes in f32: scores differ by rounding");
    }
    run.export_onnx(&args.out, verdicts.as_ref(), precision)?;
    let written = fs::metadata(&args.out).with_context(|| out.to_string())?.len();
    log::info!(
        "{out}: {:.1} MB; images (N, H, W, 3) to score, verdict_score, map{}",
        written as f64 / 1e6,
        match (&decision, &verdicts) {
            (Some(decision), _) => format!(" and verdict: {}", verdicts::said(decision)),
            (None, Some(given)) => format!(" and verdict: threshold {}", given.threshold),
            (None, None) => ", without verdicts".to_owned(),
        }
    );
    Ok(())
}
