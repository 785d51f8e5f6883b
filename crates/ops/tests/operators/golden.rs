//! Comparison with PyTorch's values and gradients, which `golden/make.py` made.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var, safetensors};

use crate::numbers::assert_close;

pub(crate) struct Golden(HashMap<String, Tensor>);

impl Golden {
    pub(crate) fn load() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/golden.safetensors");
        Ok(Self(safetensors::load(path, &Device::Cpu)?))
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        match self.0.get(name) {
            Some(tensor) => tensor,
            None => panic!("the golden values lack {name}"),
        }
    }

    pub(crate) fn var(&self, name: &str, dtype: DType) -> Result<Var> {
        Var::from_tensor(&self.get(name).to_dtype(dtype)?)
    }
}

/// Runs an operator in f32 (kernels) and in f64 (reference) on golden variables; compares output and gradients.
pub(crate) fn check(
    golden: &Golden,
    prefix: &str,
    arguments: &[(&str, &str)],
    tolerance: f64,
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let name = |part: &str| format!("{prefix}.{part}");
        let vars: Vec<Var> = arguments
            .iter()
            .map(|(argument, _)| golden.var(&name(argument), dtype))
            .collect::<Result<_>>()?;
        let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let output = f(&tracked)?;
        let gradients = if output.rank() == 0 {
            assert_close(
                &format!("{prefix} {dtype:?} loss"),
                &output,
                golden.get(&name("loss")),
                tolerance,
            );
            output.backward()?
        } else {
            assert_close(
                &format!("{prefix} {dtype:?} y"),
                &output,
                golden.get(&name("y")),
                tolerance,
            );
            let upstream = golden.get(&name("up")).to_dtype(dtype)?;
            (&output * upstream)?.sum_all()?.backward()?
        };
        for ((_, expected), var) in arguments.iter().zip(&vars) {
            let Some(gradient) = gradients.get(var) else {
                panic!("{prefix}: no gradient for {expected}");
            };
            let what = format!("{prefix} {dtype:?} {expected}");
            assert_close(&what, gradient, golden.get(&name(expected)), tolerance);
        }
    }
    Ok(())
}
