//! Inverted residual blocks: their three convolutions, the padding of TensorFlow, and the sizes that fit together.

use candle_core::{Result, Tensor, bail};

/// A convolution with bias, zero-padded as TensorFlow's `SAME` is ([`same_padding`]).
#[derive(Debug, Clone)]
pub struct SameConv {
    /// (Co,Ci,k,k), or (C,1,k,k) where each channel has a filter of its own.
    pub weight: Tensor,
    /// (Co).
    pub bias: Tensor,
    /// Pixels from one place of the kernel to the next; at least 1.
    pub stride: usize,
}

impl SameConv {
    /// Output channels, input channels of a filter, and the side of the kernel, which is square.
    fn sizes(&self) -> Result<(usize, usize, usize)> {
        let (co, ci, kh, kw) = self.weight.dims4()?;
        if kh != kw || self.stride == 0 || self.bias.dims() != [co] || co * ci * kh == 0 {
            bail!(
                "inverted residual: weight {:?} (Co,Ci,k,k), bias {:?} (Co) and stride {} do not fit together",
                self.weight.dims(),
                self.bias.dims(),
                self.stride
            );
        }
        Ok((co, ci, kh))
    }
}

/// An inverted residual block (MobileNetV2, EfficientNet-Lite) in evaluation: a convolution to many channels, a filter for
/// each of them, a 1×1 convolution to few.
///
/// ```text
/// y = project(relu6(depthwise(relu6(expand(x))))) (+ x)
/// ```
///
/// `expand` is a 1×1 convolution, or the network's first convolution where the block behind it has none of its own.
#[derive(Debug, Clone)]
pub struct InvertedResidual {
    /// To the inner channels, with ReLU6.
    pub expand: SameConv,
    /// (C,1,k,k): a filter for each inner channel, with ReLU6. The kernels take sides of 3 and 5.
    pub depthwise: SameConv,
    /// 1×1 with stride 1, from the inner channels, without activation.
    pub project: SameConv,
    /// Whether the input is added to the result: only where both have one shape.
    pub shortcut: bool,
}

/// Sizes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockShape {
    pub(crate) ci: usize,
    pub(crate) inner: usize,
    pub(crate) co: usize,
    pub(crate) expand_side: usize,
    pub(crate) expand_stride: usize,
    pub(crate) side: usize,
    pub(crate) stride: usize,
    pub(crate) shortcut: bool,
}

impl InvertedResidual {
    /// The sizes, where they fit together.
    pub(crate) fn shape(&self) -> Result<BlockShape> {
        let (inner, ci, expand_side) = self.expand.sizes()?;
        let (channels, of_one, side) = self.depthwise.sizes()?;
        let (co, from, one) = self.project.sizes()?;
        let shape = BlockShape {
            ci,
            inner,
            co,
            expand_side,
            expand_stride: self.expand.stride,
            side,
            stride: self.depthwise.stride,
            shortcut: self.shortcut,
        };
        let joined =
            channels == inner && from == inner && of_one == 1 && (one, self.project.stride) == (1, 1);
        let keeps = ci == co && (shape.expand_stride, shape.stride) == (1, 1);
        if !joined || (self.shortcut && !keeps) {
            bail!("inverted residual: its convolutions do not fit together: {shape:?}");
        }
        Ok(shape)
    }
}

/// Length of the output of a convolution padded as TensorFlow's `SAME` is, and the zeros before the input, along one axis.
/// Those behind it are as many, or one more.
pub(crate) fn same_padding(length: usize, side: usize, stride: usize) -> (usize, usize) {
    let output = length.div_ceil(stride);
    let total = (output.saturating_sub(1) * stride + side).saturating_sub(length);
    (output, total / 2)
}

/// Filters (outputs, rest) as (rest, outputs), in which threads that go over outputs read neighbours.
#[cfg(any(feature = "cuda", test))]
pub(crate) fn outputs_last(filters: &[f32], outputs: usize) -> Vec<f32> {
    let rest = filters.len() / outputs.max(1);
    let number = |index: usize| filters[index % outputs * rest + index / outputs];
    (0..filters.len()).map(number).collect()
}

/// Filters (outputs, inputs, taps) as (outputs, taps, inputs).
#[cfg(any(feature = "cuda", test))]
pub(crate) fn inputs_behind_taps(filters: &[f32], inputs: usize, taps: usize) -> Vec<f32> {
    let filters = filters.chunks_exact((inputs * taps).max(1));
    filters
        .flat_map(|filter| (0..inputs * taps).map(|index| filter[index % inputs * taps + index / inputs]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_turned_as_kernels_read_them() {
        // Two outputs, three inputs, two taps; a number is output, input, tap.
        let filters: Vec<f32> = [0, 1]
            .into_iter()
            .flat_map(|o| (0..3).flat_map(move |i| (0..2).map(move |t| (100 * o + 10 * i + t) as f32)))
            .collect();
        let turned = outputs_last(&inputs_behind_taps(&filters, 3, 2), 2);
        let expected: Vec<f32> = (0..2)
            .flat_map(|t| (0..3).flat_map(move |i| (0..2).map(move |o| (100 * o + 10 * i + t) as f32)))
            .collect();
        assert_eq!(turned, expected);
    }

    #[test]
    fn padding_is_tensorflows() {
        assert_eq!(same_padding(8, 3, 1), (8, 1));
        assert_eq!(same_padding(8, 3, 2), (4, 0));
        assert_eq!(same_padding(7, 3, 2), (4, 1));
        assert_eq!(same_padding(8, 5, 2), (4, 1));
        assert_eq!(same_padding(7, 5, 2), (4, 2));
        assert_eq!(same_padding(1, 5, 2), (1, 2));
        assert_eq!(same_padding(8, 1, 1), (8, 0));
    }
}
