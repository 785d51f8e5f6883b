//! Which weights PatchCore's network gets in a sweep, settled once before anything is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use flawforge::training::methods::patchcore::backbone::{BackboneSource, Weights};
use flawforge::training::{Experiment, Method, Profile};

/// Options on the backbone of PatchCore.
#[derive(Args, Debug, Clone, Default)]
pub struct BackboneArgs {
    /// Weights of PatchCore's backbone, safetensors or .pth [default: the downloaded ones, else random]
    #[arg(long, value_name = "FILE")]
    pub backbone: Option<PathBuf>,
    /// Backbone without pretrained weights: random, or a small network trained on the classes of --textures
    #[arg(long, value_name = "HOW", value_parser = ["random", "textures"])]
    pub backbone_init: Option<String>,
}

/// The backbone of a sweep.
#[derive(Debug, Clone)]
pub struct SweepBackbone {
    weights: Option<Arc<Weights>>,
}

impl SweepBackbone {
    /// Finds, reads or trains the weights when PatchCore is among the methods, and says which they are; `None` otherwise.
    ///
    /// # Errors
    /// Options that contradict each other, files that cannot be read or are of another network.
    pub fn settle(
        args: &BackboneArgs,
        methods: &[Method],
        profile: &Profile,
        textures: Option<&Path>,
        downloads: &Path,
        out: &Path,
    ) -> Result<Option<Self>> {
        if !methods.contains(&Method::PatchCore) {
            return Ok(None);
        }
        let network = profile.patchcore.backbone;
        let source = BackboneSource::resolve(
            args.backbone.as_deref(),
            args.backbone_init.as_deref(),
            textures,
            Some(downloads),
            network,
        )?;
        if source == BackboneSource::Random {
            eprintln!(
                "PatchCore runs with random weights ({0}), which is not the published method. Get the weights with \
                 `cargo xtask download {0}`, or name them with --backbone FILE",
                network.name()
            );
        }
        let weights = source.weights(network, &out.join("backbones"))?.map(Arc::new);
        Ok(Some(Self { weights }))
    }

    /// Gives an experiment of PatchCore the weights.
    pub fn apply(&self, experiment: &mut Experiment) {
        if let (Some(weights), Some(settings)) = (&self.weights, experiment.settings.patchcore_mut()) {
            settings.give(weights.clone());
        }
    }
}
