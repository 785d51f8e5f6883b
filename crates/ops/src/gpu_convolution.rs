//! The 3x3 convolution on a GPU, with or without its bias.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cuda::{self, ConvSize};
use crate::precision::Precision;

const NAME: &str = "conv3x3";

/// A convolution in the precision that it was made with. As an operator of its own it has no bias.
pub(crate) struct GpuConvolution {
    precision: Precision,
    /// Made in the forward pass, for the backward pass to use again.
    convolution: OnceLock<cuda::Convolution>,
}

impl GpuConvolution {
    pub(crate) fn new(precision: Precision) -> Self {
        Self {
            precision,
            convolution: OnceLock::new(),
        }
    }

    /// (N,H,W,Co) from (N,H,W,Ci) and filters (Co,Ci,3,3).
    pub(crate) fn forward(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        (weight, weight_layout): (&CudaStorage, &Layout),
        bias: Option<cuda::Floats<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, ci) = x_layout.shape().dims4()?;
        let co = weight_layout.dims()[0];
        let gpu = cuda::Gpu::of(x);
        let size = ConvSize {
            n,
            h,
            w,
            ci,
            co,
            kernel: 3,
            stride: 1,
            padding: 1,
        };
        let filters = cuda::floats(NAME, weight, weight_layout)?;
        let convolution = cuda::Convolution::new(&gpu, size, self.precision, filters)?;
        let y = convolution.forward(&gpu, cuda::numbers(NAME, x, x_layout)?, bias)?;
        // An operator runs forward once; if it did again, its filters would be the same.
        let _ = self.convolution.set(convolution);
        Ok((y.storage(&gpu), (n, h, w, co).into()))
    }

    /// Gradients of the input and the filters.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(convolution) = self.convolution.get() else {
            bail!("{NAME}: the backward pass comes before the forward pass");
        };
        cuda::compute_numbers(NAME, [x, dy], |gpu, [values, dy]| {
            Ok((
                cuda::gradient_of(gpu, x, || convolution.backward_input(gpu, dy, values.number))?,
                gpu.gradient_of(weight, || convolution.backward_weight(gpu, values, dy))?,
            ))
        })
    }
}

impl CustomOp2 for GpuConvolution {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{NAME}: this convolution is for GPUs")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, dy)
    }
}
