//! Steps of small networks: the same bits for any number of threads, and kernels beside references.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor, Var};
use flawforge_ops::{self as ops, Adam, AdamSettings, FocalSettings, Mode, SsimRange, Tape};

use crate::numbers::{assert_close, batch_norm, bits, random, random_mask, values};

fn tensor(shape: &[usize], seed: u64) -> Result<Tensor> {
    random(shape, seed)?.to_dtype(DType::F32)
}

/// Two training steps of a network with skip connections; the bits of everything they leave behind.
fn train() -> Result<Vec<u32>> {
    let var = |shape: &[usize], seed| Var::from_tensor(&(tensor(shape, seed)? * 0.3)?);
    let x = tensor(&[3, 40, 36, 3], 1)?;
    let target = tensor(&[3, 40, 36, 3], 2)?;
    let mask = random_mask(&[3, 40, 36], 3)?.to_dtype(DType::F32)?;
    let vars = [
        var(&[17, 3, 3, 3], 4)?,
        var(&[17], 5)?,
        var(&[3, 20, 3, 3], 6)?,
        var(&[3], 7)?,
        var(&[17], 8)?,
    ];
    let norm = batch_norm(&vars[4], &vars[1])?;
    let named = vars
        .iter()
        .enumerate()
        .map(|(i, var)| (format!("v{i}"), var.clone()));
    let mut adam = Adam::new(named.collect(), AdamSettings::default())?;
    let mut left = Vec::new();
    for _ in 0..2 {
        let y = ops::conv3x3(&x, &vars[0], &vars[1])?;
        let y = ops::batch_norm_relu(&y, &norm, Mode::Train)?;
        let y = ops::upsample2(&ops::max_pool2(&y)?)?;
        let y = ops::conv3x3(&ops::concat(&y, &x)?, &vars[2], &vars[3])?;
        let p = ops::softmax(&y.narrow(3, 0, 2)?)?;
        let loss = (ops::mse_loss(&y, &target)? + ops::ssim_loss(&y, &target, SsimRange::FromPrediction)?)?;
        let loss = (loss + ops::focal_loss(&p, &mask, FocalSettings::default())?)?;
        left.extend(bits(&loss)?);
        adam.step(&loss.backward()?, 1e-2)?;
    }
    for var in vars
        .iter()
        .map(Var::as_tensor)
        .chain([norm.running_mean.as_tensor(), norm.running_var.as_tensor()])
    {
        left.extend(bits(var)?);
    }
    let state: HashMap<String, Tensor> = adam.state()?.into_iter().collect();
    for i in 0..vars.len() {
        left.extend(bits(&state[&format!("v{i}.m")])?);
        left.extend(bits(&state[&format!("v{i}.v")])?);
    }
    Ok(left)
}

/// A step of a network of residual blocks on a tape; its loss and all gradients.
fn step(dtype: DType) -> Result<(Tensor, Vec<Tensor>)> {
    let var = |shape: &[usize], seed| Var::from_tensor(&(random(shape, seed)? * 0.4)?.to_dtype(dtype)?);
    let x = random(&[3, 20, 18, 3], 1)?.to_dtype(dtype)?;
    let target = ((random(&[3, 20, 20, 1], 2)? + 1.0)? * 0.5)?.to_dtype(dtype)?;
    let vars = [
        var(&[9, 3, 7, 7], 3)?,
        var(&[9], 4)?,
        var(&[9], 5)?,
        var(&[9, 9, 1, 1], 6)?,
        var(&[9, 9, 3, 3], 7)?,
        var(&[9, 5, 3, 3], 8)?,
        var(&[5, 1, 7, 7], 9)?,
    ];
    let norm = batch_norm(vars[1].as_tensor(), vars[2].as_tensor())?;
    let tape = Tape::record();
    let y = ops::conv2d(&x, &vars[0], None, 2, 3)?;
    let y = ops::batch_norm_relu(&y, &norm, Mode::Train)?;
    let kept = ops::conv2d(&y, &vars[3], None, 1, 0)?;
    let y = ops::add_relu(&ops::conv2d(&y, &vars[4], None, 1, 1)?, &kept)?;
    let y = ops::conv_transpose2d(&ops::max_pool3(&y)?, &vars[5], 2, 1, 1)?;
    let y = ops::conv_transpose2d(&y, &vars[6], 2, 3, 1)?;
    let loss = ops::bce_loss(&ops::sigmoid(&y)?, &target)?;
    let gradients = tape.backward(&[(&loss, 1.0)])?;
    let gradient = |var| {
        gradients
            .get(var)
            .map_or_else(|| panic!("no gradient"), Clone::clone)
    };
    Ok((loss, vars.iter().map(gradient).collect()))
}

/// The bits of [`step`].
fn stepped() -> Result<Vec<u32>> {
    let (loss, gradients) = step(DType::F32)?;
    let mut all = bits(&loss)?;
    for gradient in &gradients {
        all.extend(bits(gradient)?);
    }
    Ok(all)
}

#[test]
fn same_bits_for_any_number_of_threads() -> Result<()> {
    for (name, network) in [("skips", train as fn() -> Result<Vec<u32>>), ("blocks", stepped)] {
        let with = |threads: usize| match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(network),
            Err(error) => panic!("no thread pool: {error}"),
        };
        let one = with(1)?;
        assert!(one.len() > 1000 && one.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        for threads in [2, 3, 5, 7] {
            assert!(one == with(threads)?, "{name}: {threads} threads differ from one");
        }
    }
    Ok(())
}

#[test]
fn kernels_and_references_agree_on_a_network() -> Result<()> {
    let (loss, gradients) = step(DType::F32)?;
    let (expected, slopes) = step(DType::F64)?;
    assert_close("loss", &loss, &expected, 1e-5);
    for (index, (gradient, slope)) in gradients.iter().zip(&slopes).enumerate() {
        assert!(values(slope)?.iter().any(|value| value.abs() > 1e-6));
        assert_close(&format!("gradient {index}"), gradient, slope, 5e-4);
    }
    Ok(())
}
