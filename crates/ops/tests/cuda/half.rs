//! Activations in bfloat16: every operator that takes them against the processor's on the same rounded numbers.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::{
    BatchNorm, Mode, Precision, Tape, batch_norm_relu, concat, conv3x3, conv3x3_norm_relu, max_pool2,
    mse_loss, relu, upsample2,
};

use crate::support::{close, gpu, noise, random};

/// Rounded to bfloat16, so that both sides begin with the same numbers.
fn rounded(values: &[f32], shape: &[usize], device: &Device) -> Result<Tensor> {
    Tensor::from_vec(values.to_vec(), shape, device)?
        .to_dtype(DType::BF16)?
        .to_dtype(DType::F32)
}

/// The result of `f` on `inputs`, and its gradients: f32 on the processor, bfloat16 on a GPU.
fn run(
    device: &Device,
    inputs: &[(Vec<f32>, Vec<usize>)],
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let half = device.is_cuda();
    let variables = inputs
        .iter()
        .map(|(values, shape)| {
            let values = rounded(values, shape, device)?;
            Var::from_tensor(&if half {
                values.to_dtype(DType::BF16)?
            } else {
                values
            })
        })
        .collect::<Result<Vec<Var>>>()?;
    let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors)?;
    assert_eq!(y.dtype(), if half { DType::BF16 } else { DType::F32 });
    let weights = rounded(&noise(77, y.elem_count()), y.dims(), device)?.to_dtype(y.dtype())?;
    let gradients = (&y * weights)?.sum_all()?.backward()?;
    let mut found = vec![y.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?];
    for variable in &variables {
        if let Some(gradient) = gradients.get(variable) {
            assert_eq!(gradient.dtype(), y.dtype(), "a gradient has its tensor's type");
            found.push(gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?);
        }
    }
    Ok(found)
}

fn compare(
    what: &str,
    tolerance: f32,
    inputs: &[(Vec<f32>, Vec<usize>)],
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    let expected = run(&Device::Cpu, inputs, f).unwrap();
    let found = run(&gpu.device, inputs, f).unwrap();
    assert_eq!(expected.len(), found.len(), "{what}: gradients");
    for (k, (expected, found)) in expected.iter().zip(&found).enumerate() {
        close(&format!("{what}, part {k}"), tolerance, expected, found);
    }
}

/// What one rounding to eight bits may change.
const ONE_ROUNDING: f32 = 4.1e-3;

#[test]
fn what_only_moves_numbers_loses_nothing() {
    for channels in [8, 24, 3] {
        let inputs = [random(1, &[2, 6, 10, channels]), random(2, &[2, 6, 10, 16])];
        compare("max_pool2", 0.0, &inputs[..1], &|v| max_pool2(&v[0]));
        compare("relu", 0.0, &inputs[..1], &|v| relu(&v[0]));
        compare("concat", 0.0, &inputs, &|v| concat(&v[0], &v[1]));
    }
}

#[test]
fn upsampling_rounds_once() {
    for (h, w, channels) in [(5, 7, 8), (1, 1, 16), (8, 8, 3), (16, 3, 64)] {
        let inputs = [random(1, &[2, h, w, channels])];
        compare("upsample2", ONE_ROUNDING, &inputs, &|v| upsample2(&v[0]));
    }
}

#[test]
fn batch_norm_sums_in_single_precision() {
    for (rows, channels) in [(36, 8), (1000, 24), (4096, 64), (50_000, 8), (700, 3)] {
        let inputs = [random(1, &[rows, 1, 1, channels])];
        let parameters = |device: &Device| -> Result<BatchNorm> {
            let vector = |seed| Tensor::from_vec(noise(seed, channels), channels, device);
            BatchNorm::new(vector(2)?, vector(3)?)
        };
        for mode in [Mode::Train, Mode::Eval] {
            compare(
                &format!("{rows}x{channels} {mode:?}"),
                2.0 * ONE_ROUNDING,
                &inputs,
                &|v| batch_norm_relu(&v[0], &parameters(v[0].device())?, mode),
            );
        }
    }
}

