//! Erased rectangles.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::{AspectLaw, Mask, MaskGenerator, Rectangle};
use image::{Rgb, RgbImage};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::pixels::to_float_into;
use crate::settings::{KindConstants, rectangle};
use crate::{AnomalySimulator, Background, Kind, Materials, SettingsError, Simulated};

/// Random erasing (Zhong et al. 2020): a rectangle is replaced. [`CutOut::square`] gives CutOut (DeVries & Taylor
/// 2017).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutOut {
    /// Sizes of rectangles: 2 to 40 % of the image, ratios from 0.3 to 1 / 0.3.
    pub rectangle: Rectangle,
    /// What the rectangle shows; noise.
    pub erased: Erased,
    /// Erases only the object in front of this background; `None`, as the sources: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
}

/// What an erased rectangle shows. Text form in serde: `black`, `mean`, `color`, `noise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Erased {
    /// Black.
    Black,
    /// The mean color of the image.
    Mean,
    /// A random color.
    Color,
    /// A random color in each pixel.
    Noise,
}

impl Default for CutOut {
    fn default() -> Self {
        Self {
            rectangle: Rectangle {
                area: (0.02, 0.4),
                aspect: (0.3, 1.0 / 0.3),
                aspect_law: AspectLaw::LogUniform,
            },
            erased: Erased::Noise,
            background: None,
        }
    }
}

impl CutOut {
    /// A square of a fixed share of the image, in the image's mean color. DeVries & Taylor let it reach beyond
    /// the image; here it lies inside (proposal).
    pub fn square(area: f64) -> Self {
        Self {
            rectangle: Rectangle {
                area: (area, area),
                aspect: (1.0, 1.0),
                aspect_law: AspectLaw::LogUniform,
            },
            erased: Erased::Mean,
            background: None,
        }
    }
}

impl KindConstants for CutOut {
    fn check(&self) -> Result<(), SettingsError> {
        rectangle(&self.rectangle).map_err(|error| error.within("rectangle"))?;
        Background::check(self.background)
    }

    fn simulator(&self, _: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(*self)
    }
}

impl AnomalySimulator for CutOut {
    fn kind(&self) -> Kind {
        Kind::CutOut
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        self.rectangle
            .generate_into(normal.width(), normal.height(), &mut made.mask, rng);
        if let Some(background) = &self.background {
            let restricted = OBJECTS.with_borrow_mut(|objects| {
                background.objects_into(normal, objects);
                made.mask.restrict(objects)
            });
            if restricted.is_err() {
                return false;
            }
        }
        if made.mask.is_empty() {
            return false;
        }
        to_float_into(normal, &mut made.image);
        let color = match self.erased {
            Erased::Black => [0.0; 3],
            Erased::Mean => mean(normal),
            Erased::Color | Erased::Noise => rng.random(),
        };
        for (pixel, &set) in made.image.pixels_mut().zip(made.mask.pixels()) {
            if set != 0 {
                let noise = self.erased == Erased::Noise;
                *pixel = Rgb(if noise { rng.random() } else { color });
            }
        }
        let (name, color) = match self.erased {
            Erased::Black => ("black", None),
            Erased::Mean => ("mean", Some(color)),
            Erased::Color => ("color", Some(color)),
            Erased::Noise => ("noise", None),
        };
        made.kind = Kind::CutOut;
        made.parameters.clear();
        made.parameters.push("erased", name);
        for (key, value) in ["red", "green", "blue"]
            .into_iter()
            .zip(color.into_iter().flatten())
        {
            made.parameters.push(key, value);
        }
        true
    }
}

thread_local! {
    static OBJECTS: RefCell<Mask> = RefCell::default();
}

fn mean(image: &RgbImage) -> [f32; 3] {
    let mut sums = [0_u64; 3];
    for pixel in image.pixels() {
        for (sum, &value) in sums.iter_mut().zip(&pixel.0) {
            *sum += u64::from(value);
        }
    }
    let count = image.pixels().len().max(1) as f64;
    sums.map(|sum| (sum as f64 / count / 255.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stream, to_float};

    #[test]
    fn rectangles_are_erased() {
        let normal = RgbImage::from_fn(80, 60, |x, _| Rgb([(x * 2) as u8, 51, 0]));
        let before = to_float(&normal);
        let mut area = 0.0;
        for (index, erased) in (0..400).zip(
            [Erased::Black, Erased::Mean, Erased::Color, Erased::Noise]
                .into_iter()
                .cycle(),
        ) {
            let mut rng = Stream {
                seed: 0,
                step: 0,
                index,
            }
            .rng("");
            let made = CutOut {
                erased,
                ..CutOut::default()
            }
            .simulate(&normal, &mut rng)
            .unwrap();
            area += made.mask.coverage() / 400.0;
            let inside: Vec<[f32; 3]> = (made.image.enumerate_pixels())
                .filter(|(x, y, pixel)| {
                    assert!(made.mask.get(*x, *y) || *pixel == before.get_pixel(*x, *y));
                    made.mask.get(*x, *y)
                })
                .map(|(_, _, pixel)| pixel.0)
                .collect();
            let same = inside.iter().all(|pixel| *pixel == inside[0]);
            assert_eq!(same, erased != Erased::Noise);
            match erased {
                Erased::Black => assert_eq!(inside[0], [0.0; 3]),
                Erased::Mean => assert!((inside[0][0] - 79.0 / 255.0).abs() < 1e-6 && inside[0][1] == 0.2),
                Erased::Color => assert_eq!(made.parameters.number("green"), Some(inside[0][1].into())),
                Erased::Noise => {
                    let mean = inside.iter().flatten().sum::<f32>() / (3 * inside.len()) as f32;
                    assert!((mean - 0.5).abs() < 0.12, "{mean}");
                }
            }
        }
        assert!((area - 0.21).abs() < 0.02, "{area}");
        let square = CutOut::square(0.0625).simulate(&RgbImage::new(64, 64), &mut Stream::default().rng(""));
        assert_eq!(square.map(|made| made.mask.count()), Some(256));
    }
}
