//! PatchCore's networks, vectors and scores as graphs.

use flawforge_onnx::{Element, Graph, Value, Window};
use flawforge_resample::Resizing;

use super::detector::{PatchCore, SizeBank};
use super::embedding::Embedding;
use super::extractor::{LiteStages, STRIDES, Stages};
use super::scoring::Scoring;
use crate::export::{Matrix, Nearest, Outputs, brought, imagenet, sandwiched};
use crate::{CenterCrop, ModelError};

/// A feature map in a graph.
#[derive(Debug, Clone, Copy)]
pub struct GraphMap {
    /// (N, channels, height, width).
    pub value: Value,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Places in a row.
    pub width: usize,
}

impl Stages {
    /// [`FeatureExtractor::graph`].
    pub(super) fn maps(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
    ) -> Result<Vec<GraphMap>, ModelError> {
        let wanted = self.wanted()?;
        let needed = wanted.iter().max().map_or(0, |last| last + 1);
        let values = imagenet(graph, images);
        let values = graph.to_working(values);
        let outputs = self.network.graph(graph, values, needed)?;
        let kind = self.network.kind();
        let map = |stage: usize| {
            Some(GraphMap {
                value: *outputs.get(stage)?,
                channels: kind.channels(stage + 1),
                height: size.0.div_ceil(STRIDES[stage]),
                width: size.1.div_ceil(STRIDES[stage]),
            })
        };
        let maps: Option<Vec<GraphMap>> = wanted.into_iter().map(map).collect();
        let found = outputs.len();
        let maps = maps.ok_or(ModelError::Stages { found, needed })?;
        Ok(in_f32(graph, maps))
    }
}

impl LiteStages {
    /// [`FeatureExtractor::graph`].
    pub(super) fn maps(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
    ) -> Result<Vec<GraphMap>, ModelError> {
        let values = self.network.graph(graph, images, size, &self.strides)?;
        let kind = self.network.kind();
        let map = |(&stride, value): (&usize, Value)| {
            let stage = crate::EfficientNetLiteKind::stage_of_stride(stride)?;
            Some(GraphMap {
                value,
                channels: kind.channels(stage),
                height: size.0.div_ceil(stride),
                width: size.1.div_ceil(stride),
            })
        };
        let maps = self.strides.iter().zip(values).filter_map(map).collect();
        Ok(in_f32(graph, maps))
    }
}

fn in_f32(graph: &mut Graph, mut maps: Vec<GraphMap>) -> Vec<GraphMap> {
    for map in &mut maps {
        map.value = graph.cast(map.value, Element::F32);
    }
    maps
}

impl GraphMap {
    /// Bilinear at another size.
    pub(crate) fn resized(self, graph: &mut Graph, height: usize, width: usize) -> Value {
        if (self.height, self.width) == (height, width) {
            return self.value;
        }
        let down = Matrix::interpolation(self.height, height);
        sandwiched(
            graph,
            self.value,
            &down,
            &Matrix::interpolation(self.width, width),
        )
    }
}

/// Vectors at places (N · height · width, length) of what has them as channels (N, length, height, width).
pub(crate) fn at_places(graph: &mut Graph, x: Value, length: usize) -> Value {
    let last = graph.transpose(x, &[0, 2, 3, 1]);
    graph.reshape(last, &[-1, length as i64])
}

/// Numbers at places (N · height · width) as maps (N, height, width).
pub(crate) fn as_maps(graph: &mut Graph, x: Value, (height, width): (usize, usize)) -> Value {
    graph.reshape(x, &[-1, height as i64, width as i64])
}

impl Embedding {
    /// The vectors of all patches as channels, (N, size, height, width) of the finest map: each map's patches are a convolution of it.
    fn graph(&self, graph: &mut Graph, maps: &[GraphMap]) -> Result<Value, ModelError> {
        let finest = maps.first().ok_or(ModelError::NoImages)?;
        let mut sum: Option<Value> = None;
        for (number, map) in maps.iter().enumerate() {
            let part = self.part(number, maps.len());
            let filters = self.filters(map.channels, number, &part, maps.len());
            let (weight, _) = graph.stored(&[part.len(), map.channels, 3, 3], filters);
            let pooled = GraphMap {
                value: graph.conv(map.value, weight, None, Window::centered(3, 1), 1),
                channels: part.len(),
                ..*map
            };
            let fine = pooled.resized(graph, finest.height, finest.width);
            let behind = self.size - part.end;
            let placed = graph.pad(fine, &[0, part.start as i64, 0, 0], &[0, behind as i64, 0, 0]);
            sum = Some(sum.map_or(placed, |sum| graph.add(sum, placed)));
        }
        sum.ok_or(ModelError::NoImages)
    }
}

