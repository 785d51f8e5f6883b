//! A detector that looks at a region of interest alone.

use std::sync::Arc;

use flawforge_masks::{Mask, inside, paint_outside};
use flawforge_onnx::{Graph, Value};
use flawforge_resample::Resizing;
use image::RgbImage;

use crate::export::{self, Outputs};
use crate::{AnomalyMap, Detection, Detector, FieldOfView, MapScores, ModelError, Place};

/// A detector of images that tell their region of interest ([`flawforge_masks::inside`]): outside of it its maps have the lowest score
/// that they have inside, and image scores are those of the inside.
pub struct Inside {
    inner: Box<dyn Detector>,
    region: Option<Arc<Mask>>,
}

impl Inside {
    /// A detector of images that are painted already, or are [prepared](Detector::prepare) by one region for all of them.
    pub fn new(inner: Box<dyn Detector>, region: Option<Arc<Mask>>) -> Self {
        Self { inner, region }
    }
}

/// Gives a map, of any size, outside of a region the lowest score that it has inside.
pub fn quiet_outside(map: &mut AnomalyMap, region: &Mask) {
    let region = region.scaled(map.width, map.height);
    let pairs = map.scores.iter().zip(region.pixels());
    let lowest = pairs.filter(|(_, inside)| **inside != 0).map(|(score, _)| *score);
    let lowest = lowest.fold(f32::INFINITY, f32::min);
    // A region that no pixel of a small map lies in says nothing.
    let lowest = if lowest.is_finite() { lowest } else { 0.0 };
    for (score, &inside) in map.scores.iter_mut().zip(region.pixels()) {
        if inside == 0 {
            *score = lowest;
        }
    }
}

impl Detector for Inside {
    fn resizing(&self) -> Resizing {
        self.inner.resizing()
    }

    fn full_scale(&self) -> f32 {
        self.inner.full_scale()
    }

    fn field_of_view(&self) -> Option<FieldOfView> {
        self.inner.field_of_view()
    }

    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        self.inner.image_scores(map)
    }

    fn prepare(&self, image: &RgbImage) -> RgbImage {
        let Some(region) = &self.region else {
            return self.inner.prepare(image);
        };
        // Before, so that the filter takes nothing from outside; after, so that the border is sharp.
        let mut painted = image.clone();
        paint_outside(&mut painted, region);
        let mut prepared = self.inner.prepare(&painted);
        paint_outside(&mut prepared, region);
        prepared
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let whole: Vec<(&RgbImage, Place)> = images.iter().map(|&image| (image, Place::WHOLE)).collect();
        self.detect_at(&whole)
    }

    fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
        let mut detections = self.inner.detect_at(parts)?;
        for (detection, (image, _)) in detections.iter_mut().zip(parts) {
            if let Some(region) = inside(image) {
                quiet_outside(&mut detection.map, &region);
                let scores = self.inner.image_scores(&detection.map);
                (detection.score, detection.verdict_score) = (scores.score, scores.verdict_score);
            }
        }
        Ok(detections)
    }

    fn prepared_graph(&self, graph: &mut Graph, images: Value) -> Value {
        let Some(region) = &self.region else {
            return self.inner.prepared_graph(graph, images);
        };
        let painted = export::painted(graph, images, region);
        let prepared = self.inner.prepared_graph(graph, painted);
        export::painted(graph, prepared, region)
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.inner.image_scores_graph(graph, map)
    }

    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        if self.region.is_none() {
            return Err(ModelError::NotExportable {
                reason: "each image has a region of interest of its own, which its bytes do not tell"
                    .to_owned(),
            });
        }
        let found = self.inner.graph(graph, images)?;
        let inside = export::inside(graph, images);
        let map = export::quieted(graph, found.map, inside);
        let quiet = self.inner.image_scores_graph(graph, map);
        // An image without an outside keeps the scores that it has.
        let least = graph.reduce_min(inside, &[1, 2], false);
        let one = graph.f32(1.0);
        let whole = graph.at_least(least, one);
        Ok(Outputs {
            score: graph.choose(whole, found.score, quiet.score),
            verdict_score: graph.choose(whole, found.verdict_score, quiet.verdict_score),
            map,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector whose map is the red channel, half as large as the image.
    struct Red;

    impl Detector for Red {
        fn resizing(&self) -> Resizing {
            Resizing::antialiased(8, 8)
        }

        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let found = images.iter().map(|image| {
                let red = |at: u32| f32::from(image.get_pixel(2 * (at % 4), 2 * (at / 4))[0]);
                let map = AnomalyMap {
                    width: 4,
                    height: 4,
                    scores: (0..16).map(red).collect(),
                };
                let scores = self.image_scores(&map);
                Detection {
                    map,
                    score: scores.score,
                    verdict_score: scores.verdict_score,
                    reconstruction: None,
                }
            });
            Ok(found.collect())
        }
    }

    #[test]
    fn what_lies_outside_is_as_normal_as_can_be() {
        let image = RgbImage::from_fn(8, 8, |x, y| image::Rgb([(10 * x + y) as u8, 0, 0]));
        let left = Arc::new(Mask::from_fn(2, 1, |x, _| x == 0));
        let detector = Inside::new(Box::new(Red), Some(left));
        let found = detector.inspect(&[&image]).unwrap().remove(0);
        assert_eq!(found.score, 26.0, "the lower right corner of the left half");
        assert!(found.map.scores.iter().all(|score| (0.0..=26.0).contains(score)));
        let right = found.map.scores.iter().skip(6).step_by(8);
        assert!(right.clone().count() > 0 && right.into_iter().all(|&score| score < 1.0));
        // Without a region it sees all of it.
        let whole = Inside::new(Box::new(Red), None).inspect(&[&image]).unwrap();
        assert_eq!(whole[0].score, 66.0);
    }
}
