//! A detector that sees an image small as a whole, and large in windows.

use std::borrow::Cow;

use flawforge_onnx::{Graph, Value};
use flawforge_resample::Resizing;
use image::RgbImage;

use crate::export::{self, Outputs};
use crate::{AnomalyMap, Detection, Detector, MapScores, ModelError, Place};

/// Two detectors of the same images: one of whole images made small, one of images at their scale. Each map is counted in what is
/// usual for it, the high pixel of normal images, and each pixel has the higher of both: what either finds is found.
pub struct TwoScales {
    whole: Box<dyn Detector>,
    tiles: Box<dyn Detector>,
    usual: UsualScores,
}

/// What is usual for the two detectors: the mean, over normal images, of the score that one pixel in a thousand reaches
/// ([`high_pixel`](flawforge_metrics::high_pixel)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsualScores {
    /// Of the detector of whole images; above 0.
    pub whole: f32,
    /// Of the detector of windows; above 0.
    pub tiles: f32,
}

impl TwoScales {
    /// By a detector of whole images, and one of images as they are.
    pub fn new(whole: Box<dyn Detector>, tiles: Box<dyn Detector>, usual: UsualScores) -> Self {
        Self { whole, tiles, usual }
    }

    /// The higher of both, in units of the usual ones.
    fn fused(&self, whole: &AnomalyMap, tiles: &AnomalyMap) -> AnomalyMap {
        let whole = match (whole.width, whole.height) == (tiles.width, tiles.height) {
            true => Cow::Borrowed(whole),
            false => Cow::Owned(whole.resized(tiles.width, tiles.height)),
        };
        let pairs = whole.scores.iter().zip(&tiles.scores);
        let scores = pairs.map(|(whole, tiles)| (whole / self.usual.whole).max(tiles / self.usual.tiles));
        AnomalyMap {
            scores: scores.collect(),
            ..*tiles
        }
    }
}

impl Detector for TwoScales {
    /// That of a window.
    fn resizing(&self) -> Resizing {
        self.tiles.resizing()
    }

    fn full_scale(&self) -> f32 {
        self.tiles.full_scale() / self.usual.tiles
    }

    /// By the rule of the detector of windows.
    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        self.tiles.image_scores(map)
    }

    /// As the detector of windows takes it.
    fn prepare(&self, image: &RgbImage) -> RgbImage {
        self.tiles.prepare(image)
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let whole: Vec<(&RgbImage, Place)> = images.iter().map(|&image| (image, Place::WHOLE)).collect();
        self.detect_at(&whole)
    }

    fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
        let small = parts
            .iter()
            .map(|&(image, place)| (self.whole.prepare(image), place));
        let small: Vec<(RgbImage, Place)> = small.collect();
        let small: Vec<(&RgbImage, Place)> = small.iter().map(|(image, place)| (image, *place)).collect();
        let whole = self.whole.detect_at(&small)?;
        let tiles = self.tiles.detect_at(parts)?;
        let pairs = whole.iter().zip(tiles);
        let fused = pairs.map(|(whole, tiles)| {
            let map = self.fused(&whole.map, &tiles.map);
            let MapScores { score, verdict_score } = self.image_scores(&map);
            Detection {
                map,
                score,
                verdict_score,
                reconstruction: None,
            }
        });
        Ok(fused.collect())
    }

    fn prepared_graph(&self, graph: &mut Graph, images: Value) -> Value {
        self.tiles.prepared_graph(graph, images)
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.tiles.image_scores_graph(graph, map)
    }

    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let small = self.whole.prepared_graph(graph, images);
        let whole = self.whole.graph(graph, small)?;
        let tiles = self.tiles.graph(graph, images)?;
        let size = export::size(graph, tiles.map);
        let whole = export::resized(graph, whole.map, size);
        let [whole, tiles] =
            [(whole, self.usual.whole), (tiles.map, self.usual.tiles)].map(|(map, usual)| {
                let usual = graph.f32(usual);
                graph.div(map, usual)
            });
        let map = graph.larger(whole, tiles);
        Ok(self.image_scores_graph(graph, map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector whose map is a channel of images of any size, or of these alone.
    struct Channel(usize, Option<u32>);

    impl Detector for Channel {
        fn resizing(&self) -> Resizing {
            let side = self.1.unwrap_or(8);
            Resizing::antialiased(side, side)
        }

        fn prepare(&self, image: &RgbImage) -> RgbImage {
            match self.1 {
                Some(_) => self.resizing().apply(image),
                None => image.clone(),
            }
        }

        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let of = |image: &&RgbImage| Detection {
                map: AnomalyMap {
                    width: image.width(),
                    height: image.height(),
                    scores: image.pixels().map(|pixel| f32::from(pixel[self.0])).collect(),
                },
                score: 0.0,
                verdict_score: 0.0,
                reconstruction: None,
            };
            Ok(images.iter().map(of).collect())
        }
    }

    #[test]
    fn what_either_sees_is_seen() {
        let image = RgbImage::from_fn(16, 12, |x, y| match (x < 8, (x, y) == (12, 4)) {
            (true, _) => image::Rgb([40, 0, 0]),
            (_, true) => image::Rgb([0, 90, 0]),
            _ => image::Rgb([0, 0, 0]),
        });
        let usual = UsualScores {
            whole: 10.0,
            tiles: 30.0,
        };
        let detector = TwoScales::new(Box::new(Channel(0, Some(4))), Box::new(Channel(1, None)), usual);
        let found = detector.inspect(&[&image]).unwrap().remove(0);
        assert_eq!((found.map.width, found.map.height), (16, 12));
        let at = |x: usize, y: usize| found.map.scores[y * 16 + x];
        assert_eq!((at(0, 0), at(12, 4)), (4.0, 3.0));
        assert!(at(15, 11) < 0.5);
        assert_eq!(found.verdict_score, 4.0);
    }
}
