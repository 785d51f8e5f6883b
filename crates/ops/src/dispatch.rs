//! Who computes an operator, decided once per call.

use candle_core::{DType, Tensor};

use crate::elements::on_cpu_f32;
use crate::tape::note_reference;

/// Who computes an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// A kernel on a GPU.
    #[cfg(feature = "cuda")]
    Gpu,
    /// A kernel on the processor.
    Cpu,
    /// The composition of candle's primitives.
    Reference,
}

/// Which kernels an operator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernels {
    /// For the processor only.
    Cpu,
    /// For the processor and, in builds with the feature `cuda`, for GPUs.
    CpuAndGpu,
    /// The same, and those for GPUs also take activations in bfloat16.
    CpuAndGpuHalf,
}

/// Who computes an operator of these tensors. If it is the reference, the tape of this thread learns of it here, so that
/// it can refuse a step that mixes kernels and references.
pub(crate) fn dispatch(tensors: &[&Tensor], kernels: Kernels) -> Backend {
    #[cfg(feature = "cuda")]
    if serves(tensors, kernels) {
        return Backend::Gpu;
    }
    #[cfg(not(feature = "cuda"))]
    let _ = kernels;
    if on_cpu_f32(tensors) {
        return Backend::Cpu;
    }
    note_reference(tensors);
    Backend::Reference
}

/// Whether an operator's kernels for GPUs take these tensors.
#[cfg(feature = "cuda")]
fn serves(tensors: &[&Tensor], kernels: Kernels) -> bool {
    let all_f32 = || tensors.iter().all(|tensor| tensor.dtype() == DType::F32);
    match kernels {
        Kernels::Cpu => false,
        Kernels::CpuAndGpu => on_gpu(tensors) && all_f32(),
        Kernels::CpuAndGpuHalf => on_gpu(tensors),
    }
}

/// Whether tensors lie where kernels for GPUs can take them: all f32 or bfloat16, on one CUDA device, in builds with the
/// feature `cuda`.
///
/// Backward passes ask this. They need no [`dispatch`]: the gradient is computed where the result was.
pub(crate) fn on_gpu(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first().filter(|_| cfg!(feature = "cuda")) else {
        return false;
    };
    let serves =
        |t: &&Tensor| matches!(t.dtype(), DType::F32 | DType::BF16) && t.device().same_device(first.device());
    first.device().is_cuda() && tensors.iter().all(serves)
}
