//! Random numbers and comparisons for the tests.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::BatchNorm;

/// Reproducible numbers in [-1, 1).
pub(crate) fn random(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A mask of zeros and ones.
pub(crate) fn random_mask(shape: &[usize], seed: u64) -> Result<Tensor> {
    random(shape, seed)?.gt(0.4)?.to_dtype(DType::F64)
}

/// A normalisation with parameters and running statistics far from the initial ones.
pub(crate) fn batch_norm(weight: &Tensor, bias: &Tensor) -> Result<BatchNorm> {
    let channels = weight.elem_count();
    let mut norm = BatchNorm::new(weight.clone(), bias.clone())?;
    let dtype = weight.dtype();
    norm.running_mean = Var::from_tensor(&(random(&[channels], 71)? * 0.5)?.to_dtype(dtype)?)?;
    norm.running_var = Var::from_tensor(&(random(&[channels], 72)? + 1.5)?.to_dtype(dtype)?)?;
    Ok(norm)
}

pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

/// The bits of an f32 tensor.
pub(crate) fn bits(tensor: &Tensor) -> Result<Vec<u32>> {
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(values.into_iter().map(f32::to_bits).collect())
}

/// The largest difference relative to the largest expected magnitude.
pub(crate) fn relative_error(actual: &Tensor, expected: &Tensor) -> Result<f64> {
    assert_eq!(actual.dims(), expected.dims());
    let (actual, expected) = (values(actual)?, values(expected)?);
    let scale = expected
        .iter()
        .fold(1e-30, |scale: f64, value| scale.max(value.abs()));
    let mut worst = 0.0;
    for (actual, expected) in actual.iter().zip(&expected) {
        // Not `max`: that would hide NaN.
        let error = (actual - expected).abs() / scale;
        if error > worst || error.is_nan() {
            worst = error;
        }
    }
    Ok(worst)
}

#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) {
    let error = relative_error(actual, expected).unwrap_or(f64::NAN);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:.2e} above {tolerance:.0e}"
    );
}

/// Images of which operators are asked for: (N,H,W,C) with even sides and few channels, one of each, more than a vector's.
pub(crate) const SHAPES: [[usize; 4]; 4] = [[2, 4, 6, 3], [1, 2, 2, 1], [2, 6, 10, 37], [3, 32, 16, 32]];

/// Fails unless `f` gives the same for an image and for one that is the same, but lies in memory in another order.
#[track_caller]
pub(crate) fn assert_strided(f: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    let x = random(&[2, 3, 6, 4], 17)?.to_dtype(DType::F32)?;
    let strided = x.permute((0, 2, 3, 1))?;
    assert_close("strided", &f(&strided)?, &f(&strided.contiguous()?)?, 0.0);
    Ok(())
}

/// Fails unless this is an error whose first line states a shape.
#[track_caller]
pub(crate) fn assert_refused(result: Result<Tensor>) {
    let message = match result {
        Ok(tensor) => panic!("{:?} was made of what does not fit", tensor.dims()),
        Err(error) => error.to_string(),
    };
    let first = message.lines().next();
    assert!(first.is_some_and(|line| line.contains('[')), "{message}");
}
