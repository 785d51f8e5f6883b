//! Pictures that are there more than once: equal in every pixel, or nearly.

use std::collections::HashMap;

use image::RgbImage;
use rayon::prelude::*;

use super::look::SIDE;

/// Root mean square difference of two small pictures, in levels of 255, up to which they count as nearly the same. Copies that
/// were compressed or halved again lie at 0.3 to 1.1; different photographs of the same kind of part from 1.9 on (measured
/// on five sets of photographs, reduced by averaging; proposal).
pub const NEAR: f64 = 1.25;
/// The same as a share of the contrast within the pictures, so that plain surfaces are not all the same (proposal).
pub const NEAR_SHARE: f64 = 0.1;
/// Aspect ratios that differ by a larger share are different pictures (proposal).
const ASPECT: f64 = 0.03;
/// Pictures with less contrast, in levels of 255, are too plain to compare (proposal).
const PLAIN: f64 = 1.0;
/// Cells a side of the coarse pictures that are compared first.
const COARSE: usize = 4;

/// A picture as it is compared.
pub(super) struct Seen<'a> {
    pub(super) digest: [u8; 16],
    pub(super) small: &'a RgbImage,
    pub(super) size: (u32, u32),
}

/// The same pictures: places, ascending, in groups of at least two, by their first place.
pub(super) fn exact(digests: impl Iterator<Item = (usize, [u8; 16])>) -> Vec<Vec<usize>> {
    let mut groups: HashMap<[u8; 16], Vec<usize>> = HashMap::new();
    for (place, digest) in digests {
        groups.entry(digest).or_default().push(place);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

/// What the comparison needs of a picture.
struct Summary {
    place: usize,
    mean: f64,
    contrast: f64,
    aspect: f64,
    coarse: [f32; COARSE * COARSE],
}

impl Summary {
    fn of(place: usize, seen: &Seen<'_>) -> Self {
        let count = f64::from(SIDE * SIDE * 3);
        let (mut sum, mut squares) = (0u64, 0u64);
        let mut coarse = [0f32; COARSE * COARSE];
        let cell = SIDE as usize / COARSE;
        for (x, y, pixel) in seen.small.enumerate_pixels() {
            let at = (y as usize / cell) * COARSE + x as usize / cell;
            for value in pixel.0 {
                sum += u64::from(value);
                squares += u64::from(value) * u64::from(value);
                coarse[at] += f32::from(value);
            }
        }
        let mean = sum as f64 / count;
        Self {
            place,
            mean,
            contrast: (squares as f64 / count - mean * mean).max(0.0).sqrt(),
            aspect: (f64::from(seen.size.0) / f64::from(seen.size.1)).ln(),
            coarse: coarse.map(|sum| sum / (cell * cell * 3) as f32),
        }
    }

    /// A bound from below on the distance of two pictures: averages differ by no more than the pictures do.
    fn at_least(&self, other: &Self) -> f64 {
        let pairs = self.coarse.iter().zip(&other.coarse);
        let sum: f32 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        f64::from(sum / (COARSE * COARSE) as f32).sqrt()
    }
}

/// Root mean square difference of two small pictures.
fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
    let pairs = a.as_raw().iter().zip(b.as_raw());
    let sum: u32 = pairs
        .map(|(&a, &b)| {
            let difference = u32::from(a.abs_diff(b));
            difference * difference
        })
        .sum();
    (f64::from(sum) / f64::from(SIDE * SIDE * 3)).sqrt()
}

/// Pictures that are nearly the same, in groups as of [`exact`]; those equal in every pixel are not joined by that alone. Who
/// is in a group is nearly the same as some other of it.
pub(super) fn near(seen: &[Seen<'_>]) -> Vec<Vec<usize>> {
    let summaries = seen.par_iter().enumerate();
    let summaries = summaries.map(|(place, seen)| Summary::of(place, seen));
    let mut sorted: Vec<Summary> = summaries.filter(|one| one.contrast >= PLAIN).collect();
    sorted.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let is_near = |a: &Summary, b: &Summary| {
        let limit = NEAR.min(NEAR_SHARE * a.contrast.hypot(b.contrast));
        let (first, second) = (&seen[a.place], &seen[b.place]);
        (a.aspect - b.aspect).abs() <= ASPECT
            && first.digest != second.digest
            && a.at_least(b) <= limit
            && distance(first.small, second.small) <= limit
    };
    // Means that differ by more than the limit are of pictures that do too, so few neighbours have to be looked at. Of one
    // picture's neighbours no more than a few are kept: a film of a thousand equal frames is one group all the same.
    const NEIGHBOURS: usize = 8;
    let pairs: Vec<(usize, usize)> = (0..sorted.len())
        .into_par_iter()
        .flat_map_iter(|at| {
            let one = &sorted[at];
            let rest = sorted[at + 1..].iter();
            rest.take_while(|other| other.mean - one.mean <= NEAR)
                .filter(|other| is_near(one, other))
                .take(NEIGHBOURS)
                .map(|other| (one.place, other.place))
                .collect::<Vec<_>>()
        })
        .collect();
    joined(seen.len(), &pairs)
}

/// Groups that pairs make.
fn joined(count: usize, pairs: &[(usize, usize)]) -> Vec<Vec<usize>> {
    fn top(above: &mut [usize], mut at: usize) -> usize {
        while above[at] != at {
            above[at] = above[above[at]];
            at = above[at];
        }
        at
    }
    let mut above: Vec<usize> = (0..count).collect();
    for &(a, b) in pairs {
        let (a, b) = (top(&mut above, a), top(&mut above, b));
        above[a.max(b)] = a.min(b);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for place in 0..count {
        let first = top(&mut above, place);
        groups[first].push(place);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(seed: u32, shift: u8) -> RgbImage {
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let noise = (x * 7919 + y * 104_729 + seed * 1_299_709) ^ (x * y * (seed + 3));
            Rgb([(noise % 97) as u8 + 40 + shift; 3])
        })
    }

    #[test]
    fn near_pictures_are_grouped_and_others_are_not() {
        let mut pictures: Vec<RgbImage> = (0..40).map(|seed| picture(seed, 0)).collect();
        pictures[30] = picture(4, 1);
        pictures[31] = picture(4, 0);
        // Plain pictures are never near.
        pictures[32] = RgbImage::from_pixel(SIDE, SIDE, Rgb([90; 3]));
        pictures[33] = RgbImage::from_pixel(SIDE, SIDE, Rgb([91; 3]));
        let seen: Vec<Seen<'_>> = pictures
            .iter()
            .enumerate()
            .map(|(place, small)| Seen {
                digest: if place == 31 { [4; 16] } else { [place as u8; 16] },
                small,
                size: (64, if place == 7 { 32 } else { 64 }),
            })
            .collect();
        let digests = seen.iter().map(|seen| seen.digest).enumerate();
        assert_eq!(exact(digests), [[4, 31]]);
        assert_eq!(near(&seen), [[4, 30, 31]]);
    }

    /// The windows and bounds leave out no pair that comparing all with all would find.
    #[test]
    fn no_pair_is_lost_by_the_short_cuts() {
        let pictures: Vec<RgbImage> = (0..60)
            .map(|i| {
                let mut picture = picture(i % 7, 0);
                picture
                    .pixels_mut()
                    .step_by(40)
                    .for_each(|p| p[0] += (i / 7) as u8);
                picture
            })
            .collect();
        let seen: Vec<Seen<'_>> = pictures
            .iter()
            .enumerate()
            .map(|(place, small)| Seen {
                digest: [place as u8; 16],
                small,
                size: (9, 9),
            })
            .collect();
        let all = (0..60).flat_map(|a| (a + 1..60).map(move |b| (a, b)));
        let close: Vec<(usize, usize)> = all
            .filter(|&(a, b)| distance(&pictures[a], &pictures[b]) <= NEAR)
            .collect();
        assert_eq!(near(&seen), joined(60, &close));
        assert_eq!(near(&seen).len(), 7);
    }
}
