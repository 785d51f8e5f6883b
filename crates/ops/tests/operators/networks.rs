//! The same bits for any number of threads, over a network that uses every operator.

use std::collections::HashMap;

use candle_core::{DType, Result, Tensor, Var};
use flawforge_ops::{self as ops, Adam, AdamSettings, FocalSettings, Mode, SsimRange};

use crate::numbers::{batch_norm, bits, random, random_mask};

fn tensor(shape: &[usize], seed: u64) -> Result<Tensor> {
    random(shape, seed)?.to_dtype(DType::F32)
}

/// Two training steps of a small network; the bits of everything it leaves behind.
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

#[test]
fn same_bits_for_any_number_of_threads() -> Result<()> {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        match pool {
            Ok(pool) => pool.install(train),
            Err(error) => panic!("no thread pool: {error}"),
        }
    };
    let one = with(1)?;
    assert!(one.len() > 1000 && one.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    for threads in [2, 3, 7] {
        assert!(one == with(threads)?, "{threads} threads differ from one");
    }
    Ok(())
}
