//! Comparison of gradients, in f64, with central differences.

use candle_core::{Device, Result, Tensor, Var};

use crate::numbers::{random, values};

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
