//! The sum of a residual block, with or without the ReLU that follows, and the sigmoid.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Isa, residual};
use crate::dispatch::{elements, kernels_serve, with_elements2};
use crate::reference;
use crate::tape::{apply1, apply2};

/// `a + b`, equal shapes.
///
/// # Errors
/// Arguments of different shape.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_shapes(a, b)?;
    if kernels_serve(&[a, b]) {
        apply2(&a.contiguous()?, &b.contiguous()?, Sum { relu: false })
    } else {
        reference::add(a, b)
    }
}

/// `max(a + b, 0)`, equal shapes; the gradient at 0 is 0 and NaN stays NaN, as in PyTorch.
///
/// # Errors
/// Arguments of different shape.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_shapes(a, b)?;
    if kernels_serve(&[a, b]) {
        apply2(&a.contiguous()?, &b.contiguous()?, Sum { relu: true })
    } else {
        reference::add_relu(a, b)
    }
}

/// `1 / (1 + exp(−x))`, any shape.
///
/// # Errors
/// Those of candle.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    if kernels_serve(&[x]) {
        apply1(&x.contiguous()?, Sigmoid)
    } else {
        reference::sigmoid(x)
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
        let y = residual::sum(a, elements(self.name(), b, b_layout)?, self.relu, Isa::detect());
        Ok((CpuStorage::F32(y), a_layout.shape().clone()))
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
            with_elements2(self.name(), y, dy, |y, dy| {
                let gradient = crate::cpu::activation::relu_backward(y, dy, Isa::detect());
                Tensor::from_vec(gradient, a.shape(), a.device())
            })?
        } else {
            dy.clone()
        };
        let to = |wanted: &Tensor| wanted.track_op().then(|| gradient.clone());
        Ok((to(a), to(b)))
    }
}

struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = residual::sigmoid(elements(self.name(), x, layout)?);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        with_elements2(self.name(), y, dy, |y, dy| {
            Tensor::from_vec(residual::sigmoid_backward(y, dy), x.shape(), x.device()).map(Some)
        })
    }
}

pub(crate) fn check_shapes(a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dims() != b.dims() {
        bail!("add: {:?} and {:?} differ", a.dims(), b.dims());
    }
    Ok(())
}
