//! Simulates anomalies of every kind on a generated surface, or on a given image, and writes PNG files.
//!
//! ```text
//! cargo run --release -p flawforge-augment --example simulate -- OUT_DIR [IMAGE]
//! ```
//!
//! For every kind three pairs are written: `KIND-N.png` and `KIND-N-mask.png`, beside `normal.png`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use flawforge_augment::{Constants, Kind, Materials, ProceduralTextures, Stream, TextureSource, to_bytes};
use image::{Rgb, RgbImage};

/// A woven surface with uneven threads and light.
fn weave(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let across = (x * 0.55 + 0.6 * (y * 0.05).sin()).sin();
        let along = (y * 0.55 + 0.6 * (x * 0.04).cos()).sin();
        let light = 1.0 - 0.25 * (x + y) / (2.0 * side as f32);
        let value = light * (125.0 + 45.0 * across.max(along) + 20.0 * across * along);
        Rgb([value as u8, (0.9 * value) as u8, (0.7 * value) as u8])
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments.next().ok_or("usage: simulate OUT_DIR [IMAGE]")?;
    let normal = match arguments.next() {
        Some(path) => image::open(path)?.into_rgb8(),
        None => weave(256),
    };
    std::fs::create_dir_all(&out)?;
    normal.save(out.join("normal.png"))?;

    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::default());
    let materials = Materials::from(textures);
    for kind in Kind::ALL {
        let constants = Constants::of(kind).ok_or("the house makes every kind of the list")?;
        let simulator = constants.simulator(&materials);
        // A mask is empty now and then; go on to the next stream.
        let made = (0..100)
            .filter_map(|index| {
                simulator.simulate(
                    &normal,
                    &mut Stream {
                        seed: 1,
                        step: 0,
                        index,
                    }
                    .rng("example"),
                )
            })
            .take(3);
        for (number, made) in made.enumerate() {
            to_bytes(&made.image).save(out.join(format!("{kind}-{number}.png")))?;
            made.mask
                .to_luma8()
                .save(out.join(format!("{kind}-{number}-mask.png")))?;
            println!(
                "{kind} {number}: {:.1} % of the pixels",
                100.0 * made.mask.coverage()
            );
        }
    }
    Ok(())
}
