//! The 3x3 convolution in the graph.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::cpu::Arithmetic;
use crate::cpu::conv::{self, Algorithm, ConvShape};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements, with_elements2};
use crate::reference;
use crate::tape::apply3;

/// 3×3 convolution, stride 1, zero padding 1, with bias.
///
/// `x` (N,H,W,Ci), `weight` (Co,Ci,3,3) in PyTorch's order, `bias` (Co); the result is (N,H,W,Co).
/// It is a cross-correlation, as in every network library. Forward and backward passes multiply in the
/// [precision](crate::Precision) that this thread has when it calls.
///
/// # Errors
/// Shapes that do not fit together.
pub fn conv3x3(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check_shapes(x, weight, bias)?;
    if on_gpu(&[x, weight, bias]) || kernels_serve(&[x, weight, bias]) {
        let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
        apply3(&x, &weight, &bias, Convolution(Arithmetic::current()))
    } else {
        reference::conv3x3(x, weight, bias)
    }
}

/// The arithmetic of both directions on the processor.
struct Convolution(Arithmetic);

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv3x3"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, ci) = x_layout.shape().dims4()?;
        let co = weight_layout.dims()[0];
        let y = conv::forward(
            elements(self.name(), x, x_layout)?,
            ConvShape { n, h, w, ci, co },
            elements(self.name(), weight, weight_layout)?,
            Some(elements(self.name(), bias, bias_layout)?),
            Algorithm::Auto,
            self.0,
        );
        Ok((CpuStorage::F32(y), (n, h, w, co).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, ci) = x_layout.shape().dims4()?;
        let co = weight_layout.dims()[0];
        let gpu = cuda::Gpu::of(x);
        let y = cuda::conv_forward(
            &gpu,
            on_gpu_size((n, h, w, ci, co)),
            cuda::floats(self.name(), x, x_layout)?,
            cuda::floats(self.name(), weight, weight_layout)?,
            cuda::floats(self.name(), bias, bias_layout)?,
        )?;
        Ok((gpu.storage(y), (n, h, w, co).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n, h, w, ci, co) = check_shapes(x, weight, bias)?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            let size = on_gpu_size((n, h, w, ci, co));
            return cuda::compute(self.name(), [x, weight, dy], |gpu, [values, filters, dy]| {
                let wanted = |tensor: &Tensor, compute: &dyn Fn() -> Result<_>| -> Result<Option<Tensor>> {
                    let gradient = tensor.track_op().then(compute).transpose()?;
                    Ok(gradient.map(|gradient| gpu.tensor(gradient, tensor.shape())))
                };
                Ok((
                    wanted(x, &|| cuda::conv_backward_input(gpu, size, dy, filters))?,
                    wanted(weight, &|| cuda::conv_backward_weight(gpu, size, values, dy))?,
                    wanted(bias, &|| cuda::conv_backward_bias(gpu, size, dy))?,
                ))
            });
        }
        let shape = ConvShape { n, h, w, ci, co };
        let (arithmetic, device) = (self.0, x.device());
        let dy = dy.contiguous()?;
        let dx = if x.track_op() {
            with_elements2(self.name(), &dy, weight, |dy, weight| {
                let dx = conv::backward_input(dy, shape, weight, Algorithm::Auto, arithmetic);
                Tensor::from_vec(dx, x.shape(), device).map(Some)
            })?
        } else {
            None
        };
        let (dw, db) = match (weight.track_op(), bias.track_op()) {
            (true, _) => with_elements2(self.name(), x, &dy, |x, dy| {
                let (dw, db) = conv::backward_parameters(x, dy, shape, Algorithm::Auto, arithmetic);
                Ok((Some(dw), Some(db).filter(|_| bias.track_op())))
            })?,
            (false, true) => with_elements(self.name(), &dy, |dy| {
                Ok((None, Some(conv::backward_bias(dy, shape, arithmetic.isa()))))
            })?,
            (false, false) => (None, None),
        };
        let like = |gradient: Option<Vec<f32>>, wanted: &Tensor| {
            gradient
                .map(|values| Tensor::from_vec(values, wanted.shape(), device))
                .transpose()
        };
        let (dw, db) = (like(dw, weight)?, like(db, bias)?);
        Ok((dx, dw, db))
    }
}

#[cfg(feature = "cuda")]
fn on_gpu_size((n, h, w, ci, co): (usize, usize, usize, usize, usize)) -> cuda::ConvSize {
    cuda::ConvSize {
        n,
        h,
        w,
        ci,
        co,
        kernel: 3,
        stride: 1,
        padding: 1,
    }
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
