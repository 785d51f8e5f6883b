//! Runs the same function on both devices and compares values and gradients.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::cuda::device;
use flawforge_ops::{Precision, PrecisionScope};
use flawforge_testing::{Need, skip};

/// The GPU, for one test at a time, and the precision of its convolutions.
pub(crate) struct Gpu {
    pub(crate) device: Device,
    _precision: PrecisionScope,
    _alone: MutexGuard<'static, ()>,
}

/// None, and the test counts as skipped, where there is no CUDA device.
#[track_caller]
pub(crate) fn gpu(precision: Precision) -> Option<Gpu> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    match device(0) {
        Ok(device) => Some(Gpu {
            device,
            _precision: precision.scope(),
            _alone: alone,
        }),
        Err(fault) => {
            skip(Need::Gpu, &fault.to_string());
            None
        }
    }
}

/// Numbers in [-1, 1).
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 40
    };
    (0..count).map(|_| next() as f32 / 8_388_608.0 - 1.0).collect()
}

/// A tensor's values and shape.
pub(crate) type Values = (Vec<f32>, Vec<usize>);

pub(crate) fn random(seed: u64, shape: &[usize]) -> Values {
    (noise(seed, shape.iter().product()), shape.to_vec())
}

/// The result of `f` on variables with these values, and the gradients of a weighted sum of it.
pub(crate) fn run(
    device: &Device,
    inputs: &[Values],
    f: &dyn Fn(&[Var]) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let variables = inputs
        .iter()
        .map(|(values, shape)| Var::from_vec(values.clone(), shape.as_slice(), device))
        .collect::<Result<Vec<Var>>>()?;
    // Activations may be bfloat16.
    let y = f(&variables)?.to_dtype(DType::F32)?;
    let weights = Tensor::from_vec(noise(77, y.elem_count()), y.shape(), device)?;
    let gradients = (&y * weights)?.sum_all()?.backward()?;
    let mut found = vec![y.flatten_all()?.to_vec1()?];
    for variable in &variables {
        if let Some(gradient) = gradients.get(variable) {
            found.push(gradient.flatten_all()?.to_vec1()?);
        }
    }
    Ok(found)
}

/// Compares `f` on the GPU with `f` on the processor; `tolerance` is relative to the largest number of each result.
pub(crate) fn compare(
    gpu: &Gpu,
    what: &str,
    tolerance: f32,
    inputs: &[Values],
    f: &dyn Fn(&[Var]) -> Result<Tensor>,
) {
    let expected = {
        let _precision = Precision::F32.scope();
        run(&Device::Cpu, inputs, f).unwrap()
    };
    let found = run(&gpu.device, inputs, f).unwrap();
    assert_eq!(expected.len(), found.len(), "{what}: gradients");
    for (k, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let part = if k == 0 {
            "value".to_owned()
        } else {
            format!("gradient {k}")
        };
        close(&format!("{what}, {part}"), tolerance, expected, found);
    }
}

pub(crate) fn close(what: &str, tolerance: f32, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len(), "{what}: length");
    let largest = expected
        .iter()
        .filter(|e| e.is_finite())
        .fold(1e-6f32, |most, e| most.max(e.abs()));
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        let same = e == f || (e.is_nan() && f.is_nan()) || (e - f).abs() <= tolerance * largest;
        assert!(same, "{what}: {f} instead of {e} at {i}, largest {largest}");
    }
}
