//! Which tensors the kernels serve, and access to the elements of those in main memory.

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor};

/// True when every tensor is f32 in main memory: the kernels take it from there, the reference takes the rest.
pub(crate) fn on_cpu_f32(tensors: &[&Tensor]) -> bool {
    tensors
        .iter()
        .all(|t| t.device().is_cpu() && t.dtype() == DType::F32)
}

/// Whether an operator runs as a kernel on a GPU: f32 tensors of one CUDA device, in builds with the feature `cuda`.
///
/// Asked before [`kernels_serve`], which tells the tape if the answer is no.
pub(crate) fn on_gpu(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first().filter(|_| cfg!(feature = "cuda")) else {
        return false;
    };
    let serves = |t: &&Tensor| t.dtype() == DType::F32 && t.device().same_device(first.device());
    first.device().is_cuda() && tensors.iter().all(serves)
}

/// Whether an operator runs as a kernel on the processor; if not, the tape learns that its reference runs.
pub(crate) fn kernels_serve(tensors: &[&Tensor]) -> bool {
    let serve = on_cpu_f32(tensors);
    if !serve {
        crate::tape::note_reference(tensors);
    }
    serve
}

/// The elements of a contiguous f32 storage.
pub(crate) fn elements<'a>(op: &'static str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::RequiresContiguous { op }.bt())?;
    match storage {
        CpuStorage::F32(values) => Ok(&values[start..end]),
        other => {
            Err(Error::UnsupportedDTypeForOp(candle_core::backend::BackendStorage::dtype(other), op).bt())
        }
    }
}

/// Calls `f` with the elements of an f32 tensor in main memory, copied first if they are not contiguous.
pub(crate) fn with_elements<R>(
    op: &'static str,
    tensor: &Tensor,
    f: impl FnOnce(&[f32]) -> Result<R>,
) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(elements(op, storage, layout)?),
        _ => Err(Error::msg(format!("{op}: the tensor is not in main memory"))),
    }
}

/// Two tensors at once; see [`with_elements`].
pub(crate) fn with_elements2<R>(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    f: impl FnOnce(&[f32], &[f32]) -> Result<R>,
) -> Result<R> {
    with_elements(op, a, |a| with_elements(op, b, |b| f(a, b)))
}

/// The gradient that reaches a scalar loss.
pub(crate) fn scalar(gradient: &Tensor) -> Result<f32> {
    gradient.flatten_all()?.squeeze(0)?.to_scalar::<f32>()
}
