//! Comparison of the f32 kernels with the f64 reference: values and every gradient.

use candle_core::{DType, Result, Tensor, Var};

use crate::numbers::{assert_close, random};

type Operator<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor>;

/// Output and gradients of `Σ f·upstream` for arguments of a type.
fn run(arguments: &[Tensor], dtype: DType, f: Operator<'_>) -> Result<Vec<Tensor>> {
    let vars: Vec<Var> = arguments
        .iter()
        .map(|argument| Var::from_tensor(&argument.to_dtype(dtype)?))
        .collect::<Result<_>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked)?;
    let upstream = random(output.dims(), 98)?.to_dtype(dtype)?;
    let gradients = (&output * upstream)?.sum_all()?.backward()?;
    let mut results = vec![output.detach()];
    for var in &vars {
        let Some(gradient) = gradients.get(var) else {
            panic!("an argument got no gradient");
        };
        results.push(gradient.clone());
    }
    Ok(results)
}

pub(crate) fn compare(
    name: &str,
    arguments: &[Tensor],
    tolerance: f64,
    kernel: Operator<'_>,
    reference: Operator<'_>,
) -> Result<()> {
    // The reference sees the very numbers that f32 can hold.
    let arguments: Vec<Tensor> = arguments
        .iter()
        .map(|argument| argument.to_dtype(DType::F32))
        .collect::<Result<_>>()?;
    let actual = run(&arguments, DType::F32, kernel)?;
    let expected = run(&arguments, DType::F64, reference)?;
    for (position, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let what = match position {
            0 => format!("{name}: value"),
            _ => format!("{name}: gradient of argument {}", position - 1),
        };
        assert_close(&what, actual, expected, tolerance);
    }
    Ok(())
}
