//! The tape gives candle's gradients, and refuses what would lose one.

use candle_core::{DType, Result, Tensor, Var};
use flawforge_ops::{self as ops, BatchNorm, FocalSettings, Mode, SsimRange, Tape};

use crate::numbers::{batch_norm, bits, random, random_mask, values};

/// A network of every operator; `x`, the first convolution's result and the output are used twice.
struct Network {
    vars: Vec<Var>,
    norm: BatchNorm,
    second: BatchNorm,
    image: Tensor,
    target: Tensor,
    mask: Tensor,
}

const FACTORS: [f64; 3] = [1.0, 2.0, 0.5];

impl Network {
    fn new(dtype: DType) -> Result<Self> {
        let shapes: [&[usize]; 8] = [
            &[2, 4, 4, 3],
            &[3, 3, 3, 3],
            &[3],
            &[3],
            &[3],
            &[2, 9, 3, 3],
            &[2],
            &[2, 4, 4, 3],
        ];
        let vars = (1..).zip(shapes);
        let vars = vars.map(|(seed, shape)| Var::from_tensor(&random(shape, seed)?.to_dtype(dtype)?));
        let vars = vars.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            norm: batch_norm(&vars[3], &vars[4])?,
            second: batch_norm(&vars[3], &vars[4].as_detached_tensor())?,
            image: random(&[2, 4, 4, 3], 20)?.to_dtype(dtype)?,
            target: random(&[2, 4, 4, 2], 21)?.to_dtype(dtype)?,
            mask: random_mask(&[2, 4, 4], 22)?.to_dtype(dtype)?,
            vars,
        })
    }

    fn losses(&self) -> Result<[Tensor; 3]> {
        let [x, w1, b1, w2, b2] = [0, 1, 2, 5, 6].map(|i| self.vars[i].as_tensor());
        let y = ops::conv3x3(x, w1, b1)?;
        let skip = ops::batch_norm_relu(&y, &self.norm, Mode::Train)?;
        let low = ops::max_pool2(&ops::relu(&ops::batch_norm(&y, &self.second, Mode::Eval)?)?)?;
        let joined = ops::concat(&ops::concat(&ops::upsample2(&low)?, &skip)?, &self.image)?;
        let output = ops::conv3x3(&joined, w2, b2)?;
        Ok([
            ops::ssim_loss(x, &self.vars[7], SsimRange::Unit)?,
            ops::mse_loss(&output, &self.target)?,
            ops::focal_loss(&ops::softmax(&output)?, &self.mask, FocalSettings::default())?,
        ])
    }

    fn by_tape(&self) -> Result<Vec<Tensor>> {
        let tape = Tape::record();
        let losses = self.losses()?;
        let pairs = losses.iter().zip(FACTORS).collect::<Vec<_>>();
        let gradients = tape.backward(&pairs)?;
        let gradients = self.vars.iter().map(|var| gradients.get(var).cloned());
        Ok(gradients.map(|gradient| gradient.expect("a gradient")).collect())
    }

    fn by_candle(&self) -> Result<Vec<Tensor>> {
        let [a, b, c] = self.losses()?;
        let total = (((a * FACTORS[0])? + (b * FACTORS[1])?)? + (c * FACTORS[2])?)?;
        let gradients = total.backward()?;
        let gradients = self.vars.iter().map(|var| gradients.get(var).cloned());
        Ok(gradients.map(|gradient| gradient.expect("a gradient")).collect())
    }
}

#[test]
fn gradients_are_those_of_candle_bit_for_bit() -> Result<()> {
    let network = Network::new(DType::F32)?;
    let (tape, again, candle) = (network.by_tape()?, network.by_tape()?, network.by_candle()?);
    for (i, ((tape, again), candle)) in tape.iter().zip(&again).zip(&candle).enumerate() {
        // Adding zero: candle's sums begin with zeros, which makes -0 to +0.
        assert_eq!(bits(&(tape + 0.0)?)?, bits(&(candle + 0.0)?)?, "variable {i}");
        assert_eq!(bits(tape)?, bits(again)?, "variable {i}, second time");
        assert!(values(tape)?.iter().any(|&value| value != 0.0), "variable {i}");
    }
    Ok(())
}

#[test]
fn other_types_take_the_same_calls() -> Result<()> {
    let network = Network::new(DType::F64)?;
    for (tape, candle) in network.by_tape()?.iter().zip(network.by_candle()?) {
        assert_eq!(values(tape)?, values(&candle)?);
    }
    Ok(())
}

