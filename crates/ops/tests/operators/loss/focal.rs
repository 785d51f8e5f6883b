//! The focal loss.

use candle_core::{DType, Device, Result, Tensor};
use flawforge_ops::{self as ops, FocalSettings, reference};

use super::{assert_near, number};
use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{assert_refused, random, random_mask};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    check(&golden, "focal", &[("p", "dp")], 1e-5, &|t| {
        let mask = golden.get("focal.mask").to_dtype(t[0].dtype())?;
        ops::focal_loss(&t[0], &mask, FocalSettings::default())
    })
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let probabilities = ((random(&[2, 3, 2, 2], 12)? * 0.45)? + 0.5)?;
    let mask = random_mask(&[2, 3, 2], 13)?;
    for gamma in [2.0, 1.5] {
        let settings = FocalSettings {
            gamma,
            ..Default::default()
        };
        finite_differences::check("focal_loss", std::slice::from_ref(&probabilities), &|t| {
            reference::focal_loss(&t[0], &mask, settings)
        })?;
    }
    Ok(())
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    let logits = (random(&[2, 30, 31, 2], 13)? * 3.0)?;
    let mask = random_mask(&[2, 30, 31], 14)?;
    let mask32 = mask.to_dtype(DType::F32)?;
    for gamma in [2.0, 0.5] {
        let settings = FocalSettings {
            gamma,
            ..Default::default()
        };
        compare(
            "focal_loss of softmax",
            std::slice::from_ref(&logits),
            5e-5,
            &|t| ops::focal_loss(&ops::softmax(&t[0])?, &mask32, settings),
            &|t| reference::focal_loss(&reference::softmax(&t[0])?, &mask, settings),
        )?;
    }
    Ok(())
}

/// Computed independently of PyTorch, from DRAEM's definition.
#[test]
fn single_pixels_have_the_loss_of_the_definition() -> Result<()> {
    let single = |probability: f64, label: f64, dtype: DType| -> Result<f64> {
        let p = Tensor::from_slice(&[1.0 - probability, probability], (1, 1, 1, 2), &Device::Cpu)?;
        let mask = Tensor::from_slice(&[label], (1, 1, 1), &Device::Cpu)?;
        let (p, mask) = (p.to_dtype(dtype)?, mask.to_dtype(dtype)?);
        number(&ops::focal_loss(&p, &mask, FocalSettings::default())?)
    };
    for dtype in [DType::F32, DType::F64] {
        assert_near(single(0.1, 0.0, dtype)?, 0.001053541);
        assert_near(single(0.1, 1.0, dtype)?, 1.864873541);
        assert_near(single(0.5, 1.0, dtype)?, 0.173274864);
    }
    Ok(())
}

#[test]
fn other_than_two_classes_are_refused() -> Result<()> {
    let (p, mask) = (random(&[1, 5, 4, 3], 1)?, random(&[1, 5, 4], 2)?);
    assert_refused(ops::focal_loss(&p, &mask, FocalSettings::default()));
    Ok(())
}
