//! The recipe of PatchCore: no gradients, one pass over the normal images, then a coreset.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::Stream;
use flawforge_datasets::TrainImage;
use flawforge_masks::inside;
use flawforge_models::patchcore::{Coreset, Embedding, MemoryBank, PatchCore, Patches, SizeBank, patches};
use flawforge_models::{CenterCrop, Detector};
use image::RgbImage;

use super::collected::{Chosen, Collected, Of};
use super::in_parts::{InParts, Whole};
use super::left_out::{LeftOut, Measured, left_out};
use super::room::{self, bank_share};
use super::settings::{Group, Settings};
use crate::error::{Result, TrainingError};
use crate::methods::Frame;
use crate::methods::additions::{Additions, Extra, Known};
use crate::methods::backbone::{Frozen, Wanted};
use crate::methods::one_pass::Relit;
use crate::methods::spaced::{Spaced, room_for};
use crate::methods::unseen;
use crate::recipe::{Batch, Highest, Learned, Losses, Recipe, Unseen};
use crate::windowing::{Windowing, over, parts};

const BANK: &str = "bank";
const USUAL: &str = "usual";
const FULL_SCALE: &str = "full_scale";

/// Runs of training patches whose distances to the bank set the scale of pictures, and the longest such run.
const RUNS: (usize, usize) = (8, 1024);
/// How much farther than any of theirs a patch is that pictures show as fully anomalous.
const BEYOND: f32 = 3.0;

/// PatchCore: every step collects the patches of a batch, the last one condenses them to the memory bank. Where all patches
/// would be too many ([`Group::most_bytes`]), each step keeps a coreset of its batch.
///
/// What is saved is the backbone's weights, so that a run can detect by itself, and in the end the bank. A training that is stopped
/// before begins anew.
pub struct PatchCoreRecipe {
    settings: Group,
    seed: u64,
    crop: CenterCrop,
    windowing: Option<Windowing>,
    device: Device,
    network: Frozen,
    /// The patches at each size.
    collected: Vec<Collected>,
    made: Option<Made>,
    /// Images of the whole training, at most.
    images: usize,
    /// Windows over an image and its copies, at most, among those that came so far.
    windows: usize,
    /// How copies of normal images in another light are made, if they are.
    relit: Option<Relit>,
    /// Images that came so far.
    seen: u32,
    /// Images that are compared with the others, at most.
    left_out: usize,
    /// Whether images tell a region of interest.
    inside: bool,
    /// Images that are compared with the others as a whole, where what is seen at once is not all there is to say of an image.
    whole: Spaced<Whole>,
}

/// What detects in the end.
struct Made {
    banks: Vec<SizeBank>,
    full_scale: f32,
    unseen: Vec<Unseen>,
    /// The maps of the highest of them, in the session that made them.
    maps: Highest,
}

impl PatchCoreRecipe {
    /// A recipe with the backbone's random initial weights.
    ///
    /// # Errors
    /// A failed allocation.
    pub(crate) fn new(settings: &Settings, frame: &Frame<'_>, device: &Device) -> Result<Self> {
        let (seed, side) = (frame.seed, frame.image_size);
        let group = settings.patchcore.clone();
        let wanted = Wanted {
            group: "patchcore",
            backbone: group.backbone,
            weights: group.weights,
            digest: &group.digest,
            given: &settings.given,
            strides: &group.strides,
        };
        let whole = group.whole_images(group.places().iter().sum());
        let sides = group.sides().len();
        Ok(Self {
            network: Frozen::new(&wanted, seed, device)?,
            collected: (0..sides)
                .map(|_| Collected::new(group.embedding, whole))
                .collect(),
            crop: group.center(side),
            windowing: frame.windowing,
            windows: 1,
            relit: Relit::of(&settings.simulation, frame),
            settings: group,
            seed,
            device: device.clone(),
            made: None,
            images: 0,
            seen: 0,
            left_out: left_out(frame.calibrated),
            inside: frame.inside,
            whole: Spaced::new(left_out(frame.calibrated)),
        })
    }

    fn embedding(&self) -> Embedding {
        Embedding {
            size: self.settings.embedding,
        }
    }

    /// Images that the patches of one are collected from: itself, and its copy in another light.
    fn copies(&self) -> usize {
        1 + usize::from(self.relit.is_some())
    }

    /// How a bank is chosen; copies make it no larger.
    fn coreset(&self) -> Coreset {
        Coreset {
            ratio: self.settings.coreset_ratio / self.copies() as f64,
            projection: Some(self.settings.projection).filter(|&size| size > 0),
            starts: self.settings.starts,
        }
    }

    /// The squared distance from which on pictures show a patch as fully anomalous, from some of the training patches.
    fn measure_scale(&self, bank: &MemoryBank, features: &[f32]) -> Result<f32> {
        let length = self.settings.embedding;
        let count = features.len() / length;
        let mut farthest = 0f32;
        for run in 0..RUNS.0 {
            let (from, end) = (run * count / RUNS.0, (run + 1) * count / RUNS.0);
            let end = end.min(from + RUNS.1);
            for neighbour in bank.nearest(&features[from * length..end * length])? {
                farthest = farthest.max(neighbour.squared);
            }
        }
        Ok(full_scale(farthest))
    }

