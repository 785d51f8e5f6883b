//! The mean squared error.

use candle_core::{DType, Result};
use flawforge_ops::{self as ops, reference};

use super::{assert_near, number, ramps};
use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{assert_refused, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    check(&golden, "mse", &[("x", "dx")], 1e-6, &|t| {
        ops::mse_loss(&t[0], &golden.get("mse.target").to_dtype(t[0].dtype())?)
    })
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let images = [random(&[1, 7, 6, 2], 10)?, random(&[1, 7, 6, 2], 11)?];
    finite_differences::check("mse_loss", &images, &|t| reference::mse_loss(&t[0], &t[1]))
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
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
    }
    Ok(())
}

/// Computed independently of PyTorch, from DRAEM's definition.
#[test]
fn two_ramps_have_the_error_of_the_definition() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let [x, y] = ramps(dtype)?;
        assert_near(number(&ops::mse_loss(&x, &y)?)?, 0.001739869);
    }
    Ok(())
}

#[test]
fn different_shapes_are_refused() -> Result<()> {
    assert_refused(ops::mse_loss(
        &random(&[1, 5, 4, 3], 1)?,
        &random(&[1, 4, 4, 3], 2)?,
    ));
    Ok(())
}
