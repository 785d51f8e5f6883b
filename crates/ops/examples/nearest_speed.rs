//! Milliseconds of the nearest neighbours of 3,328 vectors among 4,000, 152 numbers each: those of an image in forge.
//!
//! cargo run --release -p flawforge-ops --example nearest_speed

use std::time::Instant;

use candle_core::Result;
use flawforge_ops::vectors::{Bank, Panels};

const LENGTH: usize = 152;
const VECTORS: usize = 4000;
const QUERIES: usize = 3328;

/// Vectors that differ mostly along few directions, as those of images do: the variance along the k-th is as 1 to k^1.2.
fn vectors(count: usize, seed: u64) -> Vec<f32> {
    let noise = |state: u64| {
        let state = (state ^ (state >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
        let state = (state ^ (state >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let directions: Vec<f32> = (0..LENGTH * LENGTH)
        .map(|place| noise(7_000_000 + place as u64))
        .collect();
    let mut vectors = vec![0.0; count * LENGTH];
    for (number, vector) in vectors.chunks_exact_mut(LENGTH).enumerate() {
        for (rank, direction) in directions.chunks_exact(LENGTH).enumerate() {
            let part = noise(seed + 1_000_003 * number as u64 + rank as u64) / (1.0 + rank as f32).powf(0.6);
            for (value, along) in vector.iter_mut().zip(direction) {
                *value += part * along;
            }
        }
    }
    vectors
}

fn main() -> Result<()> {
    let bank = Bank::new(Panels::new(&vectors(VECTORS, 1), LENGTH));
    let queries = vectors(QUERIES, 99_000_001);
    let mut least = f64::INFINITY;
    for _ in 0..30 {
        let begun = Instant::now();
        std::hint::black_box(bank.nearest(&queries)?);
        least = least.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    let products = (QUERIES * VECTORS * LENGTH) as f64;
    println!(
        "{least:.2} ms, {:.1} million products a ms",
        products / 1e6 / least
    );
    Ok(())
}