fn pair() -> Result<(Var, Tensor)> {
    let of = |seed| random(&[1, 4, 4, 2], seed)?.to_dtype(DType::F32);
    Ok((Var::from_tensor(&of(1)?)?, of(2)?))
}

#[test]
fn frozen_branches_are_not_recorded() -> Result<()> {
    let (x, target) = pair()?;
    let frozen = Var::from_tensor(&target)?;
    let tape = Tape::record();
    let constant = ops::mse_loss(&ops::relu(&frozen.as_detached_tensor())?, &target)?;
    assert!(tape.is_empty() && !constant.track_op());
    // detach() ends the gradient of a recorded result too.
    let stopped = ops::relu(&ops::relu(&frozen)?.detach())?;
    assert_eq!(tape.len(), 1);
    let loss = ops::mse_loss(&ops::concat(&x, &stopped)?, &ops::concat(&target, &target)?)?;
    let gradients = tape.backward(&[(&loss, 1.0), (&constant, 1.0)])?;
    assert!(gradients.get(&x).is_some() && gradients.get(&frozen).is_none());
    Ok(())
}

#[test]
fn what_would_lose_a_gradient_is_an_error() -> Result<()> {
    let (x, target) = pair()?;
    let before = ops::mse_loss(&x, &target)?;
    assert!(
        Tape::record().backward(&[(&before, 1.0)]).is_err(),
        "loss of before"
    );

    let tape = Tape::record();
    let loss = (ops::mse_loss(&x, &target)? * 2.0)?;
    assert!(tape.backward(&[(&loss, 1.0)]).is_err(), "candle made the loss");

    let tape = Tape::record();
    let between = (ops::relu(&x)? * 2.0)?;
    let error = ops::mse_loss(&between, &target).expect_err("candle in between");
    assert!(error.to_string().contains("mse_loss"), "{error}");
    drop(tape);

    let tape = Tape::record();
    let picture = ops::relu(&x)?;
    assert!(tape.backward(&[(&picture, 1.0)]).is_err(), "not a number");

    let tape = Tape::record();
    let loss = ops::mse_loss(&x, &target)?;
    let double = Var::from_tensor(&target.to_dtype(DType::F64)?)?;
    let other = ops::mse_loss(&double, &target.to_dtype(DType::F64)?)?;
    assert!(tape.backward(&[(&loss, 1.0)]).is_err(), "kernels and reference");
    drop(other);
    Ok(())
}

#[test]
fn tapes_see_their_own_thread_and_time() -> Result<()> {
    let (x, target) = pair()?;
    let outer = Tape::record();
    let loss = ops::mse_loss(&x, &target)?;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| ops::mse_loss(&x, &target)?.backward());
        assert!(other.join().expect("no panic")?.get(&x).is_some());
        Result::Ok(())
    })?;
    let inner = Tape::record();
    let of_inner = ops::mse_loss(&ops::relu(&x)?, &target)?;
    assert_eq!((outer.len(), inner.len()), (1, 2));
    assert!(inner.backward(&[(&of_inner, 1.0)])?.get(&x).is_some());
    // The tape before records again, and refuses the other's loss.
    let second = ops::mse_loss(&ops::relu(&x)?, &target)?;
    assert_eq!(outer.len(), 3);
    assert!(outer.backward(&[(&loss, 1.0), (&second, 1.0)])?.get(&x).is_some());
    let outer = Tape::record();
    assert!(outer.backward(&[(&of_inner, 1.0)]).is_err());
    // Without a tape candle tracks again.
    assert!(ops::mse_loss(&x, &target)?.backward()?.get(&x).is_some());
    Ok(())
}

#[test]
fn nothing_is_kept_after_backward() -> Result<()> {
    let (x, target) = pair()?;
    let tape = Tape::record();
    let loss = ops::mse_loss(&ops::relu(&x)?, &target)?;
    let gradients = tape.backward(&[(&loss, 1.0)])?;
    assert!(gradients.get(&x).is_some());
    let next = Tape::record();
    assert!(next.is_empty());
    assert!(next.backward(&[])?.get(&x).is_none());
    // A recorded result holds no arguments: candle sees a leaf.
    assert!(loss.is_variable());
    assert!(loss.backward()?.get(&x).is_none());
    Ok(())
}
