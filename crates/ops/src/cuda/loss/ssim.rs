//! The structural similarity as a loss.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::mse::finish_mean;
use crate::cuda::gpu::{Argument, Floats, Gpu, arguments, blocks, compute, count, floats, over_elements};
use crate::cuda::kernels::Module;
use crate::definitions::loss::ssim::SsimRange;
use crate::tape::apply2;

const NAME: &str = "ssim_loss";
/// Side of a block's tile, `TILE` in the kernel file.
const TILE: usize = 16;

/// One minus the mean similarity of images on a GPU.
pub(crate) fn fused(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    let (_, h, w, c) = prediction.dims4()?;
    let (prediction, target) = (prediction.contiguous()?, target.contiguous()?);
    let wants_gradient = prediction.track_op() || target.track_op();
    let operation = compute(NAME, [&prediction, &target], |gpu, [x, y]| {
        let size = Size { h, w, c };
        let (loss, slopes) = similarity(gpu, x, y, size, range, wants_gradient)?;
        Ok(SsimLoss { loss, slopes, size })
    })?;
    apply2(&prediction, &target, operation)
}

#[derive(Clone, Copy)]
struct Size {
    h: usize,
    w: usize,
    c: usize,
}

impl Size {
    /// Blocks for `len` numbers of images.
    fn tiles(self, len: usize) -> usize {
        let layers = len / (self.h * self.w);
        layers * self.h.div_ceil(TILE) * self.w.div_ceil(TILE)
    }
}

/// The loss, and the four maps of slopes if asked for.
fn similarity(
    gpu: &Gpu,
    x: Floats<'_>,
    y: Floats<'_>,
    size: Size,
    range: SsimRange,
    wants_slopes: bool,
) -> Result<(CudaSlice<f32>, Option<CudaSlice<f32>>)> {
    let constants = stabilizers(gpu, x, range)?;
    count(4 * x.len)?;
    let slopes = wants_slopes.then(|| gpu.alloc::<f32>(4 * x.len)).transpose()?;
    let to_slopes = slopes
        .as_ref()
        .map_or(Argument::Pointer(0), |maps| gpu.argument(maps));
    let tiles = size.tiles(x.len);
    let partial = gpu.alloc::<f64>(tiles)?;
    let (h, w, c) = (count(size.h)?, count(size.w)?, count(size.c)?);
    let (all, sums) = (count(x.len)?, gpu.argument(&partial));
    let given = arguments![x, y, gpu.view(&constants), h, w, c, all, to_slopes, sums];
    gpu.launch(Module::Ssim, "ssim_forward", blocks(tiles, 1, true)?, given)?;
    let loss = finish_mean(gpu, Module::Ssim, &partial, 1.0, -1.0 / x.len as f64)?;
    Ok((loss, slopes))
}

/// C1 and C2, on the device.
fn stabilizers(gpu: &Gpu, x: Floats<'_>, range: SsimRange) -> Result<CudaSlice<f32>> {
    let result = gpu.alloc(2)?;
    let config = over_elements(x.len);
    let parts = match range {
        SsimRange::Unit => 0,
        SsimRange::FromPrediction => config.grid_dim.0,
    };
    // At least one, because the driver does not allocate zero bytes.
    let (lowest, highest) = (
        gpu.alloc(parts.max(1) as usize)?,
        gpu.alloc(parts.max(1) as usize)?,
    );
    let (low, high) = (gpu.view(&lowest), gpu.view(&highest));
    if parts > 0 {
        let given = arguments![x, count(x.len)?, low, high];
        gpu.launch(Module::Ssim, "extremes_partial", config, given)?;
    }
    let given = arguments![low, high, parts, gpu.view(&result)];
    gpu.launch(Module::Ssim, "stabilizers", blocks(1, 1, false)?, given)?;
    Ok(result)
}

/// The finished computation with what its gradient needs.
struct SsimLoss {
    loss: CudaSlice<f32>,
    slopes: Option<CudaSlice<f32>>,
    size: Size,
}

impl CustomOp2 for SsimLoss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{NAME}: the similarity is on a GPU, the tensor is not")
    }

    fn cuda_fwd(
        &self,
        prediction: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = Gpu::of(prediction);
        // Only to check that the tensor is as it was.
        floats(NAME, prediction, layout)?;
        let mut loss = gpu.alloc::<f32>(1)?;
        gpu.device.memcpy_dtod(&self.loss, &mut loss)?;
        Ok((gpu.storage(loss), ().into()))
    }

    fn bwd(
        &self,
        prediction: &Tensor,
        target: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // Neither image wanted a gradient.
        let Some(slopes) = &self.slopes else {
            return Ok((None, None));
        };
        compute(NAME, [prediction, target, gradient], |gpu, [p, t, dy]| {
            Ok((
                gpu.gradient_of(prediction, || self.backward(gpu, slopes, [p, t, dy], 0))?,
                gpu.gradient_of(target, || self.backward(gpu, slopes, [t, p, dy], 1))?,
            ))
        })
    }
}

impl SsimLoss {
    /// Gradient of `image`, whose own map of slopes is `own`.
    fn backward(
        &self,
        gpu: &Gpu,
        slopes: &CudaSlice<f32>,
        [image, other, gradient]: [Floats<'_>; 3],
        own: usize,
    ) -> Result<CudaSlice<f32>> {
        let d_image = gpu.alloc(image.len)?;
        let Size { h, w, c } = self.size;
        let (height, width, channels) = (count(h)?, count(w)?, count(c)?);
        let start = gpu.address(slopes);
        let map = |index: usize| Argument::Pointer(start + (index * image.len * size_of::<f32>()) as u64);
        let (mean, square, product) = (map(own), map(2), map(3));
        let factor = (-1.0 / image.len as f64) as f32;
        let to = gpu.view(&d_image);
        let given = arguments![
            image, other, mean, square, product, gradient, factor, height, width, channels, to
        ];
        let tiles = blocks(self.size.tiles(image.len), 1, true)?;
        gpu.launch(Module::Ssim, "ssim_backward", tiles, given)?;
        Ok(d_image)
    }
}
