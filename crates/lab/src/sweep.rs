//! Running cells: train, score, draw, and leave one `result.json` (and one `simulated.json` where it is wanted); several
//! at a time when asked.

use crate::cell::{self, CellResult};
use crate::estimate::Estimate;
use crate::plan::Planned;
use crate::simulated::{self, SimulatedResult, SimulatedSet};
use crate::stopping::{self, Stopping};
use anyhow::{Context, Result, anyhow, bail};
use flawforge::augment::TextureSource;
use flawforge::datasets::Category;
use flawforge::fault::in_one_line;
use flawforge::files::{self, Occupied};
use flawforge::metrics::Metric;
use flawforge::models::Detector;
use flawforge::pictures::HeatMapSheet;
use flawforge::training::{self, ProgressStyle, Run, Sweep, TrainOptions};
use indicatif::MultiProgress;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One cell with all that it needs.
pub struct Job<'a> {
    /// Its place among all cells of the plan, finished ones too, counted from 0.
    pub place: usize,
    /// How many cells the plan has.
    pub of: usize,
    /// Which cell, with what is finished of it.
    pub planned: &'a Planned,
    /// Its folder, which is also the run directory.
    pub dir: PathBuf,
    /// The category's images, as the method wants them.
    pub category: &'a Category,
    /// The category's images at the size of the masks, if the cell is to be scored on the simulated dataset.
    pub common: Option<&'a Category>,
    /// Textures.
    pub textures: Arc<dyn TextureSource>,
    /// What the caller has to say.
    pub around: &'a Around,
}

/// What surrounds the cells: for one that a scheduler started. A pool of this process has nothing to say.
#[derive(Debug, Default)]
pub struct Around {
    /// The cell's folder, where the caller has it for itself already. Otherwise each cell takes its own.
    pub held: Option<Arc<Occupied>>,
    /// Asks the training to end.
    pub stopping: Option<Arc<Stopping>>,
}

impl Job<'_> {
    /// `7 of 16 lin-yan-bottle-s0`: the same in every session of a sweep.
    fn label(&self) -> String {
        format!("{} of {} {}", self.place + 1, self.of, self.planned.key.name())
    }

    /// A line about the cell, above the bars.
    fn say(&self, bars: &MultiProgress, text: &str) {
        bars.suspend(|| eprintln!("{}: {text}", self.label()));
    }
}

/// What became of a cell.
#[derive(Default)]
pub struct Outcome {
    /// The metrics on the test images, if this sweep computed them.
    pub result: Option<CellResult>,
    /// The metrics on the simulated dataset, if this sweep computed them.
    pub simulated: Option<SimulatedResult>,
    /// What was wrong.
    pub fault: Option<anyhow::Error>,
    /// Whether it ended because it was asked to: what was trained is saved.
    pub stopped: bool,
}

/// Runs all jobs, `parallel` at a time, each with an equal share of the cores; the outcome stands in the place of its job.
/// `done` hears of each job as soon as its cell is finished or has failed.
///
/// A cell that another process is at is put off to the end: then it may be finished, or free. So two sweeps into the same folder share
/// the work.
///
/// A cell's metrics do not depend on `parallel`: results are the same for any number of threads.
pub fn run(
    jobs: &[Job<'_>],
    parallel: usize,
    estimate: &Arc<Estimate>,
    done: &(dyn Fn(usize, &Outcome) + Sync),
) -> Vec<Outcome> {
    let parallel = parallel.clamp(1, jobs.len().max(1));
    let bars = MultiProgress::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let held_elsewhere = Mutex::new(Vec::new());
    let finish = |index: usize, outcome: Outcome| {
        if let Some(fault) = &outcome.fault {
            jobs[index].say(&bars, &format!("failed: {}", in_one_line(fault.as_ref())));
        }
        done(index, &outcome);
        if let Ok(mut slot) = outcomes[index].lock() {
            *slot = Some(outcome);
        }
    };
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            estimate.begin(job.place);
            let outcome = run_one(job, &bars, estimate);
            estimate.end(job.place, outcome.fault.is_some());
            match (
                outcome.fault.as_ref().and_then(held_by_another),
                held_elsewhere.lock(),
            ) {
                (Some(who), Ok(mut put_off)) => {
                    job.say(&bars, &format!("put off to the end: {who}"));
                    put_off.push(index);
                }
                _ => finish(index, outcome),
            }
        }
    };
    if parallel == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..parallel {
                scope.spawn(|| {
                    // Without its own pool, a cell uses the shared one: slower, same metrics.
                    match rayon::ThreadPoolBuilder::new()
                        .num_threads((cores / parallel).max(1))
                        .build()
                    {
                        Ok(pool) => pool.install(work),
                        Err(_) => work(),
                    }
                });
            }
        });
    }
    for index in held_elsewhere.into_inner().unwrap_or_default() {
        finish(index, run_one(&jobs[index], &bars, estimate));
    }
    let lost = || Outcome {
        fault: Some(anyhow!("the cell ended without an outcome")),
        ..Outcome::default()
    };
    outcomes
        .into_iter()
        .map(|slot| slot.into_inner().ok().flatten().unwrap_or_else(lost))
        .collect()
}

/// What a fault says of another process that has the cell, if it is that.
fn held_by_another(fault: &anyhow::Error) -> Option<String> {
    let held = fault.downcast_ref::<std::io::Error>()?;
    (held.kind() == std::io::ErrorKind::ResourceBusy).then(|| held.to_string())
}

