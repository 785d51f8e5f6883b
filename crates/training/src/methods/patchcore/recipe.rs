//! The recipe of PatchCore: no gradients, one pass over the normal images, then a coreset.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::{Stream, to_bytes};
use flawforge_models::CenterCrop;
use flawforge_models::Detector;
use flawforge_models::patchcore::{Coreset, Embedding, MemoryBank, OFFICIAL_STRIDES, PatchCore, Scoring};
use image::RgbImage;

use super::room::{self, Thinning};
use super::settings::{Group, Settings};
use crate::error::{Result, TrainingError};
use crate::methods::backbone::{Frozen, Wanted};
use crate::recipe::{Batch, Losses, Recipe};

const FEATURES: &str = "features";
const BANK: &str = "bank";
const FULL_SCALE: &str = "full_scale";

/// Runs of training patches whose distances to the bank set the scale of pictures, and the longest such run.
const RUNS: (usize, usize) = (8, 1024);
/// How much farther than any of theirs a patch is that pictures show as fully anomalous.
const BEYOND: f32 = 3.0;

/// PatchCore: every step collects the patches of a batch, the last one condenses them to the memory bank. Where all patches
/// would be too many ([`Group::most_bytes`]), each step keeps a coreset of its batch.
///
/// What is saved is the backbone's weights, so that a run can detect by itself, and the patches collected so far or, in the
/// end, the bank.
pub struct PatchCoreRecipe {
    settings: Group,
    seed: u64,
    crop: CenterCrop,
    device: Device,
    network: Frozen,
    /// Vectors of the patches, image after image; empty once there is a bank.
    features: Vec<f32>,
    bank: Option<MemoryBank>,
    full_scale: f32,
    /// Images of the whole training, at most.
    images: usize,
    /// How the last batch was thinned.
    thinning: Option<Thinning>,
}

impl PatchCoreRecipe {
    /// A recipe with the backbone's random initial weights.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn new(settings: &Settings, seed: u64, side: u32, device: &Device) -> Result<Self> {
        let group = settings.patchcore.clone();
        let wanted = Wanted {
            group: "patchcore",
            backbone: group.backbone,
            weights: group.weights,
            digest: &group.digest,
            given: &settings.given,
            strides: &OFFICIAL_STRIDES,
        };
        Ok(Self {
            network: Frozen::new(&wanted, seed, device)?,
            seed,
            crop: CenterCrop::square(group.resize, group.crop, side),
            settings: group,
            device: device.clone(),
            features: Vec::new(),
            bank: None,
            full_scale: 1.0,
            images: 0,
            thinning: None,
        })
    }

    fn embedding(&self) -> Embedding {
        Embedding {
            size: self.settings.embedding,
        }
    }

    fn coreset(&self) -> Coreset {
        Coreset {
            ratio: self.settings.coreset_ratio,
            projection: Some(self.settings.projection).filter(|&size| size > 0),
            starts: self.settings.starts,
        }
    }

    /// The squared distance from which on pictures show a patch as fully anomalous, from some of the training patches.
    fn measure_scale(&self, bank: &MemoryBank) -> Result<f32> {
        let length = self.settings.embedding;
        let count = self.features.len() / length;
        let mut farthest = 0f32;
        for run in 0..RUNS.0 {
            let (from, end) = (run * count / RUNS.0, (run + 1) * count / RUNS.0);
            let end = end.min(from + RUNS.1);
            for neighbour in bank.nearest(&self.features[from * length..end * length])? {
                farthest = farthest.max(neighbour.squared);
            }
        }
        Ok(if farthest > 0.0 { BEYOND * farthest } else { 1.0 })
    }
}

impl Recipe for PatchCoreRecipe {
    fn expect(&mut self, steps: u64) {
        self.images = (steps as usize).saturating_mul(self.settings.batch);
    }

    fn begin(&mut self) -> Result<()> {
        self.network.begin()
    }

