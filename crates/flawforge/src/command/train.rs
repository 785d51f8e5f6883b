//! `flawforge train`: a run on the normal images of a category.

mod from;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use flawforge::datasets::{Limits, counted};
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::ops::Precision;
use flawforge::ops::runtime::in_words;
use flawforge::source::{AskedView, probe_writable};
use flawforge::training::estimate::gpu_memory;
use flawforge::training::fit::Places;
use flawforge::training::methods::backbone::{BackboneSource, how_to_get};
use flawforge::training::settings::{Region, View};
use flawforge::training::{
    Experiment, Method, Overrides, Profile, Rule, Run, RunFiles, TrainOptions, TrainReport, gpu_available,
    train,
};
use flawforge::{defaults, defaults::FORGE_NETWORK, weights};

use super::numbers::{positive, whole};
use super::region::RegionArgs;
use super::signals::Signals;
use super::source::{AnomalyArgs, CategoryArgs, NormalArgs, TextureArgs};
use super::verdicts::{odd, said};
use super::view::completed;

/// Options of `train`.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    normals: NormalArgs,
    /// Folder of the run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Method
    #[arg(long, value_name = "NAME", help = method_help())]
    method: Option<Method>,
    /// Budget of the training: smoke, demo, quick, gpu or paper [default: quick; gpu where there is one; of forge paper, which takes seconds]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Settings file (TOML): its values replace those of method and profile, any constant of a simulator too
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    anomalies: AnomalyArgs,
    /// Weights of the network of patchcore or forge, safetensors or .pth [default: what `flawforge download` fetched, else random]
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,
    /// Backbone without pretrained weights: random, or a small network trained on the classes of --textures
    #[arg(long, value_name = "HOW", value_parser = ["random", "textures"])]
    backbone_init: Option<String>,
    /// Seed of initial weights, order of images and simulation [default: 0]
    #[arg(long, value_parser = whole)]
    seed: Option<u64>,
    /// Length in steps [default: the profile's]
    #[arg(long, value_name = "N", value_parser = whole)]
    steps: Option<u64>,
    /// Share of normal images held out for the decision threshold, 0 to 0.5 [default: a tenth, at least 20; where that is more
    /// than a fifth of them, four short trainings score each image unseen; forge and patchcore score theirs unseen anyway]
    #[arg(long, value_name = "SHARE")]
    held_out: Option<f64>,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: tf32]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    #[command(flatten)]
    device: DeviceArgs,
    /// How images are seen: `stretch` (the papers' square), `fit` (at the aspect ratio of most of them), `tiles` (in windows, at the
    /// scale of the files; `tiles:0.5`: at half that scale) or `two-scales` (in windows, and as a whole) [default: stretch; fit for
    /// forge where the images are long and of one shape]
    #[arg(long, value_name = "VIEW")]
    view: Option<AskedView>,
    #[command(flatten)]
    region: RegionArgs,
    /// Memory for pixels of normal images, in MiB; those beyond are decoded whenever they are wanted, which takes time and
    /// changes no result
    #[arg(long, value_name = "MIB", default_value_t = default_memory(), value_parser = whole)]
    image_memory: u64,
    /// Go on from this finished run with further normal images, as a new run: forge and patchcore add them to their memory
    /// banks, without a training; the others train on all of them, beginning with the run's weights, for 300 steps or --steps
    #[arg(long, value_name = "RUN")]
    from: Option<PathBuf>,
    /// Continue the run in RUN from its last checkpoint, with the settings, images and textures stored there
    #[arg(long)]
    resume: bool,
    /// Train the finished run in RUN by N steps more, on the images and textures stored there; the learning rate goes on as that
    /// of the longer training
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with_all =
        ["steps", "method", "profile", "view", "config", "backbone", "backbone_init", "seed", "held_out", "precision"])]
    extend: Option<u64>,
}

/// The method that is taken where none is named; says which weights would give a better one.
fn default_method() -> Method {
    let method = defaults::method();
    if method != Method::Forge {
        log::info!(
            "method {method}; `flawforge download {FORGE_NETWORK}` once, and {} gives a better detector in seconds",
            Method::Forge
        );
    }
    method
}

/// In MiB.
fn default_memory() -> u64 {
    Limits::default().max_held_bytes >> 20
}

