//! The f32 kernels against the f64 reference: values and every gradient.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::{self as ops, FocalSettings, Mode, SsimRange, reference};

use crate::numbers::{assert_close, batch_norm, random, random_mask};

type Operator<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Output and gradients of `Σ f·upstream` for arguments of a type.
fn run(arguments: &[Tensor], dtype: DType, f: Operator<'_>) -> Result<Vec<Tensor>> {
    let vars: Vec<Var> = arguments
        .iter()
        .map(|argument| Var::from_tensor(&argument.to_dtype(dtype)?))
        .collect::<Result<_>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked)?;
    let upstream = random(output.dims(), 98)?.to_dtype(dtype)?;
    let gradients = (&output * upstream)?.sum_all()?.backward()?;
    let mut results = vec![output.detach()];
    for var in &vars {
        let Some(gradient) = gradients.get(var) else {
            panic!("an argument got no gradient");
        };
        results.push(gradient.clone());
    }
    Ok(results)
}

fn compare(
    name: &str,
    arguments: &[Tensor],
    tolerance: f64,
    kernel: Operator<'_>,
    reference: Operator<'_>,
) -> Result<()> {
    // The reference sees the very numbers that f32 can hold.
    let arguments: Vec<Tensor> = arguments
        .iter()
        .map(|argument| argument.to_dtype(DType::F32))
        .collect::<Result<_>>()?;
    let actual = run(&arguments, DType::F32, kernel)?;
    let expected = run(&arguments, DType::F64, reference)?;
    for (position, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let what = match position {
            0 => format!("{name}: value"),
            _ => format!("{name}: gradient of argument {}", position - 1),
        };
        assert_close(&what, actual, expected, tolerance);
    }
    Ok(())
}

#[test]
fn conv3x3() -> Result<()> {
    // Odd sizes, few channels, and a size at which Winograd takes over.
    for (n, h, w, ci, co) in [
        (2, 5, 7, 3, 5),
        (1, 1, 1, 1, 1),
        (2, 9, 8, 20, 17),
        (2, 64, 64, 32, 32),
    ] {
        let arguments = [
            random(&[n, h, w, ci], 1)?,
            (random(&[co, ci, 3, 3], 2)? * 0.2)?,
            random(&[co], 3)?,
        ];
        compare(
            &format!("conv3x3 {n}x{h}x{w} {ci}->{co}"),
            &arguments,
            5e-5,
            &|t| ops::conv3x3(&t[0], &t[1], &t[2]),
            &|t| reference::conv3x3(&t[0], &t[1], &t[2]),
        )?;
    }
    Ok(())
}

#[test]
fn batch_normalisation() -> Result<()> {
    // One channel, a few, more than a vector, more than one chunk of rows; a mean far from 0.
    for (shape, offset) in [
        ([2, 3, 3, 1], 0.0),
        ([2, 5, 4, 7], 30.0),
        ([3, 33, 40, 130], -3.0),
    ] {
        let channels = shape[3];
        let arguments = [
            (random(&shape, 4)? + offset)?,
            (random(&[channels], 5)? + 1.5)?,
            (random(&[channels], 6)? * 0.3)?,
        ];
        for mode in [Mode::Train, Mode::Eval] {
            let name = format!("batch_norm {shape:?} {mode:?}");
            compare(
                &name,
                &arguments,
                1e-4,
                &|t| ops::batch_norm(&t[0], &batch_norm(&t[1], &t[2])?, mode),
                &|t| reference::batch_norm(&t[0], &batch_norm(&t[1], &t[2])?, mode),
            )?;
            // Far from the origin the ReLU of a single element may open differently in f32.
            if offset == 0.0 {
                compare(
                    &format!("{name} with ReLU"),
                    &arguments,
                    1e-4,
                    &|t| ops::batch_norm_relu(&t[0], &batch_norm(&t[1], &t[2])?, mode),
                    &|t| reference::batch_norm_relu(&t[0], &batch_norm(&t[1], &t[2])?, mode),
                )?;
            }
        }
    }
    Ok(())
}

#[test]
fn fused_relu_is_the_relu_of_the_plain_norm() -> Result<()> {
    let x = random(&[2, 17, 9, 37], 14)?.to_dtype(DType::F32)?;
    let weight = random(&[37], 15)?.to_dtype(DType::F32)?;
    let upstream = random(&[2, 17, 9, 37], 16)?.to_dtype(DType::F32)?;
    for mode in [Mode::Train, Mode::Eval] {
        let norm = batch_norm(&weight, &weight)?;
        let var = Var::from_tensor(&x)?;
        let fused = ops::batch_norm_relu(&var, &norm, mode)?;
        let fused_gradient = (&fused * &upstream)?.sum_all()?.backward()?;
        let norm = batch_norm(&weight, &weight)?;
        let plain = ops::relu(&ops::batch_norm(&var, &norm, mode)?)?;
        let plain_gradient = (&plain * &upstream)?.sum_all()?.backward()?;
        assert_close("fused value", &fused, &plain, 0.0);
        let (Some(fused), Some(plain)) = (fused_gradient.get(&var), plain_gradient.get(&var)) else {
            panic!("no gradient");
        };
        assert_close("fused gradient", fused, plain, 0.0);
    }
    Ok(())
}