    /// The bank at the size of a number.
    fn choose(&self, size: usize, collected: &Collected) -> Result<Chosen> {
        let mut coreset = self.coreset();
        if collected.is_thinned() {
            let all = self.images * self.windows * self.settings.places()[size];
            coreset.ratio = bank_share(collected.len(), all, coreset.ratio);
        }
        let stream = Stream {
            index: size as u64,
            ..Stream::of_run(self.seed)
        };
        collected.choose(coreset, &mut stream.rng("coreset"), &self.device)
    }
}

/// From which score on pictures show full anomaly, by the largest of normal images.
fn full_scale(largest: f32) -> f32 {
    if largest > 0.0 { BEYOND * largest } else { 1.0 }
}

impl Recipe for PatchCoreRecipe {
    fn expect(&mut self, steps: u64) {
        self.images = (steps as usize).saturating_mul(self.settings.batch);
    }

    fn begin(&mut self) -> Result<()> {
        self.network.begin()
    }

    fn step(&mut self, batch: &Batch, _learning_rate: f64) -> Result<Losses> {
        let (embedding, coreset) = (self.embedding(), self.coreset());
        let first = self.seen;
        for (place, part) in batch.parts.iter().enumerate() {
            if part.samples.is_empty() {
                continue;
            }
            // The second part holds copies of the first.
            let are_copies = place > 0;
            let (mut images, mut groups) = (Vec::new(), Vec::new());
            for (number, sample) in (first..).zip(&part.samples) {
                let whole = sample.normal.clone();
                let windows = parts(self.windowing.as_ref(), &whole);
                self.windows = self.windows.max(windows.len() * self.copies());
                groups.extend(windows.iter().map(|_| Of {
                    image: number,
                    is_copy: are_copies,
                }));
                images.extend(windows.iter().map(|window| self.crop.cropped(window)));
                self.seen = self.seen.max(number + 1);
                if !are_copies && (self.inside || self.windowing.is_some()) {
                    self.whole.limit(room_for(whole.as_raw().len()));
                    self.whole.push(Whole {
                        number,
                        inside: self.inside.then(|| inside(&whole)).flatten(),
                        image: whole,
                    });
                }
            }
            let images: Vec<&RgbImage> = images.iter().collect();
            // By the images that came so far: how many windows the others need is not known yet.
            let windows = self.images.saturating_mul(self.windows);
            let thinning = self
                .settings
                .thinning(windows, self.settings.places().iter().sum());
            let sides = self.settings.sides();
            for (size, (collected, side)) in self.collected.iter_mut().zip(sides).enumerate() {
                let patches = patches(self.network.network().as_ref(), embedding, &images, side)?;
                match thinning {
                    None => collected.add(patches, &groups),
                    Some(thinning) => {
                        let mut random = room::stream(self.seed, batch.step, size);
                        collected.thin(patches, &groups, thinning, coreset, &mut random, &self.device)?;
                    }
                }
            }
        }
        Ok(Vec::new())
    }

    fn finish(&mut self) -> Result<()> {
        let collected = std::mem::take(&mut self.collected);
        let chosen = collected
            .iter()
            .enumerate()
            .map(|(size, collected)| self.choose(size, collected))
            .collect::<Result<Vec<Chosen>>>()?;
        let left_out = LeftOut {
            collected: &collected,
            chosen: &chosen,
            scoring: self.settings.scoring(),
            crop: self.crop,
            count: self.left_out,
        };
        let Measured {
            usual,
            mut unseen,
            mut maps,
        } = left_out.measure()?;
        let full_scale = match (chosen.as_slice(), collected.as_slice()) {
            ([chosen], [collected]) => self.measure_scale(&chosen.bank, &collected.vectors)?,
            _ => full_scale(unseen.iter().map(|one| one.score).fold(0.0, f32::max)),
        };
        if self.inside || self.windowing.is_some() {
            let in_parts = InParts {
                chosen: &chosen,
                usual: &usual,
                scoring: self.settings.scoring(),
                crop: self.crop,
                windowing: self.windowing.as_ref(),
                see: &|image| Ok(self.seen_of(&[image])?.into_iter().flatten().collect()),
            };
            (unseen, maps) = in_parts.measure(self.whole.kept().iter().map(|(_, whole)| whole))?;
            self.whole.take();
        }
        let banks = chosen.into_iter().zip(usual).zip(self.settings.sides());
        let banks = banks.map(|((chosen, usual), side)| SizeBank {
            side,
            bank: chosen.bank,
            usual,
        });
        self.made = Some(Made {
            banks: banks.collect(),
            full_scale,
            unseen,
            maps,
        });
        Ok(())
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = self.network.state();
        let Some(made) = &self.made else {
            return Ok(state);
        };
        for (size, one) in made.banks.iter().enumerate() {
            state.push((bank_name(size), one.bank.to_tensor()?));
        }
        let usual: Vec<f32> = made.banks.iter().map(|one| one.usual).collect();
        state.push((USUAL.to_owned(), Tensor::new(usual, &Device::Cpu)?));
        state.extend(unseen::state(&made.unseen)?);
        state.push((
            FULL_SCALE.to_owned(),
            Tensor::new(&[made.full_scale], &Device::Cpu)?,
        ));
        Ok(state)
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, _steps: u64) -> Result<()> {
        self.restore_weights(state)
    }

