//! `flawforge train --from RUN DIR --out NEW`: a finished run goes on with further normal images, as a new run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use flawforge::datasets::{Limits, TrainImage, counted};
use flawforge::files;
use flawforge::source::probe_writable;
use flawforge::training::fit::{CalibrationScore, Places, Predecessor, joined};
use flawforge::training::{
    Continuation, Decision, Rule, Run, RunFiles, TrainOptions, add_normals, train, train_from,
};

use super::super::signals::Signals;
use super::super::source::{CategoryArgs, TextureArgs};
use super::super::verdicts::{odd, said};
use super::{TrainArgs, tell};

/// Goes on as the run's method does.
pub(super) fn run(args: &TrainArgs, from: &Path) -> Result<ExitCode> {
    let run = Run::open(from)?;
    match run.experiment().continuation() {
        Continuation::AddsNormals => {
            add(args, from, &run)?;
            Ok(ExitCode::SUCCESS)
        }
        Continuation::BeginsWithWeights => begin(args, from, &run),
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
            "run {}: already holds a run; choose another folder",
            args.out.display()
        );
    }
    probe_writable(&args.out)?;
    let limits = Limits {
        max_held_bytes: args.image_memory.saturating_mul(1 << 20),
        ..Limits::default()
    };
    let (images, _) = category.load_normals(&args.region.loading(run)?, args.normals.skip_bad, &limits)?;
    tell_unlike(run, from, &images.train, &category.normal_files());
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
    let before = run.decision(&run.rule())?;
    let after = match &added.calibrated {
        Some(calibrated) => Some(calibrated.decide(&run.rule())?),
        None => None,
    };
    let (Some(before), Some(after)) = (before, after) else {
        log::warn!("the run has no scores of normal images, so it gives no verdicts, before or after");
        return Ok(());
    };
    for warning in &after.warnings {
        log::warn!("{warning}");
    }
    log::info!("before: {}", said(&before));
    log::info!("now: {}", said(&after));
    log::info!(
        "{}",
        of_added(&added.scores, &category.normal_files(), &before, &after)
    );
    Ok(())
}

/// Warns of new images that do not look like those of the run: all that they show counts as normal from now on.
fn tell_unlike(run: &Run, from: &Path, images: &[TrainImage], files: &HashMap<String, PathBuf>) {
    let unlike = run.unlike(images);
    if let Some((name, reasons)) = unlike.first() {
        log::warn!(
            "{} of {} {} unlike those of {}, and will count as normal all the same: {} ({reasons}){}",
            unlike.len(),
            counted(images.len(), "image"),
            if unlike.len() == 1 { "is" } else { "are" },
            from.display(),
            files
                .get(name)
                .map_or(name.clone(), |file| file.display().to_string()),
            if unlike.len() > 1 { ", ..." } else { "" },
        );
    }
}

/// How many of the added normal images reach the thresholds before and now, and which are most unlike the others. Scores are frozen:
/// those of simulated anomalies, and of the earlier images, are from before the addition.
fn of_added(
    scores: &[CalibrationScore],
    files: &HashMap<String, PathBuf>,
    before: &Decision,
    after: &Decision,
) -> String {
    let reach = |threshold: f32| scores.iter().filter(|one| one.score >= threshold).count();
    format!(
        "of {} added, each scored unseen, {} at or above the threshold before and {} now; least like the others: {} (simulated \
         anomalies and earlier images keep the scores from before)",
        counted(scores.len(), "normal image"),
        reach(before.threshold),
        reach(after.threshold),
        odd(scores.iter(), files)
    )
}

/// Trains on the images of the run and further ones, beginning with the run's weights.
fn begin(args: &TrainArgs, from: &Path, run: &Run) -> Result<ExitCode> {
    if args.says_settings() || args.seed.is_some() || args.held_out.is_some() || args.extend.is_some() {
        bail!(
            "--from goes on with the settings of {}: beside it there are the images, --textures, --steps and --out alone",
            from.display()
        );
    }
    if run.step() < run.total_steps() {
        bail!(
            "run {}: is not finished (step {} of {}); resume it first",
            from.display(),
            run.step(),
            run.total_steps()
        );
    }
    let signals = Signals::listen()?;
    files::check_free(&args.out)?;
    let category = &args.normals.category;
    category.given()?;
    // The run's own images, unless these very ones are named again.
    let known = run.places().map(|places| places.images.as_str());
    let same = known == Some(category.place().as_str());
    let own = known.filter(|_| !same).map(CategoryArgs::at);
    let textures = match run.places().filter(|_| args.anomalies.textures.is_empty()) {
        Some(places) => TextureArgs::at(&places.textures),
        None => args.anomalies.textures.clone(),
    };
    args.check_output(category, &textures)?;
    let limits = Limits {
        max_held_bytes: args.image_memory.saturating_mul(1 << 20),
        ..Limits::default()
    };
    let loading = args.region.loading(run)?;
    let load = |category: &CategoryArgs| category.load_normals(&loading, args.normals.skip_bad, &limits);
    let (added, mut skipped) = load(category)?;
    if !same && !args.resume {
        tell_unlike(run, from, &added.train, &category.normal_files());
    }
    let (images, place) = match own.as_ref().map(|own| (own, load(own))) {
        Some((own, Ok((images, bad)))) => {
            skipped.extend(bad);
            (
                joined(images, added),
                format!("{} with {}", own.place(), category.place()),
            )
        }
        Some((_, Err(fault))) => {
            log::warn!(
                "the run's own images cannot be read, it goes on with the added ones alone: {}",
                flawforge::fault::in_one_line(fault.as_ref())
            );
            (added, category.place())
        }
        None if same => (added, category.place()),
        None => {
            log::warn!("the run does not say where its images are: it goes on with the added ones alone");
            (added, category.place())
        }
    };
    let experiment = run.successor(&images, args.steps)?;
    let options = TrainOptions {
        resume: args.resume,
        stop: Some(signals.flag()),
        places: Some(Places {
            images: place,
            textures: textures.place()?,
            skipped,
            ..Places::default()
        }),
        ..TrainOptions::default()
    };
    let textures = textures.load(experiment.image_size)?;
    let going_on = args.resume && RunFiles::new(&args.out).checkpoint().exists();
    let report = match going_on {
        true => train(&experiment, &images, textures, &args.out, &options)?,
        false => train_from(run, &experiment, &images, textures, &args.out, &options)?,
    };
    for line in report.predecessor.iter().flat_map(Predecessor::sentences) {
        log::info!("{line}");
    }
    tell(&report, Rule::of(&experiment.calibration), args, category)?;
    if report.stopped {
        log::warn!(
            "{}: stopped by a signal at step {} of {}; the same command with --resume goes on",
            args.out.display(),
            report.steps,
            report.total_steps
        );
        return Ok(signals.code());
    }
    Ok(ExitCode::SUCCESS)
}
