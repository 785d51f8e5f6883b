//! The elements of tensors in main memory.

use candle_core::{CpuStorage, DType, Error, Layout, Result, Storage, Tensor};

/// True when every tensor is f32 in main memory: what the kernels of [`cpu`](crate::cpu) take.
pub(crate) fn on_cpu_f32(tensors: &[&Tensor]) -> bool {
    tensors
        .iter()
        .all(|t| t.device().is_cpu() && t.dtype() == DType::F32)
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