    fn begins_anew(&self) -> bool {
        self.made.is_none()
    }

    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.network.restore(state)?;
        self.made = None;
        if !state.contains_key(BANK) {
            return Ok(());
        }
        let get = |name: &str| state.get(name).ok_or_else(|| missing(name));
        let usual: Vec<f32> = get(USUAL)?.to_vec1()?;
        let sides = self.settings.sides();
        if usual.len() != sides.len() {
            return Err(missing(USUAL));
        }
        let mut banks = Vec::with_capacity(sides.len());
        for (size, (side, usual)) in sides.into_iter().zip(usual).enumerate() {
            let bank = MemoryBank::from_tensor(get(&bank_name(size))?)?;
            let bank = bank.on(&self.device)?;
            banks.push(SizeBank { side, bank, usual });
        }
        let scale: Vec<f32> = get(FULL_SCALE)?.flatten_all()?.to_vec1()?;
        self.made = Some(Made {
            banks,
            full_scale: scale.first().copied().unwrap_or(1.0),
            unseen: unseen::restored(state)?,
            maps: Highest::default(),
        });
        Ok(())
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let made = self.made.as_ref().ok_or_else(|| missing(BANK))?;
        self.detector_with(made, made.banks.clone())
    }

    fn unseen_scores(&self) -> Option<&[Unseen]> {
        self.made.as_ref().map(|made| made.unseen.as_slice())
    }

    fn unseen_maps(&self) -> Option<&Highest> {
        self.made.as_ref().map(|made| &made.maps)
    }

    fn add_normals(&mut self, images: &[&TrainImage], first: u32) -> Result<Option<Learned>> {
        let made = self.made.as_ref().ok_or_else(|| missing(BANK))?;
        let known = made.banks.iter().map(|one| Known {
            bank: &one.bank,
            radius: one.usual.sqrt(),
            most: one.bank.len(),
        });
        let additions = Additions {
            known: known.collect(),
            relit: self.relit,
            patches: &|image| {
                let images: Vec<RgbImage> = parts(self.windowing.as_ref(), image)
                    .iter()
                    .map(|part| self.crop.cropped(part))
                    .collect();
                let images: Vec<&RgbImage> = images.iter().collect();
                let vectors = |size: Vec<Patches>| size.into_iter().flat_map(|one| one.vectors).collect();
                Ok(self.seen_of(&images)?.into_iter().map(vectors).collect())
            },
            detector: &|extra| self.detector_with(made, self.larger(&made.banks, extra)?),
        };
        let (extra, unseen) = additions.choose(images, first)?;
        let banks = self.larger(&made.banks, &extra)?;
        let before: usize = made.banks.iter().map(|one| one.bank.len()).sum();
        let learned = Learned {
            vectors: banks.iter().map(|one| one.bank.len()).sum::<usize>() - before,
            unseen,
        };
        if let Some(made) = &mut self.made {
            made.banks = banks;
            made.unseen.extend_from_slice(&learned.unseen);
        }
        Ok(Some(learned))
    }
}

impl PatchCoreRecipe {
    /// The patches of crops, at each size those of every crop.
    fn seen_of(&self, crops: &[&RgbImage]) -> Result<Vec<Vec<Patches>>> {
        let network = self.network.network().as_ref();
        let sizes = self.settings.sides().into_iter();
        let sizes = sizes.map(|side| Ok(patches(network, self.embedding(), crops, side)?));
        sizes.collect()
    }

    /// The banks with further vectors at each size.
    fn larger(&self, banks: &[SizeBank], extra: &[Extra]) -> Result<Vec<SizeBank>> {
        let larger = banks.iter().zip(extra).map(|(one, (vectors, _))| {
            Ok(SizeBank {
                bank: one.bank.with(vectors)?.on(&self.device)?,
                ..one.clone()
            })
        });
        larger.collect()
    }

    /// A detector of what is seen at once, in windows where there are any.
    fn detector_with(&self, made: &Made, banks: Vec<SizeBank>) -> Result<Box<dyn Detector>> {
        let detector = PatchCore::with_banks(
            self.network.network().clone(),
            self.embedding(),
            banks,
            self.crop,
            self.settings.scoring(),
        )?;
        let detector = Box::new(detector.with_full_scale(made.full_scale));
        Ok(over(self.windowing.as_ref(), detector))
    }
}

/// The name of the bank of a size's number in a checkpoint.
fn bank_name(size: usize) -> String {
    match size {
        0 => BANK.to_owned(),
        more => format!("{BANK}.{more}"),
    }
}

fn missing(name: &str) -> TrainingError {
    flawforge_models::ModelError::MissingTensor {
        name: name.to_owned(),
    }
    .into()
}
