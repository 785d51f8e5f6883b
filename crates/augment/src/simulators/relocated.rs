//! Material that lies at the wrong place, or is gone.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::Rectangle;
use flawforge_masks::decimal::decimal;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::pixels::to_float_into;
use crate::settings::{KindConstants, POSITIVE, number, positive_up_to, rectangle, whole};
use crate::{AnomalySimulator, Kind, Materials, SettingsError, Simulated};

/// A part of the surface shows what lies elsewhere in the same image: material of its own, in its own colours, at a wrong place; or
/// what lies right beside the part, so that what was there is gone. The border is soft, and only places that really look different
/// change: of a texture that is the same everywhere nothing can be made.
///
/// A proposal, every constant of it. Lengths in pixels are given for 256-px images and scale with the shorter side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relocated {
    /// Sizes of parts: 0.5 to 6 % of the image, ratios from 0.3 to 3.3; half of the parts are the ellipse inside.
    pub part: Rectangle,
    /// Probability that a part shows what lies right beside it, in [0, 1]; 0.5.
    pub removal: f64,
    /// Width of the border over which the part fades in, in px of a 256-px image; 3.
    #[serde(serialize_with = "decimal")]
    pub border: f32,
    /// Side of the squares whose means are compared, in px of a 256-px image: differences of finer grain do not count; 5.
    #[serde(serialize_with = "decimal")]
    pub grain: f32,
    /// Mean absolute difference of the channels from which on a place changes, in levels of 255. From twice as much on it changes
    /// wholly; 10.
    #[serde(serialize_with = "decimal")]
    pub difference: f32,
    /// Smallest share of a part that must change, in [0, 1]; 0.3.
    pub share: f64,
    /// How often all is drawn before nothing is returned; 10.
    pub tries: u32,
}

impl Default for Relocated {
    fn default() -> Self {
        Self {
            part: Rectangle {
                area: (0.005, 0.06),
                ..Rectangle::default()
            },
            removal: 0.5,
            border: 3.0,
            grain: 5.0,
            difference: 10.0,
            share: 0.3,
            tries: 10,
        }
    }
}

impl KindConstants for Relocated {
    fn check(&self) -> Result<(), SettingsError> {
        rectangle(&self.part).map_err(|error| error.within("part"))?;
        number("removal", self.removal, 0.0..=1.0)?;
        number("border", self.border, 0.0..)?;
        number("grain", self.grain, POSITIVE)?;
        number("difference", self.difference, positive_up_to(255.0))?;
        number("share", self.share, 0.0..=1.0)?;
        whole("tries", self.tries, 1..)
    }

    fn simulator(&self, _: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(*self)
    }
}

/// The side in pixels for which pixel lengths are given.
const REFERENCE_SIDE: f32 = 256.0;

/// A rectangle of the image, its shape, and where what it shows lies.
struct Part {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    is_ellipse: bool,
    from: (usize, usize),
    is_removal: bool,
}

impl Part {
    /// `None` where nothing of the image lies beside the part.
    fn draw(settings: &Relocated, (width, height): (u32, u32), rng: &mut dyn RngCore) -> Option<Self> {
        let (w, h) = settings.part.size(width, height, rng);
        let mut anywhere = || (rng.random_range(0..=width - w), rng.random_range(0..=height - h));
        let ((x, y), from) = (anywhere(), anywhere());
        let is_ellipse = rng.random();
        let is_removal = rng.random::<f64>() < settings.removal;
        let from = match is_removal {
            false => from,
            true => {
                let sides = [
                    (x >= w).then(|| (x - w, y)),
                    (x + 2 * w <= width).then_some((x + w, y)),
                    (y >= h).then(|| (x, y - h)),
                    (y + 2 * h <= height).then_some((x, y + h)),
                ];
                sides[rng.random_range(0..sides.len())]?
            }
        };
        let wide = |(x, y): (u32, u32)| (x as usize, y as usize);
        let ((x, y), (width, height)) = (wide((x, y)), wide((w, h)));
        Some(Self {
            x,
            y,
            width,
            height,
            is_ellipse,
            from: wide(from),
            is_removal,
        })
    }

    /// How much a pixel of the rectangle shows of what lies elsewhere: 1 but for the border, outside of the shape 0.
    fn opacity(&self, column: usize, row: usize, border: f32) -> f32 {
        let half = |length: usize| length as f32 / 2.0;
        let (across, down) = (half(self.width), half(self.height));
        let (u, v) = (column as f32 + 0.5 - across, row as f32 + 0.5 - down);
        let depth = match self.is_ellipse {
            true => (1.0 - ((u / across).powi(2) + (v / down).powi(2)).sqrt()) * across.min(down),
            false => (across - u.abs()).min(down - v.abs()),
        };
        // Half a pixel at the border itself.
        (depth / border.max(0.5)).clamp(0.0, 1.0)
    }
}

