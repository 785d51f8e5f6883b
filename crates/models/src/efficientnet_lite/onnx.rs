//! EfficientNet-Lite as a graph.

use flawforge_onnx::{Graph, Value, Window};
use flawforge_ops::inference::{InvertedResidual, SameConv};

use super::EfficientNetLite;
use crate::ModelError;
use crate::export::{Convolution, planes};

/// Length of the output of a convolution padded as TensorFlow's `SAME` is, and the zeros before and behind the input.
fn same_padding(length: usize, side: usize, stride: usize) -> (usize, usize, usize) {
    let output = length.div_ceil(stride);
    let total = (output.saturating_sub(1) * stride + side).saturating_sub(length);
    (output, total / 2, total - total / 2)
}

/// The convolution of `x`, images of `size` (height, width), and the size of the result.
fn convolved(
    graph: &mut Graph,
    x: Value,
    conv: &SameConv,
    size: (usize, usize),
) -> Result<(Value, (usize, usize)), ModelError> {
    let (out, of_one, side, _) = conv.weight.dims4()?;
    let (height, top, bottom) = same_padding(size.0, side, conv.stride);
    let (width, left, right) = same_padding(size.1, side, conv.stride);
    let window = Window {
        side,
        stride: conv.stride,
        before: [top, left],
        behind: [bottom, right],
    };
    // A filter for each channel where a filter sees one channel and there is more than one.
    let groups = if of_one == 1 { out } else { 1 };
    let convolution = Convolution::new(&conv.weight, Some(&conv.bias), None, false)?;
    Ok((convolution.of(graph, x, window, groups), (height, width)))
}

fn block(
    graph: &mut Graph,
    x: Value,
    block: &InvertedResidual,
    size: (usize, usize),
) -> Result<(Value, (usize, usize)), ModelError> {
    let (y, between) = convolved(graph, x, &block.expand, size)?;
    let y = graph.clip(y, 0.0, 6.0);
    let (y, between) = convolved(graph, y, &block.depthwise, between)?;
    let y = graph.clip(y, 0.0, 6.0);
    let (y, after) = convolved(graph, y, &block.project, between)?;
    let y = if block.shortcut { graph.add(y, x) } else { y };
    Ok((y, after))
}

impl EfficientNetLite {
    /// As [`features`](EfficientNetLite::features), of bytes (N, H, W, 3) of `size` (H, W): each (N, channels, h, w) with its size and
    /// channels, in the graph's working type.
    pub(crate) fn graph(
        &self,
        graph: &mut Graph,
        images: Value,
        size: (usize, usize),
        strides: &[usize],
    ) -> Result<Vec<Value>, ModelError> {
        let wanted = self.wanted(strides)?;
        let values = planes(graph, images);
        let (mean, deviation) = (graph.f32(127.0), graph.f32(128.0));
        let values = graph.sub(values, mean);
        let values = graph.div(values, deviation);
        let mut x = graph.to_working(values);
        let mut size = size;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let mut outputs = Vec::with_capacity(last);
        for stage in self.told.iter().take(last) {
            for one in stage {
                (x, size) = block(graph, x, one, size)?;
            }
            outputs.push(x);
        }
        let found = wanted
            .iter()
            .filter_map(|&stage| outputs.get(stage.checked_sub(1)?).copied());
        Ok(found.collect())
    }
}
