//! NSA's network as a graph.

use flawforge_onnx::{Element, Graph, Value, Window};

use super::NsaNetwork;
use crate::ModelError;

impl NsaNetwork {
    /// The anomaly map (N, 1, H, W) of normalised images (N, 3, H, W).
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let x = graph.to_working(x);
        let x = self.stem.graph(graph, x, true)?;
        let mut x = graph.max_pool(x, Window::centered(3, 2));
        for block in &self.encoder {
            x = block.graph(graph, x)?;
        }
        for unit in &self.bottleneck {
            x = unit.graph(graph, x, true)?;
        }
        for block in &self.decoder {
            x = block.graph(graph, x)?;
        }
        let large = graph.doubled(x);
        let logits = self.last.graph(graph, large, false)?;
        let logits = graph.cast(logits, Element::F32);
        Ok(graph.sigmoid(logits))
    }
}
