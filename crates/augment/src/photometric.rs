//! Light and focus: how normal images may differ from those at hand and still be normal.

use flawforge_masks::decimal::decimal;
use flawforge_masks::{OUTSIDE, as_inside};
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::SettingsError;
use crate::settings::{number, pair};

/// Changes brightness, contrast, white balance, focus and noise of a normal image now and then, as normal ones: for lines whose light
/// or focus drifts (proposal). Nothing by default; [`measured`](Self::measured) finds bounds that the normal images keep among
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Photometric {
    /// Probability of changing an image, in [0, 1]; 0.5.
    #[serde(serialize_with = "decimal")]
    pub probability: f32,
    /// Factor of all levels, from and to.
    #[serde(serialize_with = "decimal")]
    pub brightness: (f32, f32),
    /// Exponent of all levels in [0, 1], from and to.
    #[serde(serialize_with = "decimal")]
    pub gamma: (f32, f32),
    /// Factor of the red and of the blue levels up or down, at most, less 1.
    #[serde(serialize_with = "decimal")]
    pub white_balance: f32,
    /// Standard deviation of a Gaussian blur in pixels, at most.
    #[serde(serialize_with = "decimal")]
    pub blur: f32,
    /// Standard deviation of added noise in levels of 255, at most.
    #[serde(serialize_with = "decimal")]
    pub noise: f32,
}

impl Default for Photometric {
    fn default() -> Self {
        Self {
            probability: 0.5,
            brightness: (1.0, 1.0),
            gamma: (1.0, 1.0),
            white_balance: 0.0,
            blur: 0.0,
            noise: 0.0,
        }
    }
}

/// The widest blur in pixels; images that are sharper than others by more differ in what they show.
const WIDEST: f32 = 2.0;

impl Photometric {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        number("probability", self.probability, 0.0..=1.0)?;
        pair("brightness", self.brightness, 0.1..=10.0)?;
        pair("gamma", self.gamma, 0.1..=10.0)?;
        number("white_balance", self.white_balance, 0.0..=0.9)?;
        number("blur", self.blur, 0.0..=10.0)?;
        number("noise", self.noise, 0.0..=100.0)
    }

    /// The bounds between which nine tenths of the normal images lie: of their brightness, half of it as a factor and half as an
    /// exponent; of their colours; of their sharpness, as the blur that makes sharp ones like soft ones; of their noise.
    pub fn measured(normals: &[&RgbImage]) -> Self {
        let looks: Vec<Look> = normals.iter().map(|image| Look::of(image)).collect();
        if looks.is_empty() {
            return Self::default();
        }
        let [dark, middle, bright] = quantiles(&looks, |look| look.level);
        let factor = |level: f64| (level / middle).sqrt() as f32;
        // The exponent that takes the middle level to the other one.
        let exponent = |level: f64| ((level / 255.0).ln() / (middle / 255.0).ln()).sqrt() as f32;
        let channel = |of: fn(&Look) -> f64| {
            let [low, middle, high] = quantiles(&looks, of);
            (middle / low).max(high / middle) as f32 - 1.0
        };
        let [_, _, sharp] = quantiles(&looks, |look| look.detail);
        let [soft, ..] = quantiles(&looks, |look| look.detail);
        let sharpest = looks
            .iter()
            .zip(normals)
            .find(|(look, _)| look.detail >= sharp)
            .map(|(_, image)| *image);
        let [quiet, _, noisy] = quantiles(&looks, |look| look.noise);
        let round = |value: f32| (value * 1000.0).round() / 1000.0;
        let measured = Self {
            brightness: (round(factor(dark)), round(factor(bright))),
            gamma: (round(exponent(bright)), round(exponent(dark))),
            white_balance: round(channel(|look| look.red).max(channel(|look| look.blue)).min(0.9)),
            blur: round(sharpest.map_or(0.0, |image| blur_to(image, soft))),
            noise: round((noisy * noisy - quiet * quiet).max(0.0).sqrt() as f32),
            ..Self::default()
        };
        match measured.check() {
            Ok(()) => measured,
            // Black or white images tell no exponent.
            Err(_) => Self::default(),
        }
    }

    /// The image changed within the bounds, whatever the probability. Pixels outside of a region of interest stay, where images tell
    /// one (`inside`).
    pub fn changed(&self, image: &RgbImage, inside: bool, rng: &mut dyn RngCore) -> RgbImage {
        let always = Self {
            probability: 1.0,
            ..*self
        };
        let mut into = RgbImage::default();
        match always.apply_into(image, &mut into, inside, rng) {
            true => into,
            false => image.clone(),
        }
    }

    /// Writes the changed image; `false` if this draw changes nothing. Pixels outside of a region of interest stay, where
    /// images tell one.
    pub(crate) fn apply_into(
        &self,
        image: &RgbImage,
        into: &mut RgbImage,
        inside: bool,
        rng: &mut dyn RngCore,
    ) -> bool {
        if rng.random::<f32>() >= self.probability {
            return false;
        }
        let mut between = |(from, to): (f32, f32)| from + (to - from) * rng.random::<f32>();
        let brightness = between(self.brightness);
        let gamma = between(self.gamma);
        let warm = |share: f32| 1.0 + share;
        let colours = [
            warm(between((-self.white_balance, self.white_balance))),
            1.0,
            warm(between((-self.white_balance, self.white_balance))),
        ];
        let blur = between((0.0, self.blur));
        let noise = between((0.0, self.noise));
        let tables = colours.map(|colour| {
            let level = |level: usize| -> u8 {
                let level: f32 = (level as f32 / 255.0).powf(gamma) * brightness * colour;
                (255.0 * level).round().clamp(0.0, 255.0) as u8
            };
            let table: [u8; 256] = std::array::from_fn(level);
            table
        });
        // Narrower ones change no level.
        match blur > 0.1 {
            true => *into = image::imageops::blur(image, blur),
            false => into.clone_from(image),
        }
        for pixel in into.pixels_mut() {
            for (level, table) in pixel.0.iter_mut().zip(&tables) {
                *level = table[usize::from(*level)];
            }
        }
        if noise > 0.0 {
            for level in into.iter_mut() {
                *level = (f32::from(*level) + noise * normal(rng))
                    .round()
                    .clamp(0.0, 255.0) as u8;
            }
        }
        if inside {
            for (pixel, before) in into.pixels_mut().zip(image.pixels()) {
                *pixel = match *before == OUTSIDE {
                    true => OUTSIDE,
                    false => as_inside(*pixel),
                };
            }
        }
        true
    }
}

