//! The reference's gradients in f64 against central differences.

use candle_core::{Device, Result, Tensor, Var};
use flawforge_ops::{FocalSettings, Mode, SsimRange, reference};

use crate::numbers::{batch_norm, random, random_mask, values};

/// Checks the gradient of `Σ f(arguments)·upstream` with respect to every argument.
pub(crate) fn check(name: &str, arguments: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    const STEP: f64 = 1e-5;
    let vars: Vec<Var> = arguments.iter().map(Var::from_tensor).collect::<Result<_>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked)?;
    let upstream = random(output.dims(), 99)?;
    let gradients = (&output * &upstream)?.sum_all()?.backward()?;
    let evaluate =
        |arguments: &[Tensor]| -> Result<f64> { (f(arguments)? * &upstream)?.sum_all()?.to_scalar() };
    for (position, var) in vars.iter().enumerate() {
        let Some(gradient) = gradients.get(var) else {
            panic!("{name}: argument {position} got no gradient");
        };
        let gradient = values(gradient)?;
        let start = values(&arguments[position])?;
        for element in 0..start.len() {
            let moved = |by: f64| -> Result<f64> {
                let mut shifted = start.clone();
                shifted[element] += by;
                let mut arguments = arguments.to_vec();
                let shape = arguments[position].shape().clone();
                arguments[position] = Tensor::from_vec(shifted, shape, &Device::Cpu)?;
                evaluate(&arguments)
            };
            let difference = (moved(STEP)? - moved(-STEP)?) / (2.0 * STEP);
            let error = (difference - gradient[element]).abs();
            assert!(
                error <= 1e-6 * difference.abs().max(0.1),
                "{name}: argument {position}, element {element}: gradient {}, difference {difference}",
                gradient[element]
            );
        }
    }
    Ok(())
}

#[test]
fn conv3x3() -> Result<()> {
    let arguments = [
        random(&[2, 4, 3, 2], 1)?,
        random(&[3, 2, 3, 3], 2)?,
        random(&[3], 3)?,
    ];
    check("conv3x3", &arguments, &|t| {
        reference::conv3x3(&t[0], &t[1], &t[2])
    })
}

#[test]
fn batch_norm_and_relu() -> Result<()> {
    let arguments = [random(&[2, 3, 3, 2], 4)?, random(&[2], 5)?, random(&[2], 6)?];
    for mode in [Mode::Train, Mode::Eval] {
        check("batch_norm", &arguments, &|t| {
            reference::batch_norm(&t[0], &batch_norm(&t[1], &t[2])?, mode)
        })?;
        check("batch_norm_relu", &arguments, &|t| {
            reference::batch_norm_relu(&t[0], &batch_norm(&t[1], &t[2])?, mode)
        })?;
    }
    check("relu", &arguments[..1], &|t| reference::relu(&t[0]))
}

#[test]
fn sampling() -> Result<()> {
    let arguments = [random(&[2, 4, 6, 3], 7)?, random(&[2, 4, 6, 2], 8)?];
    check("max_pool2", &arguments[..1], &|t| reference::max_pool2(&t[0]))?;
    check("upsample2", &arguments[..1], &|t| reference::upsample2(&t[0]))?;
    check("concat", &arguments, &|t| reference::concat(&t[0], &t[1]))?;
    check("softmax", &arguments[..1], &|t| reference::softmax(&t[0]))?;
    check("upsample2 of one pixel", &[random(&[2, 1, 1, 2], 9)?], &|t| {
        reference::upsample2(&t[0])
    })
}

#[test]
fn losses() -> Result<()> {
    let images = [random(&[1, 7, 6, 2], 10)?, random(&[1, 7, 6, 2], 11)?];
    check("mse_loss", &images, &|t| reference::mse_loss(&t[0], &t[1]))?;
    for range in [SsimRange::Unit, SsimRange::FromPrediction] {
        check("ssim_loss", &images, &|t| {
            reference::ssim_loss(&t[0], &t[1], range)
        })?;
    }
    let probabilities = (random(&[2, 3, 2, 2], 12)? * 0.45)?;
    let probabilities = (probabilities + 0.5)?;
    let mask = random_mask(&[2, 3, 2], 13)?;
    for gamma in [2.0, 1.5] {
        let settings = FocalSettings {
            gamma,
            ..Default::default()
        };
        check("focal_loss", std::slice::from_ref(&probabilities), &|t| {
            reference::focal_loss(&t[0], &mask, settings)
        })?;
    }
    Ok(())
}
