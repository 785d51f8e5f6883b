//! Pictures of what the detector says: bounded in number and in size, whatever the number of images.

use anyhow::Result;
use flawforge::masks::Mask;
use flawforge::models::AnomalyMap;
use flawforge::pictures::{HeatMap, Scale, outline};
use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::axis::short;
use crate::command::html::{escaped, photograph};

/// Longer side of a picture in pixels.
const SIDE: u32 = 224;
/// How much of the image the heat map hides where the score is highest.
const OPACITY: f32 = 0.75;
/// Outline of the pixels at or above the pixel threshold.
const FOUND: Rgb<u8> = Rgb([0, 255, 255]);
/// Outline of the ground truth.
const TRUTH: Rgb<u8> = Rgb([60, 230, 60]);

/// Width and height of the legend's bar in pixels.
const BAR: (u32, u32) = (120, 10);

/// How heat maps are colored and outlined.
#[derive(Clone, Copy)]
pub(super) struct Look {
    scale: Scale,
    pixel_threshold: Option<f32>,
}

impl Look {
    /// With the pixel threshold at two thirds of the scale, so that what is above it is bright; without one by the detector's own scale.
    pub(super) fn new(pixel_threshold: Option<f32>, full_scale: f32) -> Self {
        let threshold = pixel_threshold.filter(|threshold| threshold.is_finite() && *threshold > 0.0);
        Self {
            scale: Scale {
                low: 0.0,
                high: threshold.map_or(full_scale, |threshold| 1.5 * threshold),
            },
            pixel_threshold,
        }
    }

    /// What colors and outlines of heat maps mean: a bar from no score to the end of the scale.
    ///
    /// # Errors
    /// A picture that cannot be encoded.
    pub(super) fn legend(&self) -> Result<String> {
        let ramp =
            |at: u32| self.scale.low + (self.scale.high - self.scale.low) * at as f32 / (BAR.0 - 1) as f32;
        let scores: Vec<f32> = (0..BAR.0 * BAR.1).map(|pixel| ramp(pixel % BAR.0)).collect();
        let bar = HeatMap {
            scores: &scores,
            width: BAR.0,
            height: BAR.1,
            scale: self.scale,
        };
        let bar = photograph(&bar.colors(), "colors of heat maps, from low scores to high ones")?;
        let end = short(f64::from(self.scale.high));
        let outlined = match self.pixel_threshold {
            Some(threshold) => format!(
                "; <span class=\"swatch found\"></span>outline: pixels at or above the pixel threshold {}",
                short(f64::from(threshold))
            ),
            None => String::new(),
        };
        Ok(format!(
            "<p class=\"soft legend\">Heat maps: 0 {bar} {end} and more{outlined}; <span class=\"swatch truth\"></span>outline: the \
             marked defect of a test image.</p>"
        ))
    }

    /// A `figure` of an image and its heat map.
    pub(super) fn figure(
        &self,
        (name, about): (&str, &str),
        image: &RgbImage,
        map: &AnomalyMap,
        truth: Option<&Mask>,
    ) -> Result<String> {
        let small = reduced(image);
        let heat = HeatMap {
            scores: &map.scores,
            width: map.width,
            height: map.height,
            scale: self.scale,
        };
        let mut over = heat.over(&small, OPACITY);
        if let Some(truth) = truth.filter(|truth| !truth.is_empty()) {
            outline(&mut over, &truth.to_luma8(), TRUTH);
        }
        if let Some(threshold) = self.pixel_threshold {
            let found = GrayImage::from_fn(map.width, map.height, |x, y| {
                let score = map.scores.get((y * map.width + x) as usize);
                Luma([if score.is_some_and(|score| *score >= threshold) {
                    255
                } else {
                    0
                }])
            });
            outline(&mut over, &found, FOUND);
        }
        Ok(format!(
            "<figure><div class=\"pair\">{}{}</div><figcaption><b>{}</b> {}</figcaption></figure>",
            photograph(&small, name)?,
            photograph(&over, &format!("{name}: heat map"))?,
            escaped(name),
            escaped(about)
        ))
    }
}

/// An image no larger than a picture of the page is.
pub(super) fn reduced(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height).max(1);
    if longer <= SIDE {
        return image.clone();
    }
    let side = |length: u32| ((u64::from(length) * u64::from(SIDE)) / u64::from(longer)).max(1) as u32;
    resize(image, side(width), side(height), FilterType::Triangle)
}

/// The figures with the most extreme scores, so many at most.
pub(super) struct Extreme {
    most: usize,
    highest: bool,
    figures: Vec<(f32, String)>,
    /// How many there were.
    pub(super) seen: usize,
}

impl Extreme {
    /// Those with the highest scores, or with the lowest.
    pub(super) fn new(most: usize, highest: bool) -> Self {
        Self {
            most,
            highest,
            figures: Vec::new(),
            seen: 0,
        }
    }

    /// Offers a figure, which is made only if its score belongs there.
    pub(super) fn offer(&mut self, score: f32, figure: impl FnOnce() -> Result<String>) -> Result<()> {
        self.seen += 1;
        let before = |other: f32| match self.highest {
            true => other >= score,
            false => other <= score,
        };
        let place = self.figures.partition_point(|(other, _)| before(*other));
        if place < self.most {
            self.figures.insert(place, (score, figure()?));
            self.figures.truncate(self.most);
        }
        Ok(())
    }

    /// The figures, the most extreme first.
    pub(super) fn figures(&self) -> impl Iterator<Item = &str> {
        self.figures.iter().map(|(_, figure)| figure.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_extreme_are_kept_in_order() {
        for (highest, expected) in [(true, ["9", "7"]), (false, ["1", "3"])] {
            let mut made = 0;
            let mut extreme = Extreme::new(2, highest);
            for score in [7.0, 1.0, 3.0, 9.0, 5.0] {
                let figure = || {
                    made += 1;
                    Ok(score.to_string())
                };
                extreme.offer(score, figure).unwrap();
            }
            assert_eq!(extreme.figures().collect::<Vec<_>>(), expected);
            assert_eq!(extreme.seen, 5);
            assert!(made < 5, "{made}");
        }
    }

    #[test]
    fn pictures_are_small_and_show_the_threshold() {
        let image = RgbImage::from_pixel(1000, 10, Rgb([100, 100, 100]));
        assert_eq!(reduced(&image).dimensions(), (224, 2));
        let look = Look::new(Some(0.4), 1.0);
        assert!((look.scale.high - 0.6).abs() < 1e-6);
        assert_eq!(Look::new(None, 7.0).scale.high, 7.0);
        let map = AnomalyMap {
            width: 4,
            height: 4,
            scores: vec![0.5; 16],
        };
        let legend = look.legend().unwrap();
        assert!(
            legend.contains("at or above the pixel threshold 0.4") && legend.contains(" 0.6 and more"),
            "{legend}"
        );
        let figure = look.figure(("<x>", "score 0.5"), &image, &map, None).unwrap();
        assert!(figure.contains("&lt;x&gt;") && figure.matches("data:image/jpeg").count() == 2);
    }
}