#[test]
fn sampling() -> Result<()> {
    for shape in [[2, 4, 6, 3], [1, 2, 2, 1], [2, 6, 10, 37], [3, 32, 16, 32]] {
        let x = [random(&shape, 7)?];
        compare("max_pool2", &x, 1e-6, &|t| ops::max_pool2(&t[0]), &|t| {
            reference::max_pool2(&t[0])
        })?;
        compare("upsample2", &x, 1e-6, &|t| ops::upsample2(&t[0]), &|t| {
            reference::upsample2(&t[0])
        })?;
        compare("relu", &x, 1e-6, &|t| ops::relu(&t[0]), &|t| {
            reference::relu(&t[0])
        })?;
        compare("softmax", &x, 1e-5, &|t| ops::softmax(&t[0]), &|t| {
            reference::softmax(&t[0])
        })?;
        let [n, h, w, c] = shape;
        let pair = [random(&[n, h, w, c + 2], 8)?, random(&shape, 9)?];
        compare("concat", &pair, 1e-6, &|t| ops::concat(&t[0], &t[1]), &|t| {
            reference::concat(&t[0], &t[1])
        })?;
    }
    let odd = [random(&[2, 3, 1, 5], 10)?];
    compare("upsample2", &odd, 1e-6, &|t| ops::upsample2(&t[0]), &|t| {
        reference::upsample2(&t[0])
    })
}

#[test]
fn losses() -> Result<()> {
    for shape in [[1, 3, 2, 1], [2, 20, 33, 3]] {
        let target = ((random(&shape, 11)? * 0.5)? + 0.5)?;
        let images = [(&target + (random(&shape, 12)? * 0.2)?)?, target];
        compare(
            "mse_loss",
            &images,
            1e-5,
            &|t| ops::mse_loss(&t[0], &t[1]),
            &|t| reference::mse_loss(&t[0], &t[1]),
        )?;
        let wider = [((&images[0] * 3.0)? - 1.0)?, images[1].clone()];
        for (range, images) in [(SsimRange::Unit, &images), (SsimRange::FromPrediction, &wider)] {
            compare(
                "ssim_loss",
                images,
                5e-5,
                &|t| ops::ssim_loss(&t[0], &t[1], range),
                &|t| reference::ssim_loss(&t[0], &t[1], range),
            )?;
        }
    }
    let logits = (random(&[2, 30, 31, 2], 13)? * 3.0)?;
    let mask = random_mask(&[2, 30, 31], 14)?;
    let mask32 = mask.to_dtype(DType::F32)?;
    for gamma in [2.0, 0.5] {
        let settings = FocalSettings {
            gamma,
            ..Default::default()
        };
        compare(
            "focal_loss of softmax",
            std::slice::from_ref(&logits),
            5e-5,
            &|t| ops::focal_loss(&ops::softmax(&t[0])?, &mask32, settings),
            &|t| reference::focal_loss(&reference::softmax(&t[0])?, &mask, settings),
        )?;
    }
    Ok(())
}

#[test]
fn strided_inputs_are_accepted() -> Result<()> {
    let x = random(&[2, 3, 6, 4], 17)?.to_dtype(DType::F32)?;
    let strided = x.permute((0, 2, 3, 1))?;
    let dense = strided.contiguous()?;
    assert_close("relu", &ops::relu(&strided)?, &ops::relu(&dense)?, 0.0);
    assert_close(
        "max_pool2",
        &ops::max_pool2(&strided)?,
        &ops::max_pool2(&dense)?,
        0.0,
    );
    assert_close(
        "concat",
        &ops::concat(&strided, &dense)?,
        &ops::concat(&dense, &dense)?,
        0.0,
    );
    Ok(())
}

#[test]
fn nan_is_not_hidden() -> Result<()> {
    for position in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[position] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 2, 2, 1), &Device::Cpu)?;
        assert!(ops::max_pool2(&x)?.flatten_all()?.to_vec1::<f32>()?[0].is_nan());
        assert!(ops::relu(&x)?.flatten_all()?.to_vec1::<f32>()?[position].is_nan());
        let norm = batch_norm(
            &Tensor::ones(1, DType::F32, &Device::Cpu)?,
            &Tensor::ones(1, DType::F32, &Device::Cpu)?,
        )?;
        let y = ops::batch_norm_relu(&x, &norm, Mode::Eval)?;
        assert!(y.flatten_all()?.to_vec1::<f32>()?[position].is_nan());
    }
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let x = zeros(&[1, 5, 4, 3])?;
    assert!(ops::max_pool2(&x).is_err());
    assert!(ops::conv3x3(&x, &zeros(&[2, 4, 3, 3])?, &zeros(&[2])?).is_err());
    assert!(ops::conv3x3(&x, &zeros(&[2, 3, 3, 3])?, &zeros(&[3])?).is_err());
    assert!(ops::concat(&x, &zeros(&[1, 4, 4, 3])?).is_err());
    assert!(ops::mse_loss(&x, &zeros(&[1, 4, 4, 3])?).is_err());
    assert!(ops::focal_loss(&x, &zeros(&[1, 5, 4])?, FocalSettings::default()).is_err());
    let norm = batch_norm(&zeros(&[2])?, &zeros(&[2])?)?;
    assert!(ops::batch_norm(&x, &norm, Mode::Eval).is_err());
    let norm = batch_norm(&zeros(&[3])?, &zeros(&[3])?)?;
    assert!(ops::batch_norm(&zeros(&[1, 1, 1, 3])?, &norm, Mode::Train).is_err());
    Ok(())
}
