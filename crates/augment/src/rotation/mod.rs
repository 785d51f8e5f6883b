//! Rotation of images.

mod bilinear;
mod inside;

use flawforge_masks::decimal::decimal;
use flawforge_resample::Rotation;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::SettingsError;
use crate::pixels::reshape;
use crate::settings::number;
#[cfg(target_arch = "x86_64")]
use bilinear::Ssse3;
use bilinear::{Mix, Portable};

/// What a rotated image shows where the original has no pixels. Text form in serde: `black`, `edge`, `reflect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Zero (DRAEM's code). Training takes the black corners for normal.
    #[default]
    Black,
    /// The nearest pixel of the original (proposal, for objects on a plain ground).
    Edge,
    /// The original mirrored at its outermost pixels (proposal, for textures).
    Reflect,
}

/// Rotates a normal image now and then: an augmentation for categories in which no orientation is a defect
/// (Lin & Yan fig. 1). The default is DRAEM's code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotateNormals {
    /// Probability of rotating, in [0, 1]; 0.3.
    #[serde(serialize_with = "decimal")]
    pub probability: f32,
    /// The angle is uniform in both directions up to this, in degrees; 90 (DRAEM's paper says 45, its code 90).
    #[serde(serialize_with = "decimal")]
    pub max_degrees: f32,
    /// What the corners show; black.
    pub fill: Fill,
}

impl Default for RotateNormals {
    fn default() -> Self {
        Self {
            probability: 0.3,
            max_degrees: 90.0,
            fill: Fill::Black,
        }
    }
}

impl RotateNormals {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        number("probability", self.probability, 0.0..=1.0)?;
        number("max_degrees", self.max_degrees, 0.0..=180.0)
    }

    /// The rotated image, or `None` if this draw does not rotate.
    pub fn apply(&self, image: &RgbImage, rng: &mut dyn RngCore) -> Option<RgbImage> {
        let mut rotated = RgbImage::default();
        self.apply_into(image, &mut rotated, &mut Turned::default(), false, rng)
            .then_some(rotated)
    }

    /// Writes the rotated image; `false` if this draw does not rotate. Where images tell a region of interest, so does the
    /// rotated one.
    pub(crate) fn apply_into(
        &self,
        image: &RgbImage,
        into: &mut RgbImage,
        turned: &mut Turned,
        inside: bool,
        rng: &mut dyn RngCore,
    ) -> bool {
        let turn = rng.random::<f32>() < self.probability;
        let degrees = self.max_degrees * (2.0 * rng.random::<f32>() - 1.0);
        if turn {
            reshape(into, image.width(), image.height());
            turned.prepare(image.dimensions(), degrees);
            turned.all(image, self.fill, into);
            if inside {
                turned.tell_region(image, self.fill, into);
            }
        }
        turn
    }
}

/// The image rotated by `degrees` (clockwise on screen) about its centre ((width - 1) / 2, (height - 1) / 2),
/// same size, bilinear, in the fixed-point arithmetic of OpenCV's 8-bit `warpAffine`.
pub fn rotate(image: &RgbImage, degrees: f32, fill: Fill) -> RgbImage {
    let mut result = RgbImage::new(image.width(), image.height());
    let mut turned = Turned::default();
    turned.prepare(image.dimensions(), degrees);
    turned.all(image, fill, &mut result);
    result
}

/// A rotation of images of one size, with memory that is used again.
#[derive(Default)]
pub(crate) struct Turned {
    size: (u32, u32),
    rotation: Option<Rotation>,
    columns: Vec<[i32; 2]>,
}

impl Turned {
    /// Sets size and angle.
    pub(crate) fn prepare(&mut self, size: (u32, u32), degrees: f32) {
        let rotation = Rotation::new(size.0, size.1, f64::from(degrees));
        if self.size != size || self.rotation != Some(rotation) {
            rotation.columns(&mut self.columns, 0..size.0);
            (self.size, self.rotation) = (size, Some(rotation));
        }
    }

    /// Writes all pixels of the rotated image.
    pub(crate) fn all(&self, image: &RgbImage, fill: Fill, into: &mut RgbImage) {
        let Some(rotation) = &self.rotation else { return };
        let (pixels, _) = into.as_chunks_mut::<3>();
        for (y, out) in pixels.chunks_exact_mut(self.columns.len().max(1)).enumerate() {
            let row = rotation.row(y as u32);
            let places = self.columns.iter().map(|&column| Rotation::source(row, column));
            mixtures(image, fill, out.iter_mut().zip(places));
        }
    }

