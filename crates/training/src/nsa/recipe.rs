//! The recipe of NSA: one network, trained on soft labels.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::{LabelKind, Stream};
use flawforge_models::{
    CenterCrop, Detector, NsaDetector, NsaNetwork, imagenet_normalized, images_to_tensor,
};
use flawforge_ops::{Adam, AdamSettings, Mode, Tape, bce_loss, mse_loss};
use image::Rgb32FImage;

use super::{Preparation, label_kind};
use crate::assembly::Subject;
use crate::batch::Batch;
use crate::config::Config;
use crate::error::{Result, TrainingError};
use crate::recipe::{Losses, Recipe};
use crate::two_networks::below;

const NETWORK: &str = "network";
const OPTIMISER: &str = "adam";

/// The network and its optimiser.
pub struct NsaRecipe {
    network: NsaNetwork,
    adam: Adam,
    label: LabelKind,
    crop: CenterCrop,
    device: Device,
}

impl NsaRecipe {
    /// A network with the initial weights of the settings' seed.
    ///
    /// # Errors
    /// Settings of another method, or a failed allocation.
    pub fn new(config: &Config, subject: Subject<'_>, device: &Device) -> Result<Self> {
        let Some(nsa) = &config.nsa else {
            return Err(TrainingError::setting("nsa", "is missing, but the method is NSA"));
        };
        let stream = Stream {
            seed: config.seed,
            epoch: 0,
            index: 0,
        };
        let network = NsaNetwork::new(nsa.width, &mut stream.rng("weights nsa"), device)?;
        let settings = AdamSettings {
            lr: config.schedule.learning_rate,
            beta1: config.adam.beta1,
            beta2: config.adam.beta2,
            eps: config.adam.epsilon,
        };
        Ok(Self {
            adam: Adam::new(network.parameters().trainable(), settings)?,
            network,
            label: label_kind(config),
            crop: Preparation::of(subject).crop(config.image_size),
            device: device.clone(),
        })
    }

    fn tensors(&self, batch: &Batch) -> Result<(Tensor, Tensor)> {
        let [part] = batch.parts.as_slice() else {
            return Err(TrainingError::Batches(format!(
                "{} parts came",
                batch.parts.len()
            )));
        };
        let images: Vec<&Rgb32FImage> = part.samples.iter().map(|sample| &sample.image).collect();
        let images = imagenet_normalized(&images_to_tensor(&images, &self.device)?)?;
        let (n, h, w, _) = images.dims4().map_err(TrainingError::from)?;
        // Levels become shares; the other labels are shares already.
        let scale = if self.label == LabelKind::Continuous {
            1.0 / 255.0
        } else {
            1.0
        };
        let labels: Vec<f32> = part.labels.iter().flatten().map(|label| label * scale).collect();
        Ok((images, Tensor::from_vec(labels, (n, h, w, 1), &self.device)?))
    }
}

impl Recipe for NsaRecipe {
    fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<Losses> {
        let (images, labels) = self.tensors(batch)?;
        let tape = Tape::record();
        let map = self.network.forward(&images, Mode::Train)?;
        let (name, loss) = match self.label {
            LabelKind::Continuous => ("mse", mse_loss(&map, &labels)?),
            _ => ("bce", bce_loss(&map, &labels)?),
        };
        let gradients = tape.backward(&[(&loss, 1.0)])?;
        let value = loss.to_scalar::<f32>()?;
        if value.is_finite() {
            self.adam.step(&gradients, learning_rate)?;
        }
        Ok(vec![(name, value)])
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for (prefix, tensors) in [
            (NETWORK, self.network.parameters().tensors()?),
            (OPTIMISER, self.adam.state()?),
        ] {
            let named = tensors.into_iter();
            state.extend(named.map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
        }
        Ok(state)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        self.restore_weights(state)?;
        self.adam.restore(&below(OPTIMISER, state), steps)?;
        Ok(())
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        Ok(self.network.parameters().load(&below(NETWORK, state))?)
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        Ok(Box::new(NsaDetector::new(&self.network, self.crop)?))
    }

    fn batch_detector(&self) -> Result<Box<dyn Detector>> {
        let (width, height) = self.crop.crop;
        let whole = CenterCrop::whole(width, height);
        Ok(Box::new(NsaDetector::new(&self.network, whole)?))
    }
}
