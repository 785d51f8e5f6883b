//! Natural synthetic anomalies: patches of normal images, blended in by their gradients.

mod label;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::Mask;
use flawforge_resample::resize::bilinear_rgb_part;
use image::RgbImage;
use rand::{Rng, RngCore};
use rand_distr::{Distribution, Normal};

pub use label::LabelKind;
use label::Labelling;
pub use settings::{Gamma, Logistic, NsaError, NsaSettings, Objects, Preparation};

use crate::pixels::{copy, reshape, to_float_into};
use crate::poisson::{self, Area};
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
#[derive(Debug, Clone, PartialEq, Default)]
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
        let mut sample = NsaSample::default();
        self.blend_into(normal, source, &mut sample, rng)
            .then_some(sample)
    }

    /// The same, written over a sample, whose memory is used again; `false` when no patch fits or none can be seen.
    pub fn blend_into(
        &self,
        normal: &RgbImage,
        source: &RgbImage,
        sample: &mut NsaSample,
        rng: &mut dyn RngCore,
    ) -> bool {
        SCRATCH.with_borrow_mut(|scratch| {
            self.patches(normal, source, sample, scratch, rng)
                && (scratch.labelling).label(
                    normal,
                    &sample.image,
                    &scratch.touched,
                    (self.label, self.settings.label),
                    &mut sample.mask,
                    Some(&mut sample.label),
                )
        })
    }

    /// Blends patches in; `false` when none is.
    fn patches(
        &self,
        normal: &RgbImage,
        source: &RgbImage,
        sample: &mut NsaSample,
        scratch: &mut Scratch,
        rng: &mut dyn RngCore,
    ) -> bool {
        let (width, height) = normal.dimensions();
        if width == 0 || height == 0 || source.width() == 0 || source.height() == 0 {
            return false;
        }
        let mut resized = std::mem::take(&mut scratch.resized);
        let source = if source.dimensions() == normal.dimensions() {
            source
        } else {
            reshape(&mut resized, width, height);
            bilinear_rgb_part(source, (0, 0), source.dimensions(), &mut resized);
            &resized
        };
        if let Some(objects) = &self.settings.objects {
            objects.background.objects_into(source, &mut scratch.source);
            objects.background.objects_into(normal, &mut scratch.destination);
        }
        copy(normal, &mut sample.image);
        scratch.touched.reset(width, height);
        sample.parameters.clear();
        let mut blended = false;
        for number in 0..self.settings.patches {
            if number == 0 || rng.random() {
                // A patch that finds no place is left out.
                let done = self.patch(source, &mut sample.image, &mut sample.parameters, scratch, rng);
                blended |= done.is_some();
            }
        }
        scratch.resized = resized;
        blended && !scratch.touched.is_empty()
    }

    /// Blends one patch in; `None` when it finds no place.
    fn patch(
        &self,
        source: &RgbImage,
        image: &mut RgbImage,
        parameters: &mut Parameters,
        scratch: &mut Scratch,
        rng: &mut dyn RngCore,
    ) -> Option<()> {
        let Scratch {
            source: source_objects,
            destination: destination_objects,
            object,
            full,
            piece,
            touched,
            ..
        } = scratch;
        let settings = &self.settings;
        let objects = settings.objects.as_ref();
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
            objects
                .is_none_or(|objects| objects.source_suits(source_objects, area))
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
        if objects.is_some() {
            stretch(source_objects, cut, (w, h), object);
        }
        // The place at the destination.
        let mut place = |side: u32, length: u32| {
            let (low, high) = (side / 2 + 1, length.checked_sub(side / 2 + 1)?);
            (low < high).then(|| rng.random_range(low..high) - side / 2)
        };
        let (x, y) = (0..TRIES).find_map(|_| {
            let (y, x) = (place(h, height)?, place(w, width)?);
            objects
                .is_none_or(|objects| objects.destination_suits(object, destination_objects, x, y))
                .then_some((x, y))
        })?;
        reshape(piece, w, h);
        bilinear_rgb_part(source, (cut.x, cut.y), (cut.width, cut.height), piece);
        // The pixels of an object on either side, together with the ground on both sides, are all pixels; the
        // outermost ring is left out.
        full.reset(w, h);
        full.set_rectangle((0, 0), (w, h));
        let inner = Area {
            x: 1,
            y: 1,
            width: w - 2,
            height: h - 2,
        };
        poisson::blend(piece, full, inner, image, (x + 1, y + 1), settings.blending);
        if objects.is_none() {
            touched.set_rectangle((x, y), (w, h));
        } else {
            for v in 0..h {
                for u in 0..w {
                    if object.get(u, v) || destination_objects.get(x + u, y + v) {
                        touched.set(x + u, y + v, true);
                    }
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

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        // Taken, not borrowed: a texture source may simulate by itself.
        let (mut texture, mut sample) = SAMPLE.take();
        let source = match &self.sources {
            Some(sources) => {
                sources.texture_into(normal.width(), normal.height(), &mut texture, rng);
                &texture
            }
            None => normal,
        };
        let blended = SCRATCH.with_borrow_mut(|scratch| {
            self.patches(normal, source, &mut sample, scratch, rng)
                && (scratch.labelling).label(
                    normal,
                    &sample.image,
                    &scratch.touched,
                    (LabelKind::Binary, self.settings.label),
                    &mut made.mask,
                    None,
                )
        });
        if blended {
            to_float_into(&sample.image, &mut made.image);
            made.kind = Kind::Nsa;
            std::mem::swap(&mut made.parameters, &mut sample.parameters);
        }
        SAMPLE.set((texture, sample));
        blended
    }
}

/// Memory that a thread keeps from one sample to the next.
#[derive(Default)]
struct Scratch {
    resized: RgbImage,
    /// The objects in the source, in the image, and in the resized patch, under a background model.
    source: Mask,
    destination: Mask,
    object: Mask,
    full: Mask,
    piece: RgbImage,
    /// Where patches have been blended in.
    touched: Mask,
    labelling: Labelling,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    static SAMPLE: RefCell<(RgbImage, NsaSample)> = RefCell::default();
}

impl Objects {
    fn source_suits(&self, source: &Mask, area: Area) -> bool {
        let set: usize = (area.y..area.y + area.height)
            .map(|y| {
                row(source, area.x, y, area.width)
                    .iter()
                    .filter(|&&set| set != 0)
                    .count()
            })
            .sum();
        set as f64 > self.min_share * f64::from(area.width * area.height)
    }

    fn destination_suits(&self, object: &Mask, destination: &Mask, x: u32, y: u32) -> bool {
        let set = object.count() as f64;
        let both: usize = (0..object.height())
            .map(|v| {
                let object = row(object, 0, v, object.width());
                let there = row(destination, x, y + v, object.len() as u32);
                object.iter().zip(there).filter(|(a, b)| **a & **b != 0).count()
            })
            .sum();
        object.coverage() > self.min_share && both as f64 > self.min_overlap * set
    }
}

/// A part of a row of a mask; it lies inside.
fn row(mask: &Mask, x: u32, y: u32, width: u32) -> &[u8] {
    &mask.pixels()[(y * mask.width() + x) as usize..][..width as usize]
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
fn stretch(mask: &Mask, area: Area, (width, height): (u32, u32), stretched: &mut Mask) {
    let tap = |at: u32, from: u32, to: u32| {
        let place = (f64::from(at) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
        let place = place.clamp(0.0, f64::from(from - 1));
        let first = place as u32;
        (first, (first + 1).min(from - 1), place - f64::from(first))
    };
    let value = |x: u32, y: u32| f64::from(u8::from(mask.get(area.x + x, area.y + y)));
    stretched.reset(width, height);
    stretched.change_rows(|y, out| {
        let (top, bottom, b) = tap(y, area.height, height);
        for (x, out) in (0..width).zip(out) {
            let (left, right, a) = tap(x, area.width, width);
            let row = |y: u32| value(left, y) * (1.0 - a) + value(right, y) * a;
            *out = u8::from(row(top) * (1.0 - b) + row(bottom) * b >= 0.5);
        }
    });
}
