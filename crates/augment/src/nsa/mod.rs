//! Natural synthetic anomalies: patches of normal images, blended in by their gradients.

mod label;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use flawforge_masks::Mask;
use image::RgbImage;
use image::imageops::crop_imm;
use rand::{Rng, RngCore};
use rand_distr::{Distribution, Normal};

pub use label::LabelKind;
pub use settings::{Gamma, Logistic, NsaError, NsaSettings, Objects};

use crate::poisson::{self, Area};
use crate::resize::bilinear;
use crate::simulator::to_float;
use crate::{AnomalySimulator, Kind, Parameters, Simulated, TextureSource};

/// NSA (Schlüter et al. 2022): a patch of a normal image is resized and blended into another place by Poisson
/// blending, several times; the label follows from the visible change.
///
/// One thing differs from NSA's code: the blended pixels lie exactly on the patch. The code shifts patches of
/// odd width by one pixel to the right of their mask.
#[derive(Clone)]
pub struct Nsa {
    /// The constants of the category.
    pub settings: NsaSettings,
    /// Where patches are cut from when used as an [`AnomalySimulator`]: a [`TextureBank`](crate::TextureBank) of
    /// normal images; `None`: from the image itself.
    pub sources: Option<Arc<dyn TextureSource>>,
    /// The kind of the label; logistic.
    pub label: LabelKind,
}

/// An image with patches blended in.
#[derive(Debug, Clone, PartialEq)]
pub struct NsaSample {
    /// The anomalous image, same size as the normal one.
    pub image: RgbImage,
    /// The pixels that have changed visibly (NSA's binary label); never empty.
    pub mask: Mask,
    /// The label, row-major, of the kind asked for: 0 or 1, levels from 0 to 255, or in [0, 1).
    pub label: Vec<f32>,
    /// Where the patches come from and go to; each key once for every patch.
    pub parameters: Parameters,
}

/// How often a place is drawn before a patch is given up (NSA's code).
const TRIES: u32 = 200;
/// A mask of fewer pixels is not blended (NSA's code).
const MIN_PIXELS: u32 = 50;

impl Nsa {
    /// NSA with the given constants, patches from the image itself, and logistic labels.
    pub fn new(settings: NsaSettings) -> Self {
        Self {
            settings,
            sources: None,
            label: LabelKind::default(),
        }
    }

    /// Blends patches of `source` into a copy of `normal`. A source of another size is resized. `None` when no
    /// patch fits or none can be seen.
    pub fn blend(&self, normal: &RgbImage, source: &RgbImage, rng: &mut dyn RngCore) -> Option<NsaSample> {
        let (width, height) = normal.dimensions();
        if width == 0 || height == 0 || source.width() == 0 || source.height() == 0 {
            return None;
        }
        let resized = (source.dimensions() != normal.dimensions()).then(|| bilinear(source, width, height));
        let source = resized.as_ref().unwrap_or(source);
        let objects = self.settings.objects.map(|objects| Placing {
            objects,
            source: objects.background.objects(source),
            destination: objects.background.objects(normal),
        });
        let mut image = normal.clone();
        let mut touched = Mask::empty(width, height);
        let mut parameters = Parameters::new();
        for number in 0..self.settings.patches {
            if number == 0 || rng.random() {
                // A patch that finds no place is left out.
                let placing = objects.as_ref();
                let _ = self.patch(source, placing, &mut image, &mut touched, &mut parameters, rng);
            }
        }
        if touched.is_empty() {
            return None;
        }
        let (mask, label) = label::label(normal, &image, &touched, self.label, self.settings.label);
        (!mask.is_empty()).then_some(NsaSample {
            image,
            mask,
            label,
            parameters,
        })
    }

