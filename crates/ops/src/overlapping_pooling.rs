//! 3x3 max pooling with stride 2.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Isa, overlapping_pooling as kernel};
use crate::dispatch::{elements, kernels_serve, with_elements2};
use crate::reference;
use crate::tape::apply1;

/// 3×3 maximum with stride 2 and padding 1, the pool of residual networks: (N,H,W,C) to (N,⌈H/2⌉,⌈W/2⌉,C).
///
/// Beyond the border there is nothing. Among equal maxima the first in row-major order receives the whole gradient; NaN
/// stays NaN. All as in PyTorch.
///
/// # Errors
/// An empty tensor.
pub fn max_pool3(x: &Tensor) -> Result<Tensor> {
    check_shape(x)?;
    if kernels_serve(&[x]) {
        apply1(&x.contiguous()?, MaxPool)
    } else {
        reference::max_pool3(x)
    }
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool3"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = kernel::forward(elements(self.name(), x, layout)?, [h, w, c], Isa::detect());
        Ok((CpuStorage::F32(y), (n, h.div_ceil(2), w.div_ceil(2), c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        with_elements2(self.name(), x, dy, |values, dy| {
            let dx = kernel::backward(values, dy, [h, w, c]);
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}

pub(crate) fn check_shape(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if n * h * w * c == 0 {
        bail!("max_pool3: the input {:?} is empty", x.dims());
    }
    Ok((n, h, w, c))
}
