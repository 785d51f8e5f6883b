//! A backbone without outside weights: a small network that learns to tell the textures of a folder apart.
//!
//! It stands in for weights trained on a million photographs where none are at hand, and is honest about what it is: a few
//! hundred pictures in a few classes, a few minutes of training.

use std::path::Path;

use candle_core::Device;
use flawforge_datasets::{Limits, load_texture_classes};
use flawforge_masks::Stream;
use flawforge_models::patchcore::COARSE;
use flawforge_models::{Classifier, bytes_to_tensor, cross_entropy, imagenet_normalized};
use flawforge_ops::{Adam, AdamSettings, Mode};
use image::{RgbImage, imageops};
use rand::Rng;
use sha2::{Digest, Sha256};

use super::{Backbone, BackboneWeights, Weights};
use crate::error::{Result, TrainingError};

/// Settings of the training (all of them proposals).
#[derive(Debug, Clone, PartialEq)]
pub struct TextureTraining {
    /// The network that is trained; fixed.
    pub backbone: Backbone,
    /// Side to which textures are brought, in pixels.
    pub side: u32,
    /// Side of the random part of a texture that a step sees.
    pub crop: u32,
    /// Images a step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// Learning rate of Adam, which falls to a tenth over the last third.
    pub learning_rate: f64,
    /// Seed of the weights and the draws.
    pub seed: u64,
}

impl Default for TextureTraining {
    fn default() -> Self {
        Self {
            backbone: Backbone::ResNet18,
            side: 128,
            crop: 64,
            batch: 32,
            steps: 400,
            learning_rate: 1e-3,
            seed: 0,
        }
    }
}

impl TextureTraining {
    /// A short name for these settings on this folder, for the file that keeps the weights.
    pub fn name(&self, folder: &Path) -> String {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
        let text = format!("{self:?} {}", folder.display());
        hex::encode(&Sha256::digest(text)[..8])
    }

    fn rate(&self, step: u64) -> f64 {
        if 3 * step >= 2 * self.steps {
            0.1 * self.learning_rate
        } else {
            self.learning_rate
        }
    }

    /// A random part of a random texture of a random class, mirrored and turned by right angles; its class.
    fn draw(&self, classes: &[(String, Vec<RgbImage>)], rng: &mut impl Rng) -> (RgbImage, u32) {
        let class = rng.random_range(0..classes.len());
        let images = &classes[class].1;
        let image = &images[rng.random_range(0..images.len())];
        let room = self.side - self.crop;
        let (x, y) = (rng.random_range(0..=room), rng.random_range(0..=room));
        let mut part = imageops::crop_imm(image, x, y, self.crop, self.crop).to_image();
        if rng.random() {
            part = imageops::flip_horizontal(&part);
        }
        if rng.random() {
            part = imageops::rotate90(&part);
        }
        (part, class as u32)
    }
}

/// Trains a ResNet-18 up to its stage 3 on the classes of `folder`, one folder a class (as DTD has them). A function of the
/// images and the settings alone.
///
/// # Errors
/// Images that cannot be read, fewer than two classes, a training that fails.
pub fn train_on_textures(folder: &Path, settings: &TextureTraining) -> Result<Weights> {
    let classes = load_texture_classes(folder, settings.side, settings.side, &Limits::default())?;
    let device = Device::Cpu;
    let stream = |step| Stream {
        seed: settings.seed,
        step,
        index: 0,
    };
    let mut rng = stream(0).rng("texture network");
    let network = Classifier::new(COARSE, classes.len(), &mut rng, &device)?;
    let mut adam = Adam::new(network.trainable(), AdamSettings::default())?;
    log::info!(
        "backbone: {} steps on {} textures of {} classes in {}",
        settings.steps,
        classes.iter().map(|(_, images)| images.len()).sum::<usize>(),
        classes.len(),
        folder.display()
    );
    let (mut sum, mut right) = (0.0, 0);
    let interval = settings.steps.div_ceil(4).max(1);
    for step in 0..settings.steps {
        let mut rng = stream(step).rng("texture batch");
        let drawn: Vec<(RgbImage, u32)> = (0..settings.batch)
            .map(|_| settings.draw(&classes, &mut rng))
            .collect();
        let images: Vec<&RgbImage> = drawn.iter().map(|(image, _)| image).collect();
        let labels: Vec<u32> = drawn.iter().map(|(_, class)| *class).collect();
        let input = imagenet_normalized(&bytes_to_tensor(&images, &device)?)?;
        let logits = network.forward(&input, Mode::Train)?;
        let loss = cross_entropy(&logits, &labels)?;
        let value = loss.to_scalar::<f32>()?;
        if !value.is_finite() {
            return Err(TrainingError::NonFinite {
                step: step + 1,
                loss: "the texture network's loss".to_owned(),
                value,
                batch: folder.display().to_string(),
            });
        }
        adam.step(&loss.backward()?, settings.rate(step))?;
        sum += f64::from(value);
        let guesses = logits.argmax(1)?.to_vec1::<u32>()?;
        right += guesses
            .iter()
            .zip(&labels)
            .filter(|(guess, label)| guess == label)
            .count();
        if (step + 1).is_multiple_of(interval) {
            log::info!(
                "backbone: step {}, loss {:.3}, {:.0} % of the last batches right",
                step + 1,
                sum / interval as f64,
                100.0 * right as f64 / (interval as usize * settings.batch) as f64
            );
            (sum, right) = (0.0, 0);
        }
    }
    let tensors = network.parameters().tensors()?.into_iter().collect();
    Weights::new(settings.backbone, BackboneWeights::Textures, tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_steps_tell_stripes_from_dots_and_give_the_same_weights_again() {
        let folder = tempfile::tempdir().unwrap();
        for (class, period) in [("stripes", 3u32), ("bands", 11)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for number in 0..3u32 {
                let image = RgbImage::from_fn(40, 40, |x, _| {
                    image::Rgb(if (x + number) / period % 2 == 0 {
                        [220, 180, 90]
                    } else {
                        [40, 60, 80]
                    })
                });
                image
                    .save(folder.path().join(format!("{class}/{number}.png")))
                    .unwrap();
            }
        }
        let settings = TextureTraining {
            side: 40,
            crop: 32,
            batch: 4,
            steps: 3,
            ..TextureTraining::default()
        };
        let (first, second) = (
            train_on_textures(folder.path(), &settings).unwrap(),
            train_on_textures(folder.path(), &settings).unwrap(),
        );
        assert_eq!(first.digest, second.digest);
        assert!(
            super::super::extractor(
                first.backbone,
                &first.tensors,
                &super::super::STRIDES,
                &Device::Cpu
            )
            .is_ok()
        );
        let other = TextureTraining { seed: 1, ..settings };
        assert_ne!(
            other.name(folder.path()),
            TextureTraining::default().name(folder.path())
        );
        let empty = tempfile::tempdir().unwrap();
        assert!(
            train_on_textures(empty.path(), &other)
                .unwrap_err()
                .to_string()
                .contains("one a class")
        );
    }
}
