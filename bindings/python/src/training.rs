//! Training: from a folder of images to a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flawforge::augment;
use flawforge::datasets::{Category, Limits, Purpose, RegionOfInterest, note_lines};
use flawforge::fault::printable;
use flawforge::source::{AskedView, Images, Textures, probe_writable, real_path, region_beside, tell_region};
use flawforge::training::fit::Places;
use flawforge::training::methods::backbone::{BackboneSource, how_to_get};
use flawforge::training::settings::{Region, View};
use flawforge::training::{
    Experiment, Overrides, Profile, Progress, ProgressStyle, Rule, Teller, TrainOptions, TrainReport,
    train as train_run, use_device,
};
use flawforge::{defaults, weights};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::fault::{Error, detached, in_a_file, raised};
use crate::pool;
use crate::selection::Selection;

/// What is asked for.
struct Asked {
    dir: Option<PathBuf>,
    demo: Option<String>,
    out: PathBuf,
    method: Option<String>,
    profile: Option<String>,
    config: Option<PathBuf>,
    view: Option<String>,
    roi: Option<PathBuf>,
    selection: Option<augment::Selection>,
    textures: Option<PathBuf>,
    backbone: Option<PathBuf>,
    seed: u64,
    steps: Option<u64>,
    resume: bool,
    skip_bad: bool,
}

/// Steps done, all steps, seconds of training, the threshold, and what a person should know before relying on it.
type Report = (u64, u64, f64, Option<f32>, Vec<String>);

