//! The kernels against sums as in the definition, in f64.

use super::*;

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Calls `meet(place in x, place in weight, place in y)` for every product of the definition.
fn for_all(shape: Conv2dShape, mut meet: impl FnMut(usize, usize, usize)) {
    let Conv2dShape {
        n,
        h,
        w,
        ci,
        co,
        kh,
        kw,
        stride,
        padding,
    } = shape;
    let (ho, wo) = shape.output().unwrap();
    for image in 0..n {
        for (oy, ox) in (0..ho).flat_map(|oy| (0..wo).map(move |ox| (oy, ox))) {
            for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                let (iy, ix) = (oy * stride + ky, ox * stride + kx);
                let inside = (padding..padding + h).contains(&iy) && (padding..padding + w).contains(&ix);
                if !inside {
                    continue;
                }
                let x = ((image * h + iy - padding) * w + ix - padding) * ci;
                let y = ((image * ho + oy) * wo + ox) * co;
                for i in 0..ci {
                    for o in 0..co {
                        meet(x + i, ((o * ci + i) * kh + ky) * kw + kx, y + o);
                    }
                }
            }
        }
    }
}

fn assert_close(what: &str, shape: Conv2dShape, isa: Isa, actual: &[f32], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len());
    // Terms are about 1, and where they cancel, what they round to does not.
    let scale = expected.iter().fold(1.0, |scale: f64, v| scale.max(v.abs()));
    // Winograd's way, which the 3x3 kernels may take, rounds more.
    let tolerance = if shape.as_3x3().is_some() { 2e-5 } else { 2e-6 };
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*actual) - expected).abs() / scale;
        assert!(
            error < tolerance,
            "{what} {shape:?} {isa}: {actual} at {index}, not {expected}"
        );
    }
}

fn shapes() -> Vec<Conv2dShape> {
    let mut shapes = Vec::new();
    for (kernel, stride, padding) in [
        ((1, 1), 1, 0),
        ((1, 1), 2, 0),
        ((3, 3), 2, 1),
        ((3, 3), 1, 1),
        ((7, 7), 2, 3),
        ((5, 2), 3, 1),
        ((2, 4), 1, 2),
        ((1, 1), 1, 1),
    ] {
        for (n, h, w, ci, co) in [
            (2, 8, 10, 3, 5),
            (5, 7, 6, 18, 33),
            (1, 40, 37, 2, 9),
            (3, 5, 5, 1, 1),
        ] {
            shapes.push(Conv2dShape {
                n,
                h,
                w,
                ci,
                co,
                kh: kernel.0,
                kw: kernel.1,
                stride,
                padding,
            });
        }
    }
    // Panels above the second-level cache, read one row of taps at a time.
    let wide = Conv2dShape {
        n: 1,
        h: 6,
        w: 6,
        ci: 500,
        co: 20,
        kh: 3,
        kw: 3,
        stride: 2,
        padding: 1,
    };
    shapes.push(wide);
    shapes
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for shape in shapes() {
        let x = numbers(shape.input_len(), 1);
        let weight = numbers(shape.weight_len(), 2);
        let dy = numbers(shape.output_len(), 3);
        let bias = numbers(shape.co, 4);
        let mut y: Vec<f64> = bias
            .iter()
            .cycle()
            .take(dy.len())
            .map(|&b| f64::from(b))
            .collect();
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        for_all(shape, |at_x, at_w, at_y| {
            y[at_y] += f64::from(x[at_x]) * f64::from(weight[at_w]);
            dx[at_x] += f64::from(dy[at_y]) * f64::from(weight[at_w]);
            dw[at_w] += f64::from(dy[at_y]) * f64::from(x[at_x]);
        });
        let mut db = vec![0.0; shape.co];
        for (index, dy) in dy.iter().enumerate() {
            db[index % shape.co] += f64::from(*dy);
        }
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let close = |what: &str, actual: &[f32], expected: &[f64]| {
                assert_close(what, shape, isa, actual, expected);
            };
            close("y", &forward(&x, shape, &weight, Some(&bias), isa), &y);
            close("dx", &backward_input(&dy, shape, &weight, isa), &dx);
            close("dw", &backward_weight(&x, &dy, shape, isa), &dw);
            close("db", &backward_bias(&dy, shape.co, isa), &db);
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let all = || -> Vec<u32> {
        shapes()
            .into_iter()
            .flat_map(|shape| {
                let (x, weight) = (numbers(shape.input_len(), 5), numbers(shape.weight_len(), 6));
                let (dy, isa) = (numbers(shape.output_len(), 7), Isa::detect());
                let mut all = forward(&x, shape, &weight, None, isa);
                all.extend(backward_input(&dy, shape, &weight, isa));
                all.extend(backward_weight(&x, &dy, shape, isa));
                all
            })
            .map(f32::to_bits)
            .collect()
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(all)
    };
    let one = with(1);
    assert!(one == with(2) && one == with(3));
}

#[test]
fn a_kernel_that_does_not_fit_has_no_output() {
    let shape = Conv2dShape {
        n: 1,
        h: 2,
        w: 9,
        ci: 1,
        co: 1,
        kh: 5,
        kw: 5,
        stride: 1,
        padding: 1,
    };
    assert_eq!(shape.output(), None);
    assert_eq!(shape.output_len(), 0);
}
