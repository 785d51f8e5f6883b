//! Which of cuDNN's engines is how fast for the convolutions of DRAEM's networks at the paper's size.
//!
//! `cargo run --release --features cuda -p flawforge-ops --example conv_engines -- [PRECISION] [compiled]`
//!
//! A line for every shape and pass: the fastest engine, TFLOP/s, and all times in milliseconds. `compiled` includes
//! engines that cuDNN compiles first. The last line adds up a training step.

use flawforge_ops::{Precision, cuda};

/// (side, in, out) and how often it occurs in both networks: R of width 128, S of width 64, 256 px.
const LAYERS: [((usize, usize, usize), usize); 25] = [
    ((256, 8, 128), 1),
    ((256, 128, 128), 4),
    ((256, 128, 8), 1),
    ((128, 128, 256), 1),
    ((128, 256, 256), 3),
    ((128, 256, 128), 1),
    ((64, 256, 512), 1),
    ((64, 512, 512), 3),
    ((64, 512, 256), 2),
    ((32, 512, 1024), 1),
    ((32, 1024, 1024), 3),
    ((32, 1024, 512), 1),
    ((16, 1024, 1024), 2),
    ((256, 8, 64), 1),
    ((256, 64, 64), 4),
    ((256, 64, 8), 1),
    ((128, 64, 128), 1),
    ((128, 128, 128), 3),
    ((128, 128, 64), 1),
    ((64, 128, 256), 1),
    ((64, 256, 256), 3),
    ((32, 256, 512), 1),
    ((32, 512, 512), 3),
    ((16, 512, 512), 4),
    ((8, 512, 512), 2),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let precision: Precision = arguments.next().as_deref().unwrap_or("bf16").parse()?;
    let compiled = arguments.next().is_some();
    let device = cuda::device(0)?;
    let mut step = [0.0; 3];
    for ((side, ci, co), times) in LAYERS {
        let found = cuda::engines(&device, (8, side, side, ci, co), precision, compiled)?;
        let flop = 2.0 * (8 * side * side * ci * co * 9) as f64;
        for ((pass, mut engines), step) in ["forward", "input", "filters"]
            .into_iter()
            .zip(found)
            .zip(&mut step)
        {
            engines.sort_by(|a, b| a.milliseconds.total_cmp(&b.milliseconds));
            let Some(best) = engines.first() else {
                println!("{side} px {ci} to {co} {pass}: no engine");
                continue;
            };
            *step += times as f64 * f64::from(best.milliseconds);
            let all: Vec<String> = engines.iter().map(|e| format!("{:.3}", e.milliseconds)).collect();
            println!(
                "{side:>3} px {ci:>4} to {co:<4} {pass:<8} {:>4.0} TFLOP/s  {} MB  {:<50} {}",
                flop / f64::from(best.milliseconds) / 1e9,
                best.workspace >> 20,
                best.name,
                all.join(" ")
            );
        }
    }
    println!(
        "a step: forward {:.2}, gradients of inputs {:.2}, of filters {:.2} ms",
        step[0], step[1], step[2]
    );
    Ok(())
}
