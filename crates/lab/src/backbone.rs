//! Which weights the networks of PatchCore and forge get in a sweep, settled once before anything is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use flawforge::training::methods::backbone::{Backbone, BackboneSource, Weights, how_to_get};
use flawforge::training::{Experiment, Method, Profile};
use flawforge::weights;
use serde::{Deserialize, Serialize};

/// Options on the networks of PatchCore and forge.
#[derive(Args, Debug, Clone, Default, Serialize, Deserialize)]
pub struct BackboneArgs {
    /// Weights of the network of patchcore or forge, safetensors or .pth [default: the downloaded ones, else random]
    #[arg(long, value_name = "FILE")]
    pub backbone: Option<PathBuf>,
    /// Backbone without pretrained weights: random, or a small network trained on the classes of --textures
    #[arg(long, value_name = "HOW", value_parser = ["random", "textures"])]
    pub backbone_init: Option<String>,
}

/// The file of a network's weights, where they were downloaded: by this project, or by the person for all programs.
pub fn file(network: Backbone, downloads: &Path) -> Option<PathBuf> {
    let here = downloads.join(format!("{}.safetensors", network.name()));
    match here.is_file() {
        true => Some(here),
        false => weights::find(network.name()),
    }
}

/// The backbones of a sweep, by method.
#[derive(Debug, Clone)]
pub struct SweepBackbone {
    weights: Vec<(Method, Arc<Weights>)>,
}

impl SweepBackbone {
    /// Finds, reads or trains the weights of every network that the methods take features of, and says which they are; `None` where
    /// there is no such method. The options are about PatchCore where it is among the methods, else about forge.
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
        let networks = [
            (Method::PatchCore, profile.patchcore.backbone),
            (Method::Forge, profile.forge.backbone),
        ];
        let mut args = Some(args);
        let mut all = Vec::new();
        for (method, network) in networks {
            if !methods.contains(&method) {
                continue;
            }
            let args = args.take().cloned().unwrap_or_default();
            let found = file(network, downloads);
            let source = BackboneSource::resolve(
                args.backbone.as_deref(),
                args.backbone_init.as_deref(),
                textures,
                found.as_deref().and_then(Path::parent),
                network,
            )?;
            if source == BackboneSource::Random {
                eprintln!(
                    "{method} runs with random weights ({}), which know nothing of images: {}",
                    network.name(),
                    how_to_get(network)
                );
            }
            let weights = source.weights(network, &out.join("backbones"))?;
            all.push((method, weights.map(Arc::new)));
        }
        if all.is_empty() {
            return Ok(None);
        }
        let given = all
            .into_iter()
            .filter_map(|(method, weights)| Some((method, weights?)));
        Ok(Some(Self {
            weights: given.collect(),
        }))
    }

    /// Gives an experiment the weights of its network.
    pub fn apply(&self, experiment: &mut Experiment) {
        let of_method = |(method, _): &&(Method, Arc<Weights>)| *method == experiment.method;
        if let Some((_, weights)) = self.weights.iter().find(of_method) {
            experiment.settings.give(weights.clone());
        }
    }
}