impl Relocated {
    fn try_once(
        &self,
        normal: &RgbImage,
        made: &mut Simulated,
        means: &mut Means,
        rng: &mut dyn RngCore,
    ) -> bool {
        let Some(part) = Part::draw(self, normal.dimensions(), rng) else {
            return false;
        };
        let scale = normal.width().min(normal.height()) as f32 / REFERENCE_SIDE;
        let width = normal.width() as usize;
        let (pixels, _) = normal.as_raw().as_chunks::<3>();
        let at = |(x, y): (usize, usize), row: usize| &pixels[(y + row) * width + x..][..part.width];
        means.take((part.width, part.height), |row| {
            at(part.from, row).iter().zip(at((part.x, part.y), row))
        });
        means.average(((self.grain * scale / 2.0) as usize).min(part.width.max(part.height)));
        let border = self.border * scale;
        to_float_into(normal, &mut made.image);
        made.mask.reset(normal.width(), normal.height());
        let (values, _) = made.image.as_chunks_mut::<3>();
        let (mut shape, mut changed) = (0usize, 0usize);
        for row in 0..part.height {
            for (column, new) in at(part.from, row).iter().enumerate() {
                let opacity = part.opacity(column, row, border);
                if opacity == 0.0 {
                    continue;
                }
                shape += 1;
                let difference = means.difference(column, row) / self.difference - 1.0;
                let share = opacity * difference.clamp(0.0, 1.0);
                let (x, y) = (part.x + column, part.y + row);
                let old = &mut values[y * width + x];
                let new = new.map(|level| f32::from(level) / 255.0);
                if share > 0.0 && *old != new {
                    for (old, new) in old.iter_mut().zip(new) {
                        *old += share * (new - *old);
                    }
                    made.mask.set(x as u32, y as u32, true);
                    changed += 1;
                }
            }
        }
        if changed == 0 || (changed as f64) < self.share * shape as f64 {
            return false;
        }
        made.kind = Kind::Relocated;
        made.parameters.clear();
        for (key, value) in [
            ("x", part.x),
            ("y", part.y),
            ("width", part.width),
            ("height", part.height),
            ("source_x", part.from.0),
            ("source_y", part.from.1),
        ] {
            made.parameters.push(key, value as u32);
        }
        let shape = if part.is_ellipse { "ellipse" } else { "rectangle" };
        made.parameters.push("shape", shape);
        let what = if part.is_removal { "removed" } else { "moved" };
        made.parameters.push("what", what);
        true
    }
}

impl AnomalySimulator for Relocated {
    fn kind(&self) -> Kind {
        Kind::Relocated
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        if normal.width() == 0 || normal.height() == 0 {
            return false;
        }
        MEANS.with_borrow_mut(|means| (0..self.tries).any(|_| self.try_once(normal, made, means, rng)))
    }
}

thread_local! {
    static MEANS: RefCell<Means> = RefCell::default();
}

/// Differences of two rectangles of the same size, averaged over squares; memory that a thread keeps.
#[derive(Default)]
struct Means {
    width: usize,
    height: usize,
    values: Vec<[f32; 3]>,
    across: Vec<[f32; 3]>,
}

impl Means {
    /// The differences of pairs of pixels, row by row.
    fn take<'a>(
        &mut self,
        (width, height): (usize, usize),
        row: impl Fn(usize) -> std::iter::Zip<std::slice::Iter<'a, [u8; 3]>, std::slice::Iter<'a, [u8; 3]>>,
    ) {
        (self.width, self.height) = (width, height);
        self.values.clear();
        let difference =
            |(new, old): (&[u8; 3], &[u8; 3])| std::array::from_fn(|c| f32::from(new[c]) - f32::from(old[c]));
        for y in 0..height {
            self.values.extend(row(y).map(difference));
        }
    }

    /// Each the mean of those up to `reach` away, as far as the rectangle reaches.
    fn average(&mut self, reach: usize) {
        let Self {
            width,
            height,
            values,
            across,
        } = self;
        across.clear();
        for row in values.chunks_exact(*width) {
            across.extend((0..*width).map(|x| mean(near(x, reach, *width).map(|x| row[x]))));
        }
        values.clear();
        for y in 0..*height {
            let column = |x: usize| near(y, reach, *height).map(move |y| (x, y));
            values.extend((0..*width).map(|x| mean(column(x).map(|(x, y)| across[y * *width + x]))));
        }
    }

    /// The mean absolute difference of the channels.
    fn difference(&self, x: usize, y: usize) -> f32 {
        let sum: f32 = self.values[y * self.width + x]
            .iter()
            .map(|value| value.abs())
            .sum();
        sum / 3.0
    }
}

