//! Scores averaged over mirror images.

use image::RgbImage;
use image::imageops::{flip_horizontal, flip_vertical};

/// Over which mirror images a detector averages its maps, beside the image itself. In files (feature `serde`) `horizontal`,
/// `vertical` or `both`.
///
/// Each map is mirrored back before it is averaged, so that a mirrored image has exactly the mirrored map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Flips {
    /// Left and right exchanged: two passes.
    Horizontal,
    /// Top and bottom exchanged: two passes.
    Vertical,
    /// All four combinations: four passes.
    Both,
}

impl Flips {
    /// Passes through the networks for an image.
    pub fn passes(self) -> usize {
        match self {
            Self::Horizontal | Self::Vertical => 2,
            Self::Both => 4,
        }
    }

    /// The average map of the images, from `plain`, their own maps one after the other, and those that `infer` gives for their
    /// mirror images.
    pub(crate) fn average<E>(
        self,
        images: &[&RgbImage],
        plain: Vec<f32>,
        mut infer: impl FnMut(&[&RgbImage]) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<f32>, E> {
        let mut mirrored = |across: bool, down: bool| {
            let mirrored: Vec<RgbImage> = images.iter().map(|image| mirror(image, across, down)).collect();
            let mut maps = infer(&mirrored.iter().collect::<Vec<_>>())?;
            let mut rest = maps.as_mut_slice();
            for image in &mirrored {
                let width = image.width() as usize;
                let (map, others) = rest.split_at_mut(width * image.height() as usize);
                mirror_back(map, width, across, down);
                rest = others;
            }
            Ok(maps)
        };
        // Pairs of pairs: whatever a mirror exchanges are the two terms of a sum, so that symmetry is exact.
        match self {
            Self::Horizontal => Ok(mean(plain, &mirrored(true, false)?)),
            Self::Vertical => Ok(mean(plain, &mirrored(false, true)?)),
            Self::Both => {
                let upright = mean(plain, &mirrored(true, false)?);
                let inverted = mean(mirrored(false, true)?, &mirrored(true, true)?);
                Ok(mean(upright, &inverted))
            }
        }
    }
}

fn mirror(image: &RgbImage, across: bool, down: bool) -> RgbImage {
    match (across, down) {
        (true, true) => flip_vertical(&flip_horizontal(image)),
        (true, false) => flip_horizontal(image),
        (false, true) => flip_vertical(image),
        (false, false) => image.clone(),
    }
}

fn mirror_back(map: &mut [f32], width: usize, across: bool, down: bool) {
    if across && down {
        map.reverse();
    } else if across {
        map.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    } else if down {
        map.reverse();
        map.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    }
}

fn mean(mut a: Vec<f32>, b: &[f32]) -> Vec<f32> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = (*a + b) * 0.5;
    }
    a
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The map of a "detector" that is not symmetric: brightness by place.
    fn maps(images: &[&RgbImage]) -> Result<Vec<f32>, Infallible> {
        let pixels = images.iter().flat_map(|image| image.enumerate_pixels());
        Ok(pixels
            .map(|(x, y, pixel)| f32::from(pixel[0]) * (1.0 + 0.1 * x as f32 + 0.37 * y as f32))
            .collect())
    }

    #[test]
    fn maps_are_averaged_over_the_passes_that_are_named() {
        let image = RgbImage::from_fn(3, 2, |x, y| image::Rgb([(x + 10 * y) as u8; 3]));
        for (flips, flags) in [
            (Flips::Horizontal, vec![(false, false), (true, false)]),
            (Flips::Vertical, vec![(false, false), (false, true)]),
            (
                Flips::Both,
                vec![(false, false), (true, false), (false, true), (true, true)],
            ),
        ] {
            let mut passes = 1;
            let plain = maps(&[&image, &image]).unwrap();
            let averaged = flips
                .average(&[&image, &image], plain, |images| {
                    passes += 1;
                    maps(images)
                })
                .unwrap();
            assert_eq!((passes, averaged.len()), (flips.passes(), 12));
            for (place, &found) in averaged.iter().enumerate() {
                let (x, y) = ((place % 3) as f32, (place % 6 / 3) as f32);
                let value = f32::from(image.get_pixel(x as u32, y as u32)[0]);
                let factors = flags.iter().map(|&(across, down)| {
                    let (x, y) = (if across { 2.0 - x } else { x }, if down { 1.0 - y } else { y });
                    1.0 + 0.1 * x + 0.37 * y
                });
                let expected = value * factors.sum::<f32>() / flags.len() as f32;
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{flips:?} {place}: {found} {expected}"
                );
            }
        }
    }
}