/// A number of about the standard normal distribution: the sum of twelve bytes.
fn normal(rng: &mut dyn RngCore) -> f32 {
    let mut bytes = [0; 12];
    rng.fill_bytes(&mut bytes);
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    // Each byte has mean 127.5 and variance (256² - 1) / 12.
    (sum as f32 - 12.0 * 127.5) / 256.0
}

/// What is measured of an image.
struct Look {
    /// Mean level, 1 to 254.
    level: f64,
    /// Mean red and blue level for one of green.
    red: f64,
    blue: f64,
    /// Mean second difference, in levels.
    detail: f64,
    /// Noise in levels: what a plane through nine pixels leaves, which edges hardly have (Immerkær, 1996).
    noise: f64,
}

impl Look {
    fn of(image: &RgbImage) -> Self {
        let mut sums = [0f64; 3];
        for pixel in image.pixels() {
            for (sum, &level) in sums.iter_mut().zip(&pixel.0) {
                *sum += f64::from(level);
            }
        }
        let pixels = f64::from(image.width()) * f64::from(image.height());
        let mean = sums.map(|sum| (sum / pixels.max(1.0)).max(1.0));
        let (mut detail, mut noise, mut count) = (0.0, 0.0, 0.0);
        let at = |x: u32, y: u32| f64::from(image.get_pixel(x, y)[1]);
        for y in 1..image.height().saturating_sub(1) {
            for x in 1..image.width().saturating_sub(1) {
                let (across, down) = (at(x - 1, y) + at(x + 1, y), at(x, y - 1) + at(x, y + 1));
                let corners = at(x - 1, y - 1) + at(x + 1, y - 1) + at(x - 1, y + 1) + at(x + 1, y + 1);
                detail += (across + down - 4.0 * at(x, y)).abs();
                noise += (corners - 2.0 * (across + down) + 4.0 * at(x, y)).abs();
                count += 1.0;
            }
        }
        let count = f64::max(count, 1.0);
        Self {
            level: (mean.iter().sum::<f64>() / 3.0).min(254.0),
            red: mean[0] / mean[1],
            blue: mean[2] / mean[1],
            detail: detail / count,
            noise: (std::f64::consts::PI / 2.0).sqrt() * noise / count / 6.0,
        }
    }
}

/// The quantiles 5 %, 50 % and 95 %.
fn quantiles(looks: &[Look], of: impl Fn(&Look) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = looks.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    [0.05, 0.5, 0.95].map(|share| values[((values.len() - 1) as f64 * share).round() as usize])
}

/// The blur after which an image has no more detail than this.
fn blur_to(image: &RgbImage, detail: f64) -> f32 {
    let steps = (1..=20).map(|step| WIDEST * step as f32 / 20.0);
    let mut before = 0.0;
    for sigma in steps {
        if Look::of(&image::imageops::blur(image, sigma)).detail < detail {
            return before;
        }
        before = sigma;
    }
    before
}

#[cfg(test)]
mod tests {
    use flawforge_masks::Stream;
    use image::Rgb;

