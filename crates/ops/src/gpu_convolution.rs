//! Convolutions on a GPU: with or without a bias, and transposed.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CudaStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::cuda::{self, ConvSize};
use crate::precision::Precision;
use crate::tape::{apply2, apply3};

/// The convolution of `x` (N,H,W,Ci) with `weight` (Co,Ci,K,K) in this thread's precision, and the bias (Co) if given.
/// The tensors fit `size`.
pub(crate) fn convolution(
    name: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    size: ConvSize,
) -> Result<Tensor> {
    let operation = GpuConvolution(Both::new(name, size));
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => apply3(&x, &weight, &bias.contiguous()?, operation),
        None => apply2(&x, &weight, operation),
    }
}

/// The adjoint of the convolution of this size: `x` is as its result, `weight` as its filters.
pub(crate) fn transposed(name: &'static str, x: &Tensor, weight: &Tensor, size: ConvSize) -> Result<Tensor> {
    let operation = GpuTransposed(Both::new(name, size));
    apply2(&x.contiguous()?, &weight.contiguous()?, operation)
}

/// What forward and backward pass share.
struct Both {
    name: &'static str,
    size: ConvSize,
    precision: Precision,
    /// Made in the forward pass, for the backward pass to use again.
    convolution: OnceLock<cuda::Convolution>,
}

impl Both {
    fn new(name: &'static str, size: ConvSize) -> Self {
        Self {
            name,
            size,
            precision: Precision::current(),
            convolution: OnceLock::new(),
        }
    }

    /// The convolution of the forward pass, which `compute` uses.
    fn make<R>(
        &self,
        gpu: &cuda::Gpu,
        (weight, layout): (&CudaStorage, &Layout),
        compute: impl FnOnce(&cuda::Convolution) -> Result<R>,
    ) -> Result<R> {
        let filters = cuda::floats(self.name, weight, layout)?;
        let convolution = cuda::Convolution::new(gpu, self.size, self.precision, filters)?;
        let result = compute(&convolution)?;
        // An operator runs forward once; if it did again, its filters would be the same.
        let _ = self.convolution.set(convolution);
        Ok(result)
    }

    /// The same in the backward pass.
    fn made(&self) -> Result<&cuda::Convolution> {
        match self.convolution.get() {
            Some(convolution) => Ok(convolution),
            None => bail!("{}: the backward pass comes before the forward pass", self.name),
        }
    }

    fn only_for_gpus<R>(&self) -> Result<R> {
        bail!("{}: this convolution is for GPUs", self.name)
    }
}

struct GpuConvolution(Both);

impl GpuConvolution {
    fn forward(
        &self,
        (x, x_layout): (&CudaStorage, &Layout),
        weight: (&CudaStorage, &Layout),
        bias: Option<cuda::Floats<'_>>,
    ) -> Result<(CudaStorage, Shape)> {
        let Both { name, size, .. } = &self.0;
        let gpu = cuda::Gpu::of(x);
        let x = cuda::numbers(name, x, x_layout)?;
        let y = self.0.make(&gpu, weight, |convolution| {
            convolution.forward(&gpu, x, bias, convolution.output())
        })?;
        let (h, w) = size.output();
        Ok((y.storage(&gpu), (size.n, h, w, size.co).into()))
    }

    /// Gradients of the input and the filters.
    fn backward(&self, x: &Tensor, weight: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let convolution = self.0.made()?;
        cuda::compute_numbers(self.0.name, [x, dy], |gpu, [values, dy]| {
            Ok((
                cuda::gradient_of(gpu, x, || convolution.backward_input(gpu, dy, values.number))?,
                gpu.gradient_of(weight, || convolution.backward_weight(gpu, values, dy))?,
            ))
        })
    }
}

impl CustomOp2 for GpuConvolution {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.only_for_gpus()
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

impl CustomOp3 for GpuConvolution {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.only_for_gpus()
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let bias = cuda::floats(self.0.name, bias, bias_layout)?;
        self.forward((x, x_layout), (weight, weight_layout), Some(bias))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, weight, dy)?;
        let db = cuda::compute_numbers(self.0.name, [dy], |gpu, [dy]| {
            gpu.gradient_of(bias, || cuda::bias_gradient(gpu, dy, self.0.size.co))
        })?;
        Ok((dx, dw, db))
    }
}

/// The passes of a convolution with their roles exchanged: forward is its gradient of the input.
struct GpuTransposed(Both);

impl CustomOp2 for GpuTransposed {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.only_for_gpus()
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let Both { name, size, .. } = &self.0;
        let gpu = cuda::Gpu::of(x);
        let x = cuda::numbers(name, x, x_layout)?;
        let y = self.0.make(&gpu, (weight, weight_layout), |convolution| {
            convolution.backward_input(&gpu, x, convolution.input())
        })?;
        Ok((y.storage(&gpu), (size.n, size.h, size.w, size.ci).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let convolution = self.0.made()?;
        cuda::compute_numbers(self.0.name, [x, dy], |gpu, [values, dy]| {
            Ok((
                cuda::gradient_of(gpu, x, || convolution.forward(gpu, dy, None, values.number))?,
                gpu.gradient_of(weight, || convolution.backward_weight(gpu, dy, values))?,
            ))
        })
    }
}