fn run_one(job: &Job<'_>, bars: &MultiProgress, estimate: &Arc<Estimate>) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.fault = (|| {
        let held = match &job.around.held {
            Some(held) => Arc::clone(held),
            None => Arc::new(take(&job.dir, &job.planned.key.name())?),
        };
        if job.planned.result.is_none() {
            job.say(bars, "training");
            let (estimate, place) = (estimate.clone(), job.place);
            let progress = ProgressStyle::Among(Sweep {
                bars: bars.clone(),
                left: Arc::new(move |own| estimate.left(place, own)),
            });
            let Some(result) = train_and_score(job, progress, held)? else {
                outcome.stopped = true;
                return Ok(());
            };
            job.say(bars, &summary(&result));
            outcome.result = Some(result);
        }
        if job.planned.set.is_some() && job.planned.simulated.is_none() {
            let began = Instant::now();
            outcome.simulated = Some(score_on_simulated(job)?);
            let seconds = began.elapsed().as_secs_f64();
            job.say(
                bars,
                &format!("scored on the simulated dataset in {seconds:.0} s"),
            );
        }
        anyhow::Ok(())
    })()
    .err();
    outcome
}

/// Takes a cell's folder for this process alone. Should it be taken over by a process of another machine, because this one was
/// suspended or cut off from the files, this one ends at once, before it writes into what is not its own any more.
///
/// # Errors
/// As [`files::occupy`]; a folder that cannot be made.
pub(crate) fn take(dir: &Path, cell: &str) -> Result<Occupied> {
    std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let cell = cell.to_owned();
    Ok(files::occupy_or(dir, "a cell of a sweep", move |other| {
        eprintln!(
            "error: {cell}: taken over by {other}, while this process showed no sign of life for {} s; it ends",
            files::STALE.as_secs()
        );
        std::process::exit(stopping::TRY_AGAIN.into());
    })?)
}

/// The main metrics of a cell in one line, in percent.
fn summary(result: &CellResult) -> String {
    let main = [
        Metric::ImageAuroc,
        Metric::PixelAuroc,
        Metric::PixelAp,
        Metric::Aupro,
    ]
    .map(|metric| {
        let value = result.scores.get(&metric).copied().unwrap_or(f64::NAN);
        format!("{} {:.1}", metric.title(), 100.0 * value)
    });
    format!("{} after {:.0} s", main.join(", "), result.train_seconds)
}

fn detector(job: &Job<'_>) -> Result<Box<dyn Detector>> {
    Ok(Run::open_on(&job.dir, &training::default_device())?.detector()?)
}

/// The result; `None` if the training was asked to end.
fn train_and_score(
    job: &Job<'_>,
    progress: ProgressStyle,
    held: Arc<Occupied>,
) -> Result<Option<CellResult>> {
    let stopping = job.around.stopping.as_deref();
    let Planned {
        key,
        experiment,
        provenance,
        ..
    } = job.planned;
    let options = TrainOptions {
        progress,
        label: job.label(),
        device: training::default_device(),
        resume: true,
        model: false, // a cell does not travel
        stop: stopping.map(Stopping::flag),
        occupied: Some(held),
        ..TrainOptions::default()
    };
    let hears = stopping.map(Stopping::training);
    let report = training::train(experiment, job.category, job.textures.clone(), &job.dir, &options)?;
    if report.stopped {
        // The signal was heard here, and the caller ends in order.
        std::mem::forget(hears);
        return Ok(None);
    }
    drop(hears);
    let detector = detector(job)?;
    let tests = &job.category.test;
    let mut sheet = HeatMapSheet::new(
        tests.iter().map(|test| test.defect.as_str()),
        detector.full_scale(),
    );
    let evaluation = training::evaluate_each(
        &*detector,
        job.category,
        &experiment.evaluation,
        &mut |position, detection| sheet.add(position, &tests[position], detection),
    )?;
    sheet
        .write(&job.dir.join("heatmaps.png"), &evaluation.headline())
        .context("heat-map sheet")?;
    let undefined = Metric::ALL
        .iter()
        .find_map(|&metric| Some((metric, evaluation.reason(metric)?)));
    if let Some((metric, reason)) = undefined {
        bail!("{} is not defined on these test images: {reason}", metric.title());
    }
    let result = CellResult {
        method: key.method,
        category: key.category.clone(),
        seed: key.seed,
        profile: experiment.profile.clone(),
        steps: report.steps,
        train_seconds: report.train_seconds,
        scores: evaluation.scores,
        scores_in_view: evaluation.scores_in_view,
        image_size: experiment.image_size,
        train_images: job.category.train.len(),
        test_images: job.category.test.len(),
        data: provenance.data.clone(),
        textures: provenance.textures.clone(),
        config_hash: provenance.config_hash.clone(),
    };
    cell::finish(&job.dir, &result)?;
    Ok(Some(result))
}

fn score_on_simulated(job: &Job<'_>) -> Result<SimulatedResult> {
    let settings = job
        .planned
        .set
        .clone()
        .context("settings of the simulated dataset")?;
    let common = job.common.context("images for the simulated dataset")?;
    let set = SimulatedSet::new(common, job.textures.clone(), settings);
    simulated::score(
        &job.dir,
        &job.planned.key,
        &job.planned.provenance,
        &*detector(job)?,
        &set,
        &job.planned.loading,
        &job.planned.experiment.evaluation,
    )
}