    use super::*;

    fn surface(gain: f32, seed: u64) -> RgbImage {
        let mut rng = Stream::of_run(seed).rng("surface");
        RgbImage::from_fn(48, 40, |x, y| {
            let level = 90.0 + 40.0 * ((x / 6 + y / 5) % 2) as f32 + 4.0 * normal(&mut rng);
            Rgb([1.1, 1.0, 0.8].map(|colour| (level * colour * gain) as u8))
        })
    }

    fn drawn(settings: &Photometric, image: &RgbImage, seed: u64) -> RgbImage {
        let mut into = RgbImage::default();
        let settings = Photometric {
            probability: 1.0,
            ..*settings
        };
        assert!(settings.apply_into(image, &mut into, false, &mut Stream::of_run(seed).rng("light")));
        into
    }

    #[test]
    fn without_bounds_nothing_changes() {
        let image = surface(1.0, 0);
        assert_eq!(drawn(&Photometric::default(), &image, 1), image);
        let never = Photometric {
            probability: 0.0,
            noise: 9.0,
            ..Photometric::default()
        };
        let mut rng = Stream::of_run(1).rng("light");
        assert!(!never.apply_into(&image, &mut RgbImage::default(), false, &mut rng));
    }

    #[test]
    fn changes_stay_within_bounds() {
        let image = surface(1.0, 0);
        let level = |image: &RgbImage| Look::of(image).level / Look::of(&surface(1.0, 0)).level;
        let brighter = Photometric {
            brightness: (0.8, 1.2),
            ..Photometric::default()
        };
        let levels: Vec<f64> = (0..40)
            .map(|seed| level(&drawn(&brighter, &image, seed)))
            .collect();
        assert!(
            levels.iter().all(|level| (0.79..1.21).contains(level)),
            "{levels:?}"
        );
        assert!(levels.iter().any(|level| *level < 0.9) && levels.iter().any(|level| *level > 1.1));
        let noisy = Photometric {
            noise: 8.0,
            ..Photometric::default()
        };
        let more = (0..20).map(|seed| Look::of(&drawn(&noisy, &image, seed)).noise);
        let most = more.fold(0.0, f64::max);
        assert!(most > 5.0 && most < 12.0, "{most}");
        let soft = Photometric {
            blur: 1.5,
            ..Photometric::default()
        };
        let detail = Look::of(&image).detail;
        assert!((0..20).all(|seed| Look::of(&drawn(&soft, &image, seed)).detail <= detail));
        let warm = Photometric {
            white_balance: 0.1,
            ..Photometric::default()
        };
        let red = Look::of(&image).red;
        assert!((0..20).any(|seed| (Look::of(&drawn(&warm, &image, seed)).red / red - 1.0).abs() > 0.03));
    }

    #[test]
    fn bounds_are_those_of_the_images() {
        let images: Vec<RgbImage> = (0..20).map(|i| surface(0.9 + 0.01 * i as f32, i)).collect();
        let found = Photometric::measured(&images.iter().collect::<Vec<_>>());
        let (dark, bright) = found.brightness;
        assert!(
            (0.93..0.99).contains(&dark) && (1.01..1.07).contains(&bright),
            "{found:?}"
        );
        assert!(found.gamma.0 < 1.0 && found.gamma.1 > 1.0, "{found:?}");
        assert!(
            found.white_balance < 0.03 && found.blur < 0.5 && found.noise < 4.0,
            "{found:?}"
        );
        let mut soft: Vec<RgbImage> = (0..20).map(|i| surface(1.0, i)).collect();
        soft.extend((0..20).map(|i| image::imageops::blur(&surface(1.0, i), 1.0)));
        let found = Photometric::measured(&soft.iter().collect::<Vec<_>>());
        assert!((0.7..=1.1).contains(&found.blur), "{found:?}");
        assert_eq!(Photometric::measured(&[]), Photometric::default());
        let black = RgbImage::new(8, 8);
        assert!(Photometric::measured(&[&black, &black]).check().is_ok());
    }

    #[test]
    fn what_lies_outside_stays() {
        let mut image = surface(1.0, 3);
        image.put_pixel(5, 5, OUTSIDE);
        let settings = Photometric {
            probability: 1.0,
            noise: 9.0,
            brightness: (1.2, 1.2),
            ..Photometric::default()
        };
        let mut into = RgbImage::default();
        assert!(settings.apply_into(&image, &mut into, true, &mut Stream::of_run(1).rng("light")));
        let outside: Vec<(u32, u32)> = into
            .enumerate_pixels()
            .filter(|(.., pixel)| **pixel == OUTSIDE)
            .map(|(x, y, _)| (x, y))
            .collect();
        assert_eq!(outside, [(5, 5)]);
    }
}
