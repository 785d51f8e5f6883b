//! Where parts lie that stand before an even ground: a region of interest to propose.

use flawforge_masks::Mask;
use image::RgbImage;
use rayon::prelude::*;

/// Side of the mask in pixels.
const SIDE: u32 = 256;
/// Levels that a pixel of a part differs from the ground, at least, in some channel.
const DIFFERENT: i32 = 24;
/// The same in spreads of the ground's levels.
const SPREADS: i32 = 6;
/// Spread of the ground's levels from which on it is not even.
const UNEVEN: i32 = 8;
/// Share of the images in which a part covers a place, at least.
const SHARE: f64 = 0.02;
/// How far the region reaches beyond the parts, in pixels of the mask.
const BEYOND: u32 = 6;
/// Shares of the image between which a region is worth proposing.
const WORTH: (f64, f64) = (0.01, 0.75);

/// The places of the images, made square, on which any of the parts lies, with some room around; `None` where the border of the
/// images shows no even ground, or where the parts fill most of the images or nothing (all numbers: proposals).
///
/// The ground is what the border of an image shows: its median. What differs from it clearly is a part.
pub fn foreground(normals: &[&RgbImage]) -> Option<Mask> {
    let found: Option<Vec<Mask>> = normals.par_iter().map(|image| parts(image)).collect();
    let found = found.filter(|found| !found.is_empty())?;
    let fewest = (SHARE * found.len() as f64).ceil().max(1.0) as usize;
    let pixels = (SIDE * SIDE) as usize;
    let mut counts = vec![0usize; pixels];
    for mask in &found {
        for (count, &part) in counts.iter_mut().zip(mask.pixels()) {
            *count += usize::from(part);
        }
    }
    let covered = |x: u32, y: u32| counts[(y * SIDE + x) as usize] >= fewest;
    let union = grown(&Mask::from_fn(SIDE, SIDE, covered));
    let share = union.coverage();
    (WORTH.0..=WORTH.1).contains(&share).then_some(union)
}

/// Where an image differs from the ground at its border; `None` without an even ground.
fn parts(image: &RgbImage) -> Option<Mask> {
    let small = flawforge_resample::resize::bilinear_rgb(image, SIDE, SIDE);
    let mut ground = [0i32; 3];
    let mut spread = 0;
    for channel in 0..3 {
        let border = small
            .enumerate_pixels()
            .filter(|(x, y, _)| [*x, *y].iter().any(|&place| !(3..SIDE - 3).contains(&place)));
        let mut levels: Vec<i32> = border.map(|(.., pixel)| i32::from(pixel[channel])).collect();
        levels.sort_unstable();
        ground[channel] = levels[levels.len() / 2];
        let mut distances: Vec<i32> = levels
            .iter()
            .map(|level| (level - ground[channel]).abs())
            .collect();
        distances.sort_unstable();
        // Nine tenths of the border: parts may touch it.
        spread = spread.max(distances[distances.len() * 9 / 10]);
    }
    if spread > UNEVEN {
        return None;
    }
    let least = DIFFERENT.max(SPREADS * spread);
    Some(Mask::from_fn(SIDE, SIDE, |x, y| {
        let pixel = small.get_pixel(x, y);
        (0..3).any(|channel| (i32::from(pixel[channel]) - ground[channel]).abs() >= least)
    }))
}

/// The mask with room around it.
fn grown(mask: &Mask) -> Mask {
    let mut grown = Mask::empty(mask.width(), mask.height());
    for y in 0..mask.height() {
        for x in 0..mask.width() {
            if mask.get(x, y) {
                let side = 2 * BEYOND + 1;
                let corner = (x.saturating_sub(BEYOND), y.saturating_sub(BEYOND));
                let cut = (side - BEYOND.saturating_sub(x), side - BEYOND.saturating_sub(y));
                grown.set_rectangle(corner, cut);
            }
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn part(left: u32, ground: impl Fn(u32, u32) -> u8) -> RgbImage {
        RgbImage::from_fn(320, 160, |x, y| {
            let inside = (left..left + 60).contains(&x) && (40..120).contains(&y);
            Rgb([if inside { 200 } else { ground(x, y) }; 3])
        })
    }

    #[test]
    fn parts_before_an_even_ground_are_found_wherever_they_lie() {
        let images = [
            part(80, |_, _| 30),
            part(100, |x, _| 30 + (x % 3) as u8),
            part(90, |_, _| 33),
        ];
        let region = foreground(&images.iter().collect::<Vec<_>>()).unwrap();
        // Columns 80 to 160 of 320 and rows 40 to 120 of 160, and some room.
        let holds = |x: u32, y: u32| region.get(x * 256 / 320, y * 256 / 160);
        assert!(holds(82, 42) && holds(155, 115) && holds(120, 80));
        assert!(!holds(60, 80) && !holds(190, 80) && !holds(120, 10));
    }

    #[test]
    fn surfaces_and_parts_that_fill_the_image_have_no_region() {
        let texture = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 91) as u8; 3]));
        assert!(foreground(&[&texture; 3]).is_none());
        let even = RgbImage::from_pixel(64, 64, Rgb([90; 3]));
        assert!(foreground(&[&even; 3]).is_none());
        assert!(foreground(&[]).is_none());
    }
}
