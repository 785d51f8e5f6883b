//! The recipe of forge: one pass over the normal images, one over simulated anomalies, then banks, head and what is usual.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::{Stream, to_bytes};
use flawforge_datasets::TrainImage;
use flawforge_masks::Mask;
use flawforge_metrics::high_pixel;
use flawforge_models::forge::{
    FeatureMap, Forge, Fusion, Head, HeadTraining, Normal, Places, SizedBank, Spread, compared, seen,
};
use flawforge_models::patchcore::STRIDES;
use flawforge_models::{AnomalyMap, Detector, ModelError};
use image::RgbImage;
use rand::Rng;
use rand::seq::index;
use rayon::prelude::*;

use super::collected::Candidates;
use super::settings::{Group, Settings};
use super::shares::shares;
use crate::error::Result;
use crate::methods::additions::{Additions, Extra, Known};
use crate::methods::backbone::{Frozen, Wanted};
use crate::methods::spaced::Spaced;
use crate::methods::unseen;
use crate::recipe::{Batch, Highest, Learned, Losses, Recipe, Unseen, below};

const BANK: &str = "bank";
const HEAD: &str = "head";
const FUSION: &str = "fusion";

/// Places of one image that the head learns from, of each normal sort.
const PLACES: usize = 512;
/// Side of the maps whose pixels [`Group::sigma`] counts.
const SIGMA_SIDE: f64 = 256.0;
/// How far beyond all normal images pictures show a patch as fully anomalous.
const BEYOND: f32 = 3.0;

/// The maps of an image at each size; of all but the first those that are compared alone.
type Sizes = Vec<Vec<FeatureMap>>;

/// A simulated anomaly: the maps of the image, and the mask.
struct Simulated {
    maps: Vec<FeatureMap>,
    mask: Mask,
}

/// Forge: every step collects the patches of a batch, the last one makes the detector of them.
pub struct ForgeRecipe {
    settings: Group,
    seed: u64,
    /// Side of the maps.
    side: u32,
    device: Device,
    network: Frozen,
    candidates: Vec<Candidates>,
    spread: Spread,
    left_out: Spaced<Sizes>,
    simulated: Vec<Simulated>,
    made: Option<Made>,
}

/// What detects in the end.
#[derive(Clone)]
struct Made {
    banks: Vec<SizedBank>,
    head: Option<Head>,
    fusion: Fusion,
    full_scale: f32,
    /// Normal images as if they had not been seen.
    unseen: Vec<Unseen>,
    /// The maps of the highest of them, in the session that made them.
    maps: Highest,
}

