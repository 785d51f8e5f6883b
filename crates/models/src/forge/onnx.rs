//! The detector as a graph.

use flawforge_onnx::{Graph, Value, Window};
use flawforge_resample::Resizing;

use super::head::Layer;
use super::patches::coordinate;
use super::{Details, Forge, Fusion, Head, Normal, SizedBank, Standard};
use crate::ModelError;
use crate::export::{GraphPlace, Matrix, Nearest, Outputs, brought, sandwiched};
use crate::patchcore::{GraphMap, as_maps, at_places};

impl Forge {
    /// [`Detector::graph`](crate::Detector::graph), and of windows [`Detector::graph_at`](crate::Detector::graph_at).
    pub(super) fn outputs(
        &self,
        graph: &mut Graph,
        images: Value,
        place: Option<GraphPlace>,
    ) -> Result<Outputs, ModelError> {
        let (mut sum, mut added) = (None, None);
        let mut probabilities = None;
        for (number, (bank, &usual)) in self.sizes().iter().zip(&self.fusion.usual).enumerate() {
            let maps = self.seen(graph, images, bank.size)?;
            let distances = bank.graph(graph, maps.get(1..).unwrap_or_default(), place)?;
            let distances = self.fusion.smooth_graph(graph, distances);
            let usual = graph.f32(usual);
            let part = graph.div(distances, usual);
            sum = Some(sum.map_or(part, |sum| graph.add(sum, part)));
            if let (0, Some(bank), Some(details)) = (number, self.details(), &self.fusion.details) {
                let found = bank.graph(graph, maps.get(..1).unwrap_or_default(), place)?;
                let found = self.fusion.smooth_graph(graph, found);
                added = Some(details.graph(graph, found));
            }
            if let (0, Some(head)) = (number, &self.head) {
                let found = head.graph(graph, &maps)?;
                probabilities = Some(self.fusion.smooth_graph(graph, found));
            }
        }
        let mut sum = sum.ok_or(ModelError::NoImages)?;
        if let Some(added) = added {
            sum = graph.add(sum, added);
        }
        let mut map = self.fusion.distances.graph(graph, sum);
        if let Some(probabilities) = probabilities {
            let standard = self.fusion.head.graph(graph, probabilities);
            let weight = graph.f32(self.fusion.head_weight);
            let part = graph.mul(standard, weight);
            map = graph.add(map, part);
        }
        Ok(self.scored(graph, map))
    }

    /// [`Detector::image_scores_graph`](crate::Detector::image_scores_graph).
    pub(super) fn scored(&self, graph: &mut Graph, map: Value) -> Outputs {
        let score = self.fusion.score_graph(graph, map);
        Outputs {
            score,
            verdict_score: score,
            map,
        }
    }

    /// As [`seen`](super::seen).
    fn seen(&self, graph: &mut Graph, images: Value, size: (u32, u32)) -> Result<Vec<GraphMap>, ModelError> {
        let (width, height) = size;
        let images = match size == self.size {
            true => images,
            false => {
                let from = (
                    graph.i64(i64::from(self.size.1)),
                    graph.i64(i64::from(self.size.0)),
                );
                brought(graph, images, from, Resizing::antialiased(width, height))
            }
        };
        let mut maps = self
            .network
            .graph(graph, images, (height as usize, width as usize))?;
        for map in &mut maps {
            map.value = graph.average_pool(map.value, Window::centered(3, 1), true);
        }
        Ok(maps)
    }
}

/// A map whose numbers are known at each place, (N, height, width).
#[derive(Clone, Copy)]
struct Placed {
    value: Value,
    size: (usize, usize),
}

/// Maps resized to the first, their channels one after the other.
fn joined(graph: &mut Graph, maps: &[GraphMap]) -> Result<GraphMap, ModelError> {
    let finest = *maps.first().ok_or(ModelError::NoImages)?;
    let resized: Vec<Value> = maps
        .iter()
        .map(|map| map.resized(graph, finest.height, finest.width))
        .collect();
    Ok(GraphMap {
        value: graph.concat(&resized, 1),
        channels: maps.iter().map(|map| map.channels).sum(),
        ..finest
    })
}

/// Where each of the places of N images lies in its own, or in the whole image, times a weight: (N · height · width, 2), for
/// vectors of these places.
fn positions(
    graph: &mut Graph,
    vectors: Value,
    (height, width): (usize, usize),
    place: Option<GraphPlace>,
    weight: f32,
) -> Value {
    let coordinates: Vec<f32> = (0..height * width)
        .flat_map(|place| {
            [
                coordinate(place % width, width),
                coordinate(place / width, height),
            ]
        })
        .collect();
    let shape = [height * width, 2];
    let one = match place {
        None => {
            let weighted: Vec<f32> = coordinates.iter().map(|coordinate| weight * coordinate).collect();
            graph.f32s(&shape, &weighted)
        }
        Some(place) => {
            let points = graph.f32s(&shape, &coordinates);
            let points = place.at(graph, points);
            let weight = graph.f32(weight);
            graph.mul(points, weight)
        }
    };
    // Places of each image are numbered from 0 again.
    let count = graph.length(vectors, 0);
    let all = graph.range(count);
    let each = graph.i64((height * width) as i64);
    let image = graph.div(all, each);
    let before = graph.mul(image, each);
    let within = graph.sub(all, before);
    graph.gather(one, within, 0)
}

