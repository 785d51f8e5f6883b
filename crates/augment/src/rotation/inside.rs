//! Rotated images that tell a region of interest.

use flawforge_masks::{OUTSIDE, as_inside};
use flawforge_resample::{Rotation, SUBPIXELS};
use image::RgbImage;

use super::{Fill, Turned};

impl Turned {
    /// Makes a [rotated](Turned::all) image tell the rotated region of interest. Whatever is mixed of a pixel outside lies
    /// outside, for a mixture would be a colour that neither side has; so does what the image has no pixels for, under
    /// [`Fill::Black`]. The other fills show the border of the image there, and so its region.
    pub(super) fn tell_region(&self, image: &RgbImage, fill: Fill, rotated: &mut RgbImage) {
        let Some(rotation) = &self.rotation else { return };
        for (y, pixels) in rotated.rows_mut().enumerate() {
            let row = rotation.row(y as u32);
            for (pixel, &column) in pixels.zip(&self.columns) {
                *pixel = match is_outside(image, Rotation::source(row, column), fill) {
                    true => OUTSIDE,
                    false => as_inside(*pixel),
                };
            }
        }
    }
}

/// Whether a pixel at this place of the original, in 1/32 pixel, is mixed of any that lies outside.
fn is_outside(image: &RgbImage, [x, y]: [i32; 2], fill: Fill) -> bool {
    // The second pixel of a pair has no weight at a whole coordinate.
    let pair = |at: i32| {
        let first = at.div_euclid(SUBPIXELS);
        first..=first + i32::from(at.rem_euclid(SUBPIXELS) > 0)
    };
    pair(y).any(|y| {
        pair(x).any(
            |x| match (fill.place(x, image.width()), fill.place(y, image.height())) {
                (Some(x), Some(y)) => *image.get_pixel(x as u32, y as u32) == OUTSIDE,
                _ => true,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use flawforge_masks::Stream;
    use image::Rgb;

    use super::super::RotateNormals;
    use super::*;

    const PART: Rgb<u8> = Rgb([200, 60, 20]);

    /// An even part in the middle, outside around it, or as far as the border of the image.
    fn part(margin: u32) -> RgbImage {
        RgbImage::from_fn(40, 40, |x, y| {
            let is_inside = |at: u32| (margin..40 - margin).contains(&at);
            match is_inside(x) && is_inside(y) {
                true => PART,
                false => OUTSIDE,
            }
        })
    }

    fn turned(image: &RgbImage, fill: Fill, seed: u64) -> RgbImage {
        let rotation = RotateNormals {
            probability: 1.0,
            fill,
            ..RotateNormals::default()
        };
        let mut into = RgbImage::default();
        let mut rng = Stream::of_run(seed).rng("rotation");
        assert!(rotation.apply_into(image, &mut into, &mut Turned::default(), true, &mut rng));
        into
    }

    #[test]
    fn a_rotated_part_has_no_pixel_between_inside_and_outside() {
        for margin in [0, 9] {
            for fill in [Fill::Black, Fill::Edge, Fill::Reflect] {
                for seed in 0..12 {
                    let turned = turned(&part(margin), fill, seed);
                    let inside = turned.pixels().filter(|pixel| **pixel == PART).count();
                    let outside = turned.pixels().filter(|pixel| **pixel == OUTSIDE).count();
                    assert_eq!(inside + outside, 1600, "{margin} {fill:?} {seed}");
                    assert!(inside > 300, "{margin} {fill:?} {seed}: {inside}");
                }
            }
        }
    }

    #[test]
    fn empty_corners_lie_outside_unless_a_fill_shows_the_border_there() {
        let corners =
            |image: &RgbImage| [(0, 0), (39, 0), (0, 39), (39, 39)].map(|(x, y)| *image.get_pixel(x, y));
        // An angle of some size is among the first draws.
        let most = |fill| {
            let outside = |seed| {
                let corners = corners(&turned(&part(0), fill, seed));
                corners.iter().filter(|pixel| **pixel == OUTSIDE).count()
            };
            (0..12).map(outside).max()
        };
        assert_eq!(most(Fill::Black), Some(4));
        assert_eq!((most(Fill::Edge), most(Fill::Reflect)), (Some(0), Some(0)));
    }

    #[test]
    fn a_mixture_that_looks_like_the_outside_by_chance_is_none() {
        // Columns whose mean is the colour of the outside.
        let striped = RgbImage::from_fn(40, 40, |x, _| match x % 2 {
            0 => Rgb([124, 126, 124]),
            _ => Rgb([130, 130, 130]),
        });
        let found = turned(&striped, Fill::Edge, 3);
        assert!(found.pixels().all(|pixel| *pixel != OUTSIDE));
        let plain = RotateNormals {
            probability: 1.0,
            fill: Fill::Edge,
            ..RotateNormals::default()
        };
        let before = plain
            .apply(&striped, &mut Stream::of_run(3).rng("rotation"))
            .unwrap();
        assert!(
            before.pixels().any(|pixel| *pixel == OUTSIDE),
            "the case is there"
        );
    }
}
