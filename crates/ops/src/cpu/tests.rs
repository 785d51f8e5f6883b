//! The plain kernels give the same bits on every instruction set, whatever the number of channels.

use super::Isa;
use super::batch_norm::{Normalization, backward_input, forward, gradient_sums, moments};
use super::loss::{mse, ssim};
use super::{activation, max_pool, upsample};

fn random(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Everything that the kernels compute for one shape.
fn all_kernels((n, h, w, c): (usize, usize, usize, usize), isa: Isa) -> Vec<f64> {
    let (x, dy) = (random(n * h * w * c, 1), random(n * h * w * c, 2));
    let mut results: Vec<f64> = Vec::new();
    let mut keep = |values: Vec<f32>| results.extend(values.into_iter().map(f64::from));

    let (mean, variance) = moments(&x, c, isa);
    let single = |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    let map = Normalization {
        mean: single(&mean),
        scale: single(&variance),
        shift: random(c, 3),
        relu: true,
    };
    keep(forward(&x, &map, isa));
    let (sums, products) = gradient_sums(&x, &dy, &map, isa);
    keep(backward_input(
        &x,
        &dy,
        &map,
        &single(&sums),
        &single(&products),
        isa,
    ));
    keep(activation::relu(&x, isa));
    keep(activation::relu_backward(&x, &dy, isa));
    keep(max_pool::forward2(&x, w, c, isa));
    keep(max_pool::backward2(&x, &dy[..x.len() / 4], w, c, isa));
    let wide = upsample::forward(&x, (h, w, c), isa);
    keep(upsample::backward(&wide, (h, w, c), isa));
    keep(wide);
    let size = ssim::Size { h, w, c };
    let (similarity, slopes) = ssim::forward(&x, &dy, size, (1e-4, 9e-4), true, isa);
    if let Some(slopes) = slopes {
        keep(ssim::backward(&x, &dy, &slopes, false, size, 0.5, isa));
        keep(ssim::backward(&dy, &x, &slopes, true, size, 0.5, isa));
    }
    results.extend([similarity, mse::mse(&x, &dy, isa)]);
    results
        .into_iter()
        .chain(mean)
        .chain(variance)
        .chain(sums)
        .chain(products)
        .collect()
}

#[test]
fn same_bits_on_every_instruction_set() {
    for shape in [(1, 2, 2, 1), (2, 4, 6, 3), (2, 8, 10, 37), (1, 40, 30, 48)] {
        let portable = all_kernels(shape, Isa::Portable);
        assert!(portable.iter().all(|value| value.is_finite()));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|v| v.to_bits()).collect() };
            assert!(
                bits(&portable) == bits(&all_kernels(shape, isa)),
                "{isa} {shape:?}"
            );
        }
    }
}

#[test]
fn large_means_cost_no_digits() {
    // Deviation 1 around a mean of 10,000: E[x²] - E[x]² would have no correct digit in f32.
    let channels = 3;
    let x: Vec<f32> = (0..30_000 * channels)
        .map(|i| 10_000.0 + if i / channels % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let (mean, variance) = moments(&x, channels, Isa::detect());
    for channel in 0..channels {
        assert!((mean[channel] - 10_000.0).abs() < 1e-6, "{}", mean[channel]);
        assert!((variance[channel] - 1.0).abs() < 1e-6, "{}", variance[channel]);
    }
}
