//! Near-distribution anomalies: the surface itself, bent.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::f32::consts::TAU;
use std::sync::Arc;

use flawforge_masks::Mask;
use flawforge_masks::decimal::decimal;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use super::distortion::{Axis, Distorted, Distortion};
use crate::pixels::to_float_into;
use crate::settings::{KindConstants, POSITIVE, number, pair, positive_up_to, whole};
use crate::{AnomalySimulator, Background, Kind, Materials, SettingsError, Simulated};

/// Lin & Yan's near-distribution anomaly augmentation (NDAA, fig. 2): a rectangle is distorted by a sine; what
/// changed visibly, and is not a lone pixel, becomes the anomaly.
///
/// The steps are the paper's; it gives no number, so every constant here is a proposal, calibrated on MVTec AD.
/// Lengths in pixels are given for 256-px images and scale with the shorter side (proposal).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NearDistribution {
    /// Step 1: height and width of the rectangle as shares of the image's, independent and uniform; 0.2 to 0.5.
    #[serde(serialize_with = "decimal")]
    pub extent: (f32, f32),
    /// Step 2: amplitude of the sine in px of a 256-px image, uniform; 4 to 12.
    #[serde(serialize_with = "decimal")]
    pub amplitude: (f32, f32),
    /// Step 2: wavelength of the sine in px of a 256-px image, uniform; 24 to 96.
    #[serde(serialize_with = "decimal")]
    pub wavelength: (f32, f32),
    /// Step 2: whether the displacement fades out towards the border of the rectangle; true. Without it the
    /// border is a visible cut.
    pub envelope: bool,
    /// Step 3, tau 1: a pixel has changed when the mean absolute difference of its channels is greater than
    /// this, in levels of 255; 15.
    #[serde(serialize_with = "decimal")]
    pub difference: f32,
    /// Step 4: side of the blocks in px of a 256-px image; 8.
    #[serde(serialize_with = "decimal")]
    pub block: f32,
    /// Step 4, tau 2: the share of changed pixels around a pixel must be greater than this; 0.20.
    #[serde(serialize_with = "decimal")]
    pub density: f32,
    /// Step 5: smallest acceptable share of anomalous pixels; 0.001.
    pub min_coverage: f64,
    /// Step 5: how often all is drawn before nothing is returned; 4.
    pub tries: u32,
    /// Keeps masks on the object in front of this background; `None`, as Lin & Yan: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
}

impl Default for NearDistribution {
    fn default() -> Self {
        Self {
            extent: (0.2, 0.5),
            amplitude: (4.0, 12.0),
            wavelength: (24.0, 96.0),
            envelope: true,
            difference: 15.0,
            block: 8.0,
            density: 0.20,
            min_coverage: 0.001,
            tries: 4,
            background: None,
        }
    }
}

impl KindConstants for NearDistribution {
    fn check(&self) -> Result<(), SettingsError> {
        pair("extent", self.extent, positive_up_to(1.0))?;
        pair("amplitude", self.amplitude, 0.0..)?;
        pair("wavelength", self.wavelength, POSITIVE)?;
        number("difference", self.difference, 0.0..=255.0)?;
        number("block", self.block, POSITIVE)?;
        number("density", self.density, 0.0..1.0)?;
        number("min_coverage", self.min_coverage, 0.0..1.0)?;
        whole("tries", self.tries, 1..)?;
        Background::check(self.background)
    }

    fn simulator(&self, _: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(*self)
    }
}

/// The side in pixels for which pixel lengths are given.
const REFERENCE_SIDE: f32 = 256.0;

