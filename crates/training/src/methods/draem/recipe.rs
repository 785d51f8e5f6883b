//! The recipe of DRAEM and of Lin & Yan: a reconstructive and a discriminative network, trained jointly or split.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::Stream;
use flawforge_models::{Detector, Discriminative, Draem, Reconstructive, bytes_to_tensor, images_to_tensor};
use flawforge_ops::{
    Adam, FocalSettings, Gradients, Mode, Tape, concat, focal_loss, mse_loss, softmax, ssim_loss,
    truncated_l1_loss, upload,
};
use image::{Rgb32FImage, RgbImage};

use super::average::Averaged;
use super::settings::{NormMode, Settings, Split};
use crate::error::{Result, TrainingError};
use crate::recipe::{Batch, Losses, Part, Recipe, below, prefixed};
use crate::windowing::{Windowing, over};

const RECONSTRUCTIVE: &str = "reconstructive";
const DISCRIMINATIVE: &str = "discriminative";
const OPTIMIZER: &str = "adam";
const AVERAGE: &str = "average";

/// Both networks and their optimizer.
pub struct DraemRecipe {
    settings: Settings,
    /// Width and height in pixels of what the networks see.
    size: (u32, u32),
    windowing: Option<Windowing>,
    device: Device,
    reconstructive: Reconstructive,
    /// The same weights, without gradients.
    frozen: Reconstructive,
    discriminative: Discriminative,
    adam: Adam,
    average: Option<Averaged>,
    /// Losses of steps that a GPU may still be computing.
    unread: Vec<Vec<(&'static str, Tensor)>>,
}

impl DraemRecipe {
    /// Networks with the initial weights of a seed, for images of this width and height in pixels, multiples of 32.
    ///
    /// # Errors
    /// If a tensor cannot be allocated.
    pub fn new(settings: &Settings, seed: u64, size: (u32, u32), device: &Device) -> Result<Self> {
        let stream = Stream::of_run(seed);
        let reconstructive = Reconstructive::new(
            settings.networks.reconstructive_width,
            &mut stream.rng("weights reconstructive"),
            device,
        )?;
        let discriminative = Discriminative::new(
            settings.networks.discriminative_width,
            &mut stream.rng("weights discriminative"),
            device,
        )?;
        let mut variables = Vec::new();
        for (network, parameters) in [
            (RECONSTRUCTIVE, reconstructive.parameters()),
            (DISCRIMINATIVE, discriminative.parameters()),
        ] {
            for (name, variable) in parameters.trainable() {
                variables.push((format!("{network}.{name}"), variable));
            }
        }
        let adam = Adam::new(variables, settings.adam.at(settings.schedule.learning_rate))?;
        Ok(Self {
            settings: settings.clone(),
            size,
            windowing: None,
            device: device.clone(),
            frozen: reconstructive.frozen()?,
            reconstructive,
            discriminative,
            adam,
            average: settings.average.map(Averaged::new),
            unread: Vec::new(),
        })
    }

    /// The same, seeing images of any size in windows.
    #[must_use]
    pub fn in_windows(mut self, windowing: Option<Windowing>) -> Self {
        self.windowing = windowing;
        self
    }

    /// The weights of two networks by the names that a run's file has.
    pub(crate) fn named(
        reconstructive: &Reconstructive,
        discriminative: &Discriminative,
    ) -> Result<Vec<(String, Tensor)>> {
        let reconstructive = prefixed(RECONSTRUCTIVE, reconstructive.parameters().tensors()?);
        let discriminative = prefixed(DISCRIMINATIVE, discriminative.parameters().tensors()?);
        Ok(reconstructive.chain(discriminative).collect())
    }

    /// The detector with the present weights.
    fn draem(&self) -> Result<Draem> {
        let (reconstructive, discriminative) = self.detecting();
        let draem =
            Draem::new(reconstructive, discriminative, self.size.0, self.size.1)?.with_reconstructions();
        Ok(match self.settings.flips {
            Some(flips) => draem.with_flips(flips),
            None => draem,
        })
    }

    fn reconstruction_losses(&self, part: &Part) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
        let input = self.images(part)?;
        let normals: Vec<&RgbImage> = part.samples.iter().map(|sample| &sample.normal).collect();
        let target = bytes_to_tensor(&normals, &self.device)?;
        let reconstruction = self.reconstructive.forward(&input, Mode::Train)?;
        let ssim = ssim_loss(&reconstruction, &target, self.settings.loss.ssim_range)?;
        let l2 = mse_loss(&reconstruction, &target)?;
        Ok((input, reconstruction, ssim, l2))
    }

    /// The focal loss, and the truncated L1 loss where there is one; each with its name and weight.
    fn mask_losses(
        &self,
        part: &Part,
        input: &Tensor,
        reconstruction: &Tensor,
    ) -> Result<Vec<(&'static str, Tensor, f64)>> {
        let pair = concat(reconstruction, input)?;
        let logits = self.discriminative.forward(&pair, Mode::Train)?;
        let masks = self.masks(part)?;
        let loss = &self.settings.loss;
        let settings = FocalSettings {
            gamma: loss.focal_gamma,
            smooth: loss.focal_smooth,
        };
        let focal = focal_loss(&softmax(&logits)?, &masks, settings)?;
        let mut losses = vec![("focal", focal, loss.focal_weight)];
        if let Some(truncated) = &loss.truncated_l1 {
            let value = truncated_l1_loss(&logits, &masks, truncated.margin)?;
            losses.push(("truncated_l1", value, truncated.weight));
        }
        Ok(losses)
    }

    fn images(&self, part: &Part) -> Result<Tensor> {
        let images: Vec<&Rgb32FImage> = part.samples.iter().map(|sample| &sample.image).collect();
        Ok(images_to_tensor(&images, &self.device)?)
    }

