//! Makes the pictures of this crate's documentation, from the generated demo data alone.
//!
//! ```text
//! cargo run --release -p flawforge-augment --example gallery -- [OUT_DIR]
//! ```
//!
//! `steps.png` is the way to a transparent anomaly; `kinds.png` the kinds of Lin & Yan on two products, above their
//! masks; `others.png` the kinds of other methods. Each is also written as text (`.base64`), which the crate's documentation
//! embeds, so that its pictures show wherever the documentation is built. Without a folder the committed files are written anew.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::prelude::*;
use flawforge_augment::{
    AnomalySimulator, CutOut, CutPaste, ForeignPatch, MaskGenerator, NearDistribution, Nsa, NsaSettings,
    Opaque, Perlin, ProceduralTextures, Simulated, Stream, TextureBank, TextureOperations, TextureSource,
    Transparent, to_bytes,
};
use flawforge_datasets::{Loading, demo};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{GrayImage, ImageEncoder, Rgb, RgbImage, imageops};

/// Side of a picture and the gap between two, px.
const SIDE: u32 = 112;
const GAP: u32 = 4;

fn stream(index: u64) -> Stream {
    Stream {
        seed: 3,
        step: 0,
        index,
    }
}

fn colored(mask: &GrayImage) -> RgbImage {
    RgbImage::from_fn(mask.width(), mask.height(), |x, y| {
        Rgb([mask.get_pixel(x, y).0[0]; 3])
    })
}

/// Pictures in rows, on white, with 32 shades a channel so that the file stays small.
fn sheet(rows: &[Vec<RgbImage>]) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let length = |count: u32| count * (SIDE + GAP) - GAP.min(count * GAP);
    let mut sheet = RgbImage::from_pixel(length(columns), length(rows.len() as u32), Rgb([255; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, picture) in row.iter().enumerate() {
            let place = |at: usize| at as i64 * i64::from(SIDE + GAP);
            imageops::replace(&mut sheet, picture, place(x), place(y));
        }
    }
    for pixel in sheet.pixels_mut() {
        pixel.0 = pixel.0.map(|level| (level >> 3) << 3 | level >> 5);
    }
    sheet
}

fn save(sheet: &RgbImage, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive).write_image(
        sheet,
        sheet.width(),
        sheet.height(),
        image::ExtendedColorType::Rgb8,
    )?;
    std::fs::write(path, &bytes)?;
    std::fs::write(path.with_extension("base64"), BASE64_STANDARD.encode(&bytes))?;
    println!("{}: {} KiB", path.display(), bytes.len().div_ceil(1024));
    Ok(())
}

/// The first anomaly that covers between 2 and 12 percent of the picture.
fn clear(simulator: &dyn AnomalySimulator, normal: &RgbImage) -> Result<Simulated, String> {
    (0..200)
        .filter_map(|index| simulator.simulate(normal, &mut stream(index).rng("gallery")))
        .find(|made| (0.02..0.12).contains(&made.mask.coverage()))
        .ok_or_else(|| format!("{}: nothing to see", simulator.kind()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder)?;
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::default());
    let size = Loading::opencv(SIDE, SIDE);
    let connectors = demo::category("connector", &size, 0)?.train;
    let gears = demo::category("gear", &size, 0)?.train;
    let (connector, gear) = (connectors[0].image()?, gears[1].image()?);
    let (connector, gear) = (connector.as_ref(), gear.as_ref());

    // Normal image, mask, texture, changed texture, mixture.
    let transparent = Transparent::new(textures.clone());
    let mask = (0..100)
        .map(|index| Perlin::default().generate(SIDE, SIDE, &mut stream(index).rng("steps")))
        .find(|mask| (0.05..0.12).contains(&mask.coverage()))
        .ok_or("no mask of a middling size")?;
    let texture = textures.texture(SIDE, SIDE, &mut stream(4).rng("steps"));
    let changed = TextureOperations::default().apply(texture.clone(), &mut stream(6).rng("steps"));
    let shown = mask.clone();
    let drawn = Transparent {
        overlay: flawforge_augment::TextureOverlay {
            textures: Arc::new(TextureBank::new(vec![changed.clone()])?),
            operations: TextureOperations {
                count: 0,
                ..TextureOperations::default()
            },
            masks: Arc::new(move |_: u32, _: u32, _: &mut dyn rand::RngCore| shown.clone()),
            ..transparent.overlay.clone()
        },
        opacity: (0.7, 0.7),
    };
    let mixed = drawn
        .simulate(connector, &mut stream(0).rng("steps"))
        .ok_or("the mask is not empty")?;
    let steps = vec![
        connector.clone(),
        colored(&mask.to_luma8()),
        texture,
        changed,
        to_bytes(&mixed.image),
    ];
    save(&sheet(&[steps]), &folder.join("steps.png"))?;

    let lin_yan: [Box<dyn AnomalySimulator>; 3] = [
        Box::new(transparent),
        Box::new(Opaque::new(textures)),
        Box::new(NearDistribution::default()),
    ];
    let mut rows = Vec::new();
    for normal in [connector, gear] {
        let (mut images, mut masks) = (vec![normal.clone()], vec![RgbImage::new(SIDE, SIDE)]);
        for simulator in &lin_yan {
            let made = clear(&**simulator, normal)?;
            images.push(to_bytes(&made.image));
            masks.push(colored(&made.mask.to_luma8()));
        }
        rows.extend([images, masks]);
    }
    save(&sheet(&rows), &folder.join("kinds.png"))?;

    let sources: Arc<dyn TextureSource> = Arc::new(TextureBank::new(
        connectors
            .iter()
            .skip(1)
            .map(|normal| Ok(normal.image()?.into_owned()))
            .collect::<Result<_, Box<dyn Error>>>()?,
    )?);
    let others: [Box<dyn AnomalySimulator>; 4] = [
        Box::new(CutPaste::default()),
        Box::new(Nsa {
            sources: Some(sources.clone()),
            ..Nsa::new(NsaSettings::default())
        }),
        Box::new(CutOut::default()),
        Box::new(ForeignPatch::new(sources)),
    ];
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for simulator in &others {
        let made = clear(&**simulator, connector)?;
        images.push(to_bytes(&made.image));
        masks.push(colored(&made.mask.to_luma8()));
    }
    save(&sheet(&[images, masks]), &folder.join("others.png"))
}
