//! The training loop: it knows recipes and batches, and nothing of methods.
//!
//! ```text
//! BatchSource ──(a thread of its own)──> Batch ──> Recipe::step ──> losses ──> metrics.jsonl
//!                                                       │
//!                                     now and then: panels, checkpoint.safetensors
//! ```

mod calibrate;
mod checkpoint;
mod cross_fit;
mod given;
mod journal;
mod pace;
mod plan;
mod prefetch;
mod progress;
mod saving;
mod session;
mod unusual;
mod warm_start;

pub use calibrate::{Calibrated, CalibrationScore, Origin};
use checkpoint::WITHOUT_MOMENTS;
pub use checkpoint::{Addition, DataDigests, Places};
pub(crate) use checkpoint::{Header, read as read_checkpoint, write as write_checkpoint};
pub(crate) use given::{Given, calibrate_given, draw_unusual};
pub use journal::{Line, read_journal};
pub use pace::spoken;
pub use plan::RunPlan;
pub(crate) use prefetch::ahead;
pub(crate) use progress::Display;
pub use progress::{Progress, ProgressStyle, Sweep, Teller};
pub use warm_start::{Predecessor, Shares, joined};

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use flawforge_augment::TextureSource;
use flawforge_datasets::Category;
use flawforge_files::Occupied;
use flawforge_ops::runtime::DeviceMemory;

use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::experiment::Experiment;
use crate::methods::{Checked, Data, NormalImages};
use crate::recipe::{BatchSource, Highest, Recipe, Unseen};
use crate::run::Run;
use crate::run_files::RunFiles;
use crate::settings::Split;
use calibrate::{Normals, calibrate};
use cross_fit::CrossFit;
pub(crate) use plan::{check_images, hold_out};
use plan::{digests, hold_out_of};
use prefetch::with_batches;
use session::Session;
use warm_start::Compared;

/// How to train, without influence on what is learnt.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// What is shown meanwhile.
    pub progress: ProgressStyle,
    /// Name in front of the progress bar; empty: method and category.
    pub label: String,
    /// Where to compute.
    pub device: Device,
    /// Continue the run that lies in the directory, if there is one. Without it a directory with a run is an error.
    pub resume: bool,
    /// The run in the directory is finished and shorter than the experiment, and is to go on up to the experiment's length. From
    /// there on the learning rate is that of the longer training; moments are kept.
    pub extend: bool,
    /// Whether a file of what detects is left beside the checkpoint after the last step ([`RunFiles::model`](crate::RunFiles::model)).
    pub model: bool,
    /// Stop after this many steps in all, with a checkpoint, as if interrupted there.
    pub stop_after: Option<u64>,
    /// Once this is set, the training ends after the step in hand, with a checkpoint to go on from.
    pub stop: Option<Arc<AtomicBool>>,
    /// Where images and textures come from, kept in the run for whoever resumes it; no part of its identity.
    pub places: Option<Places>,
    /// The caller has the run's directory for itself already, and keeps it.
    pub occupied: Option<Arc<Occupied>>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            progress: ProgressStyle::Auto,
            label: String::new(),
            device: default_device(),
            resume: false,
            extend: false,
            model: true,
            stop_after: None,
            stop: None,
            places: None,
            occupied: None,
        }
    }
}