    /// Writes some pixels of the rotated image, given by their indices.
    pub(crate) fn some(&self, image: &RgbImage, fill: Fill, positions: &[u32], into: &mut RgbImage) {
        let (pixels, _) = into.as_chunks_mut::<3>();
        for &at in positions {
            mixtures(image, fill, [(&mut pixels[at as usize], self.source(at))]);
        }
    }

    /// The top-left one of the four pixels that a pixel of the rotated image is mixed of; it may lie outside.
    pub(crate) fn corner(&self, at: u32) -> (i32, i32) {
        let [x, y] = self.source(at);
        (x >> 5, y >> 5)
    }

    fn source(&self, at: u32) -> [i32; 2] {
        let (x, y) = (at % self.size.0, at / self.size.0);
        let row = self.rotation.map_or([0; 2], |rotation| rotation.row(y));
        Rotation::source(row, self.columns[x as usize])
    }
}

/// Writes the values at places given in 1/32 pixel.
#[inline]
fn mixtures<'a>(image: &RgbImage, fill: Fill, places: impl IntoIterator<Item = (&'a mut [u8; 3], [i32; 2])>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(mix) = Ssse3::new() {
        for (out, place) in places {
            *out = mixture(image, place, fill, mix);
        }
        return;
    }
    for (out, place) in places {
        *out = mixture(image, place, fill, Portable);
    }
}

#[inline(always)]
fn mixture(image: &RgbImage, [x, y]: [i32; 2], fill: Fill, mix: impl Mix) -> [u8; 3] {
    let (width, height) = image.dimensions();
    let (stride, source) = (width as usize * 3, image.as_raw().as_slice());
    let (left, top) = (x >> 5, y >> 5);
    let (a, b) = ((x & 31) as u32, (y & 31) as u32);
    // Two more bytes than two pixels have are read.
    if left >= 0 && top >= 0 && left + 2 < width as i32 && top + 1 < height as i32 {
        let at = top as usize * stride + left as usize * 3;
        let eight = |at: usize| {
            source[at..]
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        return mix.mix(eight(at), eight(at + stride), a, b);
    }
    let reached = left >= -1 && top >= -1 && left < width as i32 && top < height as i32;
    if fill == Fill::Black && !reached {
        return [0; 3];
    }
    // Products of the 1/32 weights; the sum is 1024.
    let weights = [(32 - a) * (32 - b), a * (32 - b), (32 - a) * b, a * b];
    let mut sums = [512; 3];
    let taps = [(left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)];
    for ((x, y), weight) in taps.into_iter().zip(weights) {
        if let (Some(x), Some(y)) = (fill.place(x, width), fill.place(y, height)) {
            let pixel = &source[y * stride + x * 3..][..3];
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += u32::from(value) * weight;
            }
        }
    }
    sums.map(|sum| (sum >> 10) as u8)
}

impl Fill {
    /// Where a coordinate that may lie outside takes its value from.
    fn place(self, at: i32, length: u32) -> Option<usize> {
        let last = length as i32 - 1;
        match self {
            Fill::Black => (0..=last).contains(&at).then_some(at as usize),
            Fill::Edge => Some(at.clamp(0, last) as usize),
            Fill::Reflect if last == 0 => Some(0),
            Fill::Reflect => {
                let at = at.rem_euclid(2 * last);
                Some(at.min(2 * last - at) as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_fill_is_that_of_opencv() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/rotate.json")).unwrap();
        let bytes = |value: &Value| -> Vec<u8> {
            let text = value.as_str().unwrap();
            (0..text.len() / 2)
                .map(|k| u8::from_str_radix(&text[2 * k..2 * k + 2], 16).unwrap())
                .collect()
        };
        let side = |name: &str| golden[name].as_u64().unwrap() as u32;
        let image = RgbImage::from_raw(side("width"), side("height"), bytes(&golden["image"])).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let fill: Fill = serde_json::from_value(case["fill"].clone()).unwrap();
            let found = rotate(&image, case["degrees"].as_f64().unwrap() as f32, fill);
            let expected = bytes(&case["result"]);
            // A matrix rounded otherwise moves a sampling place by 1/32 pixel now and then.
            let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            assert!(
                differing * 200 <= expected.len(),
                "{fill:?}, {}: {differing}",
                case["degrees"]
            );
        }
    }

    #[test]
    fn normals_are_rotated_as_often_as_stated() {
        let image = RgbImage::from_fn(32, 40, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let mut turned = 0;
        for index in 0..600 {
            let stream = flawforge_masks::Stream {
                seed: 1,
                step: 0,
                index,
            };
            if let Some(rotated) = RotateNormals::default().apply(&image, &mut stream.rng("")) {
                assert_eq!(rotated.dimensions(), image.dimensions());
                turned += 1;
            }
        }
        assert!((140..220).contains(&turned), "{turned}");
    }
}
