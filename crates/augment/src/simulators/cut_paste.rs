//! Pieces of the image itself, pasted elsewhere.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::{Mask, Rectangle, Scar};
use image::{Rgb32FImage, RgbImage};
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use super::color_jitter::Planes;
use crate::pixels::to_float_into;
use crate::settings::{KindConstants, number, rectangle, scar};
use crate::{AnomalySimulator, ColorJitter, Kind, Materials, SettingsError, Simulated};

/// CutPaste (Li et al. 2021): a rectangle of the image, its colours jittered, is pasted at another place of the
/// same image; or a thin one is rotated and pasted, a scar. The mask holds the pasted pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CutPaste {
    /// Sizes of patches (appendix A.1).
    pub patch: Rectangle,
    /// Sizes and rotation of scars (appendix A.2).
    pub scar: Scar,
    /// Probability of a scar instead of a patch, in [0, 1]; 0.5 (proposal: the source trains on each or both).
    pub scar_probability: f64,
    /// Change of the patch's colours (appendix A.3).
    pub jitter: ColorJitter,
}

impl Default for CutPaste {
    fn default() -> Self {
        Self {
            patch: Rectangle::default(),
            scar: Scar::default(),
            scar_probability: 0.5,
            jitter: ColorJitter::default(),
        }
    }
}

impl KindConstants for CutPaste {
    fn check(&self) -> Result<(), SettingsError> {
        rectangle(&self.patch).map_err(|error| error.within("patch"))?;
        scar(&self.scar).map_err(|error| error.within("scar"))?;
        number("scar_probability", self.scar_probability, 0.0..=1.0)?;
        self.jitter.check().map_err(|error| error.within("jitter"))
    }

    fn simulator(&self, _: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(*self)
    }
}

impl AnomalySimulator for CutPaste {
    fn kind(&self) -> Kind {
        Kind::CutPaste
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        let (width, height) = normal.dimensions();
        if width == 0 || height == 0 {
            return false;
        }
        let scar = rng.random::<f64>() < self.scar_probability;
        let paste = if scar {
            Paste::scar(&self.scar, width, height, rng)
        } else {
            Paste::patch(&self.patch, width, height, rng)
        };
        made.kind = Kind::CutPaste;
        let parameters = &mut made.parameters;
        parameters.clear();
        parameters.push("shape", if scar { "scar" } else { "patch" });
        parameters.push("width", paste.width);
        parameters.push("height", paste.height);
        parameters.push("source_x", paste.from.0);
        parameters.push("source_y", paste.from.1);
        parameters.push("center_x", paste.center.0);
        parameters.push("center_y", paste.center.1);
        parameters.push("degrees", paste.degrees);
        to_float_into(normal, &mut made.image);
        made.mask.reset(width, height);
        PIECE.with_borrow_mut(|piece| {
            paste.cut(&made.image, piece);
            for change in self.jitter.draw(rng) {
                change.describe(parameters);
                piece.change(change);
            }
            paste.paste(piece, &mut made.image, &mut made.mask);
        });
        true
    }
}

thread_local! {
    static PIECE: RefCell<Planes> = RefCell::default();
}

/// A rectangle of an image and where it goes.
struct Paste {
    width: u32,
    height: u32,
    /// Top-left pixel of the rectangle in the source.
    from: (u32, u32),
    /// Centre at the destination; pixel centres are at halves.
    center: (f64, f64),
    degrees: f64,
}

impl Paste {
    fn patch(settings: &Rectangle, width: u32, height: u32, rng: &mut dyn RngCore) -> Self {
        let (w, h) = settings.size(width, height, rng);
        let mut place = || (rng.random_range(0..=width - w), rng.random_range(0..=height - h));
        let (from, to) = (place(), place());
        Self {
            width: w,
            height: h,
            from,
            center: (
                f64::from(to.0) + f64::from(w) / 2.0,
                f64::from(to.1) + f64::from(h) / 2.0,
            ),
            degrees: 0.0,
        }
    }

