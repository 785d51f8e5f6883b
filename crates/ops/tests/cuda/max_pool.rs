//! 2×2 max pooling.

use flawforge_ops::{Precision, max_pool2};

use crate::support::{compare, gpu, random};

#[test]
fn pooling_agrees_with_ties_and_nan() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (h, w, c) in [(2, 2, 1), (4, 6, 3), (16, 8, 64), (6, 4, 70)] {
        let (values, shape) = random(1, &[2, h, w, c]);
        // Coarse numbers tie often.
        let mut values: Vec<f32> = values.iter().map(|value| (value * 3.0).round()).collect();
        values[0] = f32::NAN;
        compare(
            &gpu,
            &format!("pool {h}x{w}x{c}"),
            1e-6,
            &[(values, shape)],
            &|v| max_pool2(&v[0]),
        );
    }
}
