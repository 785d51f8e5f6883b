//! The truncated L1 loss.

use candle_core::{DType, Device, Result, Tensor};
use flawforge_ops::{self as ops, reference};

use super::{assert_near, number};
use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::kernels::compare;
use crate::numbers::{assert_refused, assert_strided, random, random_mask};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    for case in ["truncated_l1", "truncated_l1_normal"] {
        check(&golden, case, &[("logits", "dlogits")], 1e-6, &|t| {
            let mask = golden.get(&format!("{case}.mask")).to_dtype(t[0].dtype())?;
            ops::truncated_l1_loss(&t[0], &mask, 0.5)
        })?;
    }
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let logits = (random(&[2, 3, 2, 2], 12)? * 2.0)?;
    let mask = random_mask(&[2, 3, 2], 13)?;
    for margin in [0.0, 0.5] {
        finite_differences::check("truncated_l1_loss", std::slice::from_ref(&logits), &|t| {
            reference::truncated_l1_loss(&t[0], &mask, margin)
        })?;
    }
    Ok(())
}

#[test]
fn kernels_agree_with_the_reference() -> Result<()> {
    for shape in [[1, 2, 3, 2], [2, 90, 91, 2]] {
        let logits = (random(&shape, 13)? * 3.0)?;
        let mask = random_mask(&shape[..3], 14)?;
        let mask32 = mask.to_dtype(DType::F32)?;
        compare(
            "truncated_l1_loss",
            std::slice::from_ref(&logits),
            5e-5,
            &|t| ops::truncated_l1_loss(&t[0], &mask32, 0.5),
            &|t| reference::truncated_l1_loss(&t[0], &mask, 0.5),
        )?;
    }
    Ok(())
}

/// Beside the focal loss, on one tape: the gradients of both uses of the logits are added.
#[test]
fn a_tape_records_it() -> Result<()> {
    let logits = candle_core::Var::from_tensor(&random(&[1, 4, 5, 2], 3)?.to_dtype(DType::F32)?)?;
    let mask = random_mask(&[1, 4, 5], 4)?.to_dtype(DType::F32)?;
    let losses = |logits: &Tensor| -> Result<[Tensor; 2]> {
        let focal = ops::focal_loss(&ops::softmax(logits)?, &mask, ops::FocalSettings::default())?;
        Ok([focal, ops::truncated_l1_loss(logits, &mask, 0.5)?])
    };
    let tape = ops::Tape::record();
    let [focal, truncated] = losses(&logits)?;
    let taped = tape.backward(&[(&focal, 1.0), (&truncated, 0.25)])?;
    let [focal, truncated] = losses(&logits)?;
    let tracked = (focal + (truncated * 0.25)?)?.backward()?;
    let (Some(taped), Some(tracked)) = (taped.get(&logits), tracked.get(&logits)) else {
        panic!("no gradient");
    };
    crate::numbers::assert_close("gradient", taped, tracked, 1e-6);
    Ok(())
}

/// Computed by hand: two normal pixels with log-odds -1 and 0, an anomalous one with 0.25, margin 0.5.
#[test]
fn pixels_have_the_loss_of_the_definition() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let logits = Tensor::new(&[[2.0, 1.0], [3.0, 3.0], [0.0, 0.25]], &Device::Cpu)?;
        let logits = logits.reshape((1, 1, 3, 2))?.to_dtype(dtype)?;
        let mask = Tensor::new(&[0.0, 0.0, 1.0], &Device::Cpu)?;
        let mask = mask.reshape((1, 1, 3))?.to_dtype(dtype)?;
        assert_near(
            number(&ops::truncated_l1_loss(&logits, &mask, 0.5)?)?,
            0.25 + 0.25,
        );
        // Without a pixel of a class only the other counts.
        let all = Tensor::ones((1, 1, 3), dtype, &Device::Cpu)?;
        assert_near(
            number(&ops::truncated_l1_loss(&logits, &all, 0.5)?)?,
            (1.5 + 0.5 + 0.25) / 3.0,
        );
    }
    Ok(())
}

#[test]
fn logits_may_lie_in_memory_in_another_order() -> Result<()> {
    let mask = random_mask(&[2, 6, 4], 2)?.to_dtype(DType::F32)?;
    assert_strided(&|x| {
        let two = x.narrow(3, 0, 2)?;
        ops::truncated_l1_loss(&two, &mask.reshape(&two.dims()[..3])?, 0.5)
    })
}

#[test]
fn other_than_two_classes_are_refused() -> Result<()> {
    let (logits, mask) = (random(&[1, 5, 4, 3], 1)?, random(&[1, 5, 4], 2)?);
    assert_refused(ops::truncated_l1_loss(&logits, &mask, 0.5));
    Ok(())
}
