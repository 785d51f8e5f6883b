use candle_core::{Result, Tensor, bail};

use crate::reference;

/// 3×3 convolution, stride 1, zero padding 1, with bias.
///
/// `x` (N,H,W,Ci), `weight` (Co,Ci,3,3) in PyTorch's order, `bias` (Co); the result is (N,H,W,Co).
/// It is a cross-correlation, as in every network library.
///
/// # Errors
/// Shapes that do not fit together.
pub fn conv3x3(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check_shapes(x, weight, bias)?;
    reference::conv3x3(x, weight, bias)
}

/// (N, H, W, Ci, Co).
pub(crate) fn check_shapes(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
) -> Result<(usize, usize, usize, usize, usize)> {
    let (n, h, w, ci) = x.dims4()?;
    let (co, weight_ci, kh, kw) = weight.dims4()?;
    if weight_ci != ci || (kh, kw) != (3, 3) || bias.dims() != [co] {
        bail!(
            "conv3x3: input {:?} (N,H,W,Ci), weight {:?} (Co,Ci,3,3) and bias {:?} (Co) do not fit together",
            x.dims(),
            weight.dims(),
            bias.dims()
        );
    }
    if n * h * w * ci * co == 0 {
        bail!(
            "conv3x3: empty input {:?} or weight {:?}",
            x.dims(),
            weight.dims()
        );
    }
    Ok((n, h, w, ci, co))
}
