//! The binary cross-entropy.

use candle_core::{Result, Tensor, Var};
use flawforge_ops::{self as ops, reference};

use crate::finite_differences;
use crate::golden::{Golden, check};
use crate::numbers::{assert_close, assert_refused, random};

#[test]
fn values_and_gradients_are_pytorchs() -> Result<()> {
    let golden = Golden::load()?;
    check(&golden, "bce", &[("p", "dp")], 1e-5, &|t| {
        ops::bce_loss(&t[0], &golden.get("bce.t").to_dtype(t[0].dtype())?)
    })
}

#[test]
fn certain_predictions_have_bounded_losses_and_gradients() -> Result<()> {
    let golden = Golden::load()?;
    let p = Var::from_tensor(golden.get("bce_certain.p"))?;
    let loss = ops::bce_loss(&p, golden.get("bce_certain.t"))?;
    assert_close("loss", &loss, golden.get("bce_certain.loss"), 1e-6);
    let gradients = loss.backward()?;
    let gradient = gradients
        .get(&p)
        .map_or_else(|| panic!("no gradient"), Clone::clone);
    assert_close("gradient", &gradient, golden.get("bce_certain.dp"), 1e-5);
    Ok(())
}

#[test]
fn gradients_are_slopes() -> Result<()> {
    let share = |seed| -> Result<Tensor> { (random(&[1, 3, 3, 1], seed)? * 0.45)? + 0.5 };
    let target = share(6)?;
    finite_differences::check("bce_loss", &[share(7)?], &|t| reference::bce_loss(&t[0], &target))
}

#[test]
fn different_shapes_are_refused() -> Result<()> {
    assert_refused(ops::bce_loss(
        &random(&[1, 4, 4, 2], 1)?,
        &random(&[1, 4, 4, 1], 7)?,
    ));
    Ok(())
}
