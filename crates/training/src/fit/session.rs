//! One uninterrupted stretch of a training: steps, journal, panels, checkpoints.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use flawforge_ops::runtime::BusyClock;
use flawforge_pictures::{training_grid, write_png};

use super::checkpoint::Header;
use super::journal::{Journal, Line};
use super::progress::Display;
use super::saving::Saver;
use super::{RunPlan, TrainOptions};
use crate::error::{Result, TrainingError};
use crate::recipe::{Batch, Losses, Recipe};
use crate::run_files::RunFiles;

/// One uninterrupted stretch of a training.
pub(super) struct Session<'a> {
    plan: &'a RunPlan,
    files: &'a RunFiles,
    pub(super) header: Header,
    journal: Journal,
    display: Display,
    pub(super) last_step: u64,
    /// Seconds of earlier sessions.
    before: f64,
    began: Instant,
    pub(super) busy: BusyClock,
    /// Steps whose losses are not known yet, with the images of their batches.
    unread: VecDeque<(u64, String)>,
    saver: Saver,
    stop: Option<Arc<AtomicBool>>,
}

impl<'a> Session<'a> {
    pub(super) fn start(
        plan: &'a RunPlan,
        files: &'a RunFiles,
        header: Header,
        options: &TrainOptions,
        device: &Device,
    ) -> Result<Self> {
        let (journal, before) = Journal::open(&files.metrics(), header.step)?;
        let label = if options.label.is_empty() {
            &plan.label
        } else {
            &options.label
        };
        let total = header.total_steps;
        Ok(Self {
            plan,
            files,
            journal,
            display: Display::new(&options.progress, label, total, header.step),
            last_step: options.stop_after.map_or(total, |stop| stop.min(total)),
            before,
            began: Instant::now(),
            busy: BusyClock::new(device)?,
            unread: VecDeque::new(),
            saver: Saver::default(),
            stop: options.stop.clone(),
            header,
        })
    }

    /// The steps; when it returns, whatever was saved is on the disk.
    pub(super) fn train(
        &mut self,
        recipe: &mut dyn Recipe,
        batches: &mut dyn Iterator<Item = Result<Batch>>,
    ) -> Result<()> {
        let trained = self.steps(recipe, batches);
        let saved = self.saver.wait();
        trained.and(saved)
    }

    fn steps(
        &mut self,
        recipe: &mut dyn Recipe,
        batches: &mut dyn Iterator<Item = Result<Batch>>,
    ) -> Result<()> {
        let every = &self.plan.every;
        let begun = self.header.step;
        for batch in batches {
            if self.is_stopped() {
                if self.header.step > begun {
                    self.read_pending(recipe)?;
                    self.begin_saving(recipe)?;
                }
                return Ok(());
            }
            let batch = batch?;
            let rate = self.plan.rate(batch.step);
            self.busy.begin()?;
            let losses = recipe.step(&batch, rate)?;
            self.busy.end()?;
            let done = batch.step + 1;
            let last = done == self.header.total_steps;
            // The last checkpoint is written when the run is calibrated: a large file, once.
            let saves = !last && (done.is_multiple_of(every.checkpoint) || done == self.last_step);
            let draws = every.panel > 0 && (done.is_multiple_of(every.panel) || last);
            if losses.is_empty() {
                self.unread.push_back((done, batch.names()));
            } else {
                check_finite(&losses, done, || batch.names())?;
                self.header.interval.add(&losses);
            }
            if done.is_multiple_of(every.log) || draws || saves || last {
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
                self.begin_saving(recipe)?;
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Writes the checkpoint, after the journal.
    pub(super) fn save(&mut self, recipe: &dyn Recipe) -> Result<()> {
        self.begin_saving(recipe)?;
        self.saver.wait()
    }

    /// The same, while the training goes on.
    fn begin_saving(&mut self, recipe: &dyn Recipe) -> Result<()> {
        self.journal.sync()?;
        let state = recipe.state()?;
        self.saver
            .save(self.files.checkpoint(), self.header.clone(), state)
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
        self.display.losses(&line.losses);
        self.journal.append(&line)
    }

    fn panel(&self, recipe: &dyn Recipe, batch: &Batch) -> Result<()> {
        let directory = self.files.panels();
        fs::create_dir_all(&directory).map_err(TrainingError::io(&directory))?;
        let step = self.header.step;
        let title = format!("{} step {step}", self.plan.label);
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

pub(super) fn check_finite(losses: &Losses, step: u64, names: impl FnOnce() -> String) -> Result<()> {
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

    use super::super::checkpoint;
    use super::super::journal::read_journal;
    use super::*;
    use crate::fit::DataDigests;
    use crate::fit::ProgressStyle;
    use crate::recipe::Part;
    use crate::settings::Intervals;

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
        let plan = RunPlan {
            label: "own parts".to_owned(),
            settings: serde_json::Value::Null,
            data: DataDigests::default(),
            steps: 20,
            schedule: None,
            every: Intervals {
                log: 3,
                checkpoint: 5,
                panel: 0,
            },
        };
        let header = Header::new(&plan, None);
        let options = TrainOptions {
            progress: ProgressStyle::Silent,
            device: Device::Cpu,
            ..TrainOptions::default()
        };
        let mut session = Session::start(&plan, &files, header, &options, &Device::Cpu).unwrap();
        let mut batches = (0..20).map(|step| {
            Ok(Batch {
                step,
                parts: vec![Part {
                    samples: Vec::new(),
                    labels: Vec::new(),
                    names: vec![format!("image {step}")],
                }],
            })
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