fn method_help() -> String {
    format!(
        "Method: {} [default: {} where the weights of {FORGE_NETWORK} are, else {}]",
        Method::names(),
        Method::Forge,
        Method::LinYan
    )
}

impl TrainArgs {
    /// The run to continue, if --resume was given and the folder holds one.
    fn earlier(&self) -> Result<Option<Run>> {
        let checkpoint = RunFiles::new(&self.out).checkpoint();
        let there = match fs::metadata(&checkpoint) {
            Ok(_) => true,
            // The other is told when the folder is tried.
            Err(fault) if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => false,
            Err(fault) => return Err(fault).with_context(|| self.out.display().to_string()),
        };
        let go_on = self.resume || self.extend.is_some();
        if there && !go_on {
            bail!(
                "run {}: already holds a run; resume it or choose another folder",
                self.out.display()
            );
        }
        if go_on && !there {
            let model = RunFiles::new(&self.out).model();
            if model.exists() {
                bail!(
                    "{}: it holds what detects, without the optimizer's moments; only the run's checkpoint.safetensors goes on",
                    model.display()
                );
            }
            if self.extend.is_some() {
                bail!("{}: holds no run to extend", self.out.display());
            }
            if self.normals.category.is_empty() {
                bail!("{}: holds no run to continue", self.out.display());
            }
            log::warn!(
                "{}: holds no run to continue; training begins at step 0",
                self.out.display()
            );
        }
        Ok(there.then(|| Run::open(&self.out)).transpose()?)
    }

    /// Refuses a folder that a run cannot be written into, before anything is read.
    fn check_output(&self, category: &CategoryArgs, textures: &TextureArgs) -> Result<()> {
        category.check_output(&self.out)?;
        textures.check_output(&self.out)?;
        Ok(probe_writable(&self.out)?)
    }

    /// Whether an option says which experiment it is.
    fn says_settings(&self) -> bool {
        self.method.is_some()
            || self.profile.is_some()
            || self.config.is_some()
            || self.anomalies.selection.is_some()
            || self.backbone.is_some()
            || self.backbone_init.is_some()
            || self.view.is_some()
    }

    /// The experiment: that of the earlier run, changed by the options given.
    fn experiment(
        &self,
        earlier: Option<&Run>,
        category: &CategoryArgs,
        overrides: Option<&Overrides>,
    ) -> Result<Experiment> {
        let mut experiment = match earlier.filter(|_| !self.says_settings()) {
            Some(run) => run.experiment().clone(),
            None => {
                let method = self.method.unwrap_or_else(default_method);
                let profile = self.profile.as_deref().unwrap_or(defaults::profile(method));
                let profile = Profile::builtin(profile)?;
                let product = self.anomalies.product(category)?;
                let view = self.view.map(|asked| seen(asked, category)).transpose()?;
                let says_view = view.is_some() || overrides.is_some_and(Overrides::says_view);
                let region = self.region.of(category)?.as_ref().map(Region::of);
                let changed = |experiment: Experiment| -> Result<Experiment> {
                    let mut experiment = match overrides {
                        Some(overrides) => experiment.with(overrides)?,
                        None => experiment,
                    };
                    experiment.view = view.unwrap_or(experiment.view);
                    if let Some(region) = &region {
                        experiment.region.clone_from(region);
                    }
                    Ok(experiment)
                };
                let mut experiment = Experiment::new(method, &profile, &product, 0)?;
                if !says_view {
                    defaults::view(&mut experiment, || category.file_sizes())?;
                }
                let mut experiment = changed(experiment)?;
                // Which images are unseen follows the view; what the file says of the calibration stays.
                experiment.calibrate_for_use();
                changed(experiment)?
            }
        };
        if let Some(seed) = self.seed {
            experiment.seed = seed;
        }
        if let Some(share) = self.held_out {
            let calibration = &mut experiment.calibration;
            (calibration.held_out, calibration.fewest, calibration.folds) = (share, 0, 0);
        }
        let added = self.extend.and_then(|more| Some(earlier?.total_steps() + more));
        if let Some(steps) = self.steps.or(added) {
            let method = experiment.method;
            experiment = experiment.with_steps(steps).map_err(|_| match self.steps {
                Some(_) => {
                    anyhow!("--steps is not for {method}, which takes one look at each image: leave it out")
                }
                None => anyhow!(
                    "--extend is not for {method}, which takes one look at each image; with further images \
                     `train --from {} DIR --out NEW` goes on",
                    self.out.display()
                ),
            })?;
        }
        if let Some(precision) = self.precision {
            let method = experiment.method;
            *experiment
                .settings
                .precision_mut()
                .with_context(|| format!("--precision is not for {method}, which computes in f32"))? =
                precision;
        }
        if earlier.is_none() || self.says_settings() {
            self.give_backbone(&mut experiment)?;
        }
        match &self.config {
            Some(path) => experiment
                .validate()
                .with_context(|| path.display().to_string())?,
            None => experiment.validate()?,
        }
        Ok(experiment)
    }

