//! Sizes, crops and small rotations of NSA's images (NSA's code).

use flawforge_augment::Preparation;
use flawforge_datasets::{Loading, Resizing};
use flawforge_models::{CenterCrop, NsaNetwork};
use image::imageops::{crop_imm, flip_vertical};
use image::{Rgb, RgbImage};
use rand::{Rng, RngCore};

/// What the network sees of images that are scored at `side` pixels. NSA's sizes at 256: objects are loaded at 256 px and
/// cut to 224, textures loaded at 264 and cut to 256. At other sides the same proportions, from the next size that the
/// network can take.
pub(super) fn crop(preparation: Preparation, side: u32) -> CenterCrop {
    let multiple = NsaNetwork::MULTIPLE as u32;
    match preparation {
        Preparation::Texture => CenterCrop::square(scaled(side, 264, 256), side, side),
        _ => {
            let crop = scaled(side, 224, 256).next_multiple_of(multiple);
            CenterCrop::square(scaled(crop, 256, 224), crop, side)
        }
    }
}

/// How images are loaded that are scored at `side` pixels.
pub(super) fn loading(preparation: Preparation, side: u32) -> Loading {
    let (width, height) = crop(preparation, side).image;
    Loading::new(Resizing::antialiased(width, height), (side, side))
}

/// A random part of a training image, a square of the side that the network sees. What a rotation leaves empty has the colour
/// `corners`.
pub(super) fn prepare(
    preparation: Preparation,
    image: &RgbImage,
    side: u32,
    max_degrees: f64,
    corners: Rgb<u8>,
    rng: &mut dyn RngCore,
) -> RgbImage {
    match preparation {
        Preparation::Texture if rng.random() => random_crop(&flip_vertical(image), side, rng),
        Preparation::Texture => random_crop(image, side, rng),
        Preparation::Aligned => random_crop(&center(image, scaled(side, 230, 224)), side, rng),
        Preparation::Unaligned => {
            let degrees = max_degrees * (2.0 * rng.random::<f64>() - 1.0);
            let turned = rotated(image, degrees, corners);
            random_crop(&center(&turned, scaled(side, 230, 224)), side, rng)
        }
    }
}

fn scaled(length: u32, numerator: u32, denominator: u32) -> u32 {
    (f64::from(length) * f64::from(numerator) / f64::from(denominator)).round() as u32
}

/// The central square of a side, or as much of it as there is.
fn center(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    CenterCrop {
        crop: (side.min(width), side.min(height)),
        ..CenterCrop::whole(width, height)
    }
    .cropped(image)
}

fn random_crop(image: &RgbImage, side: u32, rng: &mut dyn RngCore) -> RgbImage {
    let mut start = |length: u32| rng.random_range(0..=length.saturating_sub(side));
    let (x, y) = (start(image.width()), start(image.height()));
    crop_imm(image, x, y, side, side).to_image()
}

/// The image turned about its centre, nearest pixel, corners of this colour.
fn rotated(image: &RgbImage, degrees: f64, corners: Rgb<u8>) -> RgbImage {
    let (width, height) = image.dimensions();
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (f64::from(x) + 0.5 - middle_x, f64::from(y) + 0.5 - middle_y);
        let from_x = (cosine * u - sine * v + middle_x).floor();
        let from_y = (sine * u + cosine * v + middle_y).floor();
        let inside =
            from_x >= 0.0 && from_y >= 0.0 && from_x < f64::from(width) && from_y < f64::from(height);
        match inside {
            true => *image.get_pixel(from_x as u32, from_y as u32),
            false => corners,
        }
    })
}

#[cfg(test)]
mod tests {
    use flawforge_augment::Stream;
    use flawforge_masks::OUTSIDE;

    use super::*;

    #[test]
    fn sizes_are_nsas_at_256() {
        assert_eq!(
            crop(Preparation::Unaligned, 256),
            CenterCrop::square(256, 224, 256)
        );
        assert_eq!(crop(Preparation::Texture, 256), CenterCrop::square(264, 256, 256));
        for side in [32, 64, 96, 128, 256, 512] {
            for preparation in [Preparation::Unaligned, Preparation::Texture] {
                let CenterCrop { image, crop, .. } = crop(preparation, side);
                assert!(
                    crop.0 % 32 == 0 && image.0 > crop.0,
                    "{preparation:?} {side}: {image:?} {crop:?}"
                );
            }
        }
    }

    #[test]
    fn parts_have_the_networks_size_and_a_turn_of_nothing_changes_nothing() {
        let image = RgbImage::from_fn(73, 73, |x, y| Rgb([x as u8, y as u8, 7]));
        let black = Rgb([0; 3]);
        assert_eq!(rotated(&image, 0.0, black), image);
        let quarter = rotated(&image, 90.0, black);
        assert_eq!(quarter.get_pixel(0, 0), image.get_pixel(72, 0));
        let mut rng = Stream::default().rng("test");
        for preparation in [Preparation::Aligned, Preparation::Unaligned, Preparation::Texture] {
            let part = prepare(preparation, &image, 64, 5.0, black, &mut rng);
            assert_eq!(part.dimensions(), (64, 64));
        }
    }

    #[test]
    fn what_a_turn_leaves_empty_has_the_colour_that_is_asked_for() {
        let image = RgbImage::from_pixel(40, 40, Rgb([9; 3]));
        for corners in [Rgb([0; 3]), OUTSIDE] {
            let turned = rotated(&image, 30.0, corners);
            assert_eq!(*turned.get_pixel(0, 0), corners);
            assert_eq!(*turned.get_pixel(20, 20), Rgb([9; 3]));
        }
    }
}
