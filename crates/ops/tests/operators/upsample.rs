//! Bilinear upsampling by two.

use candle_core::{DType, Device, Result, Tensor};
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{SHAPES, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    check(&Golden::load()?, "upsample", &[("x", "dx")], 1e-6, &|t| {
        ops::upsample2(&t[0])
    })
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    for shape in [[2, 4, 6, 3], [2, 1, 1, 2]] {
        finite_differences::check("upsample2", &[random(&shape, 7)?], &|t| {
            reference::upsample2(&t[0])
        })?;
    }
    Ok(())
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in SHAPES.into_iter().chain([[2, 3, 1, 5]]) {
        let x = [random(&shape, 7)?];
        compare("upsample2", &x, 1e-6, &|t| ops::upsample2(&t[0]), &|t| {
            reference::upsample2(&t[0])
        })?;
    }
    Ok(())
}

/// The ramp [0, 1, 2, 3], stretched from corner to corner.
#[test]
fn a_ramp_stays_a_ramp() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let ramp = Tensor::new(&[0f64, 1., 2., 3.], &Device::Cpu)?.reshape((1, 1, 4, 1))?;
        let row = ops::upsample2(&ramp.to_dtype(dtype)?)?.get(0)?.get(1)?;
        let row = row.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        assert_eq!(row.len(), 8);
        for (position, value) in row.into_iter().enumerate() {
            let expected = 3.0 * position as f64 / 7.0;
            assert!(
                (value - expected).abs() < 1e-5,
                "{dtype:?}: {value} is not {expected}"
            );
        }
    }
    Ok(())
}
