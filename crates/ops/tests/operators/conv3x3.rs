//! The 3×3 convolution.

use candle_core::{DType, Device, Result, Tensor};
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{self, Golden};
use crate::kernels::compare;
use crate::numbers::random;

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    let arguments = [("x", "dx"), ("weight", "dweight"), ("bias", "dbias")];
    for case in ["conv.small", "conv.wide"] {
        golden::check(&golden, case, &arguments, 2e-6, &|t| {
            ops::conv3x3(&t[0], &t[1], &t[2])
        })?;
    }
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let arguments = [
        random(&[2, 4, 3, 2], 1)?,
        random(&[3, 2, 3, 3], 2)?,
        random(&[3], 3)?,
    ];
    finite_differences::check("conv3x3", &arguments, &|t| {
        reference::conv3x3(&t[0], &t[1], &t[2])
    })
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
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
fn shapes_that_do_not_fit_are_refused() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let x = zeros(&[1, 5, 4, 3])?;
    assert!(ops::conv3x3(&x, &zeros(&[2, 4, 3, 3])?, &zeros(&[2])?).is_err());
    assert!(ops::conv3x3(&x, &zeros(&[2, 3, 3, 3])?, &zeros(&[3])?).is_err());
    Ok(())
}
