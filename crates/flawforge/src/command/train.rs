//! `flawforge train`: a run on the normal images of a category.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use flawforge::ops::Precision;
use flawforge::training::backbone::{BackboneSource, Weights};
use flawforge::training::{
    Config, Length, Method, Profile, RunFiles, Subject, TrainOptions, TrainReport, loading_for, train,
};

use super::source::{AnomalyArgs, CategoryArgs};

/// Share of the normal images that `train` keeps for the threshold of verdicts.
const HELD_OUT: f64 = 0.1;

/// Options of `train`.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    category: CategoryArgs,
    /// Directory of the run
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Method: draem, lin-yan, nsa, or an ablation: draem-no-rotation, draem-our-simulation, split-draem-simulation [default: lin-yan]
    #[arg(long)]
    method: Option<Method>,
    /// Budget: smoke, demo, quick or paper [default: quick]
    #[arg(long)]
    profile: Option<String>,
    /// Settings file (TOML) whose values replace those of method and profile
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    anomalies: AnomalyArgs,
    /// Weights of PatchCore's network: safetensors or PyTorch's .pth [default: random ones]
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,
    /// Instead of trained weights: random ones, or a small network trained here on the classes of --textures
    #[arg(long, value_name = "HOW", value_parser = ["random", "textures"])]
    backbone_init: Option<String>,
    /// Seed of the weights, the draw of images and the simulation [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Steps, instead of the profile's length
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Share of the normal images held out to find the threshold of verdicts, 0 to 0.5 [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    held_out: Option<f64>,
    /// What convolutions multiply with: f32, tf32 (on a GPU; f32 elsewhere) or bf16 [default: tf32]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    /// Continue the run in RUN from its last checkpoint, with its own settings where none are given
    #[arg(long)]
    resume: bool,
}

impl TrainArgs {
    fn settings(&self) -> Result<Config> {
        let files = RunFiles::new(&self.out);
        let unsaid = self.method.is_none() && self.profile.is_none() && self.config.is_none();
        let mut config = if self.resume && unsaid && files.config().is_file() {
            let path = files.config();
            let text = std::fs::read_to_string(&path)
                .map_err(|fault| anyhow::anyhow!("{}: {fault}", path.display()))?;
            Config::from_toml(&text, &path.display().to_string())?
        } else {
            let profile = Profile::builtin(self.profile.as_deref().unwrap_or("quick"))?;
            let mut config = Config::for_method(self.method.unwrap_or(Method::LinYan), &profile, 0);
            config.calibration.held_out = HELD_OUT;
            match &self.config {
                Some(path) => config.with_file(path)?,
                None => config,
            }
        };
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        if let Some(steps) = self.steps {
            config.schedule.length = Length::Steps(steps);
        }
        if let Some(share) = self.held_out {
            config.calibration.held_out = share;
        }
        if let Some(precision) = self.precision {
            config.precision = precision;
        }
        config.validate()?;
        Ok(config)
    }

    /// The weights of PatchCore's network, where one is to be trained, with the settings saying which they are.
    fn give_backbone(&self, config: &mut Config) -> Result<Option<Arc<Weights>>> {
        let asked = self.backbone.is_some() || self.backbone_init.is_some();
        let Some(patchcore) = &config.patchcore else {
            if asked {
                anyhow::bail!("--backbone and --backbone-init are for the method patchcore");
            }
            return Ok(None);
        };
        if self.resume && !asked {
            // The run's settings and its checkpoint have them.
            return Ok(None);
        }
        let network = patchcore.backbone;
        let source = BackboneSource::resolve(
            self.backbone.as_deref(),
            self.backbone_init.as_deref(),
            self.anomalies.texture_folder(),
            None,
            network,
        )?;
        if source == BackboneSource::Random {
            log::warn!(
                "PatchCore with random weights, no knowledge of images; for the published method give those of {} with --backbone",
                network.name()
            );
        }
        let weights = source.weights(network, &self.out)?;
        if let Some(weights) = &weights {
            weights.apply(config);
        }
        Ok(weights.map(Arc::new))
    }
}

/// Runs the command.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let mut config = args.settings()?;
    let backbone = args.give_backbone(&mut config)?;
    let name = args.category.name()?;
    let selection = args.anomalies.selection(&args.category)?;
    let subject = Subject {
        category: &name,
        selection: &selection,
    };
    let category = args.category.load(&loading_for(&config, subject))?;
    let textures = args.anomalies.textures(config.image_size)?;
    log::info!(
        "{} on {}: {} normal images, {} steps at {} px, settings {}",
        config.method,
        category.name,
        category.train.len(),
        config.steps(category.train.len()),
        config.image_size,
        &config.hash()[..12],
    );
    let options = TrainOptions {
        resume: args.resume,
        backbone,
        ..TrainOptions::default()
    };
    let report = train(&config, &category, textures, &selection, &args.out, &options)?;
    tell(&report, args);
    Ok(())
}

fn tell(report: &TrainReport, args: &TrainArgs) {
    if report.resumed_from > 0 {
        log::info!("resumed after step {}", report.resumed_from);
    }
    log::info!(
        "{}: {} steps in {:.0} s of training",
        args.out.display(),
        report.steps,
        report.train_seconds
    );
    if let Some(busy) = report.busy {
        log::info!("the device was at work {:.1} % of the time", 100.0 * busy);
    }
    if let Some(threshold) = &report.threshold {
        log::info!(
            "threshold of verdicts {:.4}: F1 {:.3} on {} {} images and {} simulated anomalies",
            threshold.score,
            threshold.f1,
            threshold.normal,
            if threshold.held_out {
                "held-out"
            } else {
                "training"
            },
            threshold.simulated,
        );
    }
}
