//! Our side of `cargo xtask compare torch`, in a process of its own.

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use flawforge::models::{Detector, Discriminative, Draem, Reconstructive};
use flawforge::ops::{
    Adam, AdamSettings, FocalSettings, Mode, Precision, SsimRange, Tape, concat, focal_loss, mse_loss,
    softmax, ssim_loss,
};
use image::RgbImage;
use std::collections::HashMap;
use std::path::Path;

use super::serve::{Work, serve};

/// Every how many numbers of the maps are compared.
const EVERY: usize = 97;

/// Serves one work, convolutions multiplying in a precision, until its input ends.
///
/// # Errors
/// When a file cannot be read, or the work fails.
pub(super) fn work(
    kind: &str,
    precision: Precision,
    device: &str,
    weights: &Path,
    inputs: &Path,
) -> Result<()> {
    let _scope = precision.scope();
    let device = match device {
        "cpu" => Device::Cpu,
        #[cfg(feature = "cuda")]
        "cuda" => flawforge::ops::cuda::device(0)?,
        other => bail!("this build has no device {other:?}"),
    };
    let read = |path: &Path| {
        candle_core::safetensors::load(path, &device)
            .with_context(|| format!("{}: cannot be read", path.display()))
    };
    let mut inputs = read(inputs)?;
    let mut take = |name: &str| inputs.remove(name).with_context(|| format!("no tensor {name}"));
    let weights = read(weights)?;
    let r = Reconstructive::from_tensors(&below("r.", &weights), &device)?;
    let s = Discriminative::from_tensors(&below("s.", &weights), &device)?;
    drop(weights);
    match kind {
        "step" => {
            let mut trained = r.parameters().trainable();
            trained.extend(s.parameters().trainable());
            serve(&mut Step {
                adam: Adam::new(trained, AdamSettings::default())?,
                r,
                s,
                normal: take("normal")?,
                image: take("image")?,
                mask: take("mask")?,
                checked_steps: take("checked_steps")?.to_vec1::<u32>()?[0],
                steps: take("steps")?.to_vec1::<u32>()?[0],
            })
        }
        "inference" => {
            let bytes = take("bytes")?;
            let (n, height, width, _) = bytes.dims4()?;
            let raw = bytes.flatten_all()?.to_vec1::<u8>()?;
            let images = raw
                .chunks_exact(raw.len() / n)
                .map(|image| RgbImage::from_raw(width as u32, height as u32, image.to_vec()))
                .collect::<Option<_>>()
                .context("images of another size")?;
            let detector = Draem::new(&r, &s, width as u32, height as u32)?;
            drop((r, s));
            serve(&mut Inference { detector, images })
        }
        other => bail!("unknown work {other:?}"),
    }
}

fn below(prefix: &str, tensors: &HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())))
        .collect()
}

/// DRAEM's training step.
struct Step {
    r: Reconstructive,
    s: Discriminative,
    adam: Adam,
    normal: Tensor,
    image: Tensor,
    mask: Tensor,
    checked_steps: u32,
    steps: u32,
}

impl Step {
    fn step(&mut self) -> Result<[Tensor; 3]> {
        let tape = Tape::record();
        let reconstruction = self.r.forward(&self.image, Mode::Train)?;
        let logits = self
            .s
            .forward(&concat(&reconstruction, &self.image)?, Mode::Train)?;
        let losses = [
            mse_loss(&reconstruction, &self.normal)?,
            ssim_loss(&reconstruction, &self.normal, SsimRange::Unit)?,
            focal_loss(&softmax(&logits)?, &self.mask, FocalSettings::default())?,
        ];
        drop((reconstruction, logits));
        let [l2, ssim, focal] = &losses;
        let gradients = tape.backward(&[(l2, 1.0), (ssim, 1.0), (focal, 1.0)])?;
        self.adam.step(&gradients, 1e-4)?;
        Ok(losses)
    }
}

/// Waits for the device, too.
fn values(losses: &[Tensor; 3]) -> Result<Vec<f64>> {
    losses
        .iter()
        .map(|loss| Ok(f64::from(loss.to_scalar::<f32>()?)))
        .collect()
}

impl Work for Step {
    fn check(&mut self) -> Result<Vec<f64>> {
        let mut losses = Vec::new();
        for _ in 0..self.checked_steps {
            losses.extend(values(&self.step()?)?);
        }
        Ok(losses)
    }

    fn run(&mut self) -> Result<()> {
        for _ in 1..self.steps {
            self.step()?;
        }
        let losses = self.step()?;
        values(&losses)?;
        self.image.device().synchronize()?;
        Ok(())
    }
}

/// The detector on a batch of images.
struct Inference {
    detector: Draem,
    images: Vec<RgbImage>,
}

impl Work for Inference {
    fn check(&mut self) -> Result<Vec<f64>> {
        let images: Vec<&RgbImage> = self.images.iter().collect();
        let detections = self.detector.detect(&images)?;
        let scores = detections.iter().map(|detection| detection.score);
        let maps = detections.iter().flat_map(|detection| &detection.map.scores);
        // Networks that have learnt nothing say about 1/2 everywhere; log-odds show what they differ by.
        let log_odds = |p: f32| (f64::from(p) / (1.0 - f64::from(p))).ln();
        Ok(scores.chain(maps.copied().step_by(EVERY)).map(log_odds).collect())
    }

    fn run(&mut self) -> Result<()> {
        let images: Vec<&RgbImage> = self.images.iter().collect();
        std::hint::black_box(self.detector.detect(&images)?);
        Ok(())
    }
}
