//! A rectangle of an image, bent by a sine.

use std::f32::consts::{PI, TAU};
use std::ops::Range;

use image::RgbImage;

use crate::Parameters;

/// The direction in which pixels are displaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Rows are shifted; the sine runs downwards.
    Horizontal,
    /// Columns are shifted; the sine runs to the right.
    Vertical,
}

/// A sine distortion of a rectangle: pixel (x, y) shows what is at `x + e(x, y) amplitude
/// sin(2 pi (y - y0) / wavelength + phase)` (horizontal; vertical swaps the roles), with
/// `e = min(1, 2 sin(pi (y - y0 + 1/2) / height) sin(pi (x - x0 + 1/2) / width))`, or 1 without envelope.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distortion {
    /// Left edge of the rectangle, in px.
    pub x: u32,
    /// Top edge of the rectangle, in px.
    pub y: u32,
    /// Width of the rectangle, in px.
    pub width: u32,
    /// Height of the rectangle, in px.
    pub height: u32,
    /// Direction of the displacement.
    pub axis: Axis,
    /// Largest displacement, in px.
    pub amplitude: f32,
    /// Wavelength, in px.
    pub wavelength: f32,
    /// Phase at the rectangle's edge, in radians.
    pub phase: f32,
    /// Whether the displacement fades out towards the border of the rectangle.
    pub envelope: bool,
}

impl Distortion {
    pub(crate) fn describe(&self, parameters: &mut Parameters) {
        let axis = match self.axis {
            Axis::Horizontal => "horizontal",
            Axis::Vertical => "vertical",
        };
        parameters.push("x", self.x);
        parameters.push("y", self.y);
        parameters.push("width", self.width);
        parameters.push("height", self.height);
        parameters.push("axis", axis);
        parameters.push("amplitude", self.amplitude);
        parameters.push("wavelength", self.wavelength);
        parameters.push("phase_radians", self.phase);
    }

    /// The distorted image, bilinear, rounded to levels; the source position is clamped to the image. Outside
    /// the rectangle nothing changes.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        let mut distorted = Distorted::default();
        self.apply_into(image, &mut distorted);
        let mut result = image.clone();
        let width = image.width() as usize;
        let (pixels, _) = result.as_chunks_mut::<3>();
        for y in distorted.rows.clone() {
            if let Some(row) = distorted.row(y) {
                pixels[y as usize * width..][distorted.columns.clone()].copy_from_slice(row);
            }
        }
        result
    }

    /// The distorted rectangle.
    pub(crate) fn apply_into(&self, image: &RgbImage, out: &mut Distorted) {
        let end = |start: u32, length: u32, limit: u32| start.saturating_add(length).min(limit).max(start);
        let x_end = end(self.x, self.width, image.width());
        out.rows = self.y..end(self.y, self.height, image.height());
        out.columns = self.x as usize..x_end as usize;
        let length = out.columns.len();
        out.pixels.resize(length * out.rows.len(), [0; 3]);
        if out.pixels.is_empty() {
            return;
        }
        let hump = |k: u32, length: u32| (PI * (k as f32 + 0.5) / length as f32).sin();
        let wave = |k: u32| self.amplitude * (TAU * k as f32 / self.wavelength + self.phase).sin();
        // Per column: envelope factor and displacement.
        out.waves.clear();
        out.waves
            .extend((0..x_end - self.x).map(|k| (hump(k, self.width), wave(k))));
        let width = image.width() as usize;
        let (source, _) = image.as_raw().as_chunks::<3>();
        // Distance between neighbours along the axis, and the last position on it.
        let (step, last) = match self.axis {
            Axis::Horizontal => (1, (image.width() - 1) as f32),
            Axis::Vertical => (width, (image.height() - 1) as f32),
        };
        for (y, pixels) in out.rows.clone().zip(out.pixels.chunks_exact_mut(length)) {
            let (row_hump, row_wave) = (hump(y - self.y, self.height), wave(y - self.y));
            for ((x, pixel), &(hump, wave)) in out.columns.clone().zip(pixels).zip(&out.waves) {
                let envelope = if self.envelope {
                    (2.0 * row_hump * hump).min(1.0)
                } else {
                    1.0
                };
                let (start, base, shift) = match self.axis {
                    Axis::Horizontal => (y as usize * width, x as f32, row_wave),
                    Axis::Vertical => (x, y as f32, wave),
                };
                let at = (base + envelope * shift).clamp(0.0, last);
                let first = at as usize;
                let fraction = at - first as f32;
                let near = start + first * step;
                let far = if (first as f32) < last { near + step } else { near };
                let (near, far) = (source[near], source[far]);
                *pixel = std::array::from_fn(|c| {
                    let (a, b) = (f32::from(near[c]), f32::from(far[c]));
                    (a + (b - a) * fraction + 0.5) as u8
                });
            }
        }
    }
}

/// The pixels of a distorted rectangle, in memory that is used again.
#[derive(Default)]
pub(crate) struct Distorted {
    pub(crate) rows: Range<u32>,
    pub(crate) columns: Range<usize>,
    pixels: Vec<[u8; 3]>,
    waves: Vec<(f32, f32)>,
}

impl Distorted {
    /// The pixels in a row of the image, if the rectangle reaches it.
    pub(crate) fn row(&self, y: u32) -> Option<&[[u8; 3]]> {
        let length = self.columns.len();
        self.rows
            .contains(&y)
            .then(|| &self.pixels[(y - self.rows.start) as usize * length..][..length])
    }
}