impl ForgeRecipe {
    /// A recipe with the backbone's random initial weights.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn new(settings: &Settings, seed: u64, side: u32, device: &Device) -> Result<Self> {
        let group = settings.forge.clone();
        let wanted = Wanted {
            group: "forge",
            backbone: group.backbone,
            weights: group.weights,
            digest: &group.digest,
            given: &settings.given,
            strides: &STRIDES,
        };
        let candidates = |&side: &u32| Candidates::new(side, group.candidates);
        Ok(Self {
            network: Frozen::new(&wanted, seed, device)?,
            candidates: group.sides.iter().map(candidates).collect(),
            left_out: Spaced::new(group.left_out),
            settings: group,
            seed,
            side,
            device: device.clone(),
            spread: Spread::default(),
            simulated: Vec::new(),
            made: None,
        })
    }

    /// The maps of an image at each size.
    fn sizes(&self, image: &RgbImage) -> Result<Sizes> {
        let mut sizes = Vec::with_capacity(self.settings.sides.len());
        for &side in &self.settings.sides {
            let maps = seen(self.network.network().as_ref(), image, side)?;
            sizes.push(if sizes.is_empty() {
                maps
            } else {
                compared(&maps).to_vec()
            });
        }
        Ok(sizes)
    }

    fn made(&self) -> Result<&Made> {
        let missing = || ModelError::MissingTensor {
            name: format!("{BANK}.0.vectors"),
        };
        Ok(self.made.as_ref().ok_or_else(missing)?)
    }

    fn detector_with(&self, made: &Made, banks: Vec<SizedBank>) -> Result<Box<dyn Detector>> {
        let largest = self.settings.sides.iter().copied().max().unwrap_or(self.side);
        let (head, fusion) = (made.head.clone(), made.fusion.clone());
        let detector = Forge::new(self.network.network().clone(), largest, banks, head, fusion)?;
        Ok(Box::new(detector.with_full_scale(made.full_scale)))
    }

    /// The smoothing of maps, in pixels of these maps.
    fn sigma(&self) -> f64 {
        self.settings.sigma * f64::from(self.side) / SIGMA_SIDE
    }

    fn rng(&self, purpose: &str) -> impl Rng + use<> {
        Stream::of_run(self.seed).rng(purpose)
    }

    /// The head, if there are anomalies to learn from.
    fn head(&self, normal: &[(usize, Sizes)]) -> Result<Option<Head>> {
        let settings = &self.settings.head;
        let standard = self.spread.standard();
        let length = standard.mean.len();
        let mut rng = self.rng("places");
        let sort = |share| Places {
            share,
            ..Places::default()
        };
        let [mut anomalous, mut partly, mut beside, mut plain] = [0.25, 0.094, 0.281, 0.375].map(sort);
        for one in &self.simulated {
            let features = standard.features(&one.maps)?;
            let Some(finest) = one.maps.first() else { continue };
            let shares = shares(&one.mask, finest.width, finest.height);
            let mut untouched = Vec::new();
            for (place, &share) in shares.iter().enumerate() {
                let sort = match share {
                    0.0 => {
                        untouched.push(place);
                        continue;
                    }
                    share if share > 0.5 => &mut anomalous,
                    _ => &mut partly,
                };
                sort.features
                    .extend_from_slice(&features[place * length..][..length]);
                sort.targets.push(share);
            }
            for chosen in index::sample(&mut rng, untouched.len(), PLACES.min(untouched.len())) {
                beside
                    .features
                    .extend_from_slice(&features[untouched[chosen] * length..][..length]);
                beside.targets.push(0.0);
            }
        }
        if anomalous.targets.is_empty() {
            return Ok(None);
        }
        for (_, sizes) in normal {
            let Some(maps) = sizes.first() else { continue };
            let features = standard.features(maps)?;
            let places = features.len() / length;
            for place in index::sample(&mut rng, places, PLACES.min(places)) {
                plain
                    .features
                    .extend_from_slice(&features[place * length..][..length]);
                plain.targets.push(0.0);
            }
        }
        let training = HeadTraining {
            hidden: settings.hidden.clone(),
            steps: settings.steps,
            batch: settings.batch,
            learning_rate: settings.learning_rate,
        };
        let sorts = [anomalous, partly, beside, plain];
        Ok(training.train(&standard, &sorts, &mut self.rng("head"))?)
    }

    /// The detector's parts, from what was collected.
    fn make(&mut self) -> Result<Made> {
        let mut banks = Vec::new();
        for candidates in std::mem::take(&mut self.candidates) {
            banks.push(candidates.bank(&self.settings, self.seed, &self.device)?);
        }
        let normal = self.left_out.take();
        let head = self.head(&normal)?;
        self.simulated = Vec::new();
        let mut fusion = Fusion {
            side: self.side,
            sigma: self.sigma(),
            usual: vec![1.0; banks.len()],
            distances: Normal::default(),
            head: Normal::default(),
            head_weight: self.settings.head.weight,
            mean_share: self.settings.mean_share,
        };
        // Each normal image as if it had not been seen.
        let unseen: Vec<Option<(Vec<AnomalyMap>, Option<AnomalyMap>)>> = normal
            .par_iter()
            .map(|(number, sizes)| {
                let mut distances = Vec::with_capacity(banks.len());
                for (place, (bank, maps)) in banks.iter().zip(sizes).enumerate() {
                    let maps = if place == 0 { compared(maps) } else { maps };
                    match bank.distances_without(*number as u32, maps)? {
                        Some(map) => distances.push(fusion.smooth(&map)),
                        None => return Ok(None),
                    }
                }
                let seen = match (&head, sizes.first()) {
                    (Some(head), Some(maps)) => Some(fusion.smooth(&head.probabilities(maps)?)),
                    _ => None,
                };
                Ok(Some((distances, seen)))
            })
            .collect::<std::result::Result<_, ModelError>>()?;
        for (place, usual) in fusion.usual.iter_mut().enumerate() {
            let maps = unseen.iter().flatten().map(|(distances, _)| &distances[place]);
            let mean = Normal::of(maps).mean;
            *usual = if mean > 0.0 { mean } else { 1.0 };
        }
        let sums: Vec<Option<AnomalyMap>> = unseen
            .par_iter()
            .map(|views| views.as_ref().map(|(distances, _)| fusion.sum(distances)))
            .collect();
        fusion.distances = Normal::of(sums.iter().flatten());
        fusion.head = Normal::of(unseen.iter().flatten().filter_map(|(_, seen)| seen.as_ref()));
        let mut scores = Vec::with_capacity(normal.len());
        let mut maps = Highest::default();
        let mut largest = 0f32;
        for (((number, _), sum), views) in normal.iter().zip(&sums).zip(&unseen) {
            let (Some(sum), Some((_, seen))) = (sum, views) else {
                continue;
            };
            let map = fusion.fused(sum, seen.as_ref());
            largest = map.scores.iter().copied().fold(largest, f32::max);
            let one = Unseen {
                place: *number,
                score: fusion.score(&map),
                pixel: high_pixel(&map.scores),
            };
            maps.offer(one.place, one.score, &map);
            scores.push(one);
        }
        Ok(Made {
            banks,
            head,
            fusion,
            full_scale: if largest > 0.0 { BEYOND * largest } else { 1.0 },
            unseen: scores,
            maps,
        })
    }
}

