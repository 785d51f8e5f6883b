//! The recipe of forge: one pass over the normal images, one over simulated anomalies, then banks, head and what is usual.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_augment::to_bytes;
use flawforge_datasets::TrainImage;
use flawforge_masks::{Mask, inside};
use flawforge_models::forge::{
    Details, FeatureMap, Forge, Fusion, Head, Normal, SizedBank, Spread, compared, finest, seen,
};
use flawforge_models::patchcore::STRIDES;
use flawforge_models::{Detector, Inside, ModelError};
use flawforge_resample::Window;
use image::RgbImage;
use rayon::prelude::*;

use super::collected::Candidates;
use super::details::details;
use super::learning::{Learning, Simulated};
use super::left_out::{Kept, KeptImage, LeftOut, Sizes, Told};
use super::position::{Position, Voters};
use super::settings::{Group, Settings};
use super::sizes::{larger, reduced};
use crate::error::Result;
use crate::methods::Frame;
use crate::methods::additions::{Additions, Known};
use crate::methods::backbone::{Frozen, Wanted};
use crate::methods::one_pass::Relit;
use crate::methods::spaced::{Spaced, room_for};
use crate::methods::unseen;
use crate::recipe::{Batch, Highest, Learned, Losses, Recipe, Unseen, below};
use crate::windowing::{Windowing, cut, lies, over, places};

const BANK: &str = "bank";
const HEAD: &str = "head";
const FUSION: &str = "fusion";

/// Side of the maps whose pixels [`Group::sigma`] counts.
const SIGMA_SIDE: f64 = 256.0;
/// How far beyond all normal images pictures show a patch as fully anomalous.
const BEYOND: f32 = 3.0;

/// Forge: every step collects the patches of a batch, the last one makes the detector of them.
pub struct ForgeRecipe {
    settings: Group,
    seed: u64,
    /// Width and height of what is seen at once, at each of [`Group::sides`].
    sizes: Vec<(u32, u32)>,
    /// Width and height of the maps.
    map: (u32, u32),
    /// Side in pixels of the squares of that area.
    side: u32,
    windowing: Option<Windowing>,
    /// Whether images tell a region of interest.
    inside: bool,
    /// How copies of normal images in another light are made, if they are.
    relit: Option<Relit>,
    device: Device,
    network: Frozen,
    candidates: Vec<Candidates>,
    /// Those of details.
    fine: Option<Candidates>,
    spread: Spread,
    /// Images that came so far.
    seen: u32,
    left_out: Spaced<Kept>,
    simulated: Vec<Simulated>,
    made: Option<Made>,
}

