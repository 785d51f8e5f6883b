//! The sum of two tensors, with or without the ReLU that follows in a residual block.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, activation, add as kernel};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::add::check;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements2};
use crate::gradient::if_wanted;
use crate::reference;
use crate::tape::apply2;

/// `a + b`, equal shapes.
///
/// # Errors
/// Arguments of different shape.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(a, b)?;
    match dispatch(&[a, b], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::add(a, b),
        _ => apply2(&a.contiguous()?, &b.contiguous()?, Sum { relu: false }),
    }
}

/// `max(a + b, 0)`, equal shapes; the gradient at 0 is 0 and NaN stays NaN, as in PyTorch.
///
/// # Errors
/// Arguments of different shape.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(a, b)?;
    match dispatch(&[a, b], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::add_relu(a, b),
        _ => apply2(&a.contiguous()?, &b.contiguous()?, Sum { relu: true }),
    }
}

struct Sum {
    relu: bool,
}

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let a = elements(self.name(), a, a_layout)?;
        let y = kernel::sum(a, elements(self.name(), b, b_layout)?, self.relu, Isa::detect());
        Ok((CpuStorage::F32(y), a_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(a);
        let sum = if self.relu { cuda::add_relu } else { cuda::add };
        let a = cuda::numbers(self.name(), a, a_layout)?;
        let y = sum(&gpu, a, cuda::numbers(self.name(), b, b_layout)?)?;
        Ok((y.storage(&gpu), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // Both arguments have the same gradient; two tensors may share it, since nobody writes into gradients.
        let gradient = if self.relu {
            through_relu(self.name(), y, dy)?
        } else {
            dy.clone()
        };
        let shared = || Ok(gradient.clone());
        Ok((if_wanted(a, shared)?, if_wanted(b, shared)?))
    }
}

/// `dy` where `y` is above 0.
fn through_relu(op: &'static str, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if on_gpu(&[y]) {
        return cuda::compute_numbers(op, [y, dy], |gpu, [values, dy]| {
            Ok(cuda::relu_backward(gpu, values, dy)?.tensor(gpu, y.shape()))
        });
    }
    with_elements2(op, y, dy, |values, dy| {
        let gradient = activation::relu_backward(values, dy, Isa::detect());
        Tensor::from_vec(gradient, y.shape(), y.device())
    })
}
