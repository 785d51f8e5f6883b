//! `flawforge train --from RUN DIR --out NEW`: a finished run goes on with further normal images, as a new run.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use flawforge::datasets::{Limits, counted};
use flawforge::source::probe_writable;
use flawforge::training::{Continuation, Run, RunFiles, add_normals};

use super::super::verdicts::said;
use super::TrainArgs;

/// Goes on as the run's method does.
pub(super) fn run(args: &TrainArgs, from: &Path) -> Result<ExitCode> {
    let run = Run::open(from)?;
    match run.experiment().continuation() {
        Continuation::AddsNormals => {
            add(args, from, &run)?;
            Ok(ExitCode::SUCCESS)
        }
        // Methods that learn by steps could begin with the weights of a run here.
        _ => bail!(
            "run {}: {} cannot go on with further images (--from); train anew on all of them",
            from.display(),
            run.experiment().method
        ),
    }
}

/// Adds the images to the run's memory banks.
fn add(args: &TrainArgs, from: &Path, run: &Run) -> Result<()> {
    let category = &args.normals.category;
    if args.says_settings()
        || !args.anomalies.textures.is_empty()
        || args.seed.is_some()
        || args.steps.is_some()
        || args.held_out.is_some()
        || args.precision.is_some()
        || args.resume
        || args.extend.is_some()
    {
        bail!(
            "--from adds images to {} as it is, without another training: beside it there are the images and --out alone",
            from.display()
        );
    }
    category.given()?;
    category.check_output(&args.out)?;
    let files = RunFiles::new(&args.out);
    if files.checkpoint().exists() || files.model().exists() {
        bail!(
            "run {}: already holds a run; choose another directory",
            args.out.display()
        );
    }
    probe_writable(&args.out).with_context(|| format!("{}: cannot be written to", args.out.display()))?;
    let limits = Limits {
        max_held_bytes: args.image_memory.saturating_mul(1 << 20),
        ..Limits::default()
    };
    let (images, _) = category.load_normals(&run.loading(), args.normals.skip_bad, &limits)?;
    let added = add_normals(run, &images, &category.place(), &args.out)?;
    log::info!(
        "{}: {} {} added to {}, {} known; the memory banks have {} more",
        args.out.display(),
        counted(added.added, "normal image"),
        if added.added == 1 { "was" } else { "were" },
        from.display(),
        match added.known {
            0 => "none was".to_owned(),
            1 => "1 was".to_owned(),
            more => format!("{more} were"),
        },
        counted(added.vectors, "vector"),
    );
    if let Some(calibrated) = &added.calibrated {
        let decision = calibrated.decide(&run.rule())?;
        for warning in &decision.warnings {
            log::warn!("{warning}");
        }
        log::info!("{}", said(&decision));
    }
    Ok(())
}
