//! Bilinear upsampling by two.

use flawforge_ops::{Precision, upsample2};

use crate::support::{compare, gpu, random};

#[test]
fn upsampling_agrees_down_to_one_pixel() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (h, w, c) in [
        (1, 1, 2),
        (1, 5, 3),
        (2, 3, 8),
        (7, 4, 33),
        (32, 32, 64),
        (3, 129, 5),
    ] {
        let inputs = [random(1, &[2, h, w, c])];
        compare(&gpu, &format!("upsample {h}x{w}x{c}"), 1e-5, &inputs, &|v| {
            upsample2(&v[0])
        });
    }
}
