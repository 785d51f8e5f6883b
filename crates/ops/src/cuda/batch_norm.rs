//! Batch norm, also fused with ReLU.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::gpu::{Argument, Columns, Floats, Gpu, arguments, columns, compute, count, floats, over_elements};
use super::kernels::Module;
use crate::definitions::batch_norm::{BatchNorm, Mode};
use crate::tape::apply3;

/// Normalises `x` on a GPU; in training the running statistics move on the way.
pub(crate) fn fused(x: &Tensor, norm: &BatchNorm, mode: Mode, relu: bool) -> Result<Tensor> {
    let (rows, channels) = norm.check(x, mode)?;
    let x = x.contiguous()?;
    let running = (
        norm.running_mean.as_detached_tensor(),
        norm.running_var.as_detached_tensor(),
    );
    let operation = compute(
        NAME,
        [&x, &running.0, &running.1],
        |gpu, [x, running_mean, running_var]| {
            let (mean, inverse) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
            let (to_mean, to_inverse) = (gpu.view(&mean), gpu.view(&inverse));
            match mode {
                Mode::Train => {
                    let cut = columns(rows, channels)?;
                    let partial = partial_sums(gpu, &cut, channels)?;
                    let (rows, channels) = (count(rows)?, count(channels)?);
                    let sums = gpu.argument(&partial);
                    let given = arguments![x, rows, channels, cut.chunk_rows, sums];
                    gpu.launch(Module::BatchNorm, "moments_partial", cut.partial, given)?;
                    let given = arguments![
                        x,
                        sums,
                        cut.chunks,
                        rows,
                        channels,
                        norm.eps,
                        norm.momentum,
                        running_mean,
                        running_var,
                        to_mean,
                        to_inverse
                    ];
                    gpu.launch(Module::BatchNorm, "moments_final", cut.total, given)?;
                }
                Mode::Eval => {
                    let config = over_elements(channels);
                    let channels = count(channels)?;
                    let given =
                        arguments![running_mean, running_var, norm.eps, channels, to_mean, to_inverse];
                    gpu.launch(Module::BatchNorm, "running_statistics", config, given)?;
                }
            }
            Ok(Normalization {
                mean,
                inverse,
                mode,
                relu,
            })
        },
    )?;
    apply3(
        &x,
        &norm.weight.contiguous()?,
        &norm.bias.contiguous()?,
        operation,
    )
}

const NAME: &str = "batch_norm";

/// The operation with the statistics that it normalises by, on the device.
struct Normalization {
    mean: CudaSlice<f32>,
    /// 1/√(variance + eps).
    inverse: CudaSlice<f32>,
    mode: Mode,
    relu: bool,
}

fn partial_sums(gpu: &Gpu, cut: &Columns, channels: usize) -> Result<CudaSlice<f64>> {
    gpu.alloc(2 * cut.chunks as usize * channels)
}

impl Normalization {
    /// What the kernels of both directions begin with, after the tensors.
    fn map(&self, gpu: &Gpu, weight: Floats<'_>, bias: Floats<'_>) -> [Argument; 4] {
        [
            gpu.argument(&self.mean),
            gpu.argument(&self.inverse),
            weight.into(),
            bias.into(),
        ]
    }
}

impl CustomOp3 for Normalization {
    fn name(&self) -> &'static str {
        NAME
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
        bail!("{NAME}: the statistics are on a GPU, the tensor is not")
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
        let gpu = Gpu::of(x);
        let x = floats(NAME, x, x_layout)?;
        let channels = self.mean.len();
        let cut = columns(x.len / channels, channels)?;
        let y = gpu.alloc(x.len)?;
        let [mean, inverse, weight, bias] = self.map(
            &gpu,
            floats(NAME, weight, weight_layout)?,
            floats(NAME, bias, bias_layout)?,
        );
        let (rows, channels) = (count(x.len / channels)?, count(channels)?);
        let to = gpu.view(&y);
        let given = arguments![
            x,
            mean,
            inverse,
            weight,
            bias,
            self.relu,
            rows,
            channels,
            cut.chunk_rows,
            to
        ];
        gpu.launch(Module::BatchNorm, "normalize", cut.partial, given)?;
        Ok((gpu.storage(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let channels = self.mean.len();
        compute(
            NAME,
            [x, weight, bias, dy],
            |gpu, [values, of_weight, of_bias, dy]| {
                let cut = columns(values.len / channels, channels)?;
                let partial = partial_sums(gpu, &cut, channels)?;
                let (slope, offset) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
                let (d_weight, d_bias) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
                let (incline, constant) = (gpu.view(&slope), gpu.view(&offset));
                let [mean, inverse, scale, shift] = self.map(gpu, of_weight, of_bias);
                let (rows, width, relu) = (count(values.len / channels)?, count(channels)?, self.relu);
                let (sums, height) = (gpu.argument(&partial), cut.chunk_rows);
                let given = arguments![
                    values, dy, mean, inverse, scale, shift, relu, rows, width, height, sums
                ];
                gpu.launch(Module::BatchNorm, "gradient_partial", cut.partial, given)?;
                let train = self.mode == Mode::Train;
                let (to_weight, to_bias) = (gpu.view(&d_weight), gpu.view(&d_bias));
                let given = arguments![
                    sums, cut.chunks, inverse, scale, train, rows, width, incline, constant, to_weight,
                    to_bias
                ];
                gpu.launch(Module::BatchNorm, "gradient_final", cut.total, given)?;
                let dx = gpu.gradient_of(x, || {
                    let dx = gpu.alloc(values.len)?;
                    let to = gpu.view(&dx);
                    let given = arguments![
                        values, dy, mean, inverse, scale, shift, incline, constant, relu, rows, width,
                        height, to
                    ];
                    gpu.launch(Module::BatchNorm, "gradient_of_input", cut.partial, given)?;
                    Ok(dx)
                })?;
                Ok((
                    dx,
                    gpu.gradient_of(weight, || Ok(d_weight))?,
                    gpu.gradient_of(bias, || Ok(d_bias))?,
                ))
            },
        )
    }
}