    fn scar(settings: &Scar, width: u32, height: u32, rng: &mut dyn RngCore) -> Self {
        let scale = f64::from(width.min(height)) / 256.0;
        let mut within = |(low, high): (f64, f64)| low + (high - low) * rng.random::<f64>();
        let side = |length: f64, limit: u32| ((length * scale).round() as u32).clamp(1, limit);
        let w = side(within(settings.width), width);
        let h = side(within(settings.length), height);
        let reach = settings.max_rotation_degrees;
        let degrees = within((-reach, reach));
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (half_w, half_h) = (f64::from(w) / 2.0, f64::from(h) / 2.0);
        let reach_x = half_w * cos.abs() + half_h * sin.abs();
        let reach_y = half_w * sin.abs() + half_h * cos.abs();
        let mut center = |reach: f64, side: u32| {
            let free = (f64::from(side) - 2.0 * reach).max(0.0);
            f64::from(side) / 2.0 + (rng.random::<f64>() - 0.5) * free
        };
        let center = (center(reach_x, width), center(reach_y, height));
        Self {
            width: w,
            height: h,
            from: (rng.random_range(0..=width - w), rng.random_range(0..=height - h)),
            center,
            degrees,
        }
    }

    /// The pixels of the rectangle, row-major.
    fn cut(&self, image: &Rgb32FImage, piece: &mut Planes) {
        let (pixels, _) = image.as_chunks::<3>();
        piece.clear();
        for row in self.from.1..self.from.1 + self.height {
            let first = row as usize * image.width() as usize + self.from.0 as usize;
            piece.extend(&pixels[first..][..self.width as usize]);
        }
    }

    /// Writes the rotated rectangle, each pixel from its nearest pixel of the piece.
    fn paste(&self, piece: &Planes, image: &mut Rgb32FImage, mask: &mut Mask) {
        let left = self.center.0 - f64::from(self.width) / 2.0;
        let top = self.center.1 - f64::from(self.height) / 2.0;
        if self.degrees == 0.0 && left >= 0.0 && top >= 0.0 && left.fract() == 0.0 && top.fract() == 0.0 {
            return self.paste_upright((left as u32, top as u32), piece, image, mask);
        }
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let (w, h) = (f64::from(self.width), f64::from(self.height));
        let reach_x = (w * cos.abs() + h * sin.abs()) / 2.0;
        let reach_y = (w * sin.abs() + h * cos.abs()) / 2.0;
        let span = |center: f64, reach: f64, limit: u32| {
            ((center - reach).floor().max(0.0) as u32)..((center + reach).ceil() as u32).min(limit)
        };
        let (columns, rows) = (
            span(self.center.0, reach_x, mask.width()),
            span(self.center.1, reach_y, mask.height()),
        );
        let mut write = |x: u32, y: u32, u: f64, v: f64| {
            let at = |t: f64, limit: u32| (t.max(0.0) as usize).min(limit as usize - 1);
            let pixel = piece.get(at(v, self.height) * self.width as usize + at(u, self.width));
            image.put_pixel(x, y, image::Rgb(pixel));
            mask.set(x, y, true);
        };
        // A thin scar may fall between pixel centres; one pixel is always written.
        write(
            (self.center.0 as u32).min(columns.end.max(1) - 1),
            (self.center.1 as u32).min(rows.end.max(1) - 1),
            w / 2.0,
            h / 2.0,
        );
        for y in rows {
            for x in columns.clone() {
                let (dx, dy) = (
                    f64::from(x) + 0.5 - self.center.0,
                    f64::from(y) + 0.5 - self.center.1,
                );
                let (u, v) = (dx * cos + dy * sin + w / 2.0, dy * cos - dx * sin + h / 2.0);
                if (0.0..w).contains(&u) && (0.0..h).contains(&v) {
                    write(x, y, u, v);
                }
            }
        }
    }

    /// The same for an unrotated rectangle whose top-left pixel is given.
    fn paste_upright(
        &self,
        (left, top): (u32, u32),
        piece: &Planes,
        image: &mut Rgb32FImage,
        mask: &mut Mask,
    ) {
        let width = image.width() as usize;
        let (pixels, _) = image.as_chunks_mut::<3>();
        let length = self.width as usize;
        for row in 0..self.height as usize {
            let first = (top as usize + row) * width + left as usize;
            piece.write(row * length, &mut pixels[first..][..length]);
        }
        mask.set_rectangle((left, top), (self.width, self.height));
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Stream, to_float};

