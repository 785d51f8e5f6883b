//! Speed of the convolution kernels for each layer of the published networks, in GF/s of direct arithmetic, and how far
//! output and weight gradient are from direct f32 (root mean square, relative).
//!
//! `cargo run --release -p flawforge-ops --example conv_speed -- [FILTER] [portable|avx2|avx512] [bf16]`
//!
//! FILTER keeps the groups whose name contains it: `reconstructive`, `discriminative`, `paper`, `peak`.

use std::time::Instant;

use flawforge_ops::cpu::conv3x3::{
    Algorithm, ConvShape, backward_bias, backward_input, backward_weight, forward,
};
use flawforge_ops::cpu::{Arithmetic, Isa};

/// Group name, batch size, and layers as (input channels, output channels, side).
type Group = (&'static str, usize, &'static [(usize, usize, usize)]);

const GROUPS: [Group; 3] = [
    (
        "reconstructive",
        8,
        &[
            (3, 32, 128),
            (32, 32, 128),
            (32, 64, 64),
            (64, 64, 64),
            (64, 128, 32),
            (128, 128, 32),
            (128, 256, 16),
            (256, 256, 16),
            (256, 256, 8),
            (256, 128, 16),
            (128, 64, 32),
            (64, 32, 64),
            (32, 3, 128),
        ],
    ),
    (
        "discriminative",
        8,
        &[
            (6, 16, 128),
            (16, 16, 128),
            (32, 16, 128),
            (16, 32, 64),
            (32, 32, 64),
            (48, 32, 64),
            (96, 64, 32),
            (192, 64, 32),
            (192, 128, 16),
            (256, 128, 8),
            (128, 128, 4),
            (16, 2, 128),
        ],
    ),
    (
        "paper",
        1,
        &[(128, 128, 256), (256, 256, 128), (512, 512, 64), (1024, 1024, 32)],
    ),
];

/// Least time of a few runs, in seconds.
fn time(mut run: impl FnMut() -> Vec<f32>) -> f64 {
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    for repetition in 0..20 {
        if repetition >= 3 && begin.elapsed().as_secs_f64() > 0.15 {
            break;
        }
        let start = Instant::now();
        let result = run();
        best = best.min(start.elapsed().as_secs_f64());
        std::hint::black_box(result);
    }
    best
}

/// Root mean square of the differences, relative to that of `exact`.
fn apart(found: &[f32], exact: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let pairs = found.iter().zip(exact);
    let differences = squares(&mut pairs.map(|(&found, &exact)| f64::from(found) - f64::from(exact)));
    (differences / squares(&mut exact.iter().map(|&value| f64::from(value)))).sqrt()
}

/// Numbers in -1..1, independent of those of another seed: sums of products must not cancel.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let filter = arguments.next().unwrap_or_default();
    let isa = arguments
        .next()
        .and_then(|name| name.parse().ok())
        .unwrap_or_else(Isa::detect);
    let arithmetic = match arguments.next().as_deref() {
        Some("bf16") => Arithmetic::bf16(isa),
        _ => isa.into(),
    };
    let algorithms = [Algorithm::Direct, Algorithm::Winograd, Algorithm::Auto];
    println!("{arithmetic}; ms (GF/s) by {algorithms:?}");
    for (name, n, layers) in GROUPS {
        if !name.contains(&filter) {
            continue;
        }
        let mut totals = [[0.0; 3]; 3];
        for &(ci, co, side) in layers {
            let shape = ConvShape {
                n,
                h: side,
                w: side,
                ci,
                co,
            };
            let (x, dy) = (noise(shape.input_len(), 1), noise(shape.output_len(), 2));
            let (weight, bias) = (noise(shape.weight_len(), 3), noise(co, 4));
            print!("{name:14} {ci:4} -> {co:4} @{side:3}");
            for (pass, label) in ["fwd", "bwd_in", "bwd_w"].into_iter().enumerate() {
                print!(" | {label}");
                for (index, algorithm) in algorithms.into_iter().enumerate() {
                    let seconds = match pass {
                        0 => time(|| forward(&x, shape, &weight, Some(&bias), algorithm, arithmetic)),
                        1 => time(|| backward_input(&dy, shape, &weight, algorithm, arithmetic)),
                        _ => time(|| backward_weight(&x, &dy, shape, algorithm, arithmetic)),
                    };
                    totals[pass][index] += seconds;
                    print!(
                        " {:6.2} ({:4.0})",
                        seconds * 1e3,
                        shape.flops() as f64 / seconds / 1e9
                    );
                }
            }
            print!(" | bias {:.2}", time(|| backward_bias(&dy, shape, isa)) * 1e3);
            let exact = forward(&x, shape, &weight, Some(&bias), Algorithm::Direct, isa);
            let exact_weight = backward_weight(&x, &dy, shape, Algorithm::Direct, isa);
            print!(" | off");
            for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
                let y = forward(&x, shape, &weight, Some(&bias), algorithm, arithmetic);
                let dw = backward_weight(&x, &dy, shape, algorithm, arithmetic);
                print!(" {:.1e} {:.1e}", apart(&y, &exact), apart(&dw, &exact_weight));
            }
            println!();
        }
        println!(
            "{name} totals in ms, forward, backward input, backward weight: {:.1?}",
            totals.map(|t| t.map(|t| t * 1e3))
        );
    }
}
