//! Numbers of the two types that kernels take: f32, and bfloat16 for activations and their gradients.

use std::marker::PhantomData;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Error, Layout, Result, Shape, Storage, Tensor, bail};
use half::bf16;

use super::gpu::{Argument, Floats, Gpu, count};
use crate::gradient::if_wanted;

/// Type of a number in the device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Number {
    F32,
    Bf16,
}

impl Number {
    /// That of a tensor.
    pub(crate) fn of(op: &'static str, tensor: &Tensor) -> Result<Self> {
        match tensor.dtype() {
            DType::F32 => Ok(Self::F32),
            DType::BF16 => Ok(Self::Bf16),
            other => Err(Error::UnsupportedDTypeForOp(other, op).bt()),
        }
    }

    /// Bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<bf16>(),
        }
    }

    /// Numbers that a thread reads at once: 16 bytes, where every count of channels is a multiple of that; else one.
    pub(crate) fn lanes<const N: usize>(self, channels: [usize; N]) -> usize {
        let most = 16 / self.size();
        let whole = channels.iter().all(|channels| channels.is_multiple_of(most));
        if whole { most } else { 1 }
    }
}

/// Numbers on the device, alive while `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a> {
    pub(crate) pointer: u64,
    pub(crate) len: usize,
    pub(crate) number: Number,
    owner: PhantomData<&'a ()>,
}

impl<'a> Numbers<'a> {
    const NONE: Self = Self {
        pointer: 0,
        len: 0,
        number: Number::F32,
        owner: PhantomData,
    };

    /// The same, of an operator that takes f32 alone.
    pub(crate) fn floats(self, op: &'static str) -> Result<Floats<'a>> {
        match self.number {
            Number::F32 => Ok(Floats {
                pointer: self.pointer,
                len: self.len,
                owner: PhantomData,
            }),
            Number::Bf16 => Err(Error::UnsupportedDTypeForOp(DType::BF16, op).bt()),
        }
    }
}

impl From<Numbers<'_>> for Argument {
    fn from(numbers: Numbers<'_>) -> Self {
        Self::Pointer(numbers.pointer)
    }
}

/// Memory of an operator's result.
pub(crate) enum Buffer {
    F32(CudaSlice<f32>),
    Bf16(CudaSlice<bf16>),
}

impl Buffer {
    /// Without content, to be written by the next launch.
    pub(crate) fn alloc(gpu: &Gpu, number: Number, len: usize) -> Result<Self> {
        count(len)?;
        Ok(match number {
            Number::F32 => Self::F32(gpu.alloc(len)?),
            Number::Bf16 => Self::Bf16(gpu.alloc(len)?),
        })
    }

    pub(crate) fn address(&self, gpu: &Gpu) -> u64 {
        match self {
            Self::F32(buffer) => gpu.address(buffer),
            Self::Bf16(buffer) => gpu.address(buffer),
        }
    }

    /// As a kernel's argument.
    pub(crate) fn argument(&self, gpu: &Gpu) -> Argument {
        Argument::Pointer(self.address(gpu))
    }

    pub(crate) fn view<'a>(&'a self, gpu: &Gpu) -> Numbers<'a> {
        let (len, number) = match self {
            Self::F32(buffer) => (buffer.len(), Number::F32),
            Self::Bf16(buffer) => (buffer.len(), Number::Bf16),
        };
        Numbers {
            pointer: self.address(gpu),
            len,
            number,
            owner: PhantomData,
        }
    }

    pub(crate) fn storage(self, gpu: &Gpu) -> CudaStorage {
        match self {
            Self::F32(buffer) => CudaStorage::wrap_cuda_slice(buffer, gpu.device.clone()),
            Self::Bf16(buffer) => CudaStorage::wrap_cuda_slice(buffer, gpu.device.clone()),
        }
    }

    /// A tensor that no graph knows.
    pub(crate) fn tensor(self, gpu: &Gpu, shape: impl Into<Shape>) -> Tensor {
        let storage = Storage::Cuda(self.storage(gpu));
        Tensor::from_storage(storage, shape, BackpropOp::none(), false)
    }
}

/// As [`gradient_of`](crate::gradient::gradient_of), for a gradient of either type that is computed on the device.
pub(crate) fn gradient_of(
    gpu: &Gpu,
    tensor: &Tensor,
    compute: impl FnOnce() -> Result<Buffer>,
) -> Result<Option<Tensor>> {
    if_wanted(tensor, || Ok(compute()?.tensor(gpu, tensor.shape())))
}

/// The numbers of a contiguous storage.
pub(crate) fn numbers<'a>(
    op: &'static str,
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<Numbers<'a>> {
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::RequiresContiguous { op }.bt())?;
    count(end - start)?;
    let gpu = Gpu::of(storage);
    let (address, number) = match storage.dtype() {
        DType::F32 => (gpu.address(storage.as_cuda_slice::<f32>()?), Number::F32),
        DType::BF16 => (gpu.address(storage.as_cuda_slice::<bf16>()?), Number::Bf16),
        other => return Err(Error::UnsupportedDTypeForOp(other, op).bt()),
    };
    Ok(Numbers {
        pointer: address + (start * number.size()) as u64,
        len: end - start,
        number,
        owner: PhantomData,
    })
}

/// Calls `f` with the numbers of tensors on a GPU, copied first where they are not contiguous.
pub(crate) fn compute_numbers<const N: usize, R>(
    op: &'static str,
    tensors: [&Tensor; N],
    f: impl FnOnce(&Gpu, [Numbers<'_>; N]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors
        .iter()
        .map(|tensor| tensor.contiguous())
        .collect::<Result<Vec<Tensor>>>()?;
    let locked: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut views = [Numbers::NONE; N];
    let mut gpu = None;
    for (view, (storage, layout)) in views.iter_mut().zip(&locked) {
        let Storage::Cuda(storage) = &**storage else {
            bail!("{op}: a tensor is not on a CUDA device");
        };
        *view = numbers(op, storage, layout)?;
        gpu.get_or_insert_with(|| Gpu::of(storage));
    }
    match gpu {
        Some(gpu) => f(&gpu, views),
        None => bail!("{op}: no tensors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_are_read_where_all_channels_allow_it() {
        assert_eq!(Number::F32.lanes([64, 12]), 4);
        assert_eq!(Number::Bf16.lanes([64, 12]), 1);
        assert_eq!(Number::Bf16.lanes([64, 8]), 8);
        assert_eq!(Number::F32.lanes([3]), 1);
    }
}
