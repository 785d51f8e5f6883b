//! Residual networks as graphs.

use flawforge_onnx::{Graph, Value, Window};

use super::ResNet;
use crate::ModelError;

impl ResNet {
    /// As [`stages`](ResNet::stages), on (N, channels, H, W), in the type of `images`.
    pub(crate) fn graph(
        &self,
        graph: &mut Graph,
        images: Value,
        last: usize,
    ) -> Result<Vec<Value>, ModelError> {
        let stem = self.stem.graph(graph, images, true)?;
        let mut x = graph.max_pool(stem, Window::centered(3, 2));
        let mut outputs = Vec::with_capacity(last);
        for stage in self.stages.iter().take(last) {
            for block in stage {
                x = block.graph(graph, x)?;
            }
            outputs.push(x);
        }
        Ok(outputs)
    }
}