impl SizedBank {
    /// As [`distances`](SizedBank::distances).
    fn graph(
        &self,
        graph: &mut Graph,
        maps: &[GraphMap],
        place: Option<GraphPlace>,
    ) -> Result<Placed, ModelError> {
        if maps.len() != self.weights.maps.len() {
            return Err(ModelError::Stages {
                found: maps.len(),
                needed: self.weights.maps.len(),
            });
        }
        let joined = joined(graph, maps)?;
        let factors: Vec<f32> = maps
            .iter()
            .zip(&self.weights.maps)
            .flat_map(|(map, &weight)| std::iter::repeat_n(weight, map.channels))
            .collect();
        let vectors = at_places(graph, joined.value, joined.channels);
        let factors = graph.f32s(&[factors.len()], &factors);
        let mut queries = graph.mul(vectors, factors);
        if let Some(weight) = self.weights.position {
            let positions = positions(graph, queries, (joined.height, joined.width), place, weight);
            queries = graph.concat(&[queries, positions], 1);
        }
        let nearest = Nearest::new(graph, self.memory());
        let found = nearest.of(graph, queries);
        let distances = graph.sqrt(found.squared);
        let size = (joined.height, joined.width);
        Ok(Placed {
            value: as_maps(graph, distances, size),
            size,
        })
    }
}

impl Standard {
    fn graph(&self, graph: &mut Graph, vectors: Value) -> Value {
        let mean = graph.f32s(&[self.mean.len()], &self.mean);
        let factor = graph.f32s(&[self.factor.len()], &self.factor);
        let centered = graph.sub(vectors, mean);
        graph.mul(centered, factor)
    }
}

impl Head {
    /// As [`probabilities`](Head::probabilities).
    fn graph(&self, graph: &mut Graph, maps: &[GraphMap]) -> Result<Placed, ModelError> {
        let joined = joined(graph, maps)?;
        if joined.channels != self.input.mean.len() {
            return Err(ModelError::Dimension {
                bank: self.input.mean.len(),
                features: joined.channels,
            });
        }
        let vectors = at_places(graph, joined.value, joined.channels);
        let mut values = self.input.graph(graph, vectors);
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            values = layer.graph(graph, values);
            values = match index < last {
                true => graph.relu(values),
                false => graph.sigmoid(values),
            };
        }
        let size = (joined.height, joined.width);
        Ok(Placed {
            value: as_maps(graph, values, size),
            size,
        })
    }
}

impl Layer {
    fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let shape = [self.weight.len(), self.weight.length()];
        let weight = graph.f32s(&shape, &self.weight.to_vec());
        let bias = graph.f32s(&[self.bias.len()], &self.bias);
        graph.product(1.0, x, weight, bias)
    }
}

impl Normal {
    fn graph(self, graph: &mut Graph, x: Value) -> Value {
        let (mean, spread) = (graph.f32(self.mean), graph.f32(self.spread));
        let centered = graph.sub(x, mean);
        graph.div(centered, spread)
    }
}

impl Details {
    /// As [`added`](Details::added).
    fn graph(self, graph: &mut Graph, distances: Value) -> Value {
        let (usual, reached) = (graph.f32(self.usual), graph.f32(self.reached));
        let weight = graph.f32(self.weight);
        let relative = graph.div(distances, usual);
        let beyond = graph.sub(relative, reached);
        let beyond = graph.relu(beyond);
        graph.mul(beyond, weight)
    }
}

impl Fusion {
    /// As [`smooth`](Fusion::smooth): resizing and smoothing are one product of matrices.
    fn smooth_graph(&self, graph: &mut Graph, map: Placed) -> Value {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let down = Matrix::blur(height, self.sigma).after(&Matrix::interpolation(map.size.0, height));
        let across = Matrix::blur(width, self.sigma).after(&Matrix::interpolation(map.size.1, width));
        sandwiched(graph, map.value, &down, &across)
    }

    /// As [`score`](Fusion::score), of maps (N, height, width).
    fn score_graph(&self, graph: &mut Graph, map: Value) -> Value {
        let largest = graph.reduce_max(map, &[1, 2], false);
        let exact = graph.cast(map, flawforge_onnx::Element::F64);
        let mean = graph.reduce_mean(exact, &[1, 2], false);
        let mean = graph.cast(mean, flawforge_onnx::Element::F32);
        let share = graph.f32(self.mean_share);
        let part = graph.mul(mean, share);
        graph.sub(largest, part)
    }
}
