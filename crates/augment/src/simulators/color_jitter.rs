//! Small changes of colour.

use flawforge_masks::decimal::decimal;
use flawforge_resample::multiversioned;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::settings::number;
use crate::{Parameters, SettingsError};

/// Changes brightness, contrast, saturation and hue by random amounts in random order, as torchvision's
/// `ColorJitter` does on images of floats. The defaults are those of CutPaste's patch (CutPaste appendix A.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// The factor is uniform in 1 - this to 1 + this, at least 0; 0.1.
    #[serde(serialize_with = "decimal")]
    pub brightness: f32,
    /// The same for the distance to the mean grey; 0.1.
    #[serde(serialize_with = "decimal")]
    pub contrast: f32,
    /// The same for the distance to a pixel's grey; 0.1.
    #[serde(serialize_with = "decimal")]
    pub saturation: f32,
    /// The shift is uniform between minus and plus this, in full turns, at most 0.5; 0.1.
    #[serde(serialize_with = "decimal")]
    pub hue: f32,
}

impl Default for ColorJitter {
    fn default() -> Self {
        Self {
            brightness: 0.1,
            contrast: 0.1,
            saturation: 0.1,
            hue: 0.1,
        }
    }
}

/// One change of colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColorChange {
    /// Times this.
    Brightness(f32),
    /// The distance to the mean grey times this.
    Contrast(f32),
    /// The distance to the pixel's grey times this.
    Saturation(f32),
    /// Plus this, in full turns.
    Hue(f32),
}

impl ColorJitter {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        number("brightness", self.brightness, 0.0..)?;
        number("contrast", self.contrast, 0.0..)?;
        number("saturation", self.saturation, 0.0..)?;
        number("hue", self.hue, 0.0..=0.5)
    }

    /// Draws the four changes in the order in which they are to be applied.
    pub fn draw(&self, rng: &mut dyn RngCore) -> [ColorChange; 4] {
        let mut around = |center: f32, reach: f32| center + reach * (2.0 * rng.random::<f32>() - 1.0);
        let mut changes = [
            ColorChange::Brightness(around(1.0, self.brightness).max(0.0)),
            ColorChange::Contrast(around(1.0, self.contrast).max(0.0)),
            ColorChange::Saturation(around(1.0, self.saturation).max(0.0)),
            ColorChange::Hue(around(0.0, self.hue)),
        ];
        changes.shuffle(rng);
        changes
    }
}

impl ColorChange {
    /// Changes pixels (RGB in [0, 1]) in place.
    pub fn apply(self, pixels: &mut [[f32; 3]]) {
        let mut planes = Planes::default();
        planes.extend(pixels);
        planes.change(self);
        planes.write(0, pixels);
    }

    pub(crate) fn describe(self, parameters: &mut Parameters) {
        match self {
            Self::Brightness(factor) => parameters.push("brightness", factor),
            Self::Contrast(factor) => parameters.push("contrast", factor),
            Self::Saturation(factor) => parameters.push("saturation", factor),
            Self::Hue(shift) => parameters.push("hue", shift),
        }
    }
}

/// Pixels with each channel by itself, so that vectors of neighbours are changed at once.
#[derive(Debug, Default)]
pub(crate) struct Planes([Vec<f32>; 3]);

impl Planes {
    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }

    /// Appends pixels.
    pub(crate) fn extend(&mut self, pixels: &[[f32; 3]]) {
        for (c, plane) in self.0.iter_mut().enumerate() {
            plane.extend(pixels.iter().map(|pixel| pixel[c]));
        }
    }

    pub(crate) fn get(&self, at: usize) -> [f32; 3] {
        [0, 1, 2].map(|c| self.0[c][at])
    }

    /// Copies pixels, beginning with the one at a place, into `pixels`.
    pub(crate) fn write(&self, at: usize, pixels: &mut [[f32; 3]]) {
        let [r, g, b] = [0, 1, 2].map(|c| &self.0[c][at..at + pixels.len()]);
        for (((pixel, &r), &g), &b) in pixels.iter_mut().zip(r).zip(g).zip(b) {
            *pixel = [r, g, b];
        }
    }

    /// Changes all pixels.
    pub(crate) fn change(&mut self, change: ColorChange) {
        let [r, g, b] = self.0.each_mut().map(Vec::as_mut_slice);
        match change {
            ColorChange::Brightness(factor) => {
                for plane in [r, g, b] {
                    blend(plane, factor, 0.0);
                }
            }
            ColorChange::Contrast(factor) => {
                let mean = (sum_of_grey(r, g, b) / r.len().max(1) as f64) as f32;
                for plane in [r, g, b] {
                    blend(plane, factor, mean);
                }
            }
            ColorChange::Saturation(factor) => saturate(r, g, b, factor),
            ColorChange::Hue(shift) if shift.abs() <= 0.5 => shift_hue(r, g, b, shift),
            // Whole turns change nothing.
            ColorChange::Hue(shift) => shift_hue(r, g, b, shift - shift.round()),
        }
    }
}

