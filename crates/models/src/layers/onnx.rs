//! The layers of DRAEM's networks as graphs.

use flawforge_onnx::{Graph, Value, Window};

use super::{Conv, ConvNorm, DoubleConv, UpConv};
use crate::ModelError;
use crate::export::Convolution;

const WINDOW: Window = Window {
    side: 3,
    stride: 1,
    before: [1, 1],
    behind: [1, 1],
};

impl Conv {
    /// The convolution of `x` (N, channels, height, width).
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let convolution = Convolution::new(&self.weight, Some(&self.bias), None, false)?;
        Ok(convolution.of(graph, x, WINDOW, 1))
    }
}

impl ConvNorm {
    fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let Conv { weight, bias } = &self.conv;
        let convolution = Convolution::new(weight, Some(bias), Some(&self.norm), false)?;
        let y = convolution.of(graph, x, WINDOW, 1);
        Ok(graph.relu(y))
    }
}

impl DoubleConv {
    /// Both convolutions.
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let between = self.0.graph(graph, x)?;
        self.1.graph(graph, between)
    }
}

impl UpConv {
    /// Twice the size, then the convolution.
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        let large = graph.doubled(x);
        self.0.graph(graph, large)
    }
}
