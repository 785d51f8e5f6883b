//! The operators of residual networks and of NSA: PyTorch's values and gradients, finite differences, the tape, threads.

use candle_core::{DType, Result, Tensor, Var};
use flawforge_ops::{self as ops, Mode, Tape, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::numbers::{assert_close, batch_norm, bits, random, values};

#[test]
fn convolutions_agree_with_pytorch() -> Result<()> {
    let golden = Golden::residual()?;
    for (tag, stride, padding) in [
        ("point", 1, 0),
        ("point2", 2, 0),
        ("half", 2, 1),
        ("same", 1, 1),
        ("stem", 2, 3),
    ] {
        let arguments = [("x", "dx"), ("weight", "dweight"), ("bias", "dbias")];
        check(&golden, &format!("conv.{tag}"), &arguments, 5e-6, &|t| {
            ops::conv2d(&t[0], &t[1], Some(&t[2]), stride, padding)
        })?;
    }
    for (tag, padding) in [("point", 0), ("three", 1), ("seven", 3)] {
        let arguments = [("x", "dx"), ("weight", "dweight")];
        check(&golden, &format!("transposed.{tag}"), &arguments, 5e-6, &|t| {
            ops::conv_transpose2d(&t[0], &t[1], 2, padding, 1)
        })?;
    }
    Ok(())
}

#[test]
fn the_rest_agrees_with_pytorch() -> Result<()> {
    let golden = Golden::residual()?;
    for tag in ["pool3.odd", "pool3.even"] {
        check(&golden, tag, &[("x", "dx")], 1e-7, &|t| ops::max_pool3(&t[0]))?;
    }
    let both = [("a", "da"), ("b", "db")];
    check(&golden, "add", &both, 1e-7, &|t| ops::add(&t[0], &t[1]))?;
    check(&golden, "add_relu", &both, 1e-7, &|t| ops::add_relu(&t[0], &t[1]))?;
    check(&golden, "sigmoid", &[("x", "dx")], 2e-6, &|t| ops::sigmoid(&t[0]))?;
    check(&golden, "bce", &[("p", "dp")], 1e-5, &|t| {
        ops::bce_loss(&t[0], &golden.get("bce.t").to_dtype(t[0].dtype())?)
    })
}

#[test]
fn certain_predictions_have_bounded_losses_and_gradients() -> Result<()> {
    let golden = Golden::residual()?;
    let p = Var::from_tensor(golden.get("bce_certain.p"))?;
    let loss = ops::bce_loss(&p, golden.get("bce_certain.t"))?;
    assert_close("loss", &loss, golden.get("bce_certain.loss"), 1e-6);
    let gradients = loss.backward()?;
    let gradient = gradients
        .get(&p)
        .map_or_else(|| panic!("no gradient"), Clone::clone);
    assert_close("gradient", &gradient, golden.get("bce_certain.dp"), 1e-5);
    Ok(())
}

#[test]
fn gradients_of_the_references_are_slopes() -> Result<()> {
    let x = random(&[2, 5, 4, 3], 1)?;
    for (kernel, stride, padding) in [(1, 2, 0), (3, 2, 1), (4, 3, 2)] {
        let arguments = [x.clone(), random(&[2, 3, kernel, kernel], 2)?, random(&[2], 3)?];
        finite_differences::check("conv2d", &arguments, &|t| {
            reference::conv2d(&t[0], &t[1], Some(&t[2]), stride, padding)
        })?;
    }
    for (kernel, padding) in [(1, 0), (3, 1)] {
        let arguments = [x.clone(), random(&[3, 2, kernel, kernel], 4)?];
        finite_differences::check("conv_transpose2d", &arguments, &|t| {
            reference::conv_transpose2d(&t[0], &t[1], 2, padding, 1)
        })?;
    }
    let one = std::slice::from_ref(&x);
    finite_differences::check("max_pool3", one, &|t| reference::max_pool3(&t[0]))?;
    finite_differences::check("sigmoid", one, &|t| reference::sigmoid(&t[0]))?;
    let two = [x.clone(), random(&[2, 5, 4, 3], 5)?];
    finite_differences::check("add", &two, &|t| reference::add(&t[0], &t[1]))?;
    finite_differences::check("add_relu", &two, &|t| reference::add_relu(&t[0], &t[1]))?;
    let share = |seed| -> Result<Tensor> { (random(&[1, 3, 3, 1], seed)? * 0.45)? + 0.5 };
    let target = share(6)?;
    finite_differences::check("bce_loss", &[share(7)?], &|t| reference::bce_loss(&t[0], &target))
}

/// A step of a small residual network on a tape; its loss and all gradients.
fn step(dtype: DType) -> Result<(Tensor, Vec<Tensor>)> {
    let var = |shape: &[usize], seed| Var::from_tensor(&(random(shape, seed)? * 0.4)?.to_dtype(dtype)?);
    let x = random(&[3, 20, 18, 3], 1)?.to_dtype(dtype)?;
    let target = ((random(&[3, 20, 20, 1], 2)? + 1.0)? * 0.5)?.to_dtype(dtype)?;
    let vars = [
        var(&[9, 3, 7, 7], 3)?,
        var(&[9], 4)?,
        var(&[9], 5)?,
        var(&[9, 9, 1, 1], 6)?,
        var(&[9, 9, 3, 3], 7)?,
        var(&[9, 5, 3, 3], 8)?,
        var(&[5, 1, 7, 7], 9)?,
    ];
    let norm = batch_norm(vars[1].as_tensor(), vars[2].as_tensor())?;
    let tape = Tape::record();
    let y = ops::conv2d(&x, &vars[0], None, 2, 3)?;
    let y = ops::batch_norm_relu(&y, &norm, Mode::Train)?;
    let kept = ops::conv2d(&y, &vars[3], None, 1, 0)?;
    let y = ops::add_relu(&ops::conv2d(&y, &vars[4], None, 1, 1)?, &kept)?;
    let y = ops::conv_transpose2d(&ops::max_pool3(&y)?, &vars[5], 2, 1, 1)?;
    let y = ops::conv_transpose2d(&y, &vars[6], 2, 3, 1)?;
    let loss = ops::bce_loss(&ops::sigmoid(&y)?, &target)?;
    let gradients = tape.backward(&[(&loss, 1.0)])?;
    let gradient = |var| {
        gradients
            .get(var)
            .map_or_else(|| panic!("no gradient"), Clone::clone)
    };
    Ok((loss, vars.iter().map(gradient).collect()))
}

#[test]
fn kernels_and_references_agree_on_a_network() -> Result<()> {
    let (loss, gradients) = step(DType::F32)?;
    let (expected, slopes) = step(DType::F64)?;
    assert_close("loss", &loss, &expected, 1e-5);
    for (index, (gradient, slope)) in gradients.iter().zip(&slopes).enumerate() {
        assert!(values(slope)?.iter().any(|value| value.abs() > 1e-6));
        assert_close(&format!("gradient {index}"), gradient, slope, 5e-4);
    }
    Ok(())
}

#[test]
fn same_bits_for_any_number_of_threads() -> Result<()> {
    let all = || -> Result<Vec<u32>> {
        let (loss, gradients) = step(DType::F32)?;
        let mut all = bits(&loss)?;
        for gradient in &gradients {
            all.extend(bits(gradient)?);
        }
        Ok(all)
    };
    let with = |threads: usize| match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(all),
        Err(error) => panic!("no thread pool: {error}"),
    };
    let one = with(1)?;
    assert!(one == with(2)? && one == with(5)?);
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() -> Result<()> {
    let x = random(&[1, 4, 4, 2], 1)?;
    let weight = random(&[3, 2, 7, 7], 2)?;
    for result in [
        ops::conv2d(&x, &weight, None, 1, 0),
        ops::conv2d(&x, &weight, None, 0, 3),
        ops::conv2d(&x, &random(&[3, 1, 1, 1], 3)?, None, 1, 0),
        ops::conv2d(&x, &weight, Some(&random(&[2], 4)?), 1, 3),
        ops::conv_transpose2d(&x, &weight, 2, 3, 1),
        ops::conv_transpose2d(&x, &random(&[2, 3, 1, 1], 5)?, 1, 0, 1),
        ops::conv_transpose2d(&x, &random(&[2, 3, 1, 1], 5)?, 1, 2, 0),
        ops::add(&x, &random(&[1, 4, 4, 1], 6)?),
        ops::bce_loss(&x, &random(&[1, 4, 4, 1], 7)?),
    ] {
        let message = result.expect_err("must not fit").to_string();
        assert!(
            message.lines().next().is_some_and(|line| line.contains('[')),
            "{message}"
        );
    }
    Ok(())
}