    /// Blends one patch in; `None` when it finds no place.
    fn patch(
        &self,
        source: &RgbImage,
        placing: Option<&Placing>,
        image: &mut RgbImage,
        touched: &mut Mask,
        parameters: &mut Parameters,
        rng: &mut dyn RngCore,
    ) -> Option<()> {
        let settings = &self.settings;
        let (width, height) = image.dimensions();
        let x_bounds = bounds(settings.half_width, width);
        let y_bounds = bounds(settings.half_height, height);
        let gamma = rand_distr::Gamma::new(settings.gamma.shape, settings.gamma.scale).ok()?;
        let mut half = |(low, high): (u32, u32), length: u32| {
            let share = settings.gamma.offset + gamma.sample(rng);
            (share * f64::from(length)).clamp(low.into(), high.into()) as u32
        };
        let (half_h, half_w) = (half(y_bounds, height), half(x_bounds, width));
        // The rectangle at the source.
        let cut = (0..TRIES).find_map(|_| {
            let (top, bottom) = span(y_bounds.0, half_h, height, rng)?;
            let (left, right) = span(x_bounds.0, half_w, width, rng)?;
            let area = Area {
                x: left,
                y: top,
                width: right - left,
                height: bottom - top,
            };
            placing
                .is_none_or(|placing| placing.source_suits(area))
                .then_some(area)
        })?;
        // Its size at the destination: the full sides keep to the bounds of the halves, as in NSA's code.
        let normal = Normal::new(1.0, 0.5).ok()?;
        let factor: f64 = normal.sample(rng);
        let factor = factor.clamp(settings.scale.0, settings.scale.1);
        let clip = |value: f64, (low, high): (u32, u32)| value.clamp(low.into(), high.into());
        let (cut_w, cut_h) = (f64::from(cut.width), f64::from(cut.height));
        let w = clip((clip(factor * cut_h, y_bounds) / cut_h * cut_w).trunc(), x_bounds);
        let h = clip((w / cut_w * cut_h).trunc(), y_bounds);
        let (w, h) = (w as u32, h as u32);
        if w.saturating_sub(2) * h.saturating_sub(2) < MIN_PIXELS {
            return None;
        }
        let object = placing.map(|placing| stretched(&placing.source, cut, w, h));
        // The place at the destination.
        let mut place = |side: u32, length: u32| {
            let (low, high) = (side / 2 + 1, length.checked_sub(side / 2 + 1)?);
            (low < high).then(|| rng.random_range(low..high) - side / 2)
        };
        let (x, y) = (0..TRIES).find_map(|_| {
            let (y, x) = (place(h, height)?, place(w, width)?);
            let suits = match (placing, &object) {
                (Some(placing), Some(object)) => placing.destination_suits(object, x, y),
                _ => true,
            };
            suits.then_some((x, y))
        })?;
        let piece = crop_imm(source, cut.x, cut.y, cut.width, cut.height).to_image();
        let piece = bilinear(&piece, w, h);
        // The pixels of an object on either side, together with the ground on both sides, are all pixels; the
        // outermost ring is left out.
        let full = Mask::from_fn(w, h, |_, _| true);
        let inner = Area {
            x: 1,
            y: 1,
            width: w - 2,
            height: h - 2,
        };
        poisson::blend(&piece, &full, inner, image, (x + 1, y + 1), settings.blending);
        for v in 0..h {
            for u in 0..w {
                let (at_x, at_y) = (x + u, y + v);
                let on_object = match (placing, &object) {
                    (Some(placing), Some(object)) => object.get(u, v) || placing.destination.get(at_x, at_y),
                    _ => true,
                };
                if on_object {
                    touched.set(at_x, at_y, true);
                }
            }
        }
        for (key, value) in [
            ("source_x", cut.x),
            ("source_y", cut.y),
            ("source_width", cut.width),
            ("source_height", cut.height),
            ("x", x),
            ("y", y),
            ("width", w),
            ("height", h),
        ] {
            parameters.push(key, value);
        }
        Some(())
    }
}

impl AnomalySimulator for Nsa {
    fn kind(&self) -> Kind {
        Kind::Nsa
    }

    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        let sample = match &self.sources {
            Some(sources) => {
                let source = sources.texture(normal.width(), normal.height(), rng);
                self.blend(normal, &source, rng)
            }
            None => self.blend(normal, normal, rng),
        }?;
        Some(Simulated {
            image: to_float(&sample.image),
            mask: sample.mask,
            kind: Kind::Nsa,
            parameters: sample.parameters,
        })
    }
}

/// The background model, applied to both images.
struct Placing {
    objects: Objects,
    source: Mask,
    destination: Mask,
}

impl Placing {
    fn source_suits(&self, area: Area) -> bool {
        let set = (area.y..area.y + area.height)
            .map(|y| {
                (area.x..area.x + area.width)
                    .filter(|&x| self.source.get(x, y))
                    .count()
            })
            .sum::<usize>();
        set as f64 > self.objects.min_share * f64::from(area.width * area.height)
    }

    fn destination_suits(&self, object: &Mask, x: u32, y: u32) -> bool {
        let set = object.count() as f64;
        let mut both = 0.0;
        for v in 0..object.height() {
            for u in 0..object.width() {
                if object.get(u, v) && self.destination.get(x + u, y + v) {
                    both += 1.0;
                }
            }
        }
        object.coverage() > self.objects.min_share && both > self.objects.min_overlap * set
    }
}

/// Half-width bounds in pixels, at least 1.
fn bounds((low, high): (f64, f64), length: u32) -> (u32, u32) {
    let pixels = |share: f64| ((share * f64::from(length)).round_ties_even() as u32).max(1);
    (pixels(low), pixels(high).max(pixels(low)))
}

/// First pixel and end of a span with a random centre, cut off at the image.
fn span(margin: u32, half: u32, length: u32, rng: &mut dyn RngCore) -> Option<(u32, u32)> {
    let end = length.checked_sub(margin)?;
    let center = (margin < end).then(|| rng.random_range(margin..end))?;
    Some((center.saturating_sub(half), (center + half).min(length)))
}

/// A part of a mask, resized (bilinear, half or more is set).
fn stretched(mask: &Mask, area: Area, width: u32, height: u32) -> Mask {
    let tap = |at: u32, from: u32, to: u32| {
        let place = (f64::from(at) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
        let place = place.clamp(0.0, f64::from(from - 1));
        let first = place as u32;
        (first, (first + 1).min(from - 1), place - f64::from(first))
    };
    let value = |x: u32, y: u32| f64::from(u8::from(mask.get(area.x + x, area.y + y)));
    Mask::from_fn(width, height, |x, y| {
        let (left, right, a) = tap(x, area.width, width);
        let (top, bottom, b) = tap(y, area.height, height);
        let row = |y: u32| value(left, y) * (1.0 - a) + value(right, y) * a;
        row(top) * (1.0 - b) + row(bottom) * b >= 0.5
    })
}