impl TrainOptions {
    /// Whether the training is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// What a training was.
#[derive(Debug, Clone)]
pub struct TrainReport {
    /// Steps that were done.
    pub steps: u64,
    /// Steps of the whole training; more than `steps` only if it was stopped early.
    pub total_steps: u64,
    /// The step after which this session began.
    pub resumed_from: u64,
    /// Whether it ended because it [was told to](TrainOptions::stop), before its last step or before its scores were calibrated.
    pub stopped: bool,
    /// Seconds of training, over all sessions.
    pub train_seconds: f64,
    /// Share of this session's time, from 0 to 1, in which the device had a step to compute and did not wait for
    /// batches, panels or checkpoints.
    pub busy: Option<f64>,
    /// Bytes of the device's memory that tensors of this program have taken at once at most; none where nobody counts them.
    pub device_memory: Option<u64>,
    /// Last line of the journal.
    pub last: Option<Line>,
    /// Digests of the training images and the textures.
    pub data: DataDigests,
    /// What decision thresholds are found on, if there is something.
    pub calibrated: Option<Calibrated>,
    /// The run whose weights it began with, and what has changed since.
    pub predecessor: Option<Predecessor>,
}

/// Trains a detector on the normal images of `category` and leaves all files of the run in `run_dir`.
///
/// Settings, images and textures are checked before the first step. An interrupted run that is resumed goes on from its last
/// checkpoint and, on the CPU, ends bit for bit as an unbroken one.
///
/// # Errors
/// See [`TrainingError`]: each variant names the setting, the category or the file that is wrong.
pub fn train(
    experiment: &Experiment,
    category: &Category,
    textures: Arc<dyn TextureSource>,
    run_dir: &Path,
    options: &TrainOptions,
) -> Result<TrainReport> {
    train_after(experiment, category, textures, run_dir, options, None)
}

/// As [`train`], beginning with the weights of another run. The experiment is that run's [successor](Run::successor), the category
/// holds the images of both ([`joined`]); how false alarms and finds at the old threshold have changed is part of the report, and
/// kept in the run. [`train`] resumes it.
///
/// # Errors
/// As [`train`]; an experiment that does not begin with these weights; methods without weights that a training could begin with.
pub fn train_from(
    run: &Run,
    experiment: &Experiment,
    category: &Category,
    textures: Arc<dyn TextureSource>,
    run_dir: &Path,
    options: &TrainOptions,
) -> Result<TrainReport> {
    warm_start::check(run, experiment)?;
    train_after(experiment, category, textures, run_dir, options, Some(run))
}

fn train_after(
    experiment: &Experiment,
    category: &Category,
    textures: Arc<dyn TextureSource>,
    run_dir: &Path,
    options: &TrainOptions,
    earlier: Option<&Run>,
) -> Result<TrainReport> {
    experiment.validate()?;
    let method = experiment.settings.assembly();
    let data_error = |message: String| TrainingError::Data {
        category: category.name.clone(),
        fault: message,
    };
    if category.name != experiment.category {
        let message = format!("the experiment is about {}", experiment.category);
        return Err(data_error(message));
    }
    check_images(category, experiment).map_err(data_error)?;
    let split = experiment.calibration.split(category.train.len());
    let (kept, held_out) = hold_out_of(category, experiment).map_err(data_error)?;
    let trained_on = kept.clone();
    let data = Data {
        category,
        pools: method.pools(kept).map_err(data_error)?,
        textures,
        normals: NormalImages::new(&category.train, experiment.view).map(Arc::new),
        inside: !experiment.region.is_all(),
    };
    let identity = digests(category, data.textures.as_ref(), experiment.image_size)?;
    let device = &options.device;
    let precision = method.precision();
    if device.is_cpu() && !precision.is_served_here() {
        let message = "this processor has no instructions for bfloat16 (AVX-512 BF16); take f32";
        return Err(TrainingError::setting("precision", message));
    }
    let _precision = precision.scope();
    let mut recipe = experiment.recipe(device)?;
    let small = experiment.made_small(category);
    let batches = Checked {
        batches: experiment.batches(&data, small.as_ref()),
        normals: data.normals.clone(),
    };
    let plan = RunPlan {
        label: format!("{} {}", experiment.method, category.name),
        settings: serde_json::to_value(experiment).map_err(|error| TrainingError::SettingsText {
            origin: "settings".to_owned(),
            fault: error.to_string(),
        })?,
        data: identity,
        steps: experiment.steps(category.train.len()),
        schedule: experiment.schedule(),
        every: experiment.every.clone(),
    };
    let settings = experiment.to_toml()?;
    let begin = |recipe: &mut dyn Recipe| {
        recipe.begin()?;
        let compared = Compared {
            experiment,
            category,
            simulation: &method.calibration(&data),
        };
        match (&experiment.warm_start, earlier) {
            (None, _) => Ok(None),
            (Some(_), Some(run)) => Ok(Some(compared.begin(run, recipe, &held_out)?)),
            (Some(_), None) => Err(TrainingError::setting(
                "warm_start",
                "the run whose weights the training begins with was not given",
            )),
        }
    };
    let compare = |recipe: &dyn Recipe, predecessor: &Predecessor| {
        let compared = Compared {
            experiment,
            category,
            simulation: &method.calibration(&data),
        };
        compared.after(recipe, predecessor)
    };
    let calibration = |recipe: &dyn Recipe| {
        if experiment.calibration.images == 0 {
            return Ok(None);
        }
        let all: Vec<usize> = (0..category.train.len()).collect();
        let mut unseen: Vec<Unseen> = recipe
            .unseen_scores()
            .unwrap_or_default()
            .iter()
            .filter_map(|one| {
                let place = *trained_on.get(one.place)?;
                Some(Unseen { place, ..*one })
            })
            .collect();
        let mut highest = Highest::default();
        for (place, score, map) in recipe.unseen_maps().into_iter().flat_map(Highest::iter) {
            if let (Some(&place), true) = (trained_on.get(place), held_out.is_empty()) {
                highest.offer(place, score, map);
            }
        }
        let mut origin = match unseen.is_empty() {
            true => Origin::Trained,
            false => Origin::LeftOut,
        };
        if !held_out.is_empty() {
            // Images that were held out are unseen in any case.
            (origin, unseen) = (Origin::HeldOut, Vec::new());
        } else if let (Origin::Trained, Split::Folds(folds)) = (origin, split) {
            let cross_fit = CrossFit {
                experiment,
                data: &data,
                plan: &plan,
                device,
                progress: &options.progress,
                is_stopped: &|| options.is_stopped(),
            };
            if let Some(scores) = cross_fit.scores(folds, &mut highest)? {
                (origin, unseen) = (Origin::CrossFitted, scores);
            }
        }
        let calibrated = calibrate(
            experiment,
            experiment.looking_inside(recipe.detector()?).as_ref(),
            &method.calibration(&data),
            &Normals {
                images: &category.train,
                chosen: if held_out.is_empty() { &all } else { &held_out },
                origin,
                unseen: &unseen,
            },
            &mut highest,
        )?;
        if let Some(normals) = &data.normals {
            normals.check()?;
        }
        if let Some(calibrated) = &calibrated {
            draw_unusual(run_dir, experiment, category, &highest, calibrated);
        }
        Ok(calibrated)
    };
    run(
        recipe.as_mut(),
        &batches,
        &plan,
        run_dir,
        options,
        Some(&settings),
        &Around {
            begin: &begin,
            compare: &compare,
            calibrate: &calibration,
            takes_long: matches!(split, Split::Folds(_)),
        },
    )
}

/// Trains a recipe of your own on batches of your own: the loop, its journal, checkpoints and resumption, without any of the
/// house's methods. `crates/lab/examples/own_method.rs` shows it.
///
/// The run's file holds [`RunPlan::settings`]; a run is resumed only with equal settings and data. It has no threshold, and
/// [`Run`](crate::Run) cannot open it, since it does not know the recipe: [`Recipe::detector`] gives the detector.
///
/// # Errors
/// As [`train`].
pub fn train_with(
    recipe: &mut dyn Recipe,
    batches: &dyn BatchSource,
    plan: &RunPlan,
    run_dir: &Path,
    options: &TrainOptions,
) -> Result<TrainReport> {
    let around = Around {
        begin: &|recipe| recipe.begin().map(|()| None),
        compare: &|_, _| Ok(None),
        calibrate: &|_| Ok(None),
        takes_long: false,
    };
    run(recipe, batches, plan, run_dir, options, None, &around)
}

/// Leaves what detects in a file of its own, where that is less than the checkpoint.
fn write_model(recipe: &dyn Recipe, header: &Header, files: &RunFiles) -> Result<()> {
    match recipe.weights()? {
        Some(weights) => checkpoint::write(&files.model(), &header.travelling(), &weights),
        None => Ok(()),
    }
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => Err(TrainingError::io(file)(fault)),
        _ => Ok(()),
    }
}

