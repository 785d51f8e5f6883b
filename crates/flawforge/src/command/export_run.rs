//! `flawforge export-run`: what of a run detects, in one small file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use flawforge::source::probe_new_file;
use flawforge::training::Run;

/// Options of `export-run`.
#[derive(Args, Debug)]
pub(crate) struct ExportRunArgs {
    /// The run: its folder or its file
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file to write; `--run FILE` of evaluate and predict takes it, on any machine
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &ExportRunArgs) -> Result<()> {
    let out = args.out.display();
    probe_new_file(&args.out)?;
    let run = Run::open(&args.run)?;
    if run.step() < run.total_steps() {
        log::warn!(
            "{}: the training is not finished (step {} of {}), and nothing is calibrated",
            args.run.display(),
            run.step(),
            run.total_steps()
        );
    }
    run.export(&args.out)?;
    let size = |path| fs::metadata(path).map(|data| data.len());
    let written = size(args.out.as_path()).with_context(|| out.to_string())?;
    let before = size(run.file()).with_context(|| run.file().display().to_string())?;
    log::info!(
        "{out}: {:.1} MB of the run's {:.1} MB; it detects as the run does{}",
        written as f64 / 1e6,
        before as f64 / 1e6,
        match run.calibrated() {
            Some(_) => ", with its verdicts",
            None => ", without verdicts",
        }
    );
    Ok(())
}
