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

    /// One detection for each image, in order. An image gets the same numbers whatever else is in its batch.
    ///
    /// # Errors
    /// An image of another size than [`input_size`](Self::input_size), or a failed tensor operation.
    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError>;
}
