//! Milliseconds that EfficientNet-Lite takes for one image of 256×256, up to stage 5, with random weights.
//!
//! cargo run --release -p flawforge-models --example efficientnet_speed

use std::time::Instant;

use flawforge_models::{EfficientNetLite, EfficientNetLiteKind};
use rand::SeedableRng;

fn main() -> Result<(), flawforge_models::ModelError> {
    let image = image::RgbImage::from_fn(256, 256, |x, y| {
        image::Rgb([x as u8, y as u8, (3 * x + 5 * y) as u8])
    });
    for kind in EfficientNetLiteKind::ALL {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let network = EfficientNetLite::new(kind, 5, &mut rng)?;
        let mut times = Vec::new();
        for _ in 0..60 {
            let begun = Instant::now();
            std::hint::black_box(network.features(&[&image], &[8, 16])?);
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{}: least {:.2} ms, median {:.2} ms",
            kind.key(),
            times[0],
            times[times.len() / 2]
        );
    }
    Ok(())
}
