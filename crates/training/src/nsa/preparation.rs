//! Sizes, crops and small rotations of NSA's images (NSA's code).

use flawforge_augment::poisson::Guidance;
use flawforge_augment::{Kind, NsaSettings};
use flawforge_datasets::{Loading, Resampling};
use flawforge_models::{NsaNetwork, NsaView};
use image::imageops::{crop_imm, flip_vertical};
use image::{Rgb, RgbImage};
use rand::{Rng, RngCore};

use crate::assembly::Subject;

/// Categories of MVTec AD whose objects lie at any angle (NSA's code).
const UNALIGNED: [&str; 4] = ["bottle", "hazelnut", "metal_nut", "screw"];

/// How the images of a category are prepared. For categories that are not MVTec AD's the selection decides (proposal): where
/// neither orientation nor relative position matters it is a texture; where orientation does not, an unaligned object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preparation {
    /// An object in one pose: crops near the centre.
    Aligned,
    /// An object in any pose: small rotations as well.
    Unaligned,
    /// A surface: crops anywhere, flips.
    Texture,
}

impl Preparation {
    pub(crate) fn of(subject: Subject<'_>) -> Self {
        let Subject { category, selection } = subject;
        match NsaSettings::builtin().get(category) {
            Some(settings) if settings.blending == Guidance::Mixed => Self::Texture,
            Some(_) if UNALIGNED.contains(&category) => Self::Unaligned,
            Some(_) => Self::Aligned,
            None if !selection.rotate_normals => Self::Aligned,
            None if selection.enables(Kind::NearDistribution) => Self::Unaligned,
            None => Self::Texture,
        }
    }

    /// What the network sees of images that are scored at `side` pixels. NSA's sizes at 256: objects are loaded at 256 px and
    /// cut to 224, textures loaded at 264 and cut to 256. At other sides the same proportions, from the next size that the
    /// network can take.
    pub(crate) fn view(self, side: u32) -> NsaView {
        let multiple = NsaNetwork::MULTIPLE as u32;
        match self {
            Self::Texture => NsaView {
                image: scaled(side, 264, 256),
                crop: side,
                map: side,
            },
            _ => {
                let crop = scaled(side, 224, 256).next_multiple_of(multiple);
                NsaView {
                    image: scaled(crop, 256, 224),
                    crop,
                    map: side,
                }
            }
        }
    }

    /// How images are loaded that are scored at `side` pixels.
    pub(crate) fn loading(self, side: u32) -> Loading {
        let image = self.view(side).image;
        Loading {
            image: (image, image),
            mask: (side, side),
            resampling: Resampling::Antialiased,
        }
    }

    /// A random part of a training image, of the size that the network sees.
    pub(crate) fn apply(
        self,
        image: &RgbImage,
        view: NsaView,
        max_degrees: f64,
        rng: &mut dyn RngCore,
    ) -> RgbImage {
        let crop = view.crop;
        match self {
            Self::Texture if rng.random() => random_crop(&flip_vertical(image), crop, rng),
            Self::Texture => random_crop(image, crop, rng),
            Self::Aligned => random_crop(&centre(image, scaled(crop, 230, 224)), crop, rng),
            Self::Unaligned => {
                let degrees = max_degrees * (2.0 * rng.random::<f64>() - 1.0);
                let turned = rotated(image, degrees);
                random_crop(&centre(&turned, scaled(crop, 230, 224)), crop, rng)
            }
        }
    }
}

fn scaled(length: u32, numerator: u32, denominator: u32) -> u32 {
    (f64::from(length) * f64::from(numerator) / f64::from(denominator)).round() as u32
}

/// The central square of a side.
fn centre(image: &RgbImage, side: u32) -> RgbImage {
    let start = |length: u32| (f64::from(length.saturating_sub(side)) / 2.0).round_ties_even() as u32;
    crop_imm(image, start(image.width()), start(image.height()), side, side).to_image()
}

fn random_crop(image: &RgbImage, side: u32, rng: &mut dyn RngCore) -> RgbImage {
    let mut start = |length: u32| rng.random_range(0..=length.saturating_sub(side));
    let (x, y) = (start(image.width()), start(image.height()));
    crop_imm(image, x, y, side, side).to_image()
}

/// The image turned about its centre, nearest pixel, black where there is none.
fn rotated(image: &RgbImage, degrees: f64) -> RgbImage {
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
            false => Rgb([0; 3]),
        }
    })
}

#[cfg(test)]
mod tests {
    use flawforge_augment::{Selections, Stream};
    use flawforge_datasets::demo;

    use super::*;

    fn preparation(category: &str) -> Preparation {
        let demo = Selections::from_toml(demo::selections_toml()).unwrap();
        let selection = demo.get(category).cloned().unwrap_or_default();
        Preparation::of(Subject {
            category,
            selection: &selection,
        })
    }

    #[test]
    fn sizes_are_nsas_at_256() {
        let view = |category: &str, side| preparation(category).view(side);
        assert_eq!(
            view("bottle", 256),
            NsaView {
                image: 256,
                crop: 224,
                map: 256
            }
        );
        assert_eq!(
            view("tile", 256),
            NsaView {
                image: 264,
                crop: 256,
                map: 256
            }
        );
        for side in [32, 64, 96, 128, 256, 512] {
            for category in ["bottle", "tile"] {
                let NsaView { image, crop, .. } = view(category, side);
                assert!(
                    crop % 32 == 0 && image > crop,
                    "{category} {side}: {image} {crop}"
                );
            }
        }
    }

    #[test]
    fn categories_are_told_apart() {
        use Preparation::{Aligned, Texture, Unaligned};
        for (category, expected) in [
            ("bottle", Unaligned),
            ("capsule", Aligned),
            ("wood", Texture),
            ("connector", Aligned),
            ("gear", Unaligned),
            ("leather", Texture),
        ] {
            assert_eq!(preparation(category), expected, "{category}");
        }
    }

    #[test]
    fn parts_have_the_networks_size_and_a_turn_of_nothing_changes_nothing() {
        let image = RgbImage::from_fn(73, 73, |x, y| Rgb([x as u8, y as u8, 7]));
        assert_eq!(rotated(&image, 0.0), image);
        let quarter = rotated(&image, 90.0);
        assert_eq!(quarter.get_pixel(0, 0), image.get_pixel(72, 0));
        let mut rng = Stream::default().rng("test");
        for preparation in [Preparation::Aligned, Preparation::Unaligned, Preparation::Texture] {
            let view = NsaView {
                image: 73,
                crop: 64,
                map: 64,
            };
            let part = preparation.apply(&image, view, 5.0, &mut rng);
            assert_eq!(part.dimensions(), (64, 64));
        }
    }
}
