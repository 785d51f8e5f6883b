//! Inverted residual blocks, in main memory alone.

use candle_core::{Device, Result, Tensor, bail};

use super::{Activations, Place, memory};
use crate::cpu::inverted_residual::{self as cpu, Weights};
use crate::definitions::inverted_residual::InvertedResidual;
use crate::precision::Precision;

/// A block, prepared: [`prepare_inverted_residual`].
#[derive(Debug)]
pub struct PreparedBlock(cpu::PreparedBlock);

/// Prepares a block of f32 tensors for the processor, wherever they lie; there are no kernels for GPUs. Its 1×1 convolutions
/// multiply in this thread's [precision](Precision); the filters of single channels, and an expansion that reads an odd number
/// of channels or has a larger kernel, multiply f32 in any case.
///
/// # Errors
/// Shapes that do not fit together, filters whose side is neither 3 nor 5, a tensor that is not f32.
pub fn prepare_inverted_residual(block: &InvertedResidual) -> Result<PreparedBlock> {
    let shape = block.shape()?;
    if !matches!(shape.side, 3 | 5) {
        bail!(
            "prepare_inverted_residual: filters have a side of 3 or 5, not {}",
            shape.side
        );
    }
    let read = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>();
    let [expand, depthwise, project] = [&block.expand, &block.depthwise, &block.project];
    let (expand, expand_bias) = (read(&expand.weight)?, read(&expand.bias)?);
    let (depthwise, depthwise_bias) = (read(&depthwise.weight)?, read(&depthwise.bias)?);
    let (project, project_bias) = (read(&project.weight)?, read(&project.bias)?);
    let weights = Weights {
        expand: (&expand, &expand_bias),
        depthwise: (&depthwise, &depthwise_bias),
        project: (&project, &project_bias),
    };
    Ok(PreparedBlock(cpu::PreparedBlock::new(
        weights,
        shape,
        Precision::current().arithmetic(),
    )))
}

/// The block of `x`; see [`InvertedResidual`]. Width and height are divided by the strides and rounded up.
///
/// # Errors
/// When `x` has other channels than the block reads, no pixels, or is not in main memory.
pub fn inverted_residual(x: &Activations, block: &PreparedBlock) -> Result<Activations> {
    let (n, h, w, channels) = x.dims();
    let shape = block.0.shape();
    if channels != shape.ci || n * h * w == 0 {
        bail!(
            "inverted_residual: input {:?} (N,H,W,C), the block reads {} channels of at least one pixel",
            x.dims(),
            shape.ci
        );
    }
    match &x.0 {
        Place::Memory(x) => {
            let (ho, wo) = block.0.output((h, w));
            let mut y = memory::Maps::empty((n, ho, wo, shape.co));
            block.0.forward(&x.values, n, (h, w), y.values.output());
            Ok(Activations(Place::Memory(y)))
        }
        #[cfg(feature = "cuda")]
        Place::Gpu(_) => bail!("inverted_residual: computes in main memory, the input is on a GPU"),
    }
}