/// Everything of a network's two kinds of layers, with gradients of all parameters: f32 images in, f32 numbers out.
fn layers(device: &Device, side: usize, widths: [usize; 2]) -> Result<(Vec<Vec<f32>>, Tensor)> {
    let [a, b] = widths;
    let var = |seed, shape: &[usize], scale: f64| -> Result<Var> {
        let values = Tensor::from_vec(noise(seed, shape.iter().product()), shape, device)?;
        Var::from_tensor(&(values * scale)?)
    };
    let image = var(1, &[2, side, side, 3], 1.0)?;
    let weights = [
        var(2, &[a, 3, 3, 3], 0.3)?,
        var(3, &[b, a, 3, 3], 0.1)?,
        var(4, &[2, b, 3, 3], 0.1)?,
    ];
    let biases = [var(5, &[a], 0.5)?, var(6, &[b], 0.5)?, var(7, &[2], 0.5)?];
    let norm = |channels: usize| {
        BatchNorm::new(
            Tensor::ones(channels, DType::F32, device)?,
            Tensor::zeros(channels, DType::F32, device)?,
        )
    };
    let (first, second) = (norm(a)?, norm(b)?);
    let tape = Tape::record();
    let x = conv3x3_norm_relu(&image, &weights[0], &biases[0], &first, Mode::Train)?;
    let x = conv3x3_norm_relu(&x, &weights[1], &biases[1], &second, Mode::Train)?;
    let y = conv3x3(&x, &weights[2], &biases[2])?;
    let target = Tensor::from_vec(noise(8, y.elem_count()), y.shape(), device)?;
    let loss = mse_loss(&y, &target)?;
    let gradients = tape.backward(&[(&loss, 1.0)])?;
    let read = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let mut found = vec![
        read(&y)?,
        read(first.running_mean.as_tensor())?,
        read(second.running_var.as_tensor())?,
    ];
    for variable in [&image, &weights[0], &weights[1], &weights[2], &biases[2]] {
        found.push(read(gradients.get(variable).expect("a gradient"))?);
    }
    Ok((found, x))
}

/// The length of the difference, as a share of the length of what is expected.
///
/// Rounding moves numbers across the kink of a ReLU, which changes single gradients by all that they are. So gradients are
/// compared as a whole: where a share p of the ReLUs is closed that was open, they differ by about the root of p, which for
/// numbers of eight bits is a tenth (0.09 was seen on an H200; for TF32 0.02).
fn distance(expected: &[f32], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let difference = squares(&mut expected.iter().zip(found).map(|(e, f)| e - f));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

#[test]
fn layers_agree_in_every_precision() {
    let mut faults = Vec::new();
    for (precision, tolerance) in [
        (Precision::F32, 1e-4),
        (Precision::Tf32, 4e-2),
        (Precision::Bf16, 1.5e-1),
    ] {
        let Some(gpu) = gpu(precision) else { return };
        for (side, widths) in [(12, [16, 24]), (9, [5, 6]), (32, [64, 32])] {
            let expected = {
                let _precision = Precision::F32.scope();
                layers(&Device::Cpu, side, widths).unwrap().0
            };
            let (found, x) = layers(&gpu.device, side, widths).unwrap();
            let half = precision == Precision::Bf16 && widths[1] % 8 == 0;
            assert_eq!(x.dtype(), if half { DType::BF16 } else { DType::F32 });
            for (k, (expected, found)) in expected.iter().zip(&found).enumerate() {
                let distance = distance(expected, found);
                // Written so that NaN is a fault.
                let near = distance <= tolerance;
                if !near {
                    faults.push(format!(
                        "{precision} {side} px {widths:?}, part {k}: {distance:.1e}"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_same_layers_give_the_same_bits() {
    for precision in [Precision::Tf32, Precision::Bf16] {
        let Some(gpu) = gpu(precision) else { return };
        let once = || layers(&gpu.device, 32, [64, 32]).unwrap().0;
        assert!(once() == once(), "{precision}");
    }
}