impl NearDistribution {
    /// Steps 1 and 2: draws a distortion for an image of `width` x `height` pixels.
    pub fn draw(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> Distortion {
        let scale = width.min(height) as f32 / REFERENCE_SIDE;
        let mut within = |(low, high): (f32, f32)| low + (high - low) * rng.random::<f32>();
        let side = |share: f32, length: u32| ((share * length as f32).round() as u32).clamp(1, length.max(1));
        let h = side(within(self.extent), height);
        let w = side(within(self.extent), width);
        let amplitude = within(self.amplitude) * scale;
        let wavelength = within(self.wavelength) * scale;
        let phase = within((0.0, TAU));
        Distortion {
            x: rng.random_range(0..=width.saturating_sub(w)),
            y: rng.random_range(0..=height.saturating_sub(h)),
            width: w,
            height: h,
            axis: if rng.random() {
                Axis::Horizontal
            } else {
                Axis::Vertical
            },
            amplitude,
            wavelength,
            phase,
            envelope: self.envelope,
        }
    }

    /// Step 3: the pixels whose mean absolute difference is greater than [`difference`](Self::difference).
    /// The two images must have the same size.
    pub fn changed(&self, normal: &RgbImage, distorted: &RgbImage) -> Mask {
        let limit = 3.0 * self.difference;
        let (old, _) = normal.as_raw().as_chunks::<3>();
        let (new, _) = distorted.as_raw().as_chunks::<3>();
        let mut pairs = old.iter().zip(new);
        Mask::from_fn(normal.width(), normal.height(), |_, _| {
            pairs
                .next()
                .is_some_and(|(old, new)| differs(old, new, limit) != 0)
        })
    }

    /// Steps 4 and 5: of the changed pixels, those in a neighbourhood where more than
    /// [`density`](Self::density) has changed. The share is the mean over blocks, interpolated between their
    /// centres; blocks that the image cuts count the pixels that they have.
    pub fn dense(&self, changed: &Mask) -> Mask {
        let mut dense = Mask::default();
        self.dense_into(changed, &mut Blocks::default(), &mut dense);
        dense
    }

    fn dense_into(&self, changed: &Mask, blocks: &mut Blocks, dense: &mut Mask) {
        let (width, height) = (changed.width() as usize, changed.height() as usize);
        dense.reset(changed.width(), changed.height());
        if width == 0 || height == 0 {
            return;
        }
        let scale = width.min(height) as f32 / REFERENCE_SIDE;
        let block = ((self.block * scale).round() as usize).max(1);
        let (columns, rows) = (width.div_ceil(block), height.div_ceil(block));
        let Blocks { shares, across, down } = blocks;
        shares.clear();
        shares.resize(columns * rows, 0.0);
        let empty = |line: &[u8]| line.iter().fold(0, |any, &pixel| any | pixel) == 0;
        for (row, band) in changed.pixels().chunks(block * width).enumerate() {
            let lines = band.len() / width;
            let shares = &mut shares[row * columns..][..columns];
            for line in band.chunks_exact(width).filter(|line| !empty(line)) {
                for (share, pixels) in shares.iter_mut().zip(line.chunks(block)) {
                    *share += pixels.iter().map(|&p| u32::from(p)).sum::<u32>() as f32;
                }
            }
            for (column, share) in shares.iter_mut().enumerate() {
                *share /= (lines * block.min(width - column * block)) as f32;
            }
        }
        Tap::fill(across, width, block, columns);
        Tap::fill(down, height, block, rows);
        let mut lines = changed.pixels().chunks_exact(width);
        dense.change_rows(|y, out| {
            let Some(line) = lines.next().filter(|line| !empty(line)) else {
                return;
            };
            let row = &down[y as usize];
            let (top, bottom) = (&shares[row.first * columns..], &shares[row.second * columns..]);
            for ((out, tap), _) in out
                .iter_mut()
                .zip(across.iter())
                .zip(line)
                .filter(|(_, changed)| **changed != 0)
            {
                let between = |row: &[f32]| row[tap.first] + (row[tap.second] - row[tap.first]) * tap.weight;
                let (upper, lower) = (between(top), between(bottom));
                *out = u8::from(upper + (lower - upper) * row.weight > self.density);
            }
        });
    }

    /// One try. Only the rectangle is computed: nothing changes beside it.
    fn try_once(
        &self,
        normal: &RgbImage,
        scratch: &mut Scratch,
        made: &mut Simulated,
        rng: &mut dyn RngCore,
    ) -> bool {
        let (width, height) = normal.dimensions();
        let distortion = self.draw(width, height, rng);
        let Scratch {
            distorted,
            changed,
            blocks,
            objects,
        } = scratch;
        distortion.apply_into(normal, distorted);
        changed.reset(width, height);
        let limit = 3.0 * self.difference;
        let (normals, _) = normal.as_raw().as_chunks::<3>();
        let columns = distorted.columns.clone();
        changed.change_rows(|y, row| {
            if let Some(new) = distorted.row(y) {
                let old = &normals[y as usize * width as usize..][columns.clone()];
                for ((out, old), new) in row[columns.clone()].iter_mut().zip(old).zip(new) {
                    *out = differs(old, new, limit);
                }
            }
        });
        self.dense_into(changed, blocks, &mut made.mask);
        if self.background.is_some() && made.mask.restrict(objects).is_err() {
            return false;
        }
        if made.mask.is_empty() || made.mask.coverage() < self.min_coverage {
            return false;
        }
        // Step 6: the distorted image inside the mask, the normal one outside.
        to_float_into(normal, &mut made.image);
        let (values, _) = made.image.as_chunks_mut::<3>();
        for y in distorted.rows.clone() {
            let start = y as usize * width as usize;
            let set = &made.mask.pixels()[start..][columns.clone()];
            let out = values[start..][columns.clone()].iter_mut();
            for ((out, new), _) in out
                .zip(distorted.row(y).unwrap_or_default())
                .zip(set)
                .filter(|(_, set)| **set != 0)
            {
                *out = new.map(|level| f32::from(level) / 255.0);
            }
        }
        made.kind = Kind::NearDistribution;
        made.parameters.clear();
        distortion.describe(&mut made.parameters);
        true
    }
}

impl AnomalySimulator for NearDistribution {
    fn kind(&self) -> Kind {
        Kind::NearDistribution
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        if normal.width() == 0 || normal.height() == 0 {
            return false;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if let Some(background) = &self.background {
                background.objects_into(normal, &mut scratch.objects);
            }
            (0..self.tries).any(|_| self.try_once(normal, scratch, made, rng))
        })
    }
}

/// 1 when the sum of absolute differences is greater than the limit.
fn differs(old: &[u8; 3], new: &[u8; 3], limit: f32) -> u8 {
    let sum = (0..3).map(|c| u32::from(old[c].abs_diff(new[c]))).sum::<u32>();
    u8::from(sum as f32 > limit)
}

/// Memory that a thread keeps from one anomaly to the next.
#[derive(Default)]
struct Scratch {
    distorted: Distorted,
    changed: Mask,
    blocks: Blocks,
    objects: Mask,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The share of changed pixels in every block, and where pixels lie between blocks.
#[derive(Default)]
struct Blocks {
    shares: Vec<f32>,
    across: Vec<Tap>,
    down: Vec<Tap>,
}

/// Two neighbouring blocks and the weight of the second, for one pixel of an axis.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Tap {
    fn fill(taps: &mut Vec<Self>, pixels: usize, block: usize, blocks: usize) {
        taps.clear();
        taps.extend((0..pixels).map(|pixel| {
            let at = ((pixel as f32 + 0.5) / block as f32 - 0.5).clamp(0.0, (blocks - 1) as f32);
            let first = at as usize;
            Self {
                first,
                second: (first + 1).min(blocks - 1),
                weight: at - first as f32,
            }
        }));
    }
}
