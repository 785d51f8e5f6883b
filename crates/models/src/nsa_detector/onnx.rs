//! NSA's detector as a graph.

use flawforge_onnx::{Element, Graph, Value};

use super::NsaDetector;
use crate::ModelError;
use crate::export::{Outputs, imagenet, map_verdict_score};

impl NsaDetector {
    /// [`Detector::graph`](crate::Detector::graph).
    pub(super) fn outputs(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let seen = self.crop.cropped_graph(graph, images);
        let values = imagenet(graph, seen);
        let map = self.network.graph(graph, values)?;
        let map = graph.squeeze(map, &[1]);
        Ok(Outputs {
            map: self.crop.placed_graph(graph, map),
            ..self.scored(graph, map)
        })
    }

    /// [`Detector::image_scores_graph`](crate::Detector::image_scores_graph).
    pub(super) fn scored(&self, graph: &mut Graph, map: Value) -> Outputs {
        let exact = graph.cast(map, Element::F64);
        let mean = graph.reduce_mean(exact, &[1, 2], false);
        let (width, height) = (self.crop.crop.0 as usize, self.crop.crop.1 as usize);
        Outputs {
            score: graph.cast(mean, Element::F32),
            verdict_score: map_verdict_score(graph, map, (height, width)),
            map,
        }
    }
}
