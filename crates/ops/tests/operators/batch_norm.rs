//! Batch norm, also fused with ReLU.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::{self as ops, BatchNorm, Mode, reference};

use crate::finite_differences::check;
use crate::golden::Golden;
use crate::kernels::compare;
use crate::numbers::{assert_close, assert_refused, batch_norm, random};

#[test]
fn values_gradients_and_running_statistics_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    for (case, relu) in [("bn", false), ("bn_relu", true)] {
        for dtype in [DType::F32, DType::F64] {
            let weight = golden.var(&format!("{case}.weight"), dtype)?;
            let bias = golden.var(&format!("{case}.bias"), dtype)?;
            let norm = BatchNorm::new(weight.as_tensor().clone(), bias.as_tensor().clone())?;
            for (step, mode) in [
                ("train0", Mode::Train),
                ("train1", Mode::Train),
                ("eval", Mode::Eval),
            ] {
                let part = |name: &str| format!("{case}.{step}.{name}");
                let x = golden.var(&part("x"), dtype)?;
                let y = if relu {
                    ops::batch_norm_relu(&x, &norm, mode)?
                } else {
                    ops::batch_norm(&x, &norm, mode)?
                };
                let upstream = golden.get(&part("up")).to_dtype(dtype)?;
                let gradients = (&y * upstream)?.sum_all()?.backward()?;
                assert_close(&part("y"), &y, golden.get(&part("y")), 1e-5);
                for (var, name) in [(&x, "dx"), (&weight, "dweight"), (&bias, "dbias")] {
                    let Some(gradient) = gradients.get(var) else {
                        panic!("no gradient for {name}");
                    };
                    assert_close(&part(name), gradient, golden.get(&part(name)), 2e-5);
                }
                assert_close(&part("mean"), &norm.running_mean, golden.get(&part("mean")), 1e-6);
                assert_close(&part("var"), &norm.running_var, golden.get(&part("var")), 1e-6);
            }
        }
    }
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let arguments = [random(&[2, 3, 3, 2], 4)?, random(&[2], 5)?, random(&[2], 6)?];
    for mode in [Mode::Train, Mode::Eval] {
        check("batch_norm", &arguments, &|t| {
            reference::batch_norm(&t[0], &batch_norm(&t[1], &t[2])?, mode)
        })?;
        check("batch_norm_relu", &arguments, &|t| {
            reference::batch_norm_relu(&t[0], &batch_norm(&t[1], &t[2])?, mode)
        })?;
    }
    Ok(())
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
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
fn nan_is_not_hidden() -> Result<()> {
    let one = Tensor::ones(1, DType::F32, &Device::Cpu)?;
    for position in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[position] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 2, 2, 1), &Device::Cpu)?;
        let y = ops::batch_norm_relu(&x, &batch_norm(&one, &one)?, Mode::Eval)?;
        assert!(y.flatten_all()?.to_vec1::<f32>()?[position].is_nan());
    }
    Ok(())
}

#[test]
fn other_channels_and_single_values_are_refused() -> Result<()> {
    let norm = |channels: usize| batch_norm(&random(&[channels], 1)?, &random(&[channels], 2)?);
    let x = random(&[1, 5, 4, 3], 3)?;
    assert_refused(ops::batch_norm(&x, &norm(2)?, Mode::Eval));
    assert_refused(ops::batch_norm(
        &random(&[1, 1, 1, 3], 4)?,
        &norm(3)?,
        Mode::Train,
    ));
    Ok(())
}