    /// Gives the method the weights of its network, if it has one.
    fn give_backbone(&self, experiment: &mut Experiment) -> Result<()> {
        let Some(network) = experiment.settings.backbone() else {
            if self.backbone.is_some() || self.backbone_init.is_some() {
                bail!("--backbone and --backbone-init need --method patchcore or forge");
            }
            return Ok(());
        };
        let source = BackboneSource::resolve(
            self.backbone.as_deref(),
            self.backbone_init.as_deref(),
            self.anomalies.texture_folder(),
            weights::folder().as_deref(),
            network,
        )?;
        if source == BackboneSource::Random {
            log::warn!(
                "{} runs with random weights, which know nothing of images: {}",
                experiment.method,
                how_to_get(network)
            );
        }
        if let Some(weights) = source.weights(network, &self.out)? {
            experiment.settings.give(Arc::new(weights));
        }
        Ok(())
    }
}

/// Runs the command.
pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode> {
    let overrides = args.config.as_deref().map(Overrides::read).transpose()?;
    args.device.choose(overrides.as_ref())?;
    if let Some(from) = &args.from {
        return from::run(args, from);
    }
    let signals = Signals::listen()?;
    files::check_free(&args.out)?;
    let earlier = args.earlier()?;
    let known = earlier.as_ref().and_then(Run::places);
    // Options that are left out come from the run.
    let category = match known.filter(|_| args.normals.category.is_empty()) {
        Some(places) => CategoryArgs::at(&places.images),
        None => args.normals.category.clone(),
    };
    let textures = match known.filter(|_| args.anomalies.textures.is_empty()) {
        Some(places) => TextureArgs::at(&places.textures),
        None => args.anomalies.textures.clone(),
    };
    let skip_bad = args.normals.skip_bad || known.is_some_and(|places| !places.skipped.is_empty());
    category.given()?;
    args.check_output(&category, &textures)?;
    let experiment = args.experiment(earlier.as_ref(), &category, overrides.as_ref())?;
    let begun = earlier.as_ref().map(|run| (run.step(), run.total_steps()));
    // The weights of a large run need not wait in memory while it trains.
    drop(earlier);
    let limits = Limits {
        max_held_bytes: args.image_memory.saturating_mul(1 << 20),
        ..Limits::default()
    };
    let loading = args.region.training(&experiment, &category)?;
    let (images, skipped) = category.load_normals(&loading, skip_bad, &limits)?;
    let options = TrainOptions {
        resume: args.resume,
        stop: Some(signals.flag()),
        extend: args.extend.is_some(),
        places: Some(Places {
            images: category.place(),
            textures: textures.place()?,
            skipped,
            ..Places::default()
        }),
        ..TrainOptions::default()
    };
    let textures = textures.load(experiment.image_size)?;
    log::info!(
        "{} on {}: {}, {} at {} px{}, settings {}",
        experiment.method,
        images.name,
        counted(images.train.len(), "normal image"),
        counted(experiment.steps(images.train.len()) as usize, "step"),
        experiment.image_size,
        match experiment.view.is_stretch() {
            true => String::new(),
            false => format!(" ({})", experiment.view),
        },
        &experiment.hash()[..12],
    );
    let held = images.train.iter().filter(|image| image.is_held()).count();
    if held < images.train.len() {
        log::info!(
            "{held} of {} are held in memory (--image-memory {}), the others are decoded whenever they are wanted",
            counted(images.train.len(), "normal image"),
            args.image_memory
        );
    }
    let sizes: Vec<(u32, u32)> = images.train.iter().map(|image| image.size).collect();
    let says_view = args.view.is_some() || overrides.as_ref().is_some_and(Overrides::says_view);
    if let Some(proposal) = experiment.propose_view(&sizes).filter(|_| !says_view) {
        let proposal = completed(proposal, &category, &images, loading.region.clone())?;
        match proposal.is_another() {
            true => log::warn!("{proposal}"),
            false => log::info!("{proposal}"),
        }
    }
    for notice in experiment.notices(images.train.len()) {
        log::warn!("{notice}");
    }
    match begun {
        Some((step, total)) if step < total => log::info!("goes on after step {step}"),
        Some((step, _)) if args.extend.is_some() => {
            log::info!("goes on after step {step}, its last until now")
        }
        _ => {}
    }
    let report = train(&experiment, &images, textures, &args.out, &options)?;
    tell(&report, Rule::of(&experiment.calibration), args, &category)?;
    tell_of_the_gpu(&report, &experiment, images.train.len());
    if report.stopped {
        tell_stopped(&report, args);
        return Ok(signals.code());
    }
    Ok(ExitCode::SUCCESS)
}

