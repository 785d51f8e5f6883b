//! Max pooling.

use candle_core::{Device, Result, Tensor};
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{SHAPES, assert_refused, assert_strided, random};

#[test]
fn values_and_gradients_are_pytorchs_ties_included() -> Result<()> {
    let (golden, x) = (Golden::load()?, [("x", "dx")]);
    check(&golden, "pool", &x, 0.0, &|t| ops::max_pool2(&t[0]))?;
    for tag in ["pool3.odd", "pool3.even"] {
        check(&golden, tag, &x, 1e-7, &|t| ops::max_pool3(&t[0]))?;
    }
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let x = [random(&[2, 4, 6, 3], 7)?];
    finite_differences::check("max_pool2", &x, &|t| reference::max_pool2(&t[0]))?;
    let x = [random(&[2, 5, 4, 3], 1)?];
    finite_differences::check("max_pool3", &x, &|t| reference::max_pool3(&t[0]))
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in SHAPES {
        let x = [random(&shape, 7)?];
        compare("max_pool2", &x, 1e-6, &|t| ops::max_pool2(&t[0]), &|t| {
            reference::max_pool2(&t[0])
        })?;
        compare("max_pool3", &x, 1e-6, &|t| ops::max_pool3(&t[0]), &|t| {
            reference::max_pool3(&t[0])
        })?;
    }
    Ok(())
}

#[test]
fn strided_inputs_are_accepted() -> Result<()> {
    assert_strided(&|x| ops::max_pool2(x))?;
    assert_strided(&|x| ops::max_pool3(x))
}

#[test]
fn nan_is_not_hidden() -> Result<()> {
    for position in 0..4 {
        let mut values = [1f32, 2.0, 3.0, 4.0];
        values[position] = f32::NAN;
        let x = Tensor::from_slice(&values, (1, 2, 2, 1), &Device::Cpu)?;
        assert!(ops::max_pool2(&x)?.flatten_all()?.to_vec1::<f32>()?[0].is_nan());
        assert!(ops::max_pool3(&x)?.flatten_all()?.to_vec1::<f32>()?[0].is_nan());
    }
    Ok(())
}

#[test]
fn odd_sides_are_refused_where_windows_do_not_overlap() -> Result<()> {
    let x = random(&[1, 5, 4, 3], 1)?;
    assert_refused(ops::max_pool2(&x));
    assert_eq!(ops::max_pool3(&x)?.dims(), [1, 3, 2, 3]);
    Ok(())
}
