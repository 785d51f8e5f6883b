//! Milliseconds of the inverted residual blocks of EfficientNet-Lite0 up to stage 5, of one image of 256×256, each by itself.
//!
//! cargo run --release -p flawforge-ops --example block_speed [-- bf16]

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use flawforge_ops::Precision;
use flawforge_ops::inference::{
    Activations, InvertedResidual, SameConv, inverted_residual, prepare_inverted_residual,
};

/// Side of the input, its channels, inner channels, channels of the output, side and stride of the filters.
const BLOCKS: [(usize, usize, usize, usize, usize, usize); 11] = [
    (256, 3, 32, 16, 3, 1),
    (128, 16, 96, 24, 3, 2),
    (64, 24, 144, 24, 3, 1),
    (64, 24, 144, 40, 5, 2),
    (32, 40, 240, 40, 5, 1),
    (32, 40, 240, 80, 3, 2),
    (16, 80, 480, 80, 3, 1),
    (16, 80, 480, 80, 3, 1),
    (16, 80, 480, 112, 5, 1),
    (16, 112, 672, 112, 5, 1),
    (16, 112, 672, 112, 5, 1),
];

fn conv(shape: (usize, usize, usize, usize), stride: usize) -> Result<SameConv> {
    let fan_in = (shape.1 * shape.2 * shape.3) as f64;
    Ok(SameConv {
        weight: Tensor::randn(0f32, (1.0 / fan_in).sqrt() as f32, shape, &Device::Cpu)?,
        bias: Tensor::zeros(shape.0, candle_core::DType::F32, &Device::Cpu)?,
        stride,
    })
}

fn main() -> Result<()> {
    let precision = match std::env::args().nth(1) {
        Some(name) => name.parse().map_err(candle_core::Error::Msg)?,
        None => Precision::F32,
    };
    let _precision = precision.scope();
    let mut sum = 0.0;
    for (index, (size, ci, inner, co, side, stride)) in BLOCKS.into_iter().enumerate() {
        let (kernel, step) = if index == 0 { (3, 2) } else { (1, 1) };
        let block = InvertedResidual {
            expand: conv((inner, ci, kernel, kernel), step)?,
            depthwise: conv((inner, 1, side, side), stride)?,
            project: conv((co, inner, 1, 1), 1)?,
            shortcut: ci == co && stride == 1,
        };
        let block = prepare_inverted_residual(&block, &Device::Cpu)?;
        let values = Tensor::rand(0f32, 1f32, size * size * ci, &Device::Cpu)?.to_vec1::<f32>()?;
        let x = Activations::from_slice(&values, (1, size, size, ci))?;
        let mut least = f64::INFINITY;
        for _ in 0..100 {
            let begun = Instant::now();
            std::hint::black_box(inverted_residual(&x, &block)?);
            least = least.min(begun.elapsed().as_secs_f64() * 1e3);
        }
        let expanded = size / step;
        let output = expanded / stride;
        let products =
            expanded * expanded * inner * ci * kernel * kernel + output * output * inner * (co + side * side);
        println!(
            "block {index:2}: {least:6.3} ms, {:5.1} million products a ms",
            products as f64 / 1e6 / least
        );
        sum += least;
    }
    println!("all: {sum:.2} ms");
    Ok(())
}
