//! ReLU, sigmoid and softmax.

use candle_core::{Device, Result, Tensor};
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{SHAPES, assert_strided, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let (golden, x) = (Golden::load()?, [("x", "dx")]);
    check(&golden, "relu", &x, 0.0, &|t| ops::relu(&t[0]))?;
    check(&golden, "sigmoid", &x, 2e-6, &|t| ops::sigmoid(&t[0]))?;
    check(&golden, "softmax", &x, 2e-6, &|t| ops::softmax(&t[0]))
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let x = [random(&[2, 4, 6, 3], 7)?];
    finite_differences::check("relu", &x, &|t| reference::relu(&t[0]))?;
    finite_differences::check("sigmoid", &x, &|t| reference::sigmoid(&t[0]))?;
    finite_differences::check("softmax", &x, &|t| reference::softmax(&t[0]))
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in SHAPES {
        let x = [random(&shape, 7)?];
        compare("relu", &x, 1e-6, &|t| ops::relu(&t[0]), &|t| {
            reference::relu(&t[0])
        })?;
        compare("sigmoid", &x, 1e-6, &|t| ops::sigmoid(&t[0]), &|t| {
            reference::sigmoid(&t[0])
        })?;
        compare("softmax", &x, 1e-5, &|t| ops::softmax(&t[0]), &|t| {
            reference::softmax(&t[0])
        })?;
    }
    Ok(())
}

#[test]
fn the_references_softmax_does_not_overflow() -> Result<()> {
    let x = Tensor::new(&[[1000f64, 1000.0], [-1000.0, 1000.0]], &Device::Cpu)?;
    let y = reference::softmax(&x)?.to_vec2::<f64>()?;
    assert_eq!(y, [[0.5, 0.5], [0.0, 1.0]]);
    Ok(())
}

#[test]
fn strided_inputs_are_accepted() -> Result<()> {
    assert_strided(&|x| ops::relu(x))
}

#[test]
fn nan_is_not_hidden() -> Result<()> {
    for position in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[position] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 2, 2, 1), &Device::Cpu)?;
        assert!(ops::relu(&x)?.flatten_all()?.to_vec1::<f32>()?[position].is_nan());
    }
    Ok(())
}
