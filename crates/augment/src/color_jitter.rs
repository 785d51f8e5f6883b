//! Small changes of colour.

use rand::seq::SliceRandom;
use rand::{Rng, RngCore};

use crate::Parameters;

/// Changes brightness, contrast, saturation and hue by random amounts in random order, as torchvision's
/// `ColorJitter` does on images of floats. The defaults are those of CutPaste's patch (CutPaste appendix A.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColorJitter {
    /// The factor is uniform in 1 - this to 1 + this, at least 0; 0.1.
    pub brightness: f32,
    /// The same for the distance to the mean grey; 0.1.
    pub contrast: f32,
    /// The same for the distance to a pixel's grey; 0.1.
    pub saturation: f32,
    /// The shift is uniform between minus and plus this, in full turns, at most 0.5; 0.1.
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
        match self {
            Self::Brightness(factor) => blend(pixels, factor, |_| 0.0),
            Self::Contrast(factor) => {
                let sum: f64 = pixels.iter().map(|pixel| f64::from(grey(*pixel))).sum();
                let mean = (sum / pixels.len().max(1) as f64) as f32;
                blend(pixels, factor, |_| mean);
            }
            Self::Saturation(factor) => blend(pixels, factor, grey),
            Self::Hue(shift) => {
                for pixel in pixels {
                    *pixel = shift_hue(*pixel, shift);
                }
            }
        }
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

fn grey([r, g, b]: [f32; 3]) -> f32 {
    0.2989 * r + 0.587 * g + 0.114 * b
}

fn blend(pixels: &mut [[f32; 3]], factor: f32, other: impl Fn([f32; 3]) -> f32) {
    for pixel in pixels {
        let other = other(*pixel);
        *pixel = pixel.map(|v| (factor * v + (1.0 - factor) * other).clamp(0.0, 1.0));
    }
}

fn shift_hue([r, g, b]: [f32; 3], shift: f32) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let range = high - low;
    if range <= 0.0 {
        return [r, g, b];
    }
    // The hue in sixths of a turn: the distance from the strongest channel's peak, and that peak.
    let (difference, peak) = if high == r {
        (g - b, 0.0)
    } else if high == g {
        (b - r, 2.0)
    } else {
        (r - g, 4.0)
    };
    let hue = peak + difference / range + 6.0 * shift;
    // A remainder takes long; shifts by up to half a turn need none.
    let hue = if shift.abs() > 0.5 {
        hue.rem_euclid(6.0)
    } else if hue < 0.0 {
        hue + 6.0
    } else if hue >= 6.0 {
        hue - 6.0
    } else {
        hue
    };
    // Each channel falls from its peak and reaches the low value two sixths away.
    let channel = |peak: f32| {
        let distance = (hue - peak).abs();
        let distance = distance.min(6.0 - distance);
        low + range * (2.0 - distance).clamp(0.0, 1.0)
    };
    [channel(0.0), channel(2.0), channel(4.0)]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::Stream;

    #[test]
    fn changes_are_those_of_torchvision() {
        let golden: Value = serde_json::from_str(include_str!("../tests/golden/color_jitter.json")).unwrap();
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
