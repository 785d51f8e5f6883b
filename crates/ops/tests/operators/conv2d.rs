//! Convolutions with any kernel and stride, and transposed ones.

use candle_core::Result;
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::numbers::{assert_refused, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
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
fn gradients_are_slopes() -> Result<()> {
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
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
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
    ] {
        assert_refused(result);
    }
    Ok(())
}
