//! An encoder and its decoder as a graph.

use flawforge_onnx::{Graph, Value, Window};

use super::EncoderDecoder;
use crate::ModelError;

const HALVING: Window = Window {
    side: 2,
    stride: 2,
    before: [0, 0],
    behind: [0, 0],
};

impl EncoderDecoder {
    /// The result (N, outputs, H, W) of images (N, inputs, H, W), in the type of `x`.
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let mut x = x;
        let mut skips = Vec::new();
        for (index, block) in self.encoder.iter().enumerate() {
            if index > 0 {
                if self.has_skips() {
                    skips.push(x);
                }
                x = graph.max_pool(x, HALVING);
            }
            x = block.graph(graph, x)?;
        }
        for (up, block) in &self.decoder {
            x = up.graph(graph, x)?;
            if let Some(skip) = skips.pop() {
                x = graph.concat(&[x, skip], 1);
            }
            x = block.graph(graph, x)?;
        }
        self.last.graph(graph, x)
    }
}
