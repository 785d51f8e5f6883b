//! Batch norm, also fused with ReLU.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::gpu::{Argument, Columns, Floats, Gpu, arguments, columns, count, floats, over_elements};
use super::kernels::{Kernel, Module};
use super::numbers::{Buffer, Numbers, compute_numbers, gradient_of, numbers};
use crate::definitions::batch_norm::{BatchNorm, Mode};
use crate::tape::apply3;

/// Normalises `x` on a GPU; in training the running statistics move on the way.
///
/// `left_out` are biases that the convolution before has not added, because the batch's mean takes them away again. In
/// training alone that is so.
pub(crate) fn fused(
    x: &Tensor,
    norm: &BatchNorm,
    mode: Mode,
    relu: bool,
    left_out: Option<&Tensor>,
) -> Result<Tensor> {
    let (rows, channels) = norm.check(x, mode)?;
    let x = x.contiguous()?;
    let running = (
        norm.running_mean.as_detached_tensor(),
        norm.running_var.as_detached_tensor(),
    );
    let has_left_out = left_out.is_some();
    let left_out = left_out.unwrap_or(&running.0);
    let operation = compute_numbers(
        NAME,
        [&x, &running.0, &running.1, left_out],
        |gpu, [x, running_mean, running_var, left_out]| {
            let (running_mean, running_var) = (running_mean.floats(NAME)?, running_var.floats(NAME)?);
            let (mean, inverse) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
            let (to_mean, to_inverse) = (gpu.view(&mean), gpu.view(&inverse));
            match mode {
                Mode::Train => {
                    let Cut {
                        kernel,
                        columns,
                        packs,
                    } = Cut::new(x, channels)?;
                    let partial = partial_sums(gpu, &columns, channels)?;
                    let (rows, channels) = (count(rows)?, count(channels)?);
                    let sums = gpu.argument(&partial);
                    let given = arguments![x, rows, packs, columns.chunk_rows, sums];
                    gpu.launch(kernel, "moments_partial", columns.partial, given)?;
                    let left_out = Argument::Pointer(if has_left_out { left_out.pointer } else { 0 });
                    let given = arguments![
                        x,
                        sums,
                        columns.chunks,
                        rows,
                        channels,
                        norm.eps,
                        norm.momentum,
                        left_out,
                        running_mean,
                        running_var,
                        to_mean,
                        to_inverse
                    ];
                    gpu.launch(kernel, "moments_final", columns.total, given)?;
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

/// How the rows of `x` are read.
struct Cut {
    kernel: Kernel,
    columns: Columns,
    packs: u32,
}

impl Cut {
    fn new(x: Numbers<'_>, channels: usize) -> Result<Self> {
        let kernel = Module::BatchNorm.packed(x.number, [channels], [x.pointer]);
        Ok(Self {
            kernel,
            columns: columns(x.len / channels, channels, kernel.lanes)?,
            packs: count(channels / kernel.lanes)?,
        })
    }
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
        let x = numbers(NAME, x, x_layout)?;
        let channels = self.mean.len();
        let Cut {
            kernel,
            columns,
            packs,
        } = Cut::new(x, channels)?;
        let y = Buffer::alloc(&gpu, x.number, x.len)?;
        let [mean, inverse, weight, bias] = self.map(
            &gpu,
            floats(NAME, weight, weight_layout)?,
            floats(NAME, bias, bias_layout)?,
        );
        let rows = count(x.len / channels)?;
        let to = y.argument(&gpu);
        let given = arguments![
            x,
            mean,
            inverse,
            weight,
            bias,
            self.relu,
            rows,
            packs,
            columns.chunk_rows,
            to
        ];
        gpu.launch(kernel, "normalize", columns.partial, given)?;
        Ok((y.storage(&gpu), x_layout.shape().clone()))
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
        compute_numbers(
            NAME,
            [x, weight, bias, dy],
            |gpu, [values, of_weight, of_bias, dy]| {
                if dy.number != values.number {
                    bail!(
                        "{NAME}: the gradient is {:?}, the input {:?}",
                        dy.number,
                        values.number
                    );
                }
                let Cut {
                    kernel,
                    columns,
                    packs,
                } = Cut::new(values, channels)?;
                let partial = partial_sums(gpu, &columns, channels)?;
                let (slope, offset) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
                let (d_weight, d_bias) = (gpu.alloc(channels)?, gpu.alloc(channels)?);
                let (incline, constant) = (gpu.view(&slope), gpu.view(&offset));
                let [mean, inverse, scale, shift] =
                    self.map(gpu, of_weight.floats(NAME)?, of_bias.floats(NAME)?);
                let (rows, width, relu) = (count(values.len / channels)?, count(channels)?, self.relu);
                let (sums, height) = (gpu.argument(&partial), columns.chunk_rows);
                let given = arguments![
                    values, dy, mean, inverse, scale, shift, relu, rows, packs, height, sums
                ];
                gpu.launch(kernel, "gradient_partial", columns.partial, given)?;
                let train = self.mode == Mode::Train;
                let (to_weight, to_bias) = (gpu.view(&d_weight), gpu.view(&d_bias));
                let given = arguments![
                    sums,
                    columns.chunks,
                    inverse,
                    scale,
                    train,
                    rows,
                    width,
                    incline,
                    constant,
                    to_weight,
                    to_bias
                ];
                gpu.launch(kernel, "gradient_final", columns.total, given)?;
                let dx = gradient_of(gpu, x, || {
                    let dx = Buffer::alloc(gpu, values.number, values.len)?;
                    let to = dx.argument(gpu);
                    let given = arguments![
                        values, dy, mean, inverse, scale, shift, incline, constant, relu, rows, packs,
                        height, to
                    ];
                    gpu.launch(kernel, "gradient_of_input", columns.partial, given)?;
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
