//! DRAEM's detector as a graph.

use flawforge_onnx::{Element, Graph, Value};

use super::{Draem, Engine};
use crate::export::{Outputs, map_score, map_verdict_score, planes};
use crate::{Discriminative, Flips, ModelError, Reconstructive};

impl Draem {
    /// [`Detector::graph`](crate::Detector::graph).
    pub(super) fn outputs(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let (reconstructive, discriminative) = self.networks()?;
        let values = planes(graph, images);
        let white = graph.f32(255.0);
        let values = graph.div(values, white);
        let passes = flips(self.flips);
        let seen: Vec<Value> = passes.iter().map(|&pass| mirrored(graph, values, pass)).collect();
        let mut maps = Vec::with_capacity(passes.len());
        for (&pass, seen) in passes.iter().zip(seen) {
            let seen = graph.to_working(seen);
            let reconstruction = reconstructive.graph(graph, seen)?;
            let joined = graph.concat(&[reconstruction, seen], 1);
            let logits = discriminative.graph(graph, joined)?;
            let logits = graph.cast(logits, Element::F32);
            let probabilities = graph.softmax(logits, 1);
            let map = graph.slice(probabilities, 1, 1, 2);
            maps.push(mirrored(graph, map, pass));
        }
        // As `Flips::average`: pairs of pairs.
        while maps.len() > 1 {
            let pairs: Vec<Value> = maps
                .chunks(2)
                .map(|pair| {
                    let sum = graph.add(pair[0], pair[pair.len() - 1]);
                    let half = graph.f32(0.5);
                    graph.mul(sum, half)
                })
                .collect();
            maps = pairs;
        }
        let map = maps.first().copied().ok_or(ModelError::NoImages)?;
        let map = graph.squeeze(map, &[1]);
        Ok(self.scored(graph, map))
    }

    /// [`Detector::image_scores_graph`](crate::Detector::image_scores_graph).
    pub(super) fn scored(&self, graph: &mut Graph, map: Value) -> Outputs {
        let size = (self.height as usize, self.width as usize);
        Outputs {
            score: map_score(graph, map, size),
            verdict_score: map_verdict_score(graph, map, size),
            map,
        }
    }

    /// The networks with the numbers that can be told.
    fn networks(&self) -> Result<(&Reconstructive, &Discriminative), ModelError> {
        match (&self.engine, &self.told) {
            (_, Some(told)) => Ok((&told.0, &told.1)),
            (Engine::AsTrained(networks), None) => Ok((&networks.0, &networks.1)),
            (Engine::Prepared(..), None) => Err(ModelError::NotExportable {
                reason: "its weights were rearranged when it was made; make it with `Draem::telling`"
                    .to_owned(),
            }),
        }
    }
}

/// Whether left and right, top and bottom are exchanged, in each pass.
fn flips(flips: Option<Flips>) -> Vec<(bool, bool)> {
    match flips {
        None => vec![(false, false)],
        Some(Flips::Horizontal) => vec![(false, false), (true, false)],
        Some(Flips::Vertical) => vec![(false, false), (false, true)],
        Some(Flips::Both) => vec![(false, false), (true, false), (false, true), (true, true)],
    }
}

/// (N, channels, H, W), mirrored.
fn mirrored(graph: &mut Graph, x: Value, (across, down): (bool, bool)) -> Value {
    let x = if across { graph.reversed(x, 3) } else { x };
    if down { graph.reversed(x, 2) } else { x }
}
