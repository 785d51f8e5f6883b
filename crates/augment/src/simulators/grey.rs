//! Anomalies of any simulator, without colours.

use std::sync::Arc;

use image::{Rgb32FImage, RgbImage};
use rand::RngCore;

use crate::{AnomalySimulator, Kind, Simulated};

/// Takes the colours from what another simulator makes, for normal images that have none (proposal).
///
/// Anomalies are textures, and most textures are colored. On images of a grey camera a network can tell them by their
/// colour, which real flaws do not have.
#[derive(Clone)]
pub struct Grey(pub Arc<dyn AnomalySimulator>);

impl AnomalySimulator for Grey {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        let found = self.0.simulate_into(normal, made, rng);
        if found {
            let Simulated { image, mask, .. } = made;
            take_colors(image, mask.pixels());
        }
        found
    }
}

/// Where the mask is set, each channel becomes the luma (ITU-R BT.601).
fn take_colors(image: &mut Rgb32FImage, mask: &[u8]) {
    for (pixel, &changed) in image.pixels_mut().zip(mask) {
        if changed != 0 {
            let [red, green, blue] = pixel.0;
            pixel.0 = [0.299 * red + 0.587 * green + 0.114 * blue; 3];
        }
    }
}

/// Whether no pixel's channels are more than this many levels apart: JPEG's rounding is no colour.
const APART: u8 = 4;

/// Whether an image has no colours.
pub fn is_grey(image: &RgbImage) -> bool {
    image.pixels().all(|pixel| {
        let [red, green, blue] = pixel.0;
        red.max(green).max(blue) - red.min(green).min(blue) <= APART
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{ProceduralTextures, Stream, TextureSource, Transparent, to_float};

    #[test]
    fn what_is_made_is_grey_and_the_rest_is_left_alone() {
        let normal = RgbImage::from_fn(64, 64, |x, y| Rgb([(2 * x + y) as u8; 3]));
        let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::new(3, 4));
        let colored = Transparent::new(textures);
        let grey = Grey(Arc::new(colored.clone()));
        let mut changed = 0;
        for index in 0..8 {
            let rng = || {
                Stream {
                    index,
                    ..Stream::default()
                }
                .rng("anomaly")
            };
            let (Some(grey), Some(colored)) = (
                grey.simulate(&normal, &mut rng()),
                colored.simulate(&normal, &mut rng()),
            ) else {
                continue;
            };
            assert_eq!(grey.mask, colored.mask);
            let before = to_float(&normal);
            let pixels = grey
                .image
                .pixels()
                .zip(colored.image.pixels())
                .zip(before.pixels());
            for (((grey, colored), before), &set) in pixels.zip(grey.mask.pixels()) {
                let [r, g, b] = grey.0;
                assert!(r == g && g == b);
                if set == 0 {
                    assert_eq!(grey, before);
                } else if colored.0[0] != colored.0[1] {
                    changed += 1;
                }
            }
        }
        assert!(changed > 0, "the textures had no colours to take");
    }

    #[test]
    fn a_tint_is_seen() {
        let mut image = RgbImage::from_pixel(5, 4, Rgb([90, 92, 88]));
        assert!(is_grey(&image));
        image.put_pixel(2, 1, Rgb([90, 95, 88]));
        assert!(!is_grey(&image));
    }
}
