//! Concatenation of channels.

use candle_core::Result;
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{SHAPES, assert_refused, assert_strided, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let arguments = [("a", "da"), ("b", "db")];
    check(&Golden::load()?, "concat", &arguments, 0.0, &|t| {
        ops::concat(&t[0], &t[1])
    })
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let arguments = [random(&[2, 4, 6, 3], 7)?, random(&[2, 4, 6, 2], 8)?];
    finite_differences::check("concat", &arguments, &|t| reference::concat(&t[0], &t[1]))
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in SHAPES {
        let [n, h, w, c] = shape;
        let pair = [random(&[n, h, w, c + 2], 8)?, random(&shape, 9)?];
        compare("concat", &pair, 1e-6, &|t| ops::concat(&t[0], &t[1]), &|t| {
            reference::concat(&t[0], &t[1])
        })?;
    }
    Ok(())
}

#[test]
fn strided_inputs_are_accepted() -> Result<()> {
    assert_strided(&|x| ops::concat(x, x))
}

#[test]
fn images_of_different_size_are_refused() -> Result<()> {
    assert_refused(ops::concat(
        &random(&[1, 5, 4, 3], 1)?,
        &random(&[1, 4, 4, 3], 2)?,
    ));
    Ok(())
}
