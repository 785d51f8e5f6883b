//! The loop: batches, steps, journal, panels, checkpoints.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use flawforge_augment::{Selection, TextureSource};
use flawforge_datasets::Category;
use flawforge_ops::BusyClock;
use flawforge_pictures::{training_grid, write_png};

use crate::assembly::{Data, Subject, calibration_for, device_for, recipe_for, source_for};
use crate::backbone::Weights;
use crate::batch::Batch;
use crate::calibrate::{Threshold, calibrate};
use crate::checkpoint::{self, Header};
use crate::config::Config;
use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::journal::{Journal, Line, read_journal};
use crate::plan::Plan;
use crate::prefetch::with_batches;
use crate::progress::{Display, ProgressStyle};
use crate::recipe::{Losses, Recipe};
use crate::run::{RunFiles, read_threshold};

/// How to train, without influence on what is learnt.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// What is shown meanwhile.
    pub progress: ProgressStyle,
    /// Name in front of the progress bar; empty: the category's.
    pub label: String,
    /// Where to compute.
    pub device: Device,
    /// Continue the run that lies in the directory, if there is one. Without it a directory with a run is an error.
    pub resume: bool,
    /// Stop after this many steps in all, with a checkpoint, as if interrupted there.
    pub stop_after: Option<u64>,
    /// Weights of a backbone that are not learnt in the run (PatchCore). The settings say which they are by their digest; a
    /// run that is resumed has them in its checkpoint.
    pub backbone: Option<Arc<Weights>>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            progress: ProgressStyle::Auto,
            label: String::new(),
            device: default_device(),
            resume: false,
            stop_after: None,
            backbone: None,
        }
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
    /// Seconds of training, over all sessions.
    pub train_seconds: f64,
    /// Share of this session's time, from 0 to 1, in which the device had a step to compute and did not wait for
    /// batches, panels or checkpoints.
    pub busy: Option<f64>,
    /// Last line of the journal.
    pub last: Option<Line>,
    /// Hash of the settings.
    pub config_hash: String,
    /// Digest of training images, textures and selection.
    pub data_hash: String,
    /// The threshold of verdicts, if one was found.
    pub threshold: Option<Threshold>,
}

/// Trains a detector on the normal images of `category` and leaves all files of the run in `run_dir`.
///
/// Settings, images, selection and textures are checked before the first step. An interrupted run that is resumed goes
/// on from its last checkpoint and, on the CPU, ends bit for bit as an unbroken one.
///
/// # Errors
/// See [`TrainingError`]: each variant names the setting, the category or the file at fault.
pub fn train(
    config: &Config,
    category: &Category,
    textures: Arc<dyn TextureSource>,
    selection: &Selection,
    run_dir: &Path,
    options: &TrainOptions,
) -> Result<TrainReport> {
    config.validate()?;
    let plan = Plan::new(config, category, textures.as_ref(), selection)?;
    let total = config.steps(category.train.len());
    let files = RunFiles::new(run_dir);
    let mut header = Header::new(config, &category.name, &plan.data, selection, total);
    let subject = Subject {
        category: &category.name,
        selection,
    };
    let device = device_for(config, &options.device);
    if device.is_cpu() && !config.precision.is_served_here() {
        let fault = "this processor has no instructions for bfloat16 (AVX-512 BF16); take f32";
        return Err(TrainingError::setting("precision", fault));
    }
    let _precision = config.precision.scope();
    let mut recipe = recipe_for(config, subject, &device)?;

    let resuming = files.checkpoint().exists();
    if resuming && !options.resume {
        return Err(TrainingError::RunDirectory {
            path: run_dir.to_path_buf(),
            fault: "already holds a run; resume it or choose another directory".to_owned(),
        });
    }
    fs::create_dir_all(run_dir).map_err(TrainingError::io(run_dir))?;
    flawforge_files::remove_leftovers(run_dir);
    if resuming {
        restore(&files, &mut header, recipe.as_mut(), &device)?;
    } else {
        recipe.begin(options.backbone.as_deref())?;
        remove(&files.threshold())?;
    }
    flawforge_files::write(&files.config(), config.to_toml()?.as_bytes()).map_err(TrainingError::Write)?;

    let data = Data {
        category,
        textures,
        selection,
        plan: &plan,
    };
    let resumed_from = header.step;
    let mut session = Session::start(config, &files, header, options, &device)?;
    if resumed_from < session.last_step {
        let steps = resumed_from..session.last_step;
        let source = source_for(config, &data);
        with_batches(source.as_ref(), steps, |batches| {
            session.train(recipe.as_mut(), batches)
        })?;
    }
    let finished = session.header.step == total;
    let threshold = if finished {
        finish(config, &files, &data, recipe.as_ref())?
    } else {
        None
    };
    let lines = read_journal(&files.metrics())?;
    Ok(TrainReport {
        steps: session.header.step,
        total_steps: total,
        resumed_from,
        train_seconds: lines.last().map_or(0.0, |line| line.seconds),
        busy: session.busy.share()?,
        last: lines.into_iter().last(),
        config_hash: config.hash(),
        data_hash: plan.data.clone(),
        threshold,
    })
}

