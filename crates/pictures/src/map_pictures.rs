//! The pictures of one anomaly map, as `predict` writes and the server answers them.

use flawforge_models::AnomalyMap;
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

use crate::{HeatMap, Scale, ThresholdScale, contour};

/// How much of the image the overlay hides where the score is highest.
const OPACITY: f32 = 0.7;
/// The contour at the pixel threshold: no colour of a heat map is like it.
const CONTOUR: Rgb<u8> = Rgb([0, 255, 255]);

/// A map at the size of its image, ready to be drawn.
#[derive(Debug, Clone)]
pub struct MapPictures {
    map: AnomalyMap,
    full: f32,
    /// Places of the scores on a scale with the threshold, and that scale.
    scores: Option<Vec<f32>>,
    scale: Scale,
}

impl MapPictures {
    /// `full` is the score that is shown as fully anomalous ([`flawforge_models::Detector::full_scale`]). With a pixel threshold, the
    /// colours say on which side of it a score lies ([`ThresholdScale`]).
    pub fn new(map: AnomalyMap, full: f32, pixel_threshold: Option<f32>) -> Self {
        let scores =
            pixel_threshold.map(|threshold| ThresholdScale::new(threshold, full).positions(&map.scores));
        let scale = match scores {
            Some(_) => Scale::UNIT,
            None => Scale { low: 0.0, high: full },
        };
        Self {
            map,
            full,
            scores,
            scale,
        }
    }

    /// The scores in 16 bits: 65535 is the full score and what is above it.
    pub fn deep(&self) -> ImageBuffer<Luma<u16>, Vec<u16>> {
        let deep = |score: &f32| ((score / self.full).clamp(0.0, 1.0) * 65535.0).round() as u16;
        let values: Vec<u16> = self.map.scores.iter().map(deep).collect();
        // A map has as many scores as pixels.
        ImageBuffer::from_raw(self.map.width, self.map.height, values).unwrap_or_default()
    }

    /// The map in colours.
    pub fn colors(&self) -> RgbImage {
        self.heat().colors()
    }

    /// The map over its image, with a contour around what is set in `mask`, one value a pixel.
    pub fn over(&self, image: &RgbImage, mask: Option<&GrayImage>) -> RgbImage {
        let mut overlay = self.heat().over(image, OPACITY);
        if let Some(mask) = mask {
            contour(&mut overlay, mask.as_raw(), CONTOUR);
        }
        overlay
    }

    fn heat(&self) -> HeatMap<'_> {
        HeatMap {
            scores: self.scores.as_deref().unwrap_or(&self.map.scores),
            width: self.map.width,
            height: self.map.height,
            scale: self.scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat_color;

    #[test]
    fn a_map_is_drawn_in_depth_in_colours_and_over_its_image() {
        let map = AnomalyMap {
            width: 2,
            height: 1,
            scores: vec![0.0, 3.0],
        };
        let plain = MapPictures::new(map.clone(), 4.0, None);
        assert_eq!(plain.deep().into_raw(), [0, 49151]);
        assert_eq!(plain.colors().get_pixel(1, 0), &heat_color(0.75));
        let split = MapPictures::new(map, 4.0, Some(3.0));
        assert_eq!(split.colors().get_pixel(1, 0), &heat_color(0.5));
        assert_eq!(split.deep(), plain.deep());
        let image = RgbImage::from_pixel(2, 1, Rgb([100; 3]));
        let mask = GrayImage::from_raw(2, 1, vec![0, 255]).unwrap();
        let bare = split.over(&image, None);
        assert_ne!(bare, split.over(&image, Some(&mask)));
        assert_eq!(
            bare.get_pixel(0, 0),
            &Rgb([100; 3]),
            "nothing is hidden at score 0"
        );
    }
}
