//! The mean squared error.

use flawforge_ops::{Precision, mse_loss};

use super::SHAPES;
use crate::support::{compare, gpu, random};

#[test]
fn value_and_gradients_agree() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for shape in SHAPES {
        let inputs = [random(1, &shape), random(2, &shape)];
        compare(&gpu, "mse", 1e-5, &inputs, &|v| mse_loss(&v[0], &v[1]));
    }
}
