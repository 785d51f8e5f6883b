//! One picture: its random streams, the paired renders with and without the defect, the mask between them.

use flawforge_masks::Mask;
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::camera::Camera;
use super::canvas::Canvas;
use super::product::Product;
use super::shapes::Color;

/// A pixel belongs to the defect if the noise-free pictures differ by more than this in some channel (6 of 255 levels,
/// two to three times the spread of the grain).
pub(super) const VISIBLE: f32 = 6.0 / 255.0;

/// Somewhere a defect must stand out by this much (28 of 255 levels).
const PLAIN: f32 = 28.0 / 255.0;

/// Share of the picture that a defect may cover.
pub(super) const COVERAGE: std::ops::RangeInclusive<f64> = 0.003..=0.22;

/// Tries to make a defect visible; the last is taken. Each try makes it stronger.
const TRIES: usize = 24;

/// Which part of a category a picture belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Normal images to train on.
    Train,
    /// Normal test images.
    Test,
    /// Test images with the defect of this number.
    Defect(usize),
}

/// A generated picture.
pub(super) struct Picture {
    /// The picture as the camera gives it.
    pub(super) image: RgbImage,
    /// Where the defect shows; empty without one.
    pub(super) mask: Mask,
    /// The same piece under the same camera without its defect, for tests.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) twin: Option<RgbImage>,
}

/// The random stream of one picture and purpose.
pub(super) fn stream(seed: u64, category: &str, part: Part, index: usize, purpose: u32) -> ChaCha8Rng {
    let part = match part {
        Part::Train => 0u32,
        Part::Test => 1,
        Part::Defect(defect) => 2 + defect as u32,
    };
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    // FNV-1a, so that the name decides and not its place in a list.
    let name = category.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    key[8..16].copy_from_slice(&name.to_le_bytes());
    key[16..20].copy_from_slice(&part.to_le_bytes());
    key[20..28].copy_from_slice(&(index as u64).to_le_bytes());
    key[28..].copy_from_slice(&purpose.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

const SCENE: u32 = 0;
const GRAIN: u32 = 1;
const FLAW: u32 = 2;

fn painted<P: Product>(product: &P, camera: &Camera, size: u32, flaw: Option<&P::Flaw>) -> Vec<Color> {
    let mut canvas = Canvas::new(size);
    product.paint(&mut canvas, flaw);
    camera.expose(&canvas.into_pixels(), size)
}

impl Picture {
    /// A picture of a good piece.
    pub(super) fn normal<P: Product>(size: u32, seed: u64, category: &str, part: Part, index: usize) -> Self {
        let mut scene = stream(seed, category, part, index, SCENE);
        let product = P::draw(&mut scene);
        let camera = Camera::draw(&mut scene);
        let view = painted(&product, &camera, size, None);
        Self {
            image: developed(&camera, &view, size, stream(seed, category, part, index, GRAIN)),
            mask: Mask::empty(size, size),
            twin: None,
        }
    }

    /// A picture of a piece with the given defect, the `index`-th of `count`. The strengths of the `count` pictures are
    /// spread evenly, so that every seed has subtle and plain ones.
    pub(super) fn defective<P: Product>(
        size: u32,
        seed: u64,
        category: &str,
        defect: usize,
        index: usize,
        count: usize,
    ) -> Self {
        let part = Part::Defect(defect);
        let mut scene = stream(seed, category, part, index, SCENE);
        let product = P::draw(&mut scene);
        let camera = Camera::draw(&mut scene);
        let good = painted(&product, &camera, size, None);
        let mut flaws = stream(seed, category, part, index, FLAW);
        // A fixed stride visits every rank once, so that strength does not rise with the number of the file.
        let rank = (index * 5 + defect) % count;
        let drawn = (rank as f32 + flaws.random_range(0.0..1.0)) / count as f32;
        let mut attempt = 0;
        let (bad, mask) = loop {
            let strength = (drawn + 0.05 * attempt as f32).min(1.0);
            let flaw = product.flaw(defect, strength, &mut flaws);
            let bad = painted(&product, &camera, size, Some(&flaw));
            let (mask, contrast) = difference(&good, &bad, size);
            attempt += 1;
            if attempt == TRIES || (COVERAGE.contains(&mask.coverage()) && contrast >= PLAIN) {
                break (bad, mask);
            }
        };
        let grain = stream(seed, category, part, index, GRAIN);
        Self {
            image: developed(&camera, &bad, size, grain.clone()),
            mask,
            twin: Some(developed(&camera, &good, size, grain)),
        }
    }
}

fn developed(camera: &Camera, view: &[Color], size: u32, mut grain: ChaCha8Rng) -> RgbImage {
    let bytes = camera.develop(view, &mut grain);
    RgbImage::from_fn(size, size, |x, y| {
        let at = 3 * (y * size + x) as usize;
        image::Rgb([bytes[at], bytes[at + 1], bytes[at + 2]])
    })
}

/// Where two noise-free pictures differ visibly, small gaps closed; and the largest difference.
fn difference(good: &[Color], bad: &[Color], size: u32) -> (Mask, f32) {
    let apart: Vec<f32> = good
        .iter()
        .zip(bad)
        .map(|(g, b)| (0..3).map(|c| (g[c] - b[c]).abs()).fold(0.0, f32::max))
        .collect();
    let seen = Mask::from_fn(size, size, |x, y| apart[(y * size + x) as usize] > VISIBLE);
    let largest = apart.into_iter().fold(0.0, f32::max);
    // A stain does not show in the dark gaps of a weave but covers them all the same.
    let reach = (size / 64).max(1);
    (eroded(&dilated(&seen, reach), reach), largest)
}

/// Sets everything within `reach` pixels (in both directions) of a set pixel.
fn dilated(mask: &Mask, reach: u32) -> Mask {
    spread(mask, reach, true)
}

/// Clears everything within `reach` pixels of a clear pixel; outside the picture counts as set.
fn eroded(mask: &Mask, reach: u32) -> Mask {
    spread(mask, reach, false)
}

/// Spreads the pixels that equal `value`, first along rows, then along columns.
fn spread(mask: &Mask, reach: u32, value: bool) -> Mask {
    let (width, height) = (mask.width(), mask.height());
    let near = |at: u32, end: u32| at.saturating_sub(reach)..(at + reach + 1).min(end);
    let rows = Mask::from_fn(width, height, |x, y| {
        near(x, width).any(|near| mask.get(near, y) == value) == value
    });
    Mask::from_fn(width, height, |x, y| {
        near(y, height).any(|near| rows.get(x, near) == value) == value
    })
}
