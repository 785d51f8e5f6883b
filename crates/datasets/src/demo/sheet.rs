//! Large sheets of felt with flaws of a few pixels: what a whole image in a small square hides.

use flawforge_masks::Mask;
use flawforge_resample::resize;
use image::{Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::lattice::{hash, layered, smooth};
use super::picture::{Part, VISIBLE, stream};
use super::test_image;
use crate::truth::at_least;
use crate::{Category, GOOD, Loading, TrainImage};

/// Name of the category.
pub(super) const NAME: &str = "sheet";

/// Width and height of a sheet's file in pixels.
pub(super) const SIZE: (u32, u32) = (2048, 1024);

/// Normal sheets to train on, and normal ones to test on.
const TRAIN: usize = 20;
const TEST_GOOD: usize = 8;
/// Sheets with flaws of each kind.
const PER_DEFECT: usize = 6;
/// Names of the kinds.
const DEFECTS: [&str; 3] = ["dent", "scratch", "spot"];

/// Across, in pixels of the file: the smallest and the largest flaw.
const FLAWS: (f32, f32) = (6.0, 40.0);

/// A flaw: what it adds to the brightness at a place, in shares of white.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    /// A round speck, darker or lighter.
    Spot { radius: f32, depth: f32 },
    /// A thin line.
    Scratch {
        half: f32,
        width: f32,
        turn: f32,
        depth: f32,
    },
    /// A hollow: lit on one side, in shadow on the other.
    Dent { radius: f32, turn: f32, depth: f32 },
}

impl Flaw {
    fn draw(kind: usize, rng: &mut ChaCha8Rng) -> Self {
        let sign = if rng.random() { 1.0 } else { -1.0 };
        let turn = rng.random_range(0.0..std::f32::consts::TAU);
        match DEFECTS[kind] {
            "spot" => Self::Spot {
                radius: rng.random_range(FLAWS.0 / 2.0..9.0),
                depth: sign * rng.random_range(0.16..0.32),
            },
            "scratch" => Self::Scratch {
                half: rng.random_range(7.0..FLAWS.1 / 2.0),
                width: rng.random_range(1.2..2.2),
                turn,
                depth: sign * rng.random_range(0.18..0.34),
            },
            _ => Self::Dent {
                radius: rng.random_range(7.0..16.0),
                turn,
                depth: rng.random_range(0.16..0.30),
            },
        }
    }

    /// Pixels from its middle within which it lies.
    fn reach(self) -> f32 {
        match self {
            Self::Spot { radius, .. } => radius + 1.0,
            Self::Scratch { half, width, .. } => half + width + 1.0,
            Self::Dent { radius, .. } => 1.25 * radius,
        }
    }

    fn change(self, dx: f32, dy: f32) -> f32 {
        // Edges are as soft as a pixel.
        let soft = |inside: f32| (inside + 0.5).clamp(0.0, 1.0);
        match self {
            Self::Spot { radius, depth } => depth * soft(radius - dx.hypot(dy)),
            Self::Scratch {
                half,
                width,
                turn,
                depth,
            } => {
                let (along, across) = turned(dx, dy, turn);
                depth * soft(half - along.abs()) * soft(width - across.abs())
            }
            Self::Dent { radius, turn, depth } => {
                let (along, _) = turned(dx, dy, turn);
                let share = (dx * dx + dy * dy) / (radius * radius);
                // The slope of a bell, which a light from one side makes bright and dark.
                2.33 * depth * along / radius * (-2.0 * share).exp()
            }
        }
    }
}

fn turned(dx: f32, dy: f32, turn: f32) -> (f32, f32) {
    let (sine, cosine) = turn.sin_cos();
    (dx * cosine + dy * sine, dy * cosine - dx * sine)
}

