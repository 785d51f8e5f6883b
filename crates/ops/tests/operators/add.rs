//! Sums of two tensors.

use candle_core::Result;
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{SHAPES, assert_refused, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let (golden, both) = (Golden::load()?, [("a", "da"), ("b", "db")]);
    check(&golden, "add", &both, 1e-7, &|t| ops::add(&t[0], &t[1]))?;
    check(&golden, "add_relu", &both, 1e-7, &|t| ops::add_relu(&t[0], &t[1]))
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let both = [random(&[2, 5, 4, 3], 1)?, random(&[2, 5, 4, 3], 5)?];
    finite_differences::check("add", &both, &|t| reference::add(&t[0], &t[1]))?;
    finite_differences::check("add_relu", &both, &|t| reference::add_relu(&t[0], &t[1]))
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in SHAPES {
        let both = [random(&shape, 7)?, random(&shape, 8)?];
        compare("add", &both, 1e-6, &|t| ops::add(&t[0], &t[1]), &|t| {
            reference::add(&t[0], &t[1])
        })?;
    }
    Ok(())
}

#[test]
fn different_shapes_are_refused() -> Result<()> {
    assert_refused(ops::add(&random(&[1, 4, 4, 2], 1)?, &random(&[1, 4, 4, 1], 6)?));
    Ok(())
}
