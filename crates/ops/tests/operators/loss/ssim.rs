//! The structural similarity.

use candle_core::{DType, Result};
use flawforge_ops::{self as ops, SsimRange, reference};

use super::{assert_near, number, ramps};
use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::random;

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    let arguments = [("x", "dx"), ("target", "dtarget")];
    for (case, range) in [
        ("ssim.unit", SsimRange::Unit),
        ("ssim.signed", SsimRange::FromPrediction),
        ("ssim.bytes", SsimRange::FromPrediction),
    ] {
        check(&golden, case, &arguments, 5e-5, &|t| {
            ops::ssim_loss(&t[0], &t[1], range)
        })?;
    }
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let images = [random(&[1, 7, 6, 2], 10)?, random(&[1, 7, 6, 2], 11)?];
    for range in [SsimRange::Unit, SsimRange::FromPrediction] {
        finite_differences::check("ssim_loss", &images, &|t| {
            reference::ssim_loss(&t[0], &t[1], range)
        })?;
    }
    Ok(())
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in [[1, 3, 2, 1], [2, 20, 33, 3]] {
        let target = ((random(&shape, 11)? * 0.5)? + 0.5)?;
        let images = [(&target + (random(&shape, 12)? * 0.2)?)?, target];
        let wider = [((&images[0] * 3.0)? - 1.0)?, images[1].clone()];
        for (range, images) in [(SsimRange::Unit, &images), (SsimRange::FromPrediction, &wider)] {
            compare(
                "ssim_loss",
                images,
                5e-5,
                &|t| ops::ssim_loss(&t[0], &t[1], range),
                &|t| reference::ssim_loss(&t[0], &t[1], range),
            )?;
        }
    }
    Ok(())
}

/// Computed independently of PyTorch, from DRAEM's definition.
#[test]
fn two_ramps_are_as_similar_as_by_the_definition() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let [x, y] = ramps(dtype)?;
        assert_near(
            1.0 - number(&ops::ssim_loss(&x, &y, SsimRange::Unit)?)?,
            0.993456879,
        );
        let map = reference::ssim_map(&x, &y, SsimRange::Unit)?;
        let map = map.squeeze(3)?.squeeze(0)?;
        assert_near(number(&map.get(0)?.get(0)?)?, 0.969891276);
        assert_near(number(&map.get(8)?.get(8)?)?, 0.992700767);
    }
    Ok(())
}

/// The rule for a prediction below -0.5 is L = 2: the same images with the rule's L put in by scale.
#[test]
fn the_range_follows_draems_rule() -> Result<()> {
    let [x, y] = ramps(DType::F32)?;
    let scaled = |factor: f64, range| -> Result<f64> {
        Ok(1.0 - number(&ops::ssim_loss(&(&x * factor)?, &(&y * factor)?, range)?)?)
    };
    // Halving both images is doubling L.
    assert_near(scaled(0.5, SsimRange::Unit)?, 0.993_967_24);
    // Images in 0..255 with L = 255 are images in 0..1 with L = 1.
    assert_near(scaled(255.0, SsimRange::FromPrediction)?, 0.993_456_9);
    Ok(())
}
