//! The convolution: filters brought into cuDNN's order, bfloat16 copies where asked for, and the bias.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::cudnn::{Pass, convolve};
use super::gpu::{Argument, Floats, Gpu, arguments, columns, count, over_elements, over_pixels};
use super::kernels::Module;
use crate::Precision;

pub(crate) use super::cudnn::ConvSize;

/// (N,H,W,Ci) and filters (Co,Ci,K,K) to (N,H',W',Co).
pub(crate) fn forward(
    gpu: &Gpu,
    size: ConvSize,
    x: Floats<'_>,
    filters: Floats<'_>,
    bias: Floats<'_>,
) -> Result<CudaSlice<f32>> {
    let precision = Precision::current();
    let outputs = size.pixels() * size.co;
    count(outputs)?;
    let y = gpu.alloc::<f32>(outputs)?;
    let filters = Filters::of(gpu, size, precision, filters)?;
    let whole = over_pixels(size.pixels(), size.co);
    let (channels, pixels) = (count(size.co)?, count(size.pixels())?);
    if precision == Precision::Bf16 {
        let x = rounded(gpu, x)?;
        let sums = gpu.alloc::<u16>(outputs)?;
        let pass = Pass::Forward {
            x: gpu.address(&x),
            filters: filters.address(gpu),
            bias: None,
            y: gpu.address(&sums),
        };
        convolve(gpu, size, precision, pass)?;
        let given = [
            gpu.argument(&sums),
            bias.into(),
            gpu.argument(&y),
            channels.into(),
            pixels.into(),
        ];
        gpu.launch(Module::Conv3x3, "widen_bfloat16_with_bias", whole, &given)?;
    } else {
        let pass = Pass::Forward {
            x: x.pointer,
            filters: filters.address(gpu),
            bias: Some(bias.pointer),
            y: gpu.address(&y),
        };
        if !convolve(gpu, size, precision, pass)? {
            let given = [gpu.argument(&y), bias.into(), channels.into(), pixels.into()];
            gpu.launch(Module::Conv3x3, "add_bias", whole, &given)?;
        }
    }
    Ok(y)
}

/// Gradient of the input.
pub(crate) fn backward_input(
    gpu: &Gpu,
    size: ConvSize,
    dy: Floats<'_>,
    filters: Floats<'_>,
) -> Result<CudaSlice<f32>> {
    let precision = Precision::current();
    let dx = gpu.alloc::<f32>(size.inputs())?;
    let filters = Filters::of(gpu, size, precision, filters)?;
    if precision == Precision::Bf16 {
        let dy = rounded(gpu, dy)?;
        let sums = gpu.alloc::<u16>(size.inputs())?;
        let pass = Pass::Input {
            dy: gpu.address(&dy),
            filters: filters.address(gpu),
            dx: gpu.address(&sums),
        };
        convolve(gpu, size, precision, pass)?;
        let given = [
            gpu.argument(&sums),
            gpu.argument(&dx),
            count(size.inputs())?.into(),
        ];
        gpu.launch(
            Module::Conv3x3,
            "widen_bfloat16",
            over_elements(size.inputs()),
            &given,
        )?;
    } else {
        let pass = Pass::Input {
            dy: dy.pointer,
            filters: filters.address(gpu),
            dx: gpu.address(&dx),
        };
        convolve(gpu, size, precision, pass)?;
    }
    Ok(dx)
}

/// Gradient of the filters, (Co,Ci,K,K).
pub(crate) fn backward_weight(
    gpu: &Gpu,
    size: ConvSize,
    x: Floats<'_>,
    dy: Floats<'_>,
) -> Result<CudaSlice<f32>> {
    let precision = Precision::current();
    let result = gpu.alloc::<f32>(size.filters())?;
    let kernel;
    let d_filters = if precision == Precision::Bf16 {
        kernel = "filters_from_channels_last_bfloat16";
        let (x, dy) = (rounded(gpu, x)?, rounded(gpu, dy)?);
        let d_filters = gpu.alloc::<u16>(size.filters())?;
        let pass = Pass::Filters {
            x: gpu.address(&x),
            dy: gpu.address(&dy),
            d_filters: gpu.address(&d_filters),
        };
        convolve(gpu, size, precision, pass)?;
        Filters::Half(d_filters)
    } else {
        kernel = "filters_from_channels_last";
        let d_filters = gpu.alloc::<f32>(size.filters())?;
        let pass = Pass::Filters {
            x: x.pointer,
            dy: dy.pointer,
            d_filters: gpu.address(&d_filters),
        };
        convolve(gpu, size, precision, pass)?;
        Filters::Whole(d_filters)
    };
    reorder(gpu, size, kernel, d_filters.argument(gpu), gpu.argument(&result))?;
    Ok(result)
}

/// Gradient of the bias: sums of `dy` over all pixels.
pub(crate) fn backward_bias(gpu: &Gpu, size: ConvSize, dy: Floats<'_>) -> Result<CudaSlice<f32>> {
    let (pixels, channels) = (size.pixels(), size.co);
    let cut = columns(pixels, channels)?;
    let partial = gpu.alloc::<f64>(2 * cut.chunks as usize * channels)?;
    let result = gpu.alloc::<f32>(channels)?;
    let (pixels, channels) = (count(pixels)?, count(channels)?);
    let sums = gpu.argument(&partial);
    let given = arguments![dy, pixels, channels, cut.chunk_rows, sums];
    gpu.launch(Module::Conv3x3, "bias_gradient_partial", cut.partial, given)?;
    let given = arguments![sums, cut.chunks, channels, gpu.argument(&result)];
    gpu.launch(Module::Conv3x3, "bias_gradient_final", cut.total, given)?;
    Ok(result)
}

/// Filters in the order (out, taps, in).
enum Filters {
    Whole(CudaSlice<f32>),
    Half(CudaSlice<u16>),
}

impl Filters {
    fn of(gpu: &Gpu, size: ConvSize, precision: Precision, filters: Floats<'_>) -> Result<Self> {
        let (kernel, result) = if precision == Precision::Bf16 {
            let half = Self::Half(gpu.alloc(size.filters())?);
            ("filters_to_channels_last_bfloat16", half)
        } else {
            (
                "filters_to_channels_last",
                Self::Whole(gpu.alloc(size.filters())?),
            )
        };
        reorder(gpu, size, kernel, filters.into(), result.argument(gpu))?;
        Ok(result)
    }

    fn address(&self, gpu: &Gpu) -> u64 {
        match self {
            Self::Whole(filters) => gpu.address(filters),
            Self::Half(filters) => gpu.address(filters),
        }
    }

    fn argument(&self, gpu: &Gpu) -> Argument {
        Argument::Pointer(self.address(gpu))
    }
}

fn reorder(gpu: &Gpu, size: ConvSize, kernel: &str, from: Argument, to: Argument) -> Result<()> {
    let (inputs, taps) = (count(size.ci)?, count(size.kernel * size.kernel)?);
    let given = [
        from,
        to,
        inputs.into(),
        taps.into(),
        count(size.filters())?.into(),
    ];
    gpu.launch(Module::Conv3x3, kernel, over_elements(size.filters()), &given)
}

/// A bfloat16 copy.
fn rounded(gpu: &Gpu, x: Floats<'_>) -> Result<CudaSlice<u16>> {
    let result = gpu.alloc::<u16>(x.len)?;
    let given = [x.into(), gpu.argument(&result), count(x.len)?.into()];
    gpu.launch(Module::Conv3x3, "round_to_bfloat16", over_elements(x.len), &given)?;
    Ok(result)
}