/// Trains a run on the normal images of a folder, or of a demo category. `progress` is called on this thread with label, step, all
/// steps, losses and the seconds left.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the Python side names them")]
pub(crate) fn train(
    py: Python<'_>,
    dir: Option<PathBuf>,
    demo: Option<String>,
    out: PathBuf,
    method: Option<String>,
    profile: Option<String>,
    config: Option<PathBuf>,
    view: Option<String>,
    roi: Option<PathBuf>,
    selection: Option<&Selection>,
    textures: Option<PathBuf>,
    backbone: Option<PathBuf>,
    seed: u64,
    steps: Option<u64>,
    resume: bool,
    skip_bad: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Report> {
    if pool::is_forked() {
        return Err(Error::new_err(
            "this process was forked from one that had used flawforge, and has none of its threads; start it with the method \
             \"spawn\" of multiprocessing, or train in the first process",
        ));
    }
    let asked = Asked {
        dir,
        demo,
        out,
        method,
        profile,
        config,
        view,
        roi,
        selection: selection.map(|selection| selection.0.clone()),
        textures,
        backbone,
        seed,
        steps,
        resume,
        skip_bad,
    };
    let listener = Listener::new(progress);
    // On this thread, and not by `pool::run` on another: signals are heard on Python's main thread alone.
    let done = detached(py, || asked.train(&listener));
    if let Some(fault) = listener.fault() {
        return Err(fault);
    }
    done
}

/// Tells the system's allocator to keep freed memory, for the whole process.
#[pyfunction]
pub(crate) fn keep_freed_memory() {
    flawforge::ops::runtime::keep_freed_memory();
}

/// Hears of every step, looks whether a signal has come, and tells whoever asked.
#[derive(Clone)]
struct Listener {
    told: Option<Arc<Py<PyAny>>>,
    stop: Arc<AtomicBool>,
    fault: Arc<Mutex<Option<PyErr>>>,
}

impl Listener {
    fn new(told: Option<Py<PyAny>>) -> Self {
        Self {
            told: told.map(Arc::new),
            stop: Arc::default(),
            fault: Arc::default(),
        }
    }

    fn hear(&self, progress: &Progress<'_>) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            let Some(told) = &self.told else { return Ok(()) };
            let losses: BTreeMap<&String, &f64> = progress.losses.iter().collect();
            let (label, step, total) = (progress.label, progress.step, progress.total);
            told.call1(py, (label, step, total, losses, progress.seconds_left))?;
            Ok(())
        });
        if let Err(fault) = told {
            // The training ends after this step with a checkpoint, and then this is raised.
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn fault(&self) -> Option<PyErr> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Asked {
    fn train(&self, listener: &Listener) -> PyResult<Report> {
        let (images, name, place) = self.images()?;
        images.check_output(&name, &self.out).map_err(raised)?;
        let textures = Textures::resolve(self.textures.as_deref(), None).map_err(raised)?;
        if let Some(folder) = textures
            .folder()
            .filter(|folder| real_path(&self.out).starts_with(real_path(folder)))
        {
            return Err(PyValueError::new_err(format!(
                "{}: lies in {}, which textures are read from; choose another place",
                self.out.display(),
                folder.display()
            )));
        }
        probe_writable(&self.out).map_err(raised)?;
        let experiment = self.experiment(&images, &name)?;
        let (category, skipped) = self.normals(&images, &name, &experiment)?;
        for notice in experiment.notices(category.train.len()) {
            log::warn!("{notice}");
        }
        let heard = listener.clone();
        let options = TrainOptions {
            progress: ProgressStyle::Told(Teller(Arc::new(move |progress: &Progress<'_>| {
                heard.hear(progress)
            }))),
            resume: self.resume,
            stop: Some(Arc::clone(&listener.stop)),
            places: Some(Places {
                images: place,
                textures: textures.describe(),
                skipped,
                ..Places::default()
            }),
            ..TrainOptions::default()
        };
        let textures = textures.load(experiment.image_size).map_err(raised)?;
        let report = train_run(&experiment, &category, textures, &self.out, &options).map_err(raised)?;
        told(&report, &experiment)
    }

    /// Where the images come from, the name of the category, and its place as runs note it.
    fn images(&self) -> PyResult<(Images, String, String)> {
        let images = match (&self.dir, &self.demo) {
            (Some(dir), None) if dir.is_dir() => Images::Single(dir.clone()),
            (Some(dir), None) => {
                let said = format!("{}: no such folder", printable(&dir.display().to_string()));
                return Err(Error::new_err(said));
            }
            (None, Some(_)) => Images::Demo,
            _ => {
                return Err(PyValueError::new_err(
                    "name the images: a folder, or demo=NAME, not both",
                ));
            }
        };
        let asked: Vec<String> = self.demo.iter().cloned().collect();
        let names = images.categories(&asked, &[]).map_err(raised)?;
        let name = names
            .into_iter()
            .next()
            .ok_or_else(|| Error::new_err("no category"))?;
        let place = match &self.demo {
            Some(demo) => format!("demo:{demo}"),
            None => images.describe(),
        };
        Ok((images, name, place))
    }

    fn experiment(&self, images: &Images, name: &str) -> PyResult<Experiment> {
        let overrides = self
            .config
            .as_deref()
            .map(Overrides::read)
            .transpose()
            .map_err(in_a_file)?;
        if let Some(device) = overrides.as_ref().and_then(Overrides::device) {
            use_device(device).map_err(raised)?;
        }
        let method = match &self.method {
            Some(method) => method
                .parse()
                .map_err(|fault| PyValueError::new_err(format!("{fault}")))?,
            None => defaults::method(),
        };
        let profile = self.profile.as_deref().unwrap_or(defaults::profile(method));
        let profile = Profile::builtin(profile).map_err(raised)?;
        let selection = match &self.selection {
            Some(selection) => selection.clone(),
            None => images.selection(name, None).map_err(raised)?.selection,
        };
        let product = images.product(name, selection);
        let view = self.view(images, name)?;
        let region = self.region()?.as_ref().map(Region::of);
        let changed = |experiment: Experiment| -> PyResult<Experiment> {
            let mut experiment = match &overrides {
                Some(overrides) => experiment.with(overrides).map_err(in_a_file)?,
                None => experiment,
            };
            experiment.view = view.unwrap_or(experiment.view);
            if let Some(region) = &region {
                experiment.region.clone_from(region);
            }
            Ok(experiment)
        };
        let mut experiment = Experiment::new(method, &profile, &product, self.seed).map_err(raised)?;
        if view.is_none() && !overrides.as_ref().is_some_and(Overrides::says_view) {
            defaults::view(&mut experiment, || images.normal_sizes(name)).map_err(raised)?;
        }
        let mut experiment = changed(experiment)?;
        // Which images are unseen follows the view; what the file says of the calibration stays.
        experiment.calibrate_for_use();
        let mut experiment = changed(experiment)?;
        experiment.seed = self.seed;
        if let Some(steps) = self.steps {
            experiment = experiment.with_steps(steps).map_err(raised)?;
        }
        self.give_backbone(&mut experiment)?;
        experiment.validate().map_err(raised)?;
        Ok(experiment)
    }

    /// The view asked for.
    fn view(&self, images: &Images, name: &str) -> PyResult<Option<View>> {
        let Some(text) = &self.view else { return Ok(None) };
        let asked: AskedView = text
            .parse()
            .map_err(|fault| PyValueError::new_err(format!("view: {fault}")))?;
        let sizes = match asked {
            AskedView::Fit => images.normal_sizes(name).map_err(raised)?,
            _ => Vec::new(),
        };
        let view = asked.of(&sizes);
        let view = view.ok_or_else(|| Error::new_err("no normal images whose aspect ratio could be kept"))?;
        Ok(Some(view))
    }

    /// The file or folder of the region of interest that is named, or lies beside the images.
    fn region_file(&self) -> Option<PathBuf> {
        let beside = || region_beside(self.dir.as_deref()?);
        self.roi.clone().or_else(beside)
    }

    /// The region of interest that it tells.
    fn region(&self) -> PyResult<Option<RegionOfInterest>> {
        let Some(path) = self.region_file() else {
            return Ok(None);
        };
        let region = RegionOfInterest::open(&path, &Limits::default()).map_err(raised)?;
        let place = printable(&path.display().to_string());
        match &region {
            RegionOfInterest::Fixed { mask, .. } => log::info!(
                "region of interest {place}: {:.0} % of the image; nothing else is looked at",
                100.0 * mask.coverage()
            ),
            _ => log::info!("regions of interest: a mask for each image in {place}"),
        }
        Ok(Some(region))
    }

    /// Gives the method the weights of its network, if it has one.
    fn give_backbone(&self, experiment: &mut Experiment) -> PyResult<()> {
        let Some(network) = experiment.settings.backbone() else {
            return match &self.backbone {
                Some(_) => Err(PyValueError::new_err(
                    "backbone is for the methods patchcore and forge",
                )),
                None => Ok(()),
            };
        };
        let downloads = weights::folder();
        let source = BackboneSource::resolve(
            self.backbone.as_deref(),
            None,
            None,
            downloads.as_deref(),
            network,
        )
        .map_err(raised)?;
        if source == BackboneSource::Random {
            log::warn!(
                "{} runs with random weights, which know nothing of images: {}",
                experiment.method,
                how_to_get(network)
            );
        }
        if let Some(weights) = source.weights(network, &self.out).map_err(raised)? {
            experiment.settings.give(Arc::new(weights));
        }
        Ok(())
    }

    /// The normal images, and of those that were left out what is wrong with them.
    fn normals(
        &self,
        images: &Images,
        name: &str,
        experiment: &Experiment,
    ) -> PyResult<(Category, Vec<String>)> {
        let (mut loading, limits) = (experiment.loading(), Limits::default());
        if let Some(path) = self.region_file() {
            tell_region(&mut loading, &experiment.region, &path);
        }
        let files = images.files(name, Purpose::Training).map_err(raised)?;
        let (category, skipped) = match &files {
            Some(files) if self.skip_bad => {
                Category::load_readable_normals(files, &loading, &limits).map_err(raised)?
            }
            Some(files) => {
                let category = Category::load_normals(files, &loading, &limits).map_err(raised)?;
                (category, Vec::new())
            }
            None => (images.load_normals(name, &loading).map_err(raised)?, Vec::new()),
        };
        let skipped: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        for fault in &skipped {
            log::warn!("left out: {fault}");
        }
        if let Some(passed) = files.as_ref().and_then(|files| files.inventory.line()) {
            log::info!("{name}: passed over: {passed}");
        }
        for (is_doubt, line) in note_lines(&category.notes) {
            match is_doubt {
                true => log::warn!("{line}"),
                false => log::info!("{line}"),
            }
        }
        Ok((category, skipped))
    }
}

/// What a training was, with the threshold that its scores give.
fn told(report: &TrainReport, experiment: &Experiment) -> PyResult<Report> {
    let rule = Rule::of(&experiment.calibration);
    let decision = report.calibrated.as_ref().map(|scores| scores.decide(&rule));
    let decision = decision.transpose().map_err(raised)?;
    let (threshold, warnings) = match decision {
        Some(decision) => (Some(decision.threshold), decision.warnings),
        None => (None, Vec::new()),
    };
    for warning in &warnings {
        log::warn!("{warning}");
    }
    Ok((
        report.steps,
        report.total_steps,
        report.train_seconds,
        threshold,
        warnings,
    ))
}