    fn step(&mut self, batch: &Batch, _learning_rate: f64) -> Result<Losses> {
        for part in &batch.parts {
            if part.samples.is_empty() {
                continue;
            }
            let images: Vec<RgbImage> = part
                .samples
                .iter()
                .map(|sample| self.crop.cropped(&to_bytes(&sample.normal)))
                .collect();
            let features = self
                .network
                .network()
                .features(&images.iter().collect::<Vec<_>>())?;
            let patches = self.embedding().patches(&features)?;
            let length = self.settings.embedding;
            let each = patches.first().map_or(0, |first| first.width * first.height);
            self.thinning = self.settings.thinning(self.images, each);
            let Some(thinning) = self.thinning else {
                for patches in patches {
                    self.features.extend_from_slice(&patches.vectors);
                }
                continue;
            };
            let block = patches
                .into_iter()
                .flat_map(|patches| patches.vectors)
                .collect::<Vec<f32>>();
            let mut random = room::stream(self.seed, batch.step);
            let kept = thinning.thin(&block, length, self.coreset(), &mut random, &self.device)?;
            self.features.extend_from_slice(&kept);
        }
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<()> {
        let length = self.settings.embedding;
        let mut coreset = self.coreset();
        if let Some(thinning) = self.thinning {
            coreset.ratio = thinning.bank_share(self.features.len() / length, coreset.ratio);
        }
        let mut random = Stream::of_run(self.seed).rng("coreset");
        let chosen = coreset.select(&self.features, length, &mut random, &self.device)?;
        let mut kept = Vec::with_capacity(chosen.len() * length);
        for index in chosen {
            kept.extend_from_slice(&self.features[index * length..][..length]);
        }
        let bank = MemoryBank::new(&kept, length)?.on(&self.device)?;
        drop(kept);
        self.full_scale = self.measure_scale(&bank)?;
        self.bank = Some(bank);
        self.features = Vec::new();
        Ok(())
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = self.network.state();
        if let Some(bank) = &self.bank {
            state.push((BANK.to_owned(), bank.to_tensor()?));
            state.push((
                FULL_SCALE.to_owned(),
                Tensor::new(&[self.full_scale], &Device::Cpu)?,
            ));
        } else {
            let length = self.settings.embedding;
            let shape = (self.features.len() / length, length);
            let features = Tensor::from_slice(&self.features, shape, &Device::Cpu)?;
            state.push((FEATURES.to_owned(), features));
        }
        Ok(state)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, _steps: u64) -> Result<()> {
        self.restore_weights(state)?;
        if self.bank.is_none() {
            let features = state.get(FEATURES).ok_or_else(|| missing(FEATURES))?;
            self.features = features.flatten_all()?.to_vec1()?;
        }
        Ok(())
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.network.restore(state)?;
        self.bank = match state.get(BANK) {
            Some(vectors) => Some(MemoryBank::from_tensor(vectors)?.on(&self.device)?),
            None => None,
        };
        if self.bank.is_some() {
            let scale = state.get(FULL_SCALE).ok_or_else(|| missing(FULL_SCALE))?;
            self.full_scale = scale
                .flatten_all()?
                .to_vec1::<f32>()?
                .first()
                .copied()
                .unwrap_or(1.0);
        }
        Ok(())
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let bank = self.bank.clone().ok_or_else(|| missing(BANK))?;
        let scoring = Scoring {
            sigma: self.settings.sigma,
            reweight: Some(self.settings.reweight).filter(|&count| count > 0),
        };
        let detector = PatchCore::new(
            self.network.network().clone(),
            self.embedding(),
            bank,
            self.crop,
            scoring,
        )?;
        Ok(Box::new(detector.with_full_scale(self.full_scale)))
    }
}

fn missing(name: &str) -> TrainingError {
    flawforge_models::ModelError::MissingTensor {
        name: name.to_owned(),
    }
    .into()
}