/// What of an image or a window is seen at a time, on all threads together.
const AT_ONCE: usize = 16;

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
    pub(crate) fn new(settings: &Settings, frame: &Frame<'_>, device: &Device) -> Result<Self> {
        let group = settings.forge.clone();
        let largest = group.sides.iter().copied().max().unwrap_or(frame.image_size);
        let sizes: Vec<(u32, u32)> = group
            .sides
            .iter()
            .map(|&side| reduced(frame.size(largest), side, largest))
            .collect();
        let wanted = Wanted {
            group: "forge",
            backbone: group.backbone,
            weights: group.weights,
            digest: &group.digest,
            given: &settings.given,
            strides: &STRIDES,
        };
        let placed = !group.position.is_none();
        let candidates = |&size: &(u32, u32)| Candidates::new(size, group.candidates, placed);
        Ok(Self {
            network: Frozen::new(&wanted, frame.seed, device)?,
            candidates: sizes.iter().map(candidates).collect(),
            fine: details(&group).and(sizes.first()).map(candidates),
            sizes,
            map: reduced(frame.size(largest), frame.image_size, largest),
            side: frame.image_size,
            windowing: frame.windowing,
            inside: frame.inside,
            relit: Relit::of(&settings.simulation, frame),
            seen: 0,
            left_out: Spaced::new(group.left_out),
            settings: group,
            seed: frame.seed,
            device: device.clone(),
            spread: Spread::default(),
            simulated: Vec::new(),
            made: None,
        })
    }

    /// The maps of an image at each size.
    fn sizes(&self, image: &RgbImage) -> Result<Sizes> {
        let mut sizes = Vec::with_capacity(self.sizes.len());
        for &size in &self.sizes {
            let maps = seen(self.network.network().as_ref(), image, size)?;
            sizes.push(if sizes.is_empty() {
                maps
            } else {
                compared(&maps).to_vec()
            });
        }
        Ok(sizes)
    }

    /// The region of interest of an image, if that is not all of it.
    fn region(&self, image: &RgbImage) -> Option<Mask> {
        self.inside.then(|| inside(image)).flatten()
    }

    /// Takes the next normal images, of which the first has this number; or copies of them, which tell nothing of what is usual.
    fn collect(&mut self, images: Vec<RgbImage>, first: u32, are_copies: bool) -> Result<()> {
        let windowing = self.windowing;
        let of = |(place, image): (usize, &RgbImage)| {
            let places = places(windowing.as_ref(), image.dimensions());
            places.into_iter().map(move |window| (place, window))
        };
        let all: Vec<(usize, Option<Window>)> = images.iter().enumerate().flat_map(of).collect();
        for some in all.chunks(AT_ONCE) {
            let seen = some.par_iter().map(|&(place, window)| {
                let part = cut(windowing.as_ref(), &images[place], window);
                self.sizes(&part)
            });
            let seen: Vec<Sizes> = seen.collect::<Result<_>>()?;
            for (&(place, window), sizes) in some.iter().zip(seen) {
                let part = lies(windowing.as_ref(), images[place].dimensions(), window);
                let number = first + place as u32;
                if let Some(maps) = sizes.first() {
                    self.spread.add(maps);
                    if let Some(candidates) = &mut self.fine {
                        candidates.add(number, finest(maps), part, self.seed)?;
                    }
                }
                for (size, (candidates, maps)) in self.candidates.iter_mut().zip(&sizes).enumerate() {
                    let maps = if size == 0 { compared(maps) } else { maps };
                    candidates.add(number, maps, part, self.seed)?;
                }
                if windowing.is_none() && !are_copies {
                    self.left_out.push(Kept {
                        inside: self.region(&images[place]),
                        image: KeptImage::Seen(sizes),
                    });
                }
            }
        }
        if windowing.is_some() && !are_copies {
            for image in images {
                self.left_out.limit(room_for(image.as_raw().len()));
                self.left_out.push(Kept {
                    inside: self.region(&image),
                    image: KeptImage::Shown(image),
                });
            }
        }
        Ok(())
    }

    fn made(&self) -> Result<&Made> {
        let missing = || ModelError::MissingTensor {
            name: format!("{BANK}.0.vectors"),
        };
        Ok(self.made.as_ref().ok_or_else(missing)?)
    }

    fn detector_with(&self, made: &Made, banks: Vec<SizedBank>) -> Result<Box<dyn Detector>> {
        let largest = self.sizes.iter().copied().max().unwrap_or(self.map);
        let (head, fusion) = (made.head.clone(), made.fusion.clone());
        let detector = Forge::new(self.network.network().clone(), largest, banks, head, fusion)?;
        let detector = detector.with_full_scale(made.full_scale);
        Ok(over(self.windowing.as_ref(), Box::new(detector)))
    }

    /// The smoothing of maps, in pixels of these maps.
    fn sigma(&self) -> f64 {
        self.settings.sigma * f64::from(self.side) / SIGMA_SIDE
    }

    /// The detector's parts, from what was collected.
    fn make(&mut self) -> Result<Made> {
        let normal = self.left_out.take();
        let see = |image: &RgbImage| self.sizes(image);
        let voters = Voters {
            normal: &normal,
            windowing: self.windowing.as_ref(),
            see: &see,
        };
        let position = match (self.settings.position, self.candidates.first()) {
            (Position::Share(share), _) => share,
            (Position::Auto, Some(first)) => voters.choose(first, self.seed)?,
            (Position::Auto, None) => 0.0,
        };
        let mut banks = Vec::new();
        let sizes = std::mem::take(&mut self.candidates);
        let count = sizes.len();
        let details = details(&self.settings);
        let all = sizes.into_iter().map(|size| (size, self.settings.vectors));
        let fine = self.fine.take().zip(details.map(|details| details.vectors));
        for (candidates, vectors) in all.chain(fine) {
            banks.push(candidates.bank(&self.settings, vectors, position, self.seed, &self.device)?);
        }
        let simulated = std::mem::take(&mut self.simulated);
        let see = |image: &RgbImage| self.sizes(image);
        let learning = Learning {
            settings: &self.settings.head,
            seed: self.seed,
            windowing: self.windowing.as_ref(),
            see: &see,
        };
        let left_out = LeftOut {
            banks: &banks,
            windowing: self.windowing.as_ref(),
            see: &see,
        };
        // The head's steps follow one another on one core, and the others have something to do meanwhile.
        let (head, compared) = rayon::join(
            || learning.head(&self.spread, &simulated, &normal),
            || left_out.compare(&normal),
        );
        let (head, compared) = (head?, compared?);
        drop(simulated);
        let mut fusion = Fusion {
            size: self.map,
            sigma: self.sigma(),
            usual: vec![1.0; count],
            details: None,
            distances: Normal::default(),
            head: Normal::default(),
            head_weight: self.settings.head.weight,
            mean_share: self.settings.mean_share,
        };
        let Told {
            unseen,
            maps,
            largest,
        } = left_out.measure(&normal, compared, head.as_ref(), &mut fusion, details.as_ref())?;
        if fusion.details.is_none() {
            banks.truncate(count);
        }
        Ok(Made {
            banks,
            head,
            fusion,
            full_scale: if largest > 0.0 { BEYOND * largest } else { 1.0 },
            unseen,
            maps,
        })
    }
}

