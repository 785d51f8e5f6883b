//! Adam over more variables than a launch takes.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var};
use flawforge_ops::Precision;
use flawforge_ops::{Adam, AdamSettings, Tape, mse_loss};

use crate::support::{close, gpu, noise};

fn variables(device: &Device) -> Result<Vec<(String, Var)>> {
    (0..70)
        .map(|k| {
            let count = if k == 3 { 200_000 } else { k + 1 };
            Ok((
                format!("v{k}"),
                Var::from_vec(noise(k as u64, count), count, device)?,
            ))
        })
        .collect()
}

/// Steps towards zero; the last variable gets no gradient.
fn steps(adam: &mut Adam, variables: &[(String, Var)], count: usize) -> Result<()> {
    for _ in 0..count {
        let tape = Tape::record();
        let losses = variables[..69]
            .iter()
            .map(|(_, variable)| mse_loss(variable, &variable.zeros_like()?))
            .collect::<Result<Vec<Tensor>>>()?;
        let weighted: Vec<(&Tensor, f64)> = losses.iter().map(|loss| (loss, 2.5)).collect();
        adam.step(&tape.backward(&weighted)?, 0.01)?;
    }
    Ok(())
}

fn all(variables: &[(String, Var)]) -> Vec<f32> {
    variables
        .iter()
        .flat_map(|(_, v)| v.to_vec1::<f32>().unwrap())
        .collect()
}

#[test]
fn adam_agrees_and_its_state_can_be_put_back() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let expected = variables(&Device::Cpu).unwrap();
    let found = variables(&gpu.device).unwrap();
    let mut on_cpu = Adam::new(expected.clone(), AdamSettings::default()).unwrap();
    let mut on_gpu = Adam::new(found.clone(), AdamSettings::default()).unwrap();
    steps(&mut on_cpu, &expected, 3).unwrap();
    steps(&mut on_gpu, &found, 3).unwrap();
    close("variables", 1e-5, &all(&expected), &all(&found));

    // The state is a copy: later steps do not change it, and it brings an optimiser to the same place.
    let state: HashMap<String, Tensor> = on_gpu.state().unwrap().into_iter().collect();
    let values = all(&found);
    steps(&mut on_gpu, &found, 2).unwrap();
    let later = all(&found);
    let again = variables(&gpu.device).unwrap();
    let mut from = values.as_slice();
    for (_, variable) in &again {
        let (own, rest) = from.split_at(variable.elem_count());
        variable.set(&Tensor::new(own, &gpu.device).unwrap()).unwrap();
        from = rest;
    }
    let mut restored = Adam::new(again.clone(), AdamSettings::default()).unwrap();
    restored.restore(&state, 3).unwrap();
    steps(&mut restored, &again, 2).unwrap();
    assert!(all(&again) == later, "the same bits");
}
