//! What every detector gives: anomaly maps and image scores.

use image::RgbImage;

use crate::ModelError;

/// How anomalous every pixel of an image is.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyMap {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Row by row; larger is more anomalous. [`Draem`](crate::Draem)'s are probabilities in \[0, 1\].
    pub scores: Vec<f32>,
}

impl AnomalyMap {
    /// The map at another size: bilinear between pixel centres, the border repeated.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        let columns = places(self.width, width);
        let mut scores = Vec::with_capacity(width as usize * height as usize);
        for (top, bottom, down) in places(self.height, height) {
            let row = |y: usize| &self.scores[y * self.width as usize..(y + 1) * self.width as usize];
            let (above, below) = (row(top), row(bottom));
            for &(left, right, across) in &columns {
                let mix = |row: &[f32]| row[left] + (row[right] - row[left]) * across;
                scores.push(mix(above) + (mix(below) - mix(above)) * down);
            }
        }
        Self {
            width,
            height,
            scores,
        }
    }
}

/// For each of `to` places the two of `from` places between which it lies, and how far it is from the first.
fn places(from: u32, to: u32) -> Vec<(usize, usize, f32)> {
    let scale = f64::from(from) / f64::from(to);
    let last = from.saturating_sub(1);
    (0..to)
        .map(|place| {
            let exact = ((f64::from(place) + 0.5) * scale - 0.5).clamp(0.0, f64::from(last));
            let first = exact.floor() as u32;
            let rest = (exact - f64::from(first)) as f32;
            (first as usize, (first + 1).min(last) as usize, rest)
        })
        .collect()
}

/// The part of an image that a detector looks at, in shares of its width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Left end.
    pub left: f64,
    /// Upper end.
    pub top: f64,
    /// Right end.
    pub right: f64,
    /// Lower end.
    pub bottom: f64,
}

/// What a detector says of one image.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The anomaly map, unsmoothed.
    pub map: AnomalyMap,
    /// The image score: larger is more anomalous.
    pub score: f32,
    /// The image as the detector thinks it should look, where it has such a picture and was told to hand it out.
    pub reconstruction: Option<RgbImage>,
}

/// Anything that finds anomalies in images. Evaluation, the command line and the library all score through this trait,
/// so that they give the same numbers.
pub trait Detector: Send + Sync {
    /// Width and height in pixels that images must have.
    fn input_size(&self) -> (u32, u32);

    /// The part of the image that the detector looks at, if not all of it; its maps are 0 elsewhere.
    fn view(&self) -> Option<View> {
        None
    }

    /// One detection for each image, in order. An image gets the same numbers whatever else is in its batch.
    ///
    /// # Errors
    /// An image of another size than [`input_size`](Self::input_size), or a failed tensor operation.
    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_resized_between_pixel_centres() {
        let map = AnomalyMap {
            width: 2,
            height: 1,
            scores: vec![0.0, 1.0],
        };
        assert_eq!(map.resized(4, 1).scores, [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(map.resized(2, 3).scores, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(map.resized(1, 1).scores, [0.5]);
    }
}