/// Removes a file of an earlier run, if there is one.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(TrainingError::io(path)(fault)),
        _ => Ok(()),
    }
}

/// Brings header and recipe to the state of the checkpoint, if it belongs to this very run.
fn restore(files: &RunFiles, header: &mut Header, recipe: &mut dyn Recipe, device: &Device) -> Result<()> {
    let path = files.checkpoint();
    let (saved, tensors) = checkpoint::read(&path, device)?;
    let mut differences = header.config.differences(&saved.config);
    if differences.is_empty() && saved.category != header.category {
        differences.push(format!("category is {}, was {}", header.category, saved.category));
    }
    if differences.is_empty() && saved.data != header.data {
        differences.push("the training images, the textures or the selection have changed".to_owned());
    }
    if !differences.is_empty() {
        return Err(TrainingError::Mismatch {
            path,
            fault: differences.join(", "),
        });
    }
    recipe
        .restore(&tensors, saved.step)
        .map_err(|fault| TrainingError::checkpoint(&path, fault.to_string()))?;
    *header = saved;
    Ok(())
}

/// The threshold, found once and kept in a file.
fn finish(
    config: &Config,
    files: &RunFiles,
    data: &Data<'_>,
    recipe: &dyn Recipe,
) -> Result<Option<Threshold>> {
    if let Some(known) = read_threshold(files)? {
        return Ok(Some(known));
    }
    if config.calibration.images == 0 {
        return Ok(None);
    }
    let held_out = !data.plan.held_out.is_empty();
    let all: Vec<usize> = (0..data.category.train.len()).collect();
    let chosen = if held_out { &data.plan.held_out } else { &all };
    let detector = recipe.detector()?;
    let found = calibrate(
        config,
        detector.as_ref(),
        &calibration_for(config, data),
        &data.category.train,
        chosen,
        held_out,
    )?;
    if let Some(threshold) = &found {
        let path = files.threshold();
        let text = serde_json::to_vec_pretty(threshold).map_err(|fault| TrainingError::SettingsText {
            origin: path.display().to_string(),
            fault: fault.to_string(),
        })?;
        flawforge_files::write(&path, &text).map_err(TrainingError::Write)?;
    }
    Ok(found)
}

/// One uninterrupted stretch of a training.
struct Session<'a> {
    config: &'a Config,
    files: &'a RunFiles,
    header: Header,
    journal: Journal,
    display: Display,
    last_step: u64,
    /// Seconds of earlier sessions.
    before: f64,
    began: Instant,
    busy: BusyClock,
    /// Steps whose losses are not known yet, with the images of their batches.
    unread: VecDeque<(u64, String)>,
}

impl<'a> Session<'a> {
    fn start(
        config: &'a Config,
        files: &'a RunFiles,
        header: Header,
        options: &TrainOptions,
        device: &Device,
    ) -> Result<Self> {
        let (journal, before) = Journal::open(&files.metrics(), header.step)?;
        let label = if options.label.is_empty() {
            format!("{} {}", config.method, header.category)
        } else {
            options.label.clone()
        };
        let total = header.total_steps;
        Ok(Self {
            config,
            files,
            journal,
            display: Display::new(&options.progress, &label, total, header.step),
            last_step: options.stop_after.map_or(total, |stop| stop.min(total)),
            before,
            began: Instant::now(),
            busy: BusyClock::new(device)?,
            unread: VecDeque::new(),
            header,
        })
    }

    fn train(&mut self, recipe: &mut dyn Recipe, batches: &mut dyn Iterator<Item = Batch>) -> Result<()> {
        let every = &self.config.every;
        for batch in batches {
            let rate = self.config.schedule.rate(batch.step, self.header.total_steps);
            self.busy.begin()?;
            let losses = recipe.step(&batch, rate)?;
            self.busy.end()?;
            let done = batch.step + 1;
            let last = done == self.header.total_steps;
            let saves = done.is_multiple_of(every.checkpoint) || last || done == self.last_step;
            let draws = every.panel > 0 && (done.is_multiple_of(every.panel) || last);
            if losses.is_empty() {
                self.unread.push_back((done, batch.names()));
            } else {
                check_finite(&losses, done, || batch.names())?;
                self.header.interval.add(&losses);
            }
            if done.is_multiple_of(every.log) || draws || saves {
                self.read_pending(recipe)?;
            }
            self.header.step = done;
            self.display.step();
            if draws {
                self.panel(recipe, &batch)?;
            }
            if last {
                recipe.finish()?;
            }
            if done.is_multiple_of(every.log) || last {
                self.log(rate)?;
            }
            if saves {
                self.journal.sync()?;
                checkpoint::write(&self.files.checkpoint(), &self.header, &recipe.state()?)?;
            }
        }
        Ok(())
    }

