//! What every detector takes and gives: images, anomaly maps, image scores.

use flawforge_onnx::{Graph, Value};
use flawforge_resample::Resizing;
use image::RgbImage;

use crate::export::{self, GraphPlace, Outputs};
use crate::{AnomalyMap, ModelError, Place};

/// A detector's field of view: a part of an image, in shares of its width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldOfView {
    /// Left end.
    pub left: f64,
    /// Upper end.
    pub top: f64,
    /// Right end.
    pub right: f64,
    /// Lower end.
    pub bottom: f64,
}

/// The two image scores that an anomaly map gives: of one image. (`flawforge_metrics::ImageScores` are scores of many images with
/// their labels, to be measured.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapScores {
    /// As [`Detection::score`].
    pub score: f32,
    /// As [`Detection::verdict_score`].
    pub verdict_score: f32,
}

/// What a detector says of one image.
#[derive(Debug, Clone)]
pub struct Detection {
    /// The anomaly map, unsmoothed.
    pub map: AnomalyMap,
    /// The image score of the method's published protocol: larger is more anomalous.
    pub score: f32,
    /// The image score that verdicts are made on, in the unit of the map; the same as `score` where that sees small flaws and
    /// those at the border ([`flawforge_metrics::verdict_score`] where it does not).
    pub verdict_score: f32,
    /// The image as the detector thinks it should look, where it has such a picture and was told to hand it out.
    pub reconstruction: Option<RgbImage>,
}

/// Anything that finds anomalies in images. Evaluation, the command line and the library all score through this trait,
/// so that they give the same numbers.
///
/// [`inspect`](Self::inspect) takes images as they come from a camera. [`detect`](Self::detect) takes images that are
/// [prepared](Self::prepare) already, which saves the work where the same images are scored again and again.
pub trait Detector: Send + Sync {
    /// The size and the filter by which images are brought to what [`detect`](Self::detect) takes.
    fn resizing(&self) -> Resizing;

    /// Width and height in pixels that the images of [`detect`](Self::detect) must have.
    fn input_size(&self) -> (u32, u32) {
        self.resizing().size
    }

    /// The detector's field of view, if it does not see whole images; its maps are 0 elsewhere.
    fn field_of_view(&self) -> Option<FieldOfView> {
        None
    }

    /// The image scores of a map that was [joined](crate::joined) of several of this detector's.
    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        let largest = map.largest();
        MapScores {
            score: largest,
            verdict_score: largest,
        }
    }

    /// The score that pictures show as fully anomalous, where scores are no probabilities. Nothing but pictures follows it.
    fn full_scale(&self) -> f32 {
        1.0
    }

    /// An image of any size as [`detect`](Self::detect) takes it.
    fn prepare(&self, image: &RgbImage) -> RgbImage {
        self.resizing().apply(image)
    }

    /// One detection for each image of the size [`input_size`](Self::input_size), in order. An image gets the same numbers
    /// whatever else is in its batch. The size of the maps is the detector's.
    ///
    /// # Errors
    /// [`ModelError::ImageSize`] for an image of another size, or a failed tensor operation.
    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError>;

    /// The same of parts of images, such as windows, each with its place in the whole image. Unless a detector says otherwise the
    /// place does not matter to it; at [`Place::WHOLE`] it is [`detect`](Self::detect) in any case.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
        self.detect(&parts.iter().map(|&(image, _)| image).collect::<Vec<_>>())
    }

    /// [`prepare`](Self::prepare) as a computation graph: of `images` (N, H, W, 3), bytes of RGB.
    fn prepared_graph(&self, graph: &mut Graph, images: Value) -> Value {
        export::prepared(graph, images, self.resizing())
    }

    /// [`image_scores`](Self::image_scores) as a computation graph: of maps (N, H, W), which are among what is given back.
    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        export::highest(graph, map)
    }

    /// [`detect`](Self::detect) as a computation graph: of `images` (N, height, width, 3), bytes of RGB of the size
    /// [`input_size`](Self::input_size).
    ///
    /// # Errors
    /// [`ModelError::NotExportable`] of detectors that are not told as a graph.
    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let _ = (graph, images);
        Err(ModelError::NotExportable {
            reason: "it is not told as a computation graph".to_owned(),
        })
    }

    /// [`detect_at`](Self::detect_at) as a computation graph, of parts that all have the same place.
    ///
    /// # Errors
    /// As [`graph`](Self::graph).
    fn graph_at(&self, graph: &mut Graph, parts: Value, place: GraphPlace) -> Result<Outputs, ModelError> {
        let _ = place;
        self.graph(graph, parts)
    }

    /// One detection for each image of any size, in order; each map has the size of its image. Scores are those that
    /// [`detect`](Self::detect) gives for the [prepared](Self::prepare) images. A reconstruction keeps the detector's size.
    ///
    /// # Errors
    /// A failed tensor operation.
    fn inspect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let prepared: Vec<RgbImage> = images.iter().map(|image| self.prepare(image)).collect();
        let mut detections = self.detect(&prepared.iter().collect::<Vec<_>>())?;
        for (detection, image) in detections.iter_mut().zip(images) {
            detection.map = detection.map.resized(image.width(), image.height());
        }
        Ok(detections)
    }
}

/// Fails unless every image has the size that a detector takes.
pub(crate) fn check_sizes(images: &[&RgbImage], expected: (u32, u32)) -> Result<(), ModelError> {
    match images.iter().position(|image| image.dimensions() != expected) {
        None => Ok(()),
        Some(index) => Err(ModelError::ImageSize {
            index,
            expected,
            found: images[index].dimensions(),
        }),
    }
}
