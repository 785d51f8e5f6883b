//! A centre crop as a graph.

use flawforge_onnx::{Graph, Value};

use super::CenterCrop;
use crate::export::{Matrix, sandwiched};

impl CenterCrop {
    /// The part of images (N, H, W, 3) that the network sees.
    pub(crate) fn cropped_graph(&self, graph: &mut Graph, images: Value) -> Value {
        if self.crop == self.image {
            return images;
        }
        let (x, y) = self.corner();
        let end = |start: u32, length: u32| i64::from(start) + i64::from(length);
        let rows = graph.slice(images, 1, i64::from(y), end(y, self.crop.1));
        graph.slice(rows, 2, i64::from(x), end(x, self.crop.0))
    }

    /// The maps that are handed out, (N, H, W), from those of crops: 0 outside of these.
    pub(crate) fn placed_graph(&self, graph: &mut Graph, maps: Value) -> Value {
        let whole = match self.crop == self.image {
            true => maps,
            false => {
                let (x, y) = self.corner();
                let behind = |whole: u32, start: u32, length: u32| {
                    i64::from(whole) - i64::from(start) - i64::from(length)
                };
                let right = behind(self.image.0, x, self.crop.0);
                let below = behind(self.image.1, y, self.crop.1);
                graph.pad(maps, &[0, i64::from(y), i64::from(x)], &[0, below, right])
            }
        };
        if self.map == self.image {
            return whole;
        }
        let matrix = |from: u32, to: u32| Matrix::interpolation(from as usize, to as usize);
        let down = matrix(self.image.1, self.map.1);
        sandwiched(graph, whole, &down, &matrix(self.image.0, self.map.0))
    }
}
