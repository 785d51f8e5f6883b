//! Milliseconds of the nearest neighbours of 3,328 vectors among 4,000, 152 numbers each: those of an image in forge.
//!
//! cargo run --release -p flawforge-ops --example nearest_speed

use std::time::Instant;

use candle_core::Result;
use flawforge_ops::vectors::{Bank, Panels};

const LENGTH: usize = 152;
const VECTORS: usize = 4000;
const QUERIES: usize = 3328;

/// Vectors around a few centers, as those of images are.
fn vectors(count: usize, seed: u64) -> Vec<f32> {
    let noise = |mut state: u64| {
        state = (state ^ (state >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
        state = (state ^ (state >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let number = |index: usize| {
        let (vector, place) = ((index / LENGTH) as u64, (index % LENGTH) as u64);
        let center = noise(vector % 40 * 1000 + place + 7_000_000);
        1.0 + center + 0.4 * noise(seed + 1_000_003 * vector + place)
    };
    (0..count * LENGTH).map(number).collect()
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