fn near(place: usize, reach: usize, length: usize) -> std::ops::Range<usize> {
    place.saturating_sub(reach)..(place + reach + 1).min(length)
}

fn mean(values: impl ExactSizeIterator<Item = [f32; 3]>) -> [f32; 3] {
    let count = values.len().max(1) as f32;
    let mut sums = [0.0; 3];
    for value in values {
        for (sum, value) in sums.iter_mut().zip(value) {
            *sum += value;
        }
    }
    sums.map(|sum: f32| sum / count)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Stream, to_float};

    fn rng(index: u64) -> impl RngCore {
        Stream {
            index,
            ..Stream::default()
        }
        .rng("")
    }

    /// A dark bar on a light ground, with grain.
    fn part() -> RgbImage {
        RgbImage::from_fn(96, 80, |x, y| {
            let grain = ((x * 7 + y * 13) % 5) as u8;
            Rgb(match (30..50).contains(&x) {
                true => [40 + grain, 50, 60],
                false => [200 + grain, 190, 180],
            })
        })
    }

    #[test]
    fn places_that_change_show_material_of_the_image_and_are_marked() {
        let normal = part();
        let before = to_float(&normal);
        let mut whats = [0, 0];
        for index in 0..200 {
            // Ten draws may all lie where nothing differs.
            let Some(made) = Relocated::default().simulate(&normal, &mut rng(index)) else {
                continue;
            };
            let number = |key| made.parameters.number(key).unwrap() as u32;
            let (left, top) = (number("x"), number("y"));
            let (dx, dy) = (
                i64::from(number("source_x")) - i64::from(left),
                i64::from(number("source_y")) - i64::from(top),
            );
            let removed = made.parameters.get("what") == Some("removed".into());
            whats[usize::from(removed)] += 1;
            if removed {
                let beside = (i64::from(number("width")), i64::from(number("height")));
                assert!((dx.abs(), dy) == (beside.0, 0) || (dx, dy.abs()) == (0, beside.1));
            }
            let mut wholly = 0;
            for (x, y, pixel) in made.image.enumerate_pixels() {
                let old = before.get_pixel(x, y);
                assert_eq!(made.mask.get(x, y), pixel != old, "{index} {x} {y}");
                if pixel != old {
                    let from = (i64::from(x) + dx, i64::from(y) + dy);
                    let from = before.get_pixel(from.0 as u32, from.1 as u32);
                    for c in 0..3 {
                        let (low, high) = (old.0[c].min(from.0[c]), old.0[c].max(from.0[c]));
                        assert!((low - 1e-6..=high + 1e-6).contains(&pixel.0[c]));
                    }
                    wholly += usize::from((pixel.0[1] - from.0[1]).abs() < 1e-6);
                }
            }
            assert!(wholly > 0, "nothing is wholly moved");
        }
        assert!(whats[0] > 40 && whats[1] > 30, "{whats:?}");
    }

    #[test]
    fn of_an_even_texture_nothing_is_made() {
        let noise = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(374_761_393) ^ y.wrapping_mul(668_265_263);
            (mixed ^ (mixed >> 13)).wrapping_mul(1_274_126_177) >> 16
        };
        let texture = RgbImage::from_fn(256, 256, |x, y| Rgb([(noise(x, y) % 60) as u8; 3]));
        for index in 0..50 {
            let made = Relocated::default().simulate(&texture, &mut rng(index));
            assert!(made.is_none(), "{:?}", made.map(|made| made.parameters));
        }
        // Where grain counts, something is.
        let fine = Relocated {
            grain: 0.5,
            ..Relocated::default()
        };
        assert!(fine.simulate(&texture, &mut rng(0)).is_some());
    }

    #[test]
    fn tiny_images_are_no_fault() {
        for (width, height) in [(0, 0), (1, 1), (2, 1)] {
            let made = Relocated::default().simulate(&RgbImage::new(width, height), &mut rng(1));
            assert_eq!(made, None);
        }
    }

    #[test]
    fn means_are_of_what_is_near() {
        let (new, old) = ([[9, 0, 0], [0, 0, 3], [3, 0, 0]], [[0; 3]; 3]);
        let mut means = Means::default();
        means.take((3, 1), |_| new.iter().zip(&old));
        means.average(1);
        assert_eq!(means.values, [[4.5, 0.0, 1.5], [4.0, 0.0, 1.0], [1.5, 0.0, 1.5]]);
        assert_eq!(means.difference(1, 0), 5.0 / 3.0);
    }
}
