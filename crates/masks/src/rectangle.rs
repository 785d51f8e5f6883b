//! Axis-parallel rectangles.

use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::{Mask, MaskGenerator};

/// One axis-parallel rectangle, completely inside the image. The defaults are CutPaste's patch
/// (CutPaste appendix A.1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rectangle {
    /// Smallest and largest area as a share of the image, uniform; 0.02 to 0.15.
    pub area: (f64, f64),
    /// Smallest and largest ratio of height to width; 0.3 to 3.3.
    pub aspect: (f64, f64),
    /// How the ratio is distributed; by halves.
    pub aspect_law: AspectLaw,
}

/// How the ratio of height to width is drawn. Text form in serde: `halves`, `log-uniform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AspectLaw {
    /// Uniform below 1 or uniform above 1, with equal chance (CutPaste appendix A.1).
    #[default]
    Halves,
    /// Its logarithm is uniform (a reimplementation of CutPaste, and random erasing as torchvision has it).
    LogUniform,
}

impl Default for Rectangle {
    fn default() -> Self {
        Self {
            area: (0.02, 0.15),
            aspect: (0.3, 3.3),
            aspect_law: AspectLaw::Halves,
        }
    }
}

impl Rectangle {
    /// Draws width and height in pixels, each at least 1 and at most that of the image, which has pixels.
    pub fn size(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> (u32, u32) {
        let area = within(rng, self.area) * f64::from(width) * f64::from(height);
        let (low, high) = self.aspect;
        let flat = rng.random::<bool>();
        let aspect = match (low < 1.0, high > 1.0) {
            _ if self.aspect_law == AspectLaw::LogUniform => within(rng, (low.ln(), high.ln())).exp(),
            (true, true) if flat => within(rng, (low, 1.0)),
            (true, true) => within(rng, (1.0, high)),
            _ => within(rng, (low, high)),
        };
        (
            side((area / aspect).sqrt(), width),
            side((area * aspect).sqrt(), height),
        )
    }
}

impl MaskGenerator for Rectangle {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        mask.reset(width, height);
        if width > 0 && height > 0 {
            let (w, h) = self.size(width, height, rng);
            let x = rng.random_range(0..=width - w);
            let y = rng.random_range(0..=height - h);
            mask.set_rectangle((x, y), (w, h));
        }
    }
}

fn side(length: f64, limit: u32) -> u32 {
    (length.round() as u32).clamp(1, limit.max(1))
}

/// Uniform in [low, high).
pub(crate) fn within(rng: &mut dyn RngCore, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn bounds(mask: &Mask) -> (u32, u32) {
        let set: Vec<(u32, u32)> = (0..mask.height())
            .flat_map(|y| (0..mask.width()).map(move |x| (x, y)))
            .filter(|&(x, y)| mask.get(x, y))
            .collect();
        let range = |f: fn(&(u32, u32)) -> u32| {
            set.iter().map(f).max().unwrap_or(0) - set.iter().map(f).min().unwrap_or(0) + 1
        };
        (range(|p| p.0), range(|p| p.1))
    }

    #[test]
    fn areas_and_ratios_are_as_defined() {
        let (mut areas, mut flat) = (Vec::new(), 0);
        for index in 0..600 {
            let mask = Rectangle::default().generate(
                128,
                96,
                &mut Stream {
                    seed: 1,
                    step: 0,
                    index,
                }
                .rng(""),
            );
            let (w, h) = bounds(&mask);
            assert_eq!(mask.count(), (w * h) as usize, "one full rectangle");
            let ratio = f64::from(h) / f64::from(w);
            assert!((0.27..3.7).contains(&ratio), "{ratio}");
            flat += usize::from(h < w);
            areas.push(mask.coverage());
        }
        let mean = areas.iter().sum::<f64>() / areas.len() as f64;
        assert!((mean - 0.085).abs() < 0.005, "{mean}");
        assert!(areas.iter().all(|&area| (0.018..0.155).contains(&area)));
        assert!((240..360).contains(&flat), "{flat} of 600 are flat");
    }

    #[test]
    fn tiny_images_work() {
        for (w, h) in [(1, 1), (2, 40), (40, 2)] {
            assert!(
                !Rectangle::default()
                    .generate(w, h, &mut Stream::default().rng(""))
                    .is_empty()
            );
        }
        assert!(
            Rectangle::default()
                .generate(0, 3, &mut Stream::default().rng(""))
                .is_empty()
        );
    }
}