/// How to go on after a signal.
fn tell_stopped(report: &TrainReport, args: &TrainArgs) {
    let out = args.out.display();
    let (step, total) = (report.steps, report.total_steps);
    if !RunFiles::new(&args.out).checkpoint().exists() {
        log::warn!("{out}: stopped by a signal before the first step; train again");
    } else if step < total {
        log::warn!(
            "{out}: stopped by a signal at step {step} of {total}, saved; `flawforge train --out {out} --resume` goes on"
        );
    } else {
        log::warn!(
            "{out}: stopped by a signal while thresholds were sought, what was learnt is saved; \
             `flawforge train --out {out} --resume` goes on"
        );
    }
}

/// How the GPU was used, where there is one.
fn tell_of_the_gpu(report: &TrainReport, experiment: &Experiment, images: usize) {
    if let Some(busy) = report.busy.filter(|_| gpu_available()) {
        log::info!("the GPU was busy {:.1} % of the time", 100.0 * busy);
    }
    let finished_now =
        report.steps == report.total_steps && report.resumed_from < report.steps && !report.stopped;
    if !finished_now {
        return; // the estimate is of all that a training does
    }
    if let (Some(peak), Ok(expected)) = (report.device_memory, gpu_memory(experiment, images)) {
        let peak = in_words(peak);
        log::info!("tensors took at most {peak} of the GPU's memory; {expected} were expected");
    }
}

fn tell(report: &TrainReport, rule: Rule, args: &TrainArgs, category: &CategoryArgs) -> Result<()> {
    let out = args.out.display();
    let steps = counted(report.steps as usize, "step");
    if report.resumed_from == report.total_steps {
        log::info!("{out}: finished before, with {steps}; nothing was trained now");
    } else {
        let more = match report.resumed_from {
            0 => String::new(),
            from => format!(", {} of them now", report.steps.saturating_sub(from)),
        };
        log::info!(
            "{out}: {steps}{more} in {:.0} s of training",
            report.train_seconds
        );
    }
    if report.steps < report.total_steps || report.stopped {
        return Ok(());
    }
    let Some(calibrated) = &report.calibrated else {
        log::warn!("the run has no scores of normal images, so it gives no verdicts");
        return Ok(());
    };
    let decision = calibrated.decide(&rule)?;
    for warning in &decision.warnings {
        log::warn!("{warning}");
    }
    log::info!("{}", said(&decision));
    let picture = RunFiles::new(&args.out).unusual();
    let shown_by = match picture.exists() {
        true => format!("{} shows them", picture.display()),
        false => format!("`flawforge report {out}` shows them"),
    };
    log::info!(
        "normal images least like the others: {}; {shown_by}; if one is defective, the threshold is too high: take it out and train again",
        odd(calibrated.normal(), &category.normal_files())
    );
    Ok(())
}

/// The view asked for, of the images of a category.
fn seen(asked: AskedView, category: &CategoryArgs) -> Result<View> {
    let sizes = match asked {
        AskedView::Fit => category.file_sizes()?,
        _ => Vec::new(),
    };
    asked
        .of(&sizes)
        .context("no normal images whose aspect ratio could be kept")
}
