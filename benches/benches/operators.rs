//! The networks' operators on the CPU, forward and forward with backward.
//!
//! The shapes are those of the middle of the `quick` profile: batch 8, 128 pixels at the input.

use candle_core::{DType, Device, Result, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use flawforge_ops::{
    BatchNorm, Mode, Precision, batch_norm_relu, concat, conv3x3, max_pool2, mse_loss, reference, ssim_loss,
    upsample2,
};

fn random(shape: (usize, usize, usize, usize)) -> Tensor {
    Tensor::rand(-1f32, 1f32, shape, &Device::Cpu).expect("a tensor on the CPU")
}

fn vector(value: f32, channels: usize) -> Var {
    let tensor = Tensor::full(value, channels, &Device::Cpu).and_then(|tensor| tensor.to_dtype(DType::F32));
    tensor
        .and_then(|tensor| Var::from_tensor(&tensor))
        .expect("a tensor on the CPU")
}

/// Times an operator alone, and with the gradients of everything tracked in its input.
fn both(
    criterion: &mut Criterion,
    name: &str,
    shape: (usize, usize, usize, usize),
    operator: impl Fn(&Tensor) -> Result<Tensor>,
) {
    let input = Var::from_tensor(&random(shape)).expect("a variable on the CPU");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.bench_function("forward", |bencher| {
        let detached = input.as_tensor().detach();
        bencher.iter(|| operator(&detached).expect("the shapes fit"));
    });
    // A scalar to start from. The mean squared error is one pass over memory each way, where candle's own sum
    // and its gradient would take longer than most operators here.
    let target = operator(&input.as_tensor().detach()).and_then(|output| output.zeros_like());
    let target = target.expect("the shapes fit");
    group.bench_function("forward and backward", |bencher| {
        bencher.iter(|| {
            let output = operator(input.as_tensor()).expect("the shapes fit");
            let scalar = if output.rank() == 0 {
                Ok(output)
            } else {
                mse_loss(&output, &target)
            };
            scalar
                .and_then(|scalar| scalar.backward())
                .expect("a gradient for every operator")
        });
    });
    group.finish();
}

fn operators(criterion: &mut Criterion) {
    for (side, channels_in, channels_out) in [(128, 16, 16), (64, 64, 64), (16, 128, 128)] {
        let (weight, bias) = (
            random((channels_out, channels_in, 3, 3)),
            vector(0.1, channels_out),
        );
        let weight = Var::from_tensor(&weight).expect("a variable on the CPU");
        let name = format!("conv3x3 8x{side}x{side} {channels_in}-{channels_out}");
        both(criterion, &name, (8, side, side, channels_in), |x| {
            conv3x3(x, weight.as_tensor(), bias.as_tensor())
        });
        if Precision::Bf16.is_served_here() {
            both(
                criterion,
                &format!("{name} bf16"),
                (8, side, side, channels_in),
                |x| {
                    let _precision = Precision::Bf16.scope();
                    conv3x3(x, weight.as_tensor(), bias.as_tensor())
                },
            );
        }
        if side == 16 {
            both(
                criterion,
                &format!("reference {name}"),
                (8, side, side, channels_in),
                |x| reference::conv3x3(x, weight.as_tensor(), bias.as_tensor()),
            );
        }
    }

    let shape = (8, 64, 64, 64);
    let (scale, shift) = (vector(1.0, 64), vector(0.0, 64));
    let norm = BatchNorm::new(scale.as_tensor().clone(), shift.as_tensor().clone()).expect("equal lengths");
    both(criterion, "batch_norm_relu train 8x64x64x64", shape, |x| {
        batch_norm_relu(x, &norm, Mode::Train)
    });
    both(criterion, "batch_norm_relu eval 8x64x64x64", shape, |x| {
        batch_norm_relu(x, &norm, Mode::Eval)
    });
    both(criterion, "max_pool2 8x64x64x64", shape, max_pool2);
    both(criterion, "upsample2 8x64x64x64", shape, upsample2);
    let other = random(shape);
    both(criterion, "concat 8x64x64x64", shape, |x| concat(x, &other));
    let target = random((8, 128, 128, 3));
    both(criterion, "ssim_loss 8x128x128x3", (8, 128, 128, 3), |x| {
        ssim_loss(x, &target, Default::default())
    });
}

criterion_group!(benches, operators);
criterion_main!(benches);