/// A sheet, and where its flaws show.
fn drawn(seed: u64, part: Part, index: usize) -> (RgbImage, Mask) {
    let mut rng = stream(seed, NAME, part, index, 0);
    let surface: u32 = rng.random();
    let (width, height) = SIZE;
    let mut change = vec![0f32; width as usize * height as usize];
    if let Part::Defect(kind) = part {
        for _ in 0..rng.random_range(1..4) {
            let flaw = Flaw::draw(kind, &mut rng);
            let reach = flaw.reach().ceil();
            let center = (
                rng.random_range(reach..width as f32 - reach),
                rng.random_range(reach..height as f32 - reach),
            );
            for y in (center.1 - reach) as u32..=((center.1 + reach) as u32).min(height - 1) {
                for x in (center.0 - reach) as u32..=((center.0 + reach) as u32).min(width - 1) {
                    let there = &mut change[(y * width + x) as usize];
                    *there += flaw.change(x as f32 - center.0, y as f32 - center.1);
                }
            }
        }
    }
    let level = 0.52 + rng.random_range(-0.03..0.03);
    let tint = [1.04, 1.0, 0.92];
    let rows: Vec<u8> = (0..height)
        .into_par_iter()
        .flat_map_iter(|y| {
            let change = &change;
            (0..width).flat_map(move |x| {
                let (u, v) = (x as f32, y as f32);
                let clouds = 0.05 * layered(u / 210.0, v / 210.0, 2, surface);
                let fibres = 0.05 * smooth(u / 3.0, v / 17.0, surface ^ 0x51)
                    + 0.05 * smooth(u / 17.0, v / 3.0, surface ^ 0xa3);
                let grain = 0.05 * (hash(x as i32, y as i32, surface ^ 0x77) - 0.5);
                let light = level + clouds + fibres + grain + change[(y * width + x) as usize];
                tint.map(|tint| (255.0 * (light * tint).clamp(0.0, 1.0)).round() as u8)
            })
        })
        .collect();
    let image = RgbImage::from_raw(width, height, rows)
        .unwrap_or_else(|| RgbImage::from_pixel(width, height, Rgb([0; 3])));
    let mask = Mask::from_fn(width, height, |x, y| {
        change[(y * width + x) as usize].abs() > VISIBLE
    });
    (image, mask)
}

/// A normal sheet to train on, at the size of its file.
pub(super) fn normal(seed: u64, index: usize) -> RgbImage {
    drawn(seed, Part::Train, index).0
}

/// The category, its images and masks brought to their sizes as those of files are.
pub(super) fn category(loading: &Loading, seed: u64) -> Category {
    let train = (0..TRAIN)
        .map(|index| {
            let image = normal(seed, index);
            TrainImage::of_file(format!("{index:03}"), SIZE, loading.resized(&image))
        })
        .collect();
    let good = (0..TEST_GOOD).map(|index| (GOOD, Part::Test, index));
    let defective = DEFECTS
        .iter()
        .enumerate()
        .flat_map(|(kind, &name)| (0..PER_DEFECT).map(move |index| (name, Part::Defect(kind), index)));
    let mut places: Vec<(&str, Part, usize)> = good.chain(defective).collect();
    places.sort_by_key(|&(name, _, index)| (name, index));
    let test = places
        .into_iter()
        .map(|(defect, part, index)| {
            let (image, mask) = drawn(seed, part, index);
            let mut test = test_image(defect, index, loading.resized(&image), mask.clone());
            let (width, height) = loading.mask.of(SIZE);
            let small = resize::bilinear_gray(&mask.to_luma8(), width, height);
            (test.mask, test.mask_half) = (at_least(&small, 255), at_least(&small, 128));
            test.file_size = SIZE;
            test
        })
        .collect();
    Category {
        name: NAME.to_owned(),
        train,
        test,
        ..Category::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sizing;

    #[test]
    fn flaws_are_of_a_few_pixels() {
        let mut sides = Vec::new();
        for kind in 0..DEFECTS.len() {
            for index in 0..2 {
                let (image, mask) = drawn(0, Part::Defect(kind), index);
                assert_eq!(image.dimensions(), SIZE);
                let marked = mask.pixels().iter().filter(|&&pixel| pixel != 0).count();
                let regions = crate::regions::Regions::of(&mask).count;
                assert!((1..=6).contains(&regions), "{regions}");
                sides.push((marked as f64 / regions as f64).sqrt());
            }
        }
        let square = f64::from(FLAWS.1);
        assert!(sides.iter().all(|side| (3.0..square).contains(side)), "{sides:?}");
    }

    #[test]
    fn a_sheet_is_the_same_again_and_unlike_the_next() {
        let (image, mask) = drawn(3, Part::Train, 1);
        assert_eq!(image, drawn(3, Part::Train, 1).0);
        assert_ne!(image, drawn(3, Part::Train, 2).0);
        assert!(mask.is_empty());
    }

    #[test]
    fn sizes_are_those_asked_for() {
        let loading = Loading {
            image: Sizing::Scaled(0.25),
            mask: Sizing::Exactly((64, 64)),
            ..Loading::opencv(1, 1)
        };
        let sheets = category(&loading, 0);
        assert_eq!(
            (sheets.train.len(), sheets.test.len()),
            (TRAIN, TEST_GOOD + 3 * PER_DEFECT)
        );
        assert!(sheets.train.iter().all(|image| image.dimensions() == (512, 256)));
        let first = &sheets.test[0];
        assert_eq!(
            (first.image.dimensions(), first.mask.width(), first.file_size),
            ((512, 256), 64, SIZE)
        );
    }
}