/// Gives a recipe its first state.
type Begin<'a> = &'a dyn Fn(&mut dyn Recipe) -> Result<Option<Predecessor>>;
/// Compares a recipe with the run that it began from.
type Compare<'a> = &'a dyn Fn(&dyn Recipe, &Predecessor) -> Result<Option<Shares>>;

/// What comes before the first step and after the last.
struct Around<'a> {
    /// The first step's state; the run whose weights it is, if it is one's.
    begin: Begin<'a>,
    /// What has changed since.
    compare: Compare<'a>,
    calibrate: &'a dyn Fn(&dyn Recipe) -> Result<Option<Calibrated>>,
    /// Whether that takes long.
    takes_long: bool,
}

fn run(
    recipe: &mut dyn Recipe,
    batches: &dyn BatchSource,
    plan: &RunPlan,
    run_dir: &Path,
    options: &TrainOptions,
    settings: Option<&str>,
    around: &Around<'_>,
) -> Result<TrainReport> {
    let files = RunFiles::new(run_dir);
    let mut header = Header::new(plan, options.places.clone());
    fs::create_dir_all(run_dir).map_err(TrainingError::io(run_dir))?;
    // Another process may be at work here: its temporary files are not ours to remove, nor its run ours to replace.
    let _occupied = match &options.occupied {
        Some(occupied) => Arc::clone(occupied),
        None => Arc::new(flawforge_files::occupy(run_dir, "training").map_err(TrainingError::Write)?),
    };
    let resuming = files.checkpoint().exists();
    let go_on = options.resume || options.extend;
    if !resuming && go_on && files.model().exists() {
        return Err(TrainingError::Mismatch {
            path: files.model(),
            fault: WITHOUT_MOMENTS.to_owned(),
        });
    }
    if !resuming && options.extend {
        return Err(TrainingError::RunDirectory {
            path: run_dir.to_path_buf(),
            fault: "holds no run to extend".to_owned(),
        });
    }
    if (resuming || files.model().exists()) && !go_on {
        return Err(TrainingError::RunDirectory {
            path: run_dir.to_path_buf(),
            fault: "already holds a run; resume it or choose another folder".to_owned(),
        });
    }
    flawforge_files::remove_leftovers(run_dir);
    recipe.expect(plan.steps);
    if resuming {
        header.restore(&files.checkpoint(), recipe, &options.device, options.extend)?;
        if options.extend {
            remove(&files.model())?; // of the shorter training
        }
    } else {
        header.predecessor = (around.begin)(recipe)?;
    }
    if let Some(settings) = settings {
        flawforge_files::write(&files.config(), settings.as_bytes()).map_err(TrainingError::Write)?;
    }
    if let Some(places) = header.places.as_ref().filter(|places| !places.skipped.is_empty()) {
        let mut list = places.skipped.join("\n");
        list.push('\n');
        flawforge_files::write(&files.skipped(), list.as_bytes()).map_err(TrainingError::Write)?;
    }
    let resumed_from = header.step;
    let mut session = Session::start(plan, &files, header, options, &options.device)?;
    if resumed_from < session.last_step {
        with_batches(batches, resumed_from..session.last_step, |batches| {
            session.train(recipe, batches)
        })?;
    }
    let mut stopped = session.header.step < session.last_step;
    if session.header.step == plan.steps && session.header.calibrated.is_none() {
        // What was learnt is kept before anything else is tried: a cross-fitting takes long, and a comparison may fail.
        let tries_more = around.takes_long || session.header.predecessor.is_some();
        if resumed_from < plan.steps && tries_more {
            session.save(recipe)?;
        }
        if let Some(predecessor) = &mut session.header.predecessor {
            predecessor.after = (around.compare)(recipe, predecessor)?;
        }
        let calibrated = (around.calibrate)(recipe);
        if let Ok(Some(calibrated)) = &calibrated {
            session.header.calibrated = Some(calibrated.clone());
        }
        stopped = matches!(calibrated, Err(TrainingError::Stopped));
        // What was learnt is kept, whatever became of the calibration.
        if resumed_from < plan.steps || session.header.calibrated.is_some() {
            session.save(recipe)?;
        }
        match calibrated {
            Ok(_) if options.model => write_model(recipe, &session.header, &files)?,
            Ok(_) | Err(TrainingError::Stopped) => {}
            Err(fault) => return Err(fault),
        }
    } else if options.model && session.header.step == plan.steps && !files.model().exists() {
        write_model(recipe, &session.header, &files)?;
    }
    let lines = read_journal(&files.metrics())?;
    Ok(TrainReport {
        steps: session.header.step,
        total_steps: plan.steps,
        resumed_from,
        stopped,
        train_seconds: lines.last().map_or(0.0, |line| line.seconds),
        busy: session.busy.share()?,
        // What was trained is saved, whether the driver still answers or not.
        device_memory: DeviceMemory::of(&options.device)
            .ok()
            .flatten()
            .map(|memory| memory.peak)
            .filter(|&peak| peak > 0),
        last: lines.into_iter().last(),
        data: plan.data.clone(),
        calibrated: session.header.calibrated.take(),
        predecessor: session.header.predecessor.take(),
    })
}
