//! Rotation of images.

use flawforge_masks::rotation::Rotation;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

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

/// Rotates a normal image now and then: an augmentation for categories in which no orientation is a fault
/// (Lin & Yan fig. 1). The default is DRAEM's code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotateNormals {
    /// Probability of rotating, in [0, 1]; 0.3.
    pub probability: f32,
    /// The angle is uniform in both directions up to this, in degrees; 90 (DRAEM's paper says 45, its code 90).
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
    /// The rotated image, or `None` when this draw leaves the image as it is.
    pub fn apply(&self, image: &RgbImage, rng: &mut dyn RngCore) -> Option<RgbImage> {
        let turn = rng.random::<f32>() < self.probability;
        let degrees = self.max_degrees * (2.0 * rng.random::<f32>() - 1.0);
        turn.then(|| rotate(image, degrees, self.fill))
    }
}

/// The image rotated by `degrees` (clockwise on screen) about its centre ((width - 1) / 2, (height - 1) / 2),
/// same size, bilinear, in the fixed-point arithmetic of OpenCV's 8-bit `warpAffine`.
pub fn rotate(image: &RgbImage, degrees: f32, fill: Fill) -> RgbImage {
    let (width, height) = image.dimensions();
    let mut result = RgbImage::new(width, height);
    if width == 0 || height == 0 {
        return result;
    }
    let rotation = Rotation::new(width, height, f64::from(degrees));
    let mut columns = Vec::with_capacity(width as usize);
    rotation.columns(&mut columns, 0..width);
    let stride = width as usize * 3;
    let source = image.as_raw();
    for (y, out) in result.chunks_exact_mut(stride).enumerate() {
        let row = rotation.row(y as u32);
        for (out, &column) in out.chunks_exact_mut(3).zip(&columns) {
            let [x, y] = Rotation::source(row, column);
            let (left, top) = (x >> 5, y >> 5);
            let (a, b) = ((x & 31) as u32, (y & 31) as u32);
            // Products of the 1/32 weights; the sum is 1024.
            let weights = [(32 - a) * (32 - b), a * (32 - b), (32 - a) * b, a * b];
            if left >= 0 && top >= 0 && left + 1 < width as i32 && top + 1 < height as i32 {
                let at = top as usize * stride + left as usize * 3;
                let upper = &source[at..at + 6];
                let lower = &source[at + stride..at + stride + 6];
                for c in 0..3 {
                    let sum = u32::from(upper[c]) * weights[0]
                        + u32::from(upper[c + 3]) * weights[1]
                        + u32::from(lower[c]) * weights[2]
                        + u32::from(lower[c + 3]) * weights[3];
                    out[c] = ((sum + 512) >> 10) as u8;
                }
            } else if fill != Fill::Black
                || (left >= -1 && top >= -1 && left < width as i32 && top < height as i32)
            {
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
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = (sum >> 10) as u8;
                }
            }
        }
    }
    result
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
