//! Which weights the networks of PatchCore and forge get in a sweep, settled once before anything is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use flawforge::training::methods::patchcore::backbone::{BackboneSource, Weights, how_to_get};
use flawforge::training::methods::patchcore::{Backbone, BackboneWeights};
use flawforge::training::{Experiment, Method, Profile};
use flawforge::weights;

/// Options on the networks of PatchCore and forge.
#[derive(Args, Debug, Clone, Default)]
pub struct BackboneArgs {
    /// Weights of the network of patchcore or forge, safetensors or .pth [default: the downloaded ones, else random]
    #[arg(long, value_name = "FILE")]
    pub backbone: Option<PathBuf>,
    /// Backbone without pretrained weights: random, or a small network trained on the classes of --textures
    #[arg(long, value_name = "HOW", value_parser = ["random", "textures"])]
    pub backbone_init: Option<String>,
}

/// The backbones of a sweep.
#[derive(Debug, Clone)]
pub struct SweepBackbone {
    weights: Vec<Arc<Weights>>,
}

impl SweepBackbone {
    /// Finds, reads or trains the weights of every network that the methods take features of, and says which they are; `None` where
    /// there is no such method.
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
        let of_method = |method: &Method| match method {
            Method::PatchCore => Some((*method, profile.patchcore.backbone)),
            Method::Forge => Some((*method, profile.forge.backbone)),
            _ => None,
        };
        let networks: Vec<(Method, Backbone)> = methods.iter().filter_map(of_method).collect();
        if networks.is_empty() {
            return Ok(None);
        }
        let mut all: Vec<Arc<Weights>> = Vec::new();
        for (method, network) in networks {
            if all.iter().any(|weights| weights.backbone == network) {
                continue;
            }
            let here = downloads
                .join(format!("{}.safetensors", network.name()))
                .is_file();
            let user = weights::folder().filter(|_| !here);
            let source = BackboneSource::resolve(
                args.backbone.as_deref(),
                args.backbone_init.as_deref(),
                textures,
                Some(user.as_deref().unwrap_or(downloads)),
                network,
            )?;
            if source == BackboneSource::Random {
                eprintln!(
                    "{method} runs with random weights ({}), which know nothing of images: {}",
                    network.name(),
                    how_to_get(network)
                );
            }
            all.extend(source.weights(network, &out.join("backbones"))?.map(Arc::new));
        }
        Ok(Some(Self { weights: all }))
    }

    /// Gives an experiment the weights of its network.
    pub fn apply(&self, experiment: &mut Experiment) {
        let network = experiment.settings.backbone();
        // Weights that were trained here are of another network than the profile's, and the only ones.
        let found = self
            .weights
            .iter()
            .find(|weights| Some(weights.backbone) == network || weights.kind == BackboneWeights::Textures);
        if let (Some(weights), Some(_)) = (found, network) {
            experiment.settings.give(weights.clone());
        }
    }
}
