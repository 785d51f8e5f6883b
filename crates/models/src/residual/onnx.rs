//! Residual blocks as graphs.

use flawforge_onnx::{Graph, Value, Window};

use super::{After, Block, ConvUnit};
use crate::ModelError;
use crate::export::Convolution;

impl ConvUnit {
    /// Convolution and batch norm of `x` (N, channels, height, width), with ReLU if asked.
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value, relu: bool) -> Result<Value, ModelError> {
        let (bias, norm) = match &self.after {
            After::Nothing => (None, None),
            After::Norm(norm) => (None, Some(norm)),
            After::Bias(bias) => (Some(bias), None),
        };
        let shape = self.shape;
        let convolution = Convolution::new(&self.weight, bias, norm, shape.transposed)?;
        let y = match shape.transposed {
            true => convolution.doubling(graph, x, shape.kernel),
            false => convolution.of(graph, x, Window::centered(shape.kernel, shape.stride), 1),
        };
        Ok(if relu { graph.relu(y) } else { y })
    }
}

impl Block {
    /// As [`forward`](Block::forward).
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let mut y = x;
        for (index, unit) in self.units.iter().enumerate() {
            y = unit.graph(graph, y, index + 1 < self.units.len())?;
        }
        let kept = match &self.shortcut {
            Some(shortcut) => shortcut.graph(graph, x, false)?,
            None => x,
        };
        let sum = graph.add(y, kept);
        Ok(graph.relu(sum))
    }
}
