//! Detached inputs build no graph, and only wanted gradients are computed.

use candle_core::{DType, Result, Tensor, Var};
use flawforge_ops::{self as ops, FocalSettings, Mode, SsimRange};

use crate::numbers::{batch_norm, random};

fn tensor(shape: &[usize], seed: u64) -> Result<Tensor> {
    random(shape, seed)?.to_dtype(DType::F32)
}

#[test]
fn detached_inputs_build_no_graph() -> Result<()> {
    let x = tensor(&[2, 4, 4, 2], 1)?;
    let (weight, bias) = (tensor(&[2, 2, 3, 3], 2)?, tensor(&[2], 3)?);
    // Running statistics are variables, and still nothing is tracked.
    let norm = batch_norm(&bias, &bias)?;
    let mask = tensor(&[2, 4, 4], 4)?;
    let outputs = [
        ops::conv3x3(&x, &weight, &bias)?,
        ops::batch_norm(&x, &norm, Mode::Train)?,
        ops::batch_norm_relu(&x, &norm, Mode::Train)?,
        ops::batch_norm_relu(&x, &norm, Mode::Eval)?,
        ops::relu(&x)?,
        ops::max_pool2(&x)?,
        ops::upsample2(&x)?,
        ops::concat(&x, &x)?,
        ops::softmax(&x)?,
        ops::mse_loss(&x, &x)?,
        ops::ssim_loss(&x, &x, SsimRange::Unit)?,
        ops::focal_loss(&x, &mask, FocalSettings::default())?,
    ];
    for (position, output) in outputs.iter().enumerate() {
        assert!(!output.track_op(), "operator {position} built a graph");
    }
    Ok(())
}

#[test]
fn only_tracked_arguments_get_gradients() -> Result<()> {
    let x = tensor(&[2, 4, 4, 2], 1)?;
    let weight = Var::from_tensor(&tensor(&[2, 2, 3, 3], 2)?)?;
    let bias = Var::from_tensor(&tensor(&[2], 3)?)?;
    let y = ops::conv3x3(&x, &weight, &bias)?;
    let norm = batch_norm(&bias.as_detached_tensor(), &bias)?;
    let y = ops::batch_norm_relu(&y, &norm, Mode::Train)?;
    let loss = ops::mse_loss(&ops::concat(&y, &x)?, &tensor(&[2, 4, 4, 4], 5)?)?;
    let gradients = loss.backward()?;
    assert!(
        gradients.get(&x).is_none(),
        "the first layer's input got a gradient"
    );
    assert!(gradients.get(&norm.running_mean).is_none());
    assert!(
        gradients.get(&norm.weight).is_none(),
        "a detached weight got a gradient"
    );
    assert!(gradients.get(&weight).is_some() && gradients.get(&bias).is_some());
    Ok(())
}

#[test]
fn evaluation_leaves_running_statistics_alone() -> Result<()> {
    let x = tensor(&[2, 4, 4, 2], 1)?;
    let bias = tensor(&[2], 3)?;
    let norm = batch_norm(&bias, &bias)?;
    let before = (norm.running_mean.copy()?, norm.running_var.copy()?);
    ops::batch_norm(&x, &norm, Mode::Eval)?;
    assert_eq!(
        crate::numbers::bits(&norm.running_mean)?,
        crate::numbers::bits(&before.0)?
    );
    assert_eq!(
        crate::numbers::bits(&norm.running_var)?,
        crate::numbers::bits(&before.1)?
    );
    ops::batch_norm(&x, &norm, Mode::Train)?;
    assert_ne!(
        crate::numbers::bits(&norm.running_var)?,
        crate::numbers::bits(&before.1)?
    );
    Ok(())
}

#[test]
fn a_graph_can_be_walked_twice() -> Result<()> {
    let x = Var::from_tensor(&tensor(&[1, 4, 4, 2], 6)?)?;
    let loss = ops::ssim_loss(&ops::relu(&x)?, &tensor(&[1, 4, 4, 2], 7)?, SsimRange::Unit)?;
    let (first, second) = (loss.backward()?, loss.backward()?);
    let (Some(first), Some(second)) = (first.get(&x), second.get(&x)) else {
        panic!("no gradient");
    };
    assert_eq!(crate::numbers::bits(first)?, crate::numbers::bits(second)?);
    Ok(())
}
