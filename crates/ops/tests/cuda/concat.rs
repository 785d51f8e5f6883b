//! Concatenation of channels.

use flawforge_ops::{Precision, concat};

use crate::support::{compare, gpu, random};

#[test]
fn concatenation_agrees() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (a, b) in [(1, 1), (3, 3), (64, 32), (5, 70)] {
        let inputs = [random(1, &[2, 9, 7, a]), random(2, &[2, 9, 7, b])];
        compare(&gpu, &format!("concat {a}+{b}"), 0.0, &inputs, &|v| {
            concat(&v[0], &v[1])
        });
    }
}
