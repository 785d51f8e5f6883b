//! Running cells: train, score, draw, and leave one `result.json`; several at a time when asked.

use crate::cell::{self, CellKey, CellResult, Provenance};
use anyhow::{Context, Result, anyhow};
use flawforge::augment::{Selection, TextureSource};
use flawforge::datasets::Category;
use flawforge::training::{self, Config, ProgressStyle, Run, TrainOptions};
use indicatif::MultiProgress;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One cell with all that it needs.
pub struct Job<'a> {
    /// Which cell.
    pub key: CellKey,
    /// Its folder, which is also the run directory.
    pub dir: PathBuf,
    /// Settings of the run.
    pub config: Config,
    /// The category's images.
    pub category: &'a Category,
    /// The category's selection of anomaly kinds.
    pub selection: &'a Selection,
    /// Textures.
    pub textures: Arc<dyn TextureSource>,
    /// What the result says it was made from.
    pub provenance: Provenance,
}

/// Runs all jobs, `parallel` at a time, each with an equal share of the cores; the outcome stands in the place of its job.
///
/// A cell's figures do not depend on `parallel`: results are the same for any number of threads.
pub fn run(jobs: &[Job<'_>], parallel: usize) -> Vec<Result<CellResult>> {
    let parallel = parallel.clamp(1, jobs.len().max(1));
    let progress = if parallel > 1 {
        ProgressStyle::Among(MultiProgress::new())
    } else {
        ProgressStyle::Auto
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Result<CellResult>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            eprintln!("[{}/{}] {}", index + 1, jobs.len(), job.key.name());
            let outcome = run_one(job, progress.clone());
            match &outcome {
                Ok(r) => eprintln!(
                    "[{}/{}] {}: image AUROC {:.1}, pixel AUROC {:.1}, pixel AP {:.1}, AUPRO {:.1} after {:.0} s",
                    index + 1,
                    jobs.len(),
                    job.key.name(),
                    100.0 * r.image_auroc,
                    100.0 * r.pixel_auroc,
                    100.0 * r.pixel_ap,
                    100.0 * r.aupro,
                    r.train_seconds
                ),
                Err(error) => eprintln!(
                    "[{}/{}] {} failed: {error:#}",
                    index + 1,
                    jobs.len(),
                    job.key.name()
                ),
            }
            if let Ok(mut slot) = outcomes[index].lock() {
                *slot = Some(outcome);
            }
        }
    };
    if parallel == 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..parallel {
                scope.spawn(|| {
                    // Without a pool of its own, a cell falls back on the shared one: slower, same figures.
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
    let lost = || Err(anyhow!("the cell ended without an outcome"));
    outcomes
        .into_iter()
        .map(|slot| slot.into_inner().ok().flatten().unwrap_or_else(lost))
        .collect()
}

fn run_one(job: &Job<'_>, progress: ProgressStyle) -> Result<CellResult> {
    let options = TrainOptions {
        progress,
        label: job.key.name(),
        device: training::default_device(),
        resume: true,
        ..TrainOptions::default()
    };
    let report = training::train(
        &job.config,
        job.category,
        job.textures.clone(),
        job.selection,
        &job.dir,
        &options,
    )?;
    let detector = Run::open_on(&job.dir, &options.device)?.detector()?;
    let evaluation = training::evaluate(&*detector, job.category)?;
    training::write_heat_maps(&job.dir.join("heatmaps.png"), &evaluation, job.category)
        .context("heat-map sheet")?;
    let scores = &evaluation.scores;
    let given = |score: Option<f64>| score.context("a score is not defined on these test images");
    let result = CellResult {
        method: job.key.method.clone(),
        category: job.key.category.clone(),
        seed: job.key.seed,
        profile: job.config.profile.clone(),
        steps: report.steps,
        train_seconds: report.train_seconds,
        image_auroc: given(scores.image_auroc)?,
        image_ap: given(scores.image_ap)?,
        pixel_auroc: given(scores.pixel_auroc)?,
        pixel_ap: given(scores.pixel_ap)?,
        aupro: given(scores.aupro)?,
        pixel_auroc_half: given(scores.pixel_auroc_half)?,
        pixel_ap_half: given(scores.pixel_ap_half)?,
        native: evaluation.native,
        image_size: job.config.image_size,
        train_images: job.category.train.len(),
        test_images: job.category.test.len(),
        data: job.provenance.data.clone(),
        textures: job.provenance.textures.clone(),
        config_hash: job.provenance.config_hash.clone(),
    };
    cell::finish(&job.dir, &result)?;
    Ok(result)
}