#[inline(always)]
fn grey(r: f32, g: f32, b: f32) -> f32 {
    0.2989 * r + 0.587 * g + 0.114 * b
}

#[inline(always)]
fn mixed(value: f32, factor: f32, other: f32) -> f32 {
    (factor * value + (1.0 - factor) * other).clamp(0.0, 1.0)
}

multiversioned! {
    fn blend(values: &mut [f32], factor: f32, other: f32) {
        for value in values {
            *value = mixed(*value, factor, other);
        }
    }

    /// Sums of every eighth value, added up in the end: the same for any vectors.
    fn sum_of_grey(r: &[f32], g: &[f32], b: &[f32]) -> f64 {
        let mut sums = [0.0; 8];
        for ((r, g), b) in r.chunks(8).zip(g.chunks(8)).zip(b.chunks(8)) {
            for (((sum, &r), &g), &b) in sums.iter_mut().zip(r).zip(g).zip(b) {
                *sum += f64::from(grey(r, g, b));
            }
        }
        sums.iter().sum()
    }

    fn saturate(r: &mut [f32], g: &mut [f32], b: &mut [f32], factor: f32) {
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let other = grey(*r, *g, *b);
            for value in [r, g, b] {
                *value = mixed(*value, factor, other);
            }
        }
    }

    /// Shifts hues by at most half a turn. Every case is computed and one selected, so that there are no branches.
    fn shift_hue(r: &mut [f32], g: &mut [f32], b: &mut [f32], shift: f32) {
        for ((red, green), blue) in r.iter_mut().zip(g).zip(b) {
            let (r, g, b) = (*red, *green, *blue);
            let high = if r > g { r } else { g };
            let high = if high > b { high } else { b };
            let low = if r < g { r } else { g };
            let low = if low < b { low } else { b };
            let range = high - low;
            // The hue in sixths of a turn: the peak of the strongest channel, and the distance from it.
            let (difference, peak) = if high == r {
                (g - b, 0.0)
            } else if high == g {
                (b - r, 2.0)
            } else {
                (r - g, 4.0)
            };
            let hue = peak + difference / range + 6.0 * shift;
            let hue = if hue < 0.0 { hue + 6.0 } else { hue };
            let hue = if hue >= 6.0 { hue - 6.0 } else { hue };
            // Each channel falls from its peak and reaches the low value two sixths away. A grey pixel has no
            // hue; its range of zero makes that no number.
            let channel = |peak: f32, grey: f32| {
                let distance = (hue - peak).abs();
                let distance = if distance < 6.0 - distance { distance } else { 6.0 - distance };
                let value = low + range * (2.0 - distance).clamp(0.0, 1.0);
                if range > 0.0 { value } else { grey }
            };
            *red = channel(0.0, r);
            *green = channel(2.0, g);
            *blue = channel(4.0, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::Stream;

    #[test]
    fn changes_are_those_of_torchvision() {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/golden/color_jitter.json")).unwrap();
        let pixels = |value: &Value| -> Vec<[f32; 3]> {
            let pixel = |p: &Value| [0, 1, 2].map(|c| p[c].as_f64().unwrap() as f32);
            value.as_array().unwrap().iter().map(pixel).collect()
        };
        let cases = golden["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 9);
        for case in cases {
            let amount = case["amount"].as_f64().unwrap() as f32;
            let change = match case["change"].as_str().unwrap() {
                "brightness" => ColorChange::Brightness(amount),
                "contrast" => ColorChange::Contrast(amount),
                "saturation" => ColorChange::Saturation(amount),
                _ => ColorChange::Hue(amount),
            };
            let mut found = pixels(&golden["pixels"]);
            change.apply(&mut found);
            for (found, expected) in found.iter().zip(pixels(&case["result"])) {
                for c in 0..3 {
                    assert!(
                        (found[c] - expected[c]).abs() < 1e-5,
                        "{change:?}: {found:?} {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn order_and_amounts_vary_within_bounds() {
        let mut rng = Stream::default().rng("");
        let mut first = [0; 4];
        let mut hues = 0.0;
        for _ in 0..800 {
            let changes = ColorJitter::default().draw(&mut rng);
            for (place, change) in changes.into_iter().enumerate() {
                let (index, offset) = match change {
                    ColorChange::Brightness(v) => (0, v - 1.0),
                    ColorChange::Contrast(v) => (1, v - 1.0),
                    ColorChange::Saturation(v) => (2, v - 1.0),
                    ColorChange::Hue(v) => (3, v),
                };
                assert!(offset.abs() <= 0.100_001, "{change:?}");
                first[index] += usize::from(place == 0);
                hues += if index == 3 { offset.abs() } else { 0.0 };
            }
        }
        assert!(first.iter().all(|count| (150..250).contains(count)), "{first:?}");
        assert!((hues / 800.0 - 0.05).abs() < 0.005, "{hues}");
    }
}
