//! The sum of two tensors, with or without the ReLU that follows in a residual block.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, activation, add as kernel};
use crate::definitions::add::check;
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
    match dispatch(&[a, b], Kernels::Cpu) {
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
    match dispatch(&[a, b], Kernels::Cpu) {
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
                let gradient = activation::relu_backward(y, dy, Isa::detect());
                Tensor::from_vec(gradient, a.shape(), a.device())
            })?
        } else {
            dy.clone()
        };
        let shared = || Ok(gradient.clone());
        Ok((if_wanted(a, shared)?, if_wanted(b, shared)?))
    }
}
