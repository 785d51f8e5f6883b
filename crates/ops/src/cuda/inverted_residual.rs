//! Inverted residual blocks: products by cuDNN, filters of single channels and the network's first convolution by kernels.
//!
//! Everything multiplies in f32 and without tensor cores, whatever the thread's precision: what is made of the results are
//! differences of features.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, bail};

use super::activation::add;
use super::conv3x3::PreparedConvolution;
use super::gpu::{Gpu, arguments, count, over_elements};
use super::kernels::Module;
use super::numbers::{Buffer, Number, Numbers};
use crate::Precision;
use crate::cpu::inverted_residual::Weights;
use crate::definitions::inverted_residual::{BlockShape, inputs_behind_taps, outputs_last, same_padding};

/// A block on a GPU.
pub(crate) struct PreparedBlock {
    shape: BlockShape,
    expand: Expand,
    depthwise: Filters,
    project: PreparedConvolution,
}

enum Expand {
    /// 1×1 with stride 1.
    Product(PreparedConvolution),
    Other(Filters),
}

/// Filters with the output channels last, and the bias.
struct Filters {
    filters: CudaSlice<f32>,
    bias: CudaSlice<f32>,
}

impl Filters {
    /// Of filters (outputs, the rest).
    fn new(gpu: &Gpu, (filters, bias): (&[f32], &[f32])) -> Result<Self> {
        Ok(Self {
            filters: gpu.device.clone_htod(&outputs_last(filters, bias.len()))?,
            bias: gpu.device.clone_htod(bias)?,
        })
    }
}

impl PreparedBlock {
    /// Brings the weights to the device. They fit the shape.
    pub(crate) fn new(gpu: &Gpu, weights: Weights<'_>, shape: BlockShape) -> Result<Self> {
        let product = |(filters, bias): (&[f32], &[f32]), channels| {
            let (filters, bias) = (gpu.device.clone_htod(filters)?, gpu.device.clone_htod(bias)?);
            let (filters, bias) = (gpu.view(&filters), gpu.view(&bias));
            PreparedConvolution::new(gpu, channels, 1, Precision::F32, filters, bias)
        };
        let expand = match (shape.expand_side, shape.expand_stride) {
            (1, 1) => Expand::Product(product(weights.expand, (shape.ci, shape.inner))?),
            // Three dimensions of a filter and the channels of the input in one order.
            (side, _) => {
                let (filters, bias) = weights.expand;
                let filters = inputs_behind_taps(filters, shape.ci, side * side);
                Expand::Other(Filters::new(gpu, (&filters, bias))?)
            }
        };
        Ok(Self {
            shape,
            expand,
            depthwise: Filters::new(gpu, weights.depthwise)?,
            project: product(weights.project, (shape.inner, shape.co))?,
        })
    }

    /// Sizes of the block.
    pub(crate) fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Height and width of the result for an input of this height and width.
    pub(crate) fn output(&self, (h, w): (usize, usize)) -> (usize, usize) {
        let BlockShape {
            expand_side,
            expand_stride,
            side,
            stride,
            ..
        } = self.shape;
        let along = |length| {
            let (inner, _) = same_padding(length, expand_side, expand_stride);
            same_padding(inner, side, stride).0
        };
        (along(h), along(w))
    }

    /// (n, h, w, ci) to (n, ho, wo, co).
    pub(crate) fn forward(
        &self,
        gpu: &Gpu,
        x: Numbers<'_>,
        (n, h, w): (usize, usize, usize),
    ) -> Result<Buffer> {
        if x.number != Number::F32 {
            bail!("inverted_residual: the input is not f32");
        }
        let BlockShape {
            ci,
            inner,
            expand_side,
            expand_stride,
            side,
            stride,
            shortcut,
            ..
        } = self.shape;
        // ReLU6 behind it is applied by whoever reads.
        let (expanded, (h, w)) = match &self.expand {
            Expand::Product(conv) => (conv.forward(gpu, (n, h, w), x, false)?, (h, w)),
            Expand::Other(filters) => {
                let padded = Padded::new((h, w), expand_side, expand_stride);
                let (ho, wo) = padded.output;
                let y = Buffer::alloc(gpu, Number::F32, n * ho * wo * inner)?;
                let given = arguments![
                    x,
                    gpu.argument(&filters.filters),
                    gpu.argument(&filters.bias),
                    y.argument(gpu),
                    count(h)?,
                    count(w)?,
                    count(ci)?,
                    count(inner)?,
                    count(ho)?,
                    count(wo)?,
                    count(expand_side)?,
                    count(expand_stride)?,
                    count(padded.top)?,
                    count(padded.left)?,
                    count(n * ho * wo * inner)?
                ];
                let config = over_elements(n * ho * wo * inner);
                gpu.launch(Module::InvertedResidual, "same_convolution", config, given)?;
                (y, (ho, wo))
            }
        };
        let padded = Padded::new((h, w), side, stride);
        let (ho, wo) = padded.output;
        let filtered = Buffer::alloc(gpu, Number::F32, n * ho * wo * inner)?;
        let given = arguments![
            expanded.argument(gpu),
            gpu.argument(&self.depthwise.filters),
            gpu.argument(&self.depthwise.bias),
            filtered.argument(gpu),
            count(h)?,
            count(w)?,
            count(inner)?,
            count(ho)?,
            count(wo)?,
            count(side)?,
            count(stride)?,
            count(padded.top)?,
            count(padded.left)?,
            count(n * ho * wo * inner)?
        ];
        let config = over_elements(n * ho * wo * inner);
        gpu.launch(Module::InvertedResidual, "depthwise_relu6", config, given)?;
        drop(expanded);
        let y = self
            .project
            .forward(gpu, (n, ho, wo), filtered.view(gpu), false)?;
        match shortcut {
            true => add(gpu, y.view(gpu), x),
            false => Ok(y),
        }
    }
}

/// Where a padded convolution reads.
struct Padded {
    output: (usize, usize),
    top: usize,
    left: usize,
}

impl Padded {
    fn new((h, w): (usize, usize), side: usize, stride: usize) -> Self {
        let ((ho, top), (wo, left)) = (same_padding(h, side, stride), same_padding(w, side, stride));
        Self {
            output: (ho, wo),
            top,
            left,
        }
    }
}