impl Recipe for ForgeRecipe {
    fn begin(&mut self) -> Result<()> {
        self.network.begin()
    }

    fn step(&mut self, batch: &Batch, _learning_rate: f64) -> Result<Losses> {
        for part in &batch.parts {
            let all: Vec<Sizes> = part
                .samples
                .par_iter()
                .map(|sample| {
                    let image = to_bytes(&sample.image);
                    match sample.kind {
                        None => self.sizes(&image),
                        Some(_) => {
                            let side = self.settings.sides.first().copied().unwrap_or(self.side);
                            Ok(vec![seen(self.network.network().as_ref(), &image, side)?])
                        }
                    }
                })
                .collect::<Result<_>>()?;
            for (sample, mut sizes) in part.samples.iter().zip(all) {
                if sample.kind.is_some() {
                    self.simulated.extend(sizes.pop().map(|maps| Simulated {
                        maps,
                        mask: sample.mask.clone(),
                    }));
                    continue;
                }
                if let Some(maps) = sizes.first() {
                    self.spread.add(maps);
                }
                for (place, (candidates, maps)) in self.candidates.iter_mut().zip(&sizes).enumerate() {
                    let maps = if place == 0 { compared(maps) } else { maps };
                    candidates.add(maps, self.seed)?;
                }
                self.left_out.push(sizes);
            }
        }
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<()> {
        self.made = Some(self.make()?);
        Ok(())
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = self.network.state();
        let Some(made) = &self.made else {
            return Ok(state);
        };
        for (place, bank) in made.banks.iter().enumerate() {
            let tensors = bank.tensors()?.into_iter();
            state.extend(tensors.map(|(name, tensor)| (format!("{BANK}.{place}.{name}"), tensor)));
        }
        if let Some(head) = &made.head {
            let tensors = head.tensors()?.into_iter();
            state.extend(tensors.map(|(name, tensor)| (format!("{HEAD}.{name}"), tensor)));
        }
        let Fusion {
            usual,
            distances,
            head,
            ..
        } = &made.fusion;
        let device = &Device::Cpu;
        let numbers = [
            distances.mean,
            distances.spread,
            head.mean,
            head.spread,
            made.full_scale,
        ];
        state.push((format!("{FUSION}.usual"), Tensor::new(usual.as_slice(), device)?));
        state.push((format!("{FUSION}.numbers"), Tensor::new(&numbers, device)?));
        state.extend(unseen::state(&made.unseen)?);
        Ok(state)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, _steps: u64) -> Result<()> {
        self.restore_weights(state)
    }

    /// What the steps collect is large and quickly collected again.
    fn begins_anew(&self) -> bool {
        self.made.is_none()
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.network.restore(state)?;
        let get = |name: String| state.get(&name).ok_or(ModelError::MissingTensor { name });
        let mut banks = Vec::new();
        while state.contains_key(&format!("{BANK}.{}.vectors", banks.len())) {
            let tensors = below(&format!("{BANK}.{}", banks.len()), state);
            banks.push(SizedBank::from_tensors(&tensors)?);
        }
        if banks.is_empty() {
            self.made = None;
            return Ok(());
        }
        let head = below(HEAD, state);
        let numbers: Vec<f32> = get(format!("{FUSION}.numbers"))?.to_vec1()?;
        let &[mean, spread, head_mean, head_spread, full_scale] = numbers.as_slice() else {
            let name = format!("{FUSION}.numbers");
            return Err(ModelError::MissingTensor { name }.into());
        };
        self.made = Some(Made {
            banks,
            head: match head.is_empty() {
                true => None,
                false => Some(Head::from_tensors(&head)?),
            },
            fusion: Fusion {
                side: self.side,
                sigma: self.sigma(),
                usual: get(format!("{FUSION}.usual"))?.to_vec1()?,
                distances: Normal { mean, spread },
                head: Normal {
                    mean: head_mean,
                    spread: head_spread,
                },
                head_weight: self.settings.head.weight,
                mean_share: self.settings.mean_share,
            },
            full_scale,
            unseen: unseen::restored(state)?,
            maps: Highest::default(),
        });
        Ok(())
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let made = self.made()?;
        let banks = made.banks.clone();
        self.detector_with(made, banks)
    }

    fn unseen_scores(&self) -> Option<&[Unseen]> {
        self.made.as_ref().map(|made| made.unseen.as_slice())
    }

    fn unseen_maps(&self) -> Option<&Highest> {
        self.made.as_ref().map(|made| &made.maps)
    }

    fn add_normals(&mut self, images: &[&TrainImage], first: u32) -> Result<Option<Learned>> {
        let made = self.made()?;
        let known = made
            .banks
            .iter()
            .zip(&made.fusion.usual)
            .map(|(bank, &radius)| Known {
                bank: bank.memory(),
                radius,
                most: self.settings.vectors,
            });
        let additions = Additions {
            known: known.collect(),
            patches: &|image| {
                let network = self.network.network().as_ref();
                let sizes = made.banks.iter().map(|bank| {
                    let maps = seen(network, image, bank.side)?;
                    Ok(bank.patches(compared(&maps))?.vectors)
                });
                sizes.collect()
            },
            detector: &|extra| self.detector_with(made, larger(&made.banks, extra)?),
        };
        let (extra, unseen) = additions.choose(images, first)?;
        let banks = larger(&made.banks, &extra)?;
        let before: usize = made.banks.iter().map(SizedBank::len).sum();
        let learned = Learned {
            vectors: banks.iter().map(SizedBank::len).sum::<usize>() - before,
            unseen,
        };
        if let Some(made) = &mut self.made {
            made.banks = banks;
            made.unseen.extend_from_slice(&learned.unseen);
        }
        Ok(Some(learned))
    }
}

/// The banks with further vectors at each size.
fn larger(banks: &[SizedBank], extra: &[Extra]) -> Result<Vec<SizedBank>> {
    let larger = banks
        .iter()
        .zip(extra)
        .map(|(bank, (vectors, origins))| bank.with(vectors, origins));
    Ok(larger.collect::<std::result::Result<_, ModelError>>()?)
}
