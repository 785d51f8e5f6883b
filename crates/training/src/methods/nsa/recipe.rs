//! The recipe of NSA: one network, trained on soft labels.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::{LabelKind, Stream};
use flawforge_models::{
    CenterCrop, Detector, NsaDetector, NsaNetwork, imagenet_normalized, images_to_tensor,
};
use flawforge_ops::{Adam, Mode, Tape, bce_loss, mse_loss, upload};
use image::Rgb32FImage;

use super::Settings;
use super::preparation::crop;
use crate::error::{Result, TrainingError};
use crate::methods::Frame;
use crate::recipe::{Batch, Losses, Recipe, below, prefixed};
use crate::windowing::{Windowing, over};

const NETWORK: &str = "network";
const OPTIMIZER: &str = "adam";

/// The network and its optimizer.
pub struct NsaRecipe {
    network: NsaNetwork,
    adam: Adam,
    label: LabelKind,
    crop: CenterCrop,
    windowing: Option<Windowing>,
    device: Device,
    /// Losses on a GPU that nobody has read yet, a step each.
    unread: Vec<(&'static str, Tensor)>,
}

impl NsaRecipe {
    /// A network with the initial weights of the experiment's seed, for its images.
    ///
    /// # Errors
    /// A failed allocation.
    pub(crate) fn new(settings: &Settings, frame: &Frame<'_>, device: &Device) -> Result<Self> {
        let mut random = Stream::of_run(frame.seed).rng("weights nsa");
        let network = NsaNetwork::new(settings.nsa.width, &mut random, device)?;
        let optimizer = settings.adam.at(settings.schedule.learning_rate);
        Ok(Self {
            adam: Adam::new(network.parameters().trainable(), optimizer)?,
            network,
            label: settings.nsa.label,
            crop: crop(settings.nsa.constants.preparation, frame.image_size),
            windowing: frame.windowing,
            device: device.clone(),
            unread: Vec::new(),
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
        Ok((images, upload(labels, (n, h, w, 1), &self.device)?))
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
        if !self.device.is_cpu() {
            // To read a loss is to wait for the device. The moment of truth comes when the loop asks.
            self.adam.step(&gradients, learning_rate)?;
            self.unread.push((name, loss));
            return Ok(Losses::new());
        }
        let value = loss.to_scalar::<f32>()?;
        if value.is_finite() {
            self.adam.step(&gradients, learning_rate)?;
        }
        Ok(vec![(name, value)])
    }

    fn pending_losses(&mut self) -> Result<Vec<Losses>> {
        let unread = std::mem::take(&mut self.unread);
        let read = |(name, loss): (&'static str, Tensor)| Ok(vec![(name, loss.to_scalar::<f32>()?)]);
        unread.into_iter().map(read).collect()
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::new();
        for (prefix, tensors) in [
            (NETWORK, self.network.parameters().tensors()?),
            (OPTIMIZER, self.adam.state()?),
        ] {
            state.extend(prefixed(prefix, tensors));
        }
        Ok(state)
    }

    /// Without moments.
    fn weights(&self) -> Result<Option<Vec<(String, Tensor)>>> {
        let weights = self.network.parameters().tensors()?;
        Ok(Some(prefixed(NETWORK, weights).collect()))
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        self.restore_weights(state)?;
        self.adam.restore(&below(OPTIMIZER, state), steps)?;
        Ok(())
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        Ok(self.network.parameters().load(&below(NETWORK, state))?)
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let detector = NsaDetector::new(&self.network, self.crop)?;
        Ok(over(self.windowing.as_ref(), Box::new(detector)))
    }

    fn batch_detector(&self) -> Result<Box<dyn Detector>> {
        let (width, height) = self.crop.crop;
        let whole = CenterCrop::whole(width, height);
        Ok(Box::new(NsaDetector::new(&self.network, whole)?))
    }
}