    /// Takes in the losses that were still being computed when their step returned.
    fn read_pending(&mut self, recipe: &mut dyn Recipe) -> Result<()> {
        for losses in recipe.pending_losses()? {
            let Some((step, names)) = self.unread.pop_front() else {
                break;
            };
            check_finite(&losses, step, || names)?;
            self.header.interval.add(&losses);
        }
        self.unread.clear();
        Ok(())
    }

    fn log(&mut self, learning_rate: f64) -> Result<()> {
        let line = Line {
            step: self.header.step,
            losses: self.header.interval.finish(),
            learning_rate,
            seconds: self.before + self.began.elapsed().as_secs_f64(),
        };
        self.display.losses(line.step, &line.losses);
        self.journal.append(&line)
    }

    fn panel(&self, recipe: &dyn Recipe, batch: &Batch) -> Result<()> {
        let directory = self.files.panels();
        fs::create_dir_all(&directory).map_err(TrainingError::io(&directory))?;
        let step = self.header.step;
        let title = format!("{} {} step {step}", self.config.method, self.header.category);
        let detector = recipe.batch_detector()?;
        // The last part is the one whose masks are learnt.
        let (samples, names) = match batch.parts.last() {
            Some(part) => (part.samples.as_slice(), part.names.as_slice()),
            None => (&[] as &[_], &[] as &[_]),
        };
        let picture = training_grid(detector.as_ref(), samples, names, &title)?;
        write_png(&directory.join(format!("step-{step:06}.png")), &picture).map_err(TrainingError::Write)
    }
}

fn check_finite(losses: &Losses, step: u64, names: impl FnOnce() -> String) -> Result<()> {
    match losses.iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(&(loss, value)) => Err(TrainingError::NonFinite {
            step,
            loss: format!("loss {loss}"),
            value,
            batch: names(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Tensor;
    use flawforge_models::Detector;

    use super::*;
    use crate::batch::Part;
    use crate::method::Method;
    use crate::profile::Profile;

    /// Leaves its losses on the device, so to speak: the step's number, but not a number at step 8.
    #[derive(Default)]
    struct Deferring(Vec<Losses>);

    impl Recipe for Deferring {
        fn step(&mut self, batch: &Batch, _: f64) -> Result<Losses> {
            let value = if batch.step == 7 {
                f32::NAN
            } else {
                batch.step as f32
            };
            self.0.push(vec![("loss", value)]);
            Ok(Losses::new())
        }

        fn pending_losses(&mut self) -> Result<Vec<Losses>> {
            Ok(std::mem::take(&mut self.0))
        }

        fn state(&self) -> Result<Vec<(String, Tensor)>> {
            Ok(Vec::new())
        }

        fn restore(&mut self, _: &HashMap<String, Tensor>, _: u64) -> Result<()> {
            Ok(())
        }

        fn restore_weights(&mut self, _: &HashMap<String, Tensor>) -> Result<()> {
            Ok(())
        }

        fn detector(&self) -> Result<Box<dyn Detector>> {
            Err(TrainingError::Batches("no panels are drawn here".to_owned()))
        }
    }

    #[test]
    fn losses_that_come_late_are_logged_and_judged_by_step_before_anything_is_saved() {
        let directory = tempfile::tempdir().unwrap();
        let files = RunFiles::new(directory.path());
        let mut config = Config::for_method(Method::Draem, &Profile::builtin("smoke").unwrap(), 0);
        (config.every.log, config.every.checkpoint, config.every.panel) = (3, 5, 0);
        let header = Header::new(&config, "parts", "data", &Selection::default(), 20);
        let options = TrainOptions {
            progress: ProgressStyle::Silent,
            device: Device::Cpu,
            ..TrainOptions::default()
        };
        let mut session = Session::start(&config, &files, header, &options, &Device::Cpu).unwrap();
        let mut batches = (0..20).map(|step| Batch {
            step,
            parts: vec![Part {
                samples: Vec::new(),
                labels: Vec::new(),
                names: vec![format!("image {step}")],
            }],
        });
        let fault = session
            .train(&mut Deferring::default(), &mut batches)
            .unwrap_err();
        let TrainingError::NonFinite { step, batch, .. } = &fault else {
            panic!("{fault}")
        };
        assert_eq!((*step, batch.as_str()), (8, "image 7"));
        let lines = read_journal(&files.metrics()).unwrap();
        let means: Vec<_> = lines
            .iter()
            .map(|line| (line.step, line.losses["loss"]))
            .collect();
        assert_eq!(means, [(3, 1.0), (6, 4.0)]);
        let (saved, _) = checkpoint::read(&files.checkpoint(), &Device::Cpu).unwrap();
        assert_eq!(saved.step, 5);
    }
}
