//! A frozen network within a recipe.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_augment::Stream;
use flawforge_models::patchcore::FeatureExtractor;

use super::network::{extractor, random};
use super::{Backbone, BackboneWeights, Given, how_to_get};
use crate::error::{Result, TrainingError};
use crate::recipe::below;

/// The name before those of its tensors in a checkpoint.
const PREFIX: &str = "backbone";

/// Which network a recipe wants.
pub(crate) struct Wanted<'a> {
    /// The group of settings that it stands in, for messages.
    pub(crate) group: &'static str,
    pub(crate) backbone: Backbone,
    pub(crate) weights: BackboneWeights,
    pub(crate) digest: &'a str,
    pub(crate) given: &'a Given,
    /// Strides of the maps, ascending.
    pub(crate) strides: &'a [usize],
}

/// A network that is not learnt, with its weights, which are saved with the run, so that it can detect by itself.
pub(crate) struct Frozen {
    group: &'static str,
    backbone: Backbone,
    kind: BackboneWeights,
    digest: String,
    given: Given,
    strides: Vec<usize>,
    device: Device,
    weights: HashMap<String, Tensor>,
    network: Arc<dyn FeatureExtractor>,
}

impl Frozen {
    /// The network with the random weights of a seed, until others are given or restored.
    ///
    /// # Errors
    /// A failed allocation.
    pub(crate) fn new(wanted: &Wanted<'_>, seed: u64, device: &Device) -> Result<Self> {
        let weights = random(wanted.backbone, &mut Stream::of_run(seed).rng("backbone"))?;
        Ok(Self {
            network: extractor(wanted.backbone, &weights, wanted.strides, device)?,
            group: wanted.group,
            backbone: wanted.backbone,
            kind: wanted.weights,
            digest: wanted.digest.to_owned(),
            given: wanted.given.clone(),
            strides: wanted.strides.to_vec(),
            device: device.clone(),
            weights,
        })
    }

    /// The network.
    pub(crate) fn network(&self) -> &Arc<dyn FeatureExtractor> {
        &self.network
    }

    /// Takes the weights that were given, if the settings ask for them, at the beginning of a run.
    ///
    /// # Errors
    /// Weights that are asked for and were not given, or others than the settings say.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let fault = |setting: &str, fault| TrainingError::setting(format!("{}.{setting}", self.group), fault);
        match (self.kind, &self.given.0) {
            (BackboneWeights::Random, _) => Ok(()),
            (_, Some(given)) if given.digest == self.digest => self.take(given.tensors.clone()),
            (_, Some(given)) => Err(fault(
                "digest",
                format!(
                    "is {:?}, the weights that were given have {:?}",
                    self.digest, given.digest
                ),
            )),
            (_, None) => Err(fault(
                "weights",
                format!(
                    "no weights of {} were given: {}, or choose --backbone-init random",
                    self.backbone.name(),
                    how_to_get(self.backbone)
                ),
            )),
        }
    }

    fn take(&mut self, weights: HashMap<String, Tensor>) -> Result<()> {
        self.network = extractor(self.backbone, &weights, &self.strides, &self.device)?;
        self.weights = weights;
        Ok(())
    }

    /// Its weights as a part of a checkpoint.
    pub(crate) fn state(&self) -> Vec<(String, Tensor)> {
        let named = |(name, tensor): (&String, &Tensor)| (format!("{PREFIX}.{name}"), tensor.clone());
        let mut state: Vec<(String, Tensor)> = self.weights.iter().map(named).collect();
        state.sort_by(|a, b| a.0.cmp(&b.0));
        state
    }

    /// Takes the weights of a checkpoint.
    ///
    /// # Errors
    /// Tensors that are missing or of another network.
    pub(crate) fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.take(below(PREFIX, state))
    }
}