    fn normal(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]))
    }

    fn samples(simulator: CutPaste, count: u64) -> impl Iterator<Item = Simulated> {
        let image = normal(200, 256);
        (0..count).map(move |index| {
            let mut rng = Stream {
                seed: 5,
                step: 0,
                index,
            }
            .rng("");
            simulator.simulate(&image, &mut rng).unwrap()
        })
    }

    fn still() -> ColorJitter {
        ColorJitter {
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        }
    }

    #[test]
    fn patches_follow_their_definition() {
        let simulator = CutPaste {
            scar_probability: 0.0,
            jitter: still(),
            ..CutPaste::default()
        };
        let image = to_float(&normal(200, 256));
        let (mut areas, mut flat, mut places, count) = (0.0, 0, [0.0; 4], 500);
        for made in samples(simulator, count) {
            let number = |key| made.parameters.number(key).unwrap();
            let (w, h) = (number("width"), number("height"));
            assert_eq!(made.mask.count() as f64, w * h);
            let area = w * h / (200.0 * 256.0);
            assert!(
                (0.019..0.152).contains(&area) && (0.28..3.6).contains(&(h / w)),
                "{w} {h}"
            );
            areas += area;
            flat += usize::from(h < w);
            let (fx, fy) = (number("source_x"), number("source_y"));
            let (tx, ty) = (number("center_x") - w / 2.0, number("center_y") - h / 2.0);
            let relative = [
                fx / (200.0 - w),
                fy / (256.0 - h),
                tx / (200.0 - w),
                ty / (256.0 - h),
            ];
            for (sum, at) in places.iter_mut().zip(relative) {
                assert!((0.0..=1.0).contains(&at), "{at}");
                *sum += at / count as f64;
            }
            // The pixels are those of the source rectangle, in place.
            let (x, y) = (tx as u32 + 3, ty as u32 + 5);
            let expected = image.get_pixel(fx as u32 + 3, fy as u32 + 5).0;
            let found = made.image.get_pixel(x, y).0;
            assert!(
                (0..3).all(|c| (found[c] - expected[c]).abs() < 1e-5),
                "{found:?} {expected:?}"
            );
            for (x, y, pixel) in made.image.enumerate_pixels() {
                assert!(made.mask.get(x, y) || pixel == image.get_pixel(x, y));
            }
        }
        let mean = areas / count as f64;
        assert!((mean - 0.085).abs() < 0.005, "{mean}");
        assert!((210..290).contains(&flat), "{flat} of 500 are flat");
        assert!(places.iter().all(|mean| (mean - 0.5).abs() < 0.05), "{places:?}");
    }

    #[test]
    fn scars_follow_their_definition() {
        let simulator = CutPaste {
            scar_probability: 1.0,
            ..CutPaste::default()
        };
        let scale = 200.0 / 256.0;
        let (mut area, mut angles, count) = (0.0, 0.0, 500);
        for made in samples(simulator, count) {
            let number = |key| made.parameters.number(key).unwrap();
            let (w, h, degrees) = (number("width"), number("height"), number("degrees"));
            assert!((1.0..=13.0).contains(&w) && (8.0..=20.0).contains(&h) && degrees.abs() <= 45.0);
            let pixels = made.mask.count() as f64;
            assert!((pixels - w * h).abs() <= w + h, "{pixels} {w} {h} {degrees}");
            area += pixels / count as f64;
            angles += degrees.abs() / count as f64;
        }
        // E[width] E[length] in a smaller image.
        assert!((area - 157.5 * scale * scale).abs() < 8.0, "{area}");
        assert!((angles - 22.5).abs() < 2.0, "{angles}");
    }

    #[test]
    fn half_are_scars_and_colors_stay_close() {
        let mut scars = 0;
        for made in samples(CutPaste::default(), 400) {
            assert_eq!(made.kind, Kind::CutPaste);
            scars += usize::from(made.parameters.get("shape") == Some("scar".into()));
            assert!(made.image.iter().all(|v| (0.0..=1.0).contains(v)));
            assert!(!made.mask.is_empty());
        }
        assert!((160..240).contains(&scars), "{scars}");
    }

    #[test]
    fn any_size_works() {
        for (width, height) in [(1, 1), (2, 9), (32, 32), (33, 300)] {
            for index in 0..40 {
                let mut rng = Stream {
                    seed: 0,
                    step: 0,
                    index,
                }
                .rng("");
                let made = CutPaste::default()
                    .simulate(&normal(width, height), &mut rng)
                    .unwrap();
                assert!(!made.mask.is_empty());
            }
        }
        let nothing = CutPaste::default().simulate(&RgbImage::new(0, 0), &mut Stream::default().rng(""));
        assert!(nothing.is_none());
    }
}
