//! Inverted residual blocks.

use candle_core::{Device, Result, Tensor, bail};

#[cfg(feature = "cuda")]
use super::gpu;
use super::{Activations, Place, memory};
use crate::cpu::inverted_residual::{self as cpu, Weights};
use crate::definitions::inverted_residual::{BlockShape, InvertedResidual};
use crate::precision::Precision;

/// A block, prepared for where it runs: [`prepare_inverted_residual`].
#[derive(Debug)]
pub struct PreparedBlock(Prepared);

#[derive(Debug)]
enum Prepared {
    Memory(cpu::PreparedBlock),
    #[cfg(feature = "cuda")]
    Gpu(gpu::Block),
}

impl PreparedBlock {
    fn shape(&self) -> BlockShape {
        match &self.0 {
            Prepared::Memory(block) => block.shape(),
            #[cfg(feature = "cuda")]
            Prepared::Gpu(block) => block.shape(),
        }
    }
}

/// Prepares a block of f32 tensors for a device, wherever they lie: the processor, or a CUDA device in builds with that feature.
///
/// On the processor its 1×1 convolutions multiply in this thread's [precision](Precision); the filters of single channels, and an
/// expansion that reads an odd number of channels or has a larger kernel, multiply f32 in any case. On a GPU everything does.
///
/// # Errors
/// Shapes that do not fit together, filters whose side is neither 3 nor 5, a tensor that is not f32, a device that is not
/// [served](super::serves).
pub fn prepare_inverted_residual(block: &InvertedResidual, device: &Device) -> Result<PreparedBlock> {
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
    Ok(PreparedBlock(match device {
        Device::Cpu => Prepared::Memory(cpu::PreparedBlock::new(
            weights,
            shape,
            Precision::current().arithmetic(),
        )),
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => Prepared::Gpu(gpu::Block::new(weights, shape, device)?),
        other => bail!("prepare_inverted_residual: no kernels for {:?}", other.location()),
    }))
}

/// The block of `x`; see [`InvertedResidual`]. Width and height are divided by the strides and rounded up.
///
/// # Errors
/// When `x` has other channels than the block reads, no pixels, or is not where the block was prepared.
pub fn inverted_residual(x: &Activations, block: &PreparedBlock) -> Result<Activations> {
    let (n, h, w, channels) = x.dims();
    let shape = block.shape();
    if channels != shape.ci || n * h * w == 0 {
        bail!(
            "inverted_residual: input {:?} (N,H,W,C), the block reads {} channels of at least one pixel",
            x.dims(),
            shape.ci
        );
    }
    Ok(Activations(match (&x.0, &block.0) {
        (Place::Memory(x), Prepared::Memory(block)) => {
            let (ho, wo) = block.output((h, w));
            let mut y = memory::Maps::empty((n, ho, wo, shape.co));
            block.forward(&x.values, n, (h, w), y.values.output());
            Place::Memory(y)
        }
        #[cfg(feature = "cuda")]
        (Place::Gpu(x), Prepared::Gpu(block)) => Place::Gpu(block.forward(x)?),
        #[cfg(feature = "cuda")]
        _ => bail!("inverted_residual: input and block are not in the same place"),
    }))
}