impl Recipe for ForgeRecipe {
    fn begin(&mut self) -> Result<()> {
        self.network.begin()
    }

    fn step(&mut self, batch: &Batch, _learning_rate: f64) -> Result<Losses> {
        let first = self.seen;
        for (place, part) in batch.parts.iter().enumerate() {
            let normals = part.samples.iter().filter(|sample| sample.kind.is_none());
            let normals: Vec<RgbImage> = normals.map(|sample| to_bytes(&sample.image)).collect();
            self.seen = self.seen.max(first + normals.len() as u32);
            // The second part holds copies of the first.
            self.collect(normals, first, place > 0)?;
            let anomalies = part.samples.par_iter().filter(|sample| sample.kind.is_some());
            let size = self.sizes.first().copied().unwrap_or(self.map);
            let network = self.network.network();
            let simulated = anomalies.map(|sample| {
                Ok(Simulated {
                    maps: seen(network.as_ref(), &to_bytes(&sample.image), size)?,
                    mask: sample.mask.clone(),
                })
            });
            let simulated: Vec<Simulated> = simulated.collect::<Result<_>>()?;
            self.simulated.extend(simulated);
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
            details,
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
        if let Some(details) = details {
            let numbers = Tensor::new(&[details.usual, details.reached], device)?;
            state.push((format!("{FUSION}.details"), numbers));
        }
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
        let name = format!("{FUSION}.details");
        let measured = match (details(&self.settings), state.get(&name)) {
            (Some(settings), Some(numbers)) => {
                let numbers: Vec<f32> = numbers.to_vec1()?;
                let &[usual, reached] = numbers.as_slice() else {
                    return Err(ModelError::MissingTensor { name }.into());
                };
                Some(Details {
                    usual,
                    reached,
                    weight: settings.weight,
                })
            }
            _ => None,
        };
        self.made = Some(Made {
            banks,
            head: match head.is_empty() {
                true => None,
                false => Some(Head::from_tensors(&head)?),
            },
            fusion: Fusion {
                size: self.map,
                sigma: self.sigma(),
                usual: get(format!("{FUSION}.usual"))?.to_vec1()?,
                details: measured,
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
        let Fusion { usual, details, .. } = &made.fusion;
        let fine = self.settings.details.zip(*details);
        let sizes = usual.iter().map(|&usual| (usual, self.settings.vectors));
        let radii = sizes.chain(fine.map(|(settings, details)| (details.usual, settings.vectors)));
        let known = made.banks.iter().zip(radii).map(|(bank, (radius, most))| Known {
            bank: bank.memory(),
            radius,
            most,
        });
        let additions = Additions {
            known: known.collect(),
            relit: self.relit,
            patches: &|image| {
                let (network, windowing) = (self.network.network().as_ref(), self.windowing.as_ref());
                let windows = places(windowing, image.dimensions());
                let sizes = made.banks.iter().enumerate().map(|(number, bank)| {
                    let shown: fn(&[FeatureMap]) -> &[FeatureMap] = match number < usual.len() {
                        true => compared,
                        false => finest,
                    };
                    let mut vectors = Vec::new();
                    for &window in &windows {
                        let maps = seen(network, &cut(windowing, image, window), bank.size)?;
                        let place = lies(windowing, image.dimensions(), window);
                        vectors.extend(bank.patches(shown(&maps), place)?.vectors);
                    }
                    Ok(vectors)
                });
                sizes.collect()
            },
            detector: &|extra| {
                let detector = self.detector_with(made, larger(&made.banks, extra)?)?;
                Ok(match self.inside {
                    true => Box::new(Inside::new(detector, None)),
                    false => detector,
                })
            },
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
