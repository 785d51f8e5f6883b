//! Adam against PyTorch, and its state.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::{Adam, AdamSettings};

use crate::golden::Golden;
use crate::numbers::{assert_close, bits, random, relative_error};

const RATES: [f64; 5] = [1e-2, 1e-2, 3e-3, 3e-3, 1e-3];

/// A gradient store that holds these gradients.
fn store(pairs: &[(&Var, Tensor)]) -> Result<candle_core::backprop::GradStore> {
    let mut store = Tensor::zeros((), DType::F32, &Device::Cpu)?.backward()?;
    for (var, gradient) in pairs {
        store.insert(var, gradient.clone());
    }
    Ok(store)
}

#[test]
fn five_steps_of_pytorch() -> Result<()> {
    let golden = Golden::load()?;
    for (dtype, tolerance) in [(DType::F32, 2e-7), (DType::F64, 2e-6)] {
        let cases = ["vector", "matrix"];
        let vars = cases.map(|case| golden.get(&format!("adam.{case}.start")).to_dtype(dtype));
        let [vector, matrix] = vars;
        let vars = [Var::from_tensor(&vector?)?, Var::from_tensor(&matrix?)?];
        let named = cases
            .iter()
            .zip(&vars)
            .map(|(case, var)| (case.to_string(), var.clone()));
        let mut adam = Adam::new(named.collect(), AdamSettings::default())?;
        for (step, rate) in RATES.into_iter().enumerate() {
            let gradient = |case: &str| golden.get(&format!("adam.{case}.gradient{step}")).to_dtype(dtype);
            let gradients = [(&vars[0], gradient(cases[0])?), (&vars[1], gradient(cases[1])?)];
            adam.step(&store(&gradients)?, rate)?;
            for (case, var) in cases.iter().zip(&vars) {
                let expected = golden.get(&format!("adam.{case}.after{step}"));
                assert_close(
                    &format!("{case} after {step} {dtype:?}"),
                    var,
                    expected,
                    tolerance,
                );
            }
        }
        assert_eq!(adam.steps(), 5);
        for (name, moment) in adam.state()? {
            assert_close(&name, &moment, golden.get(&format!("adam.{name}")), 1e-6);
        }
    }
    Ok(())
}

#[test]
fn restored_state_continues_bit_for_bit() -> Result<()> {
    let start = random(&[70_000], 1)?.to_dtype(DType::F32)?;
    let run = |interrupted: bool| -> Result<Vec<u32>> {
        let var = Var::from_tensor(&start.copy()?)?;
        let mut adam = Adam::new(vec![("w".into(), var.clone())], AdamSettings::default())?;
        for step in 0..4 {
            if interrupted && step == 2 {
                let state: HashMap<String, Tensor> = adam.state()?.into_iter().collect();
                let steps = adam.steps();
                adam = Adam::new(vec![("w".into(), var.clone())], AdamSettings::default())?;
                adam.restore(&state, steps)?;
            }
            let gradient = random(&[70_000], 10 + step)?.to_dtype(DType::F32)?;
            adam.step(&store(&[(&var, gradient)])?, 1e-3)?;
        }
        bits(&var)
    };
    assert!(run(false)? == run(true)?);
    Ok(())
}

#[test]
fn faults_are_named_and_change_nothing() -> Result<()> {
    let tensor = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu);
    let var = Var::from_tensor(&tensor(&[3])?)?;
    let twice = vec![("w".to_string(), var.clone()), ("w".to_string(), var.clone())];
    assert!(Adam::new(twice, AdamSettings::default()).is_err());

    let mut adam = Adam::new(vec![("w".into(), var.clone())], AdamSettings::default())?;
    let missing = HashMap::from([("w.m".to_string(), tensor(&[3])?)]);
    let error = adam.restore(&missing, 7).map_err(|error| error.to_string());
    assert!(error.is_err_and(|error| error.contains("w.v")));
    let wrong = HashMap::from([
        ("w.m".to_string(), tensor(&[3])?),
        ("w.v".to_string(), tensor(&[4])?),
    ]);
    assert!(adam.restore(&wrong, 7).is_err());
    assert!(adam.step(&store(&[(&var, tensor(&[4])?)])?, 1e-3).is_err());
    assert_eq!(adam.steps(), 0);

    // A variable without a gradient stays.
    adam.step(&store(&[])?, 1e-3)?;
    assert_eq!(relative_error(&var, &tensor(&[3])?)?, 0.0);
    Ok(())
}
