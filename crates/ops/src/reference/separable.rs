//! Separable linear maps over the two image axes.

use candle_core::{Result, Tensor};

/// `rows · X · columnsᵀ` for every image and channel of `x` (N,H,W,C); `rows` is (H′,H), `columns` (W′,W).
pub(super) fn separable(x: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (tall, wide) = (rows.dim(0)?, columns.dim(0)?);
    let x = x.contiguous()?.reshape((n, h, w * c))?;
    let rows = rows.unsqueeze(0)?.broadcast_as((n, tall, h))?;
    let x = rows.contiguous()?.matmul(&x)?;
    // Columns last, so that one matrix product serves all rows and channels.
    let x = x.reshape((n * tall, w, c))?.transpose(1, 2)?.contiguous()?;
    let x = x
        .reshape((n * tall * c, w))?
        .matmul(&columns.t()?.contiguous()?)?;
    x.reshape((n * tall, c, wide))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, tall, wide, c))
}