    fn masks(&self, part: &Part) -> Result<Tensor> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let values: Vec<f32> = part
            .samples
            .iter()
            .flat_map(|sample| sample.mask.pixels().iter().map(|&set| f32::from(set)))
            .collect();
        Ok(upload(values, (part.samples.len(), height, width), &self.device)?)
    }

    /// `(reconstruction of Y, input Y)` of split training (method.md 3.5).
    fn reconstruct_y(&self, part: &Part, split: &Split) -> Result<(Tensor, Tensor)> {
        let input = self.images(part)?;
        let mode = match split.reconstruction_bn_on_y {
            NormMode::Eval => Mode::Eval,
            NormMode::Train => Mode::Train,
        };
        // The frozen view shares the weights and leaves no graph: the gradient ends there and the pass is cheaper.
        let network = if split.detach_focal {
            &self.frozen
        } else {
            &self.reconstructive
        };
        let reconstruction = network.forward(&input, mode)?;
        Ok((input, reconstruction))
    }
}

fn read(losses: &[(&'static str, Tensor)]) -> Result<Losses> {
    let value = |(name, loss): &(&'static str, Tensor)| Ok((*name, loss.to_scalar::<f32>()?));
    losses.iter().map(value).collect()
}

impl DraemRecipe {
    /// The networks that detect: the average, where there is one.
    fn detecting(&self) -> (&Reconstructive, &Discriminative) {
        match self.average.as_ref().and_then(Averaged::networks) {
            Some((reconstructive, discriminative)) => (reconstructive, discriminative),
            None => (&self.reconstructive, &self.discriminative),
        }
    }

    /// One step of the optimiser; the average follows.
    fn learn(&mut self, gradients: &Gradients, step: u64, learning_rate: f64) -> Result<()> {
        self.adam.step(gradients, learning_rate)?;
        if let Some(average) = &mut self.average {
            average.follow(step, &self.reconstructive, &self.discriminative)?;
        }
        Ok(())
    }
}

impl Recipe for DraemRecipe {
    fn expect(&mut self, steps: u64) {
        if let Some(average) = &mut self.average {
            average.expect(steps);
        }
    }

    fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<Losses> {
        // Joint training has one part, split training two; the plan made them.
        let (x, y) = match batch.parts.as_slice() {
            [both] => (both, both),
            [x, y] => (x, y),
            parts => return Err(TrainingError::Batches(format!("{} parts came", parts.len()))),
        };
        let tape = Tape::record();
        let (input, reconstruction, ssim, l2) = self.reconstruction_losses(x)?;
        let weights = &self.settings.loss;
        let mut losses = vec![("ssim", ssim, weights.ssim_weight), ("l2", l2, weights.l2_weight)];
        losses.extend(if let Some(split) = &self.settings.split {
            let (input, reconstruction) = self.reconstruct_y(y, split)?;
            self.mask_losses(y, &input, &reconstruction)?
        } else {
            self.mask_losses(y, &input, &reconstruction)?
        });
        let weighted: Vec<(&Tensor, f64)> = losses.iter().map(|(_, loss, weight)| (loss, *weight)).collect();
        let grads = tape.backward(&weighted)?;
        let losses: Vec<(&'static str, Tensor)> =
            losses.into_iter().map(|(name, loss, _)| (name, loss)).collect();
        if !self.device.is_cpu() {
            // To read a loss is to wait for the device. The moment of truth comes when the loop asks.
            self.learn(&grads, batch.step, learning_rate)?;
            self.unread.push(losses);
            return Ok(Losses::new());
        }
        let losses = read(&losses)?;
        if losses.iter().all(|(_, value)| value.is_finite()) {
            self.learn(&grads, batch.step, learning_rate)?;
        }
        Ok(losses)
    }

    fn pending_losses(&mut self) -> Result<Vec<Losses>> {
        let unread = std::mem::take(&mut self.unread);
        unread.iter().map(|losses| read(losses)).collect()
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let average = self.average.as_ref().map(Averaged::state).transpose()?;
        let mut state = Vec::new();
        for (prefix, tensors) in [
            (RECONSTRUCTIVE, self.reconstructive.parameters().tensors()?),
            (DISCRIMINATIVE, self.discriminative.parameters().tensors()?),
            (OPTIMIZER, self.adam.state()?),
            (AVERAGE, average.unwrap_or_default()),
        ] {
            state.extend(prefixed(prefix, tensors));
        }
        Ok(state)
    }

    /// Without moments, and where weights are averaged the average alone.
    fn weights(&self) -> Result<Option<Vec<(String, Tensor)>>> {
        let (reconstructive, discriminative) = self.detecting();
        Self::named(reconstructive, discriminative).map(Some)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        self.restore_weights(state)?;
        self.adam.restore(&below(OPTIMIZER, state), steps)?;
        Ok(())
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.reconstructive
            .parameters()
            .load(&below(RECONSTRUCTIVE, state))?;
        self.discriminative
            .parameters()
            .load(&below(DISCRIMINATIVE, state))?;
        if let Some(average) = &mut self.average {
            average.restore(&below(AVERAGE, state), &self.device)?;
        }
        Ok(())
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        Ok(over(self.windowing.as_ref(), self.batch_detector()?))
    }

    fn batch_detector(&self) -> Result<Box<dyn Detector>> {
        Ok(Box::new(self.draem()?))
    }

    fn telling(&self) -> Result<Box<dyn Detector>> {
        let (reconstructive, discriminative) = self.detecting();
        let detector = self.draem()?.telling(reconstructive, discriminative);
        Ok(over(self.windowing.as_ref(), Box::new(detector)))
    }
}
