//! Bilinear upsampling by two.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Isa, upsampling};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements};
use crate::reference;
use crate::tape::apply1;

/// ×2 bilinear interpolation with aligned corners: (N,H,W,C) to (N,2H,2W,C).
///
/// # Errors
/// An input without four dimensions, or an empty one.
pub fn upsample2(x: &Tensor) -> Result<Tensor> {
    check_shape(x)?;
    if on_gpu(&[x]) || kernels_serve(&[x]) {
        apply1(&x.contiguous()?, Upsample)
    } else {
        reference::upsample2(x)
    }
}

struct Upsample;

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let x = elements(self.name(), x, layout)?;
        let y = upsampling::forward(x, (h, w, c), Isa::detect());
        Ok((CpuStorage::F32(y), (n, 2 * h, 2 * w, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(x);
        let y = cuda::upsample(&gpu, cuda::floats(self.name(), x, layout)?, (h, w, c))?;
        Ok((gpu.storage(y), (n, 2 * h, 2 * w, c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute(self.name(), [dy], |gpu, [dy]| {
                let dx = cuda::upsample_backward(gpu, dy, (h, w, c))?;
                Ok(Some(gpu.tensor(dx, x.shape())))
            });
        }
        with_elements(self.name(), dy, |dy| {
            let dx = upsampling::backward(dy, (h, w, c), Isa::detect());
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}

pub(crate) fn check_shape(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if n * h * w * c == 0 {
        bail!("upsample2: empty input {:?}", x.dims());
    }
    Ok((n, h, w, c))
}

/// Where output sample `o` of `2·size` lies between the input samples: (lower, upper, weight of the upper).
///
/// With aligned corners the position is `o·(size-1)/(2·size-1)`; the integer division keeps it exact.
pub(crate) fn interpolation(size: usize, output: usize) -> (usize, usize, f64) {
    let (numerator, denominator) = (output * (size - 1), 2 * size - 1);
    let lower = numerator / denominator;
    let fraction = (numerator % denominator) as f64 / denominator as f64;
    (lower, (lower + 1).min(size - 1), fraction)
}

/// The `2·size × size` matrix of [`interpolation`].
pub(crate) fn interpolation_matrix(size: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut matrix = vec![0f64; 2 * size * size];
    for output in 0..2 * size {
        let (lower, upper, fraction) = interpolation(size, output);
        matrix[output * size + lower] += 1.0 - fraction;
        matrix[output * size + upper] += fraction;
    }
    // Not every device has f64.
    let matrix = Tensor::from_vec(matrix, (2 * size, size), &Device::Cpu)?;
    matrix.to_dtype(dtype)?.to_device(device)
}
