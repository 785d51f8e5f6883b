//! Criterion benchmarks of the crates; run one with `cargo bench -p flawforge-benches --bench metrics`.
//!
//! `metrics`: a whole category of pixels. `masks`: Perlin noise. `augment`: simulated anomalies.
//! `operators`: the networks' operators, forward and backward. `resample`: antialiased resizing.