/// One size's comparison of N images with its bank.
struct ComparedGraph {
    /// Squared distances, (N, height, width).
    squared: Value,
    size: (usize, usize),
    usual: f32,
    /// (N).
    score: Value,
}

impl PatchCore {
    /// [`Detector::graph`](crate::Detector::graph).
    pub(super) fn outputs(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let seen = self.crop.cropped_graph(graph, images);
        let mut sizes = Vec::with_capacity(self.banks.len());
        for bank in &self.banks {
            sizes.push(self.compared(graph, seen, bank)?);
        }
        Ok(self.scoring.graph(graph, &sizes, &self.crop))
    }

    fn compared(
        &self,
        graph: &mut Graph,
        seen: Value,
        SizeBank { side, bank, usual }: &SizeBank,
    ) -> Result<ComparedGraph, ModelError> {
        let (width, height) = self.crop.crop;
        let images = match (width, height) == (*side, *side) {
            true => seen,
            false => {
                let from = (graph.i64(i64::from(height)), graph.i64(i64::from(width)));
                brought(graph, seen, from, Resizing::antialiased(*side, *side))
            }
        };
        let maps = self
            .extractor
            .graph(graph, images, (*side as usize, *side as usize))?;
        let finest = *maps.first().ok_or(ModelError::NoImages)?;
        let vectors = self.embedding.graph(graph, &maps)?;
        let queries = at_places(graph, vectors, self.embedding.size);
        let nearest = Nearest::new(graph, bank);
        let found = nearest.of(graph, queries);
        let size = (finest.height, finest.width);
        let places = size.0 * size.1;
        let squared = graph.reshape(found.squared, &[-1, places as i64]);
        let score = match self.scoring.reweight {
            None => graph.reduce_max(squared, &[1], false),
            Some(count) => {
                let farthest = graph.place_of_largest(squared, 1);
                // Places of each image begin behind those of the image before.
                let images = graph.length(squared, 0);
                let begin = graph.range(images);
                let each = graph.i64(places as i64);
                let begin = graph.mul(begin, each);
                let farthest = graph.add(begin, farthest);
                let query = graph.gather(queries, farthest, 0);
                let found = found.at(graph, farthest);
                nearest.reweighted(graph, query, found, count)
            }
        };
        Ok(ComparedGraph {
            squared: as_maps(graph, squared, size),
            size,
            usual: *usual,
            score,
        })
    }
}

impl Scoring {
    /// As [`detection`](Scoring::detection): resizing and smoothing are one product of matrices.
    fn graph(&self, graph: &mut Graph, sizes: &[ComparedGraph], crop: &CenterCrop) -> Outputs {
        let (width, height) = (crop.crop.0 as usize, crop.crop.1 as usize);
        let (down, across) = (Matrix::blur(height, self.sigma), Matrix::blur(width, self.sigma));
        let mut total = None;
        for one in sizes {
            let rows = down.after(&Matrix::interpolation(one.size.0, height));
            let columns = across.after(&Matrix::interpolation(one.size.1, width));
            let mut map = sandwiched(graph, one.squared, &rows, &columns);
            if sizes.len() > 1 {
                let usual = graph.f32(one.usual);
                map = graph.div(map, usual);
            }
            total = Some(total.map_or(map, |total| graph.add(total, map)));
        }
        let map = total.unwrap_or_else(|| graph.f32s(&[0, height, width], &[]));
        let score = match sizes {
            [one] => one.score,
            _ => {
                let largest = graph.reduce_max(map, &[1, 2], false);
                graph.relu(largest)
            }
        };
        Outputs {
            score,
            verdict_score: score,
            map: crop.placed_graph(graph, map),
        }
    }
}
