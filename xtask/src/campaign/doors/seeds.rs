//! What the fuzz targets begin with: small files of every kind, sound ones mostly, made here.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use flawforge::augment::Selection;
use flawforge::files;
use flawforge::training::{Experiment, Method, Product, Profile};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{Door, request};

/// A selection as `flawforge select` writes it, and a default.
const SELECTION: &str = r#"[part]
transparent = true
opaque = { on = true, source = "proposal" }
near_distribution = { on = false, source = "proposal" }
rotate_normals = { on = true, source = "proposal" }
fill = "edge"
light = { blur = 0.6, brightness = [0.9, 1.1], gamma = [0.9, 1.1], noise = 0.1, probability = 0.5, white_balance = 0.02 }

[default]
transparent = true
"#;

/// Tensors of more bytes are left out of the checkpoint that is a seed.
const SMALL: u64 = 300;

/// A sound archive of two small files in a top folder, as `cargo xtask download` unpacks it.
pub fn sound_archive() -> Vec<u8> {
    gz(&archive(&[
        ("things/images/a/1.jpg", EntryType::Regular),
        ("things/images/b/2.jpg", EntryType::Regular),
    ]))
}

/// Writes the seeds of all doors below a folder, a folder for each door.
///
/// # Errors
/// When one cannot be made or written.
pub fn write_seeds(folder: &Path) -> Result<()> {
    for door in Door::ALL {
        let folder = folder.join(door.name());
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for (name, bytes) in seeds(door)? {
            files::write(&folder.join(name), &bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn seeds(door: Door) -> Result<Seeds> {
    match door {
        Door::Image => images(),
        Door::Mask => masks(),
        Door::Region => regions(),
        Door::Selection => Ok(vec![named("kinds.toml", SELECTION.as_bytes())]),
        Door::Settings => settings(),
        Door::Checkpoint => checkpoint(),
        Door::Pickle => pickles(),
        Door::Archive => Ok(archives()),
        Door::Result => Ok(vec![named("result.json", RESULT.as_bytes())]),
        Door::Request => requests(),
    }
}

fn named(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), bytes.to_vec())
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

fn rgb(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 9) as u8, (y * 13) as u8, (x * y) as u8])
    })
}

fn images() -> Result<Seeds> {
    let color = DynamicImage::ImageRgb8(rgb(24, 16));
    let gray = DynamicImage::ImageLuma8(color.to_luma8());
    let kinds = [
        ("png", ImageFormat::Png),
        ("jpg", ImageFormat::Jpeg),
        ("bmp", ImageFormat::Bmp),
        ("tif", ImageFormat::Tiff),
        ("webp", ImageFormat::WebP),
        ("ppm", ImageFormat::Pnm),
    ];
    let mut seeds = Vec::new();
    for (end, format) in kinds {
        seeds.push((format!("color.{end}"), encoded(&color, format)?));
        if format != ImageFormat::WebP {
            seeds.push((format!("gray.{end}"), encoded(&gray, format)?));
        }
    }
    for (end, format) in [("png", ImageFormat::Png), ("tif", ImageFormat::Tiff)] {
        seeds.push((
            format!("deep.{end}"),
            encoded(&DynamicImage::ImageRgb16(color.to_rgb16()), format)?,
        ));
        seeds.push((
            format!("alpha.{end}"),
            encoded(&DynamicImage::ImageRgba8(color.to_rgba8()), format)?,
        ));
    }
    seeds.push((
        "float.tif".to_owned(),
        encoded(&DynamicImage::ImageRgb32F(color.to_rgb32f()), ImageFormat::Tiff)?,
    ));
    Ok(seeds)
}

/// A white square on black, of the size of the image that it lies beside.
fn square() -> GrayImage {
    GrayImage::from_fn(24, 16, |x, y| {
        Luma([if (4..9).contains(&x) && (5..11).contains(&y) {
            255
        } else {
            0
        }])
    })
}

fn masks() -> Result<Seeds> {
    let square = DynamicImage::ImageLuma8(square());
    let mut seeds = Vec::new();
    for (end, format) in [
        ("png", ImageFormat::Png),
        ("bmp", ImageFormat::Bmp),
        ("tif", ImageFormat::Tiff),
        ("pgm", ImageFormat::Pnm),
    ] {
        seeds.push((format!("square.{end}"), encoded(&square, format)?));
    }
    let deep = DynamicImage::ImageLuma16(square.to_luma16());
    seeds.push(("deep.png".to_owned(), encoded(&deep, ImageFormat::Png)?));
    let alpha = DynamicImage::ImageLumaA8(square.to_luma_alpha8());
    seeds.push(("alpha.png".to_owned(), encoded(&alpha, ImageFormat::Png)?));
    Ok(seeds)
}

fn regions() -> Result<Seeds> {
    let square = DynamicImage::ImageLuma8(square());
    let polygons = json!({"width": 24, "height": 16, "polygons": [[[2, 2], [20.5, 3], [12, 14]]]});
    let labelme = json!({
        "imageWidth": 24, "imageHeight": 16,
        "shapes": [
            {"label": "a", "shape_type": "polygon", "points": [[2, 2], [20, 3], [12, 14]]},
            {"label": "b", "shape_type": "rectangle", "points": [[1, 1], [5, 6]]},
        ],
    });
    Ok(vec![
        ("roi.png".to_owned(), encoded(&square, ImageFormat::Png)?),
        named("polygons.json", polygons.to_string().as_bytes()),
        named("labelme.json", labelme.to_string().as_bytes()),
    ])
}

fn settings() -> Result<Seeds> {
    let profile = Profile::builtin("smoke")?;
    let mut seeds = vec![named(
        "short.toml",
        b"[schedule]\nlength = \"8 steps\"\n[every]\ncheckpoint = 3\n[simulation.kinds.near-distribution]\ndifference = 20.0\n",
    )];
    for method in [Method::LinYan, Method::Nsa, Method::PatchCore, Method::Forge] {
        let product = Product::new("part", Selection::default());
        let whole = Experiment::new(method, &profile, &product, 0)?.to_toml()?;
        seeds.push((format!("{method}.toml"), whole.into_bytes()));
    }
    Ok(seeds)
}

/// A real checkpoint with its small tensors alone: it opens, and cannot detect.
fn checkpoint() -> Result<Seeds> {
    let folder = tempfile::tempdir()?;
    request::train_briefly(folder.path()).map_err(anyhow::Error::msg)?;
    let bytes = fs::read(folder.path().join("checkpoint.safetensors"))?;
    let (length, rest) = bytes.split_first_chunk::<8>().context("too short")?;
    let (header, tensors) = rest.split_at(usize::try_from(u64::from_le_bytes(*length))?);
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header)?;
    let mut kept = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, mut entry) in header {
        if name != "__metadata__" {
            let place: (u64, u64) = serde_json::from_value(entry["data_offsets"].clone())?;
            if place.1 - place.0 > SMALL || data.len() > 2000 {
                continue;
            }
            let begin = data.len();
            data.extend_from_slice(&tensors[usize::try_from(place.0)?..usize::try_from(place.1)?]);
            entry["data_offsets"] = json!([begin, data.len()]);
        }
        kept.insert(name, entry);
    }
    let header = serde_json::to_vec(&kept)?;
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    Ok(vec![("small.safetensors".to_owned(), file)])
}

/// The files that PyTorch wrote for the tests.
fn pickles() -> Result<Seeds> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/models/tests/golden");
    let read = |name: &str| -> Result<(String, Vec<u8>)> {
        let path = golden.join(name);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok((name.to_owned(), bytes))
    };
    Ok(vec![read("zip.pth")?, read("legacy.pth")?])
}

fn archive(entries: &[(&str, EntryType)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, kind) in entries {
        let data: &[u8] = if *kind == EntryType::Regular {
            b"bytes of an image"
        } else {
            b""
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        // The builder would refuse names that a hostile archive has.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut one = Builder::new(Vec::new());
        // Nothing fails in memory; and a seed that lacks an entry would only be a poorer one.
        let _ = one.append(&header, data);
        let mut bytes = one.into_inner().unwrap_or_default();
        bytes.truncate(512 + data.len().div_ceil(512) * 512);
        tar.extend_from_slice(&bytes);
    }
    tar.extend_from_slice(&[0; 1024]);
    tar
}

fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    match encoder.write_all(plain) {
        Ok(()) => encoder.finish().unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

fn archives() -> Seeds {
    let sound = archive(&[("things/images/a/1.jpg", EntryType::Regular)]);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    let xz = match xz.write_all(&sound) {
        Ok(()) => xz.finish().unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let hostile = archive(&[
        ("things/", EntryType::Directory),
        ("../../outside", EntryType::Regular),
        ("things/link", EntryType::Symlink),
    ]);
    vec![
        ("sound.tar.gz".to_owned(), sound_archive()),
        ("sound.tar.xz".to_owned(), xz),
        ("hostile.tar.gz".to_owned(), gz(&hostile)),
    ]
}

const RESULT: &str = r#"{"method": "lin-yan", "category": "gear", "seed": 0, "profile": "smoke", "steps": 8,
"train_seconds": 1.5, "image_auroc": 0.9, "pixel_ap": 0.5, "image_size": 64, "train_images": 12, "test_images": 15,
"data": "demo", "textures": "procedural", "config_hash": "00"}"#;

fn requests() -> Result<Seeds> {
    let png = encoded(&DynamicImage::ImageRgb8(rgb(8, 8)), ImageFormat::Png)?;
    let post = |path: &str, headers: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let part = [
        &b"--x\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n"[..],
        &png,
        b"\r\n--x--\r\n",
    ]
    .concat();
    let score = "/v1/runs/gear/score";
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").into_bytes();
    let chunked = [
        format!("POST {score} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", png.len()).as_bytes(),
        &png,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    Ok(vec![
        ("health".to_owned(), get("/health")),
        ("run".to_owned(), get("/v1/runs/gear")),
        ("runs".to_owned(), get("/v1/runs")),
        ("metrics".to_owned(), get("/metrics")),
        ("png".to_owned(), post(score, "content-type: image/png\r\n", &png)),
        (
            "parts".to_owned(),
            post(score, "content-type: multipart/form-data; boundary=x\r\n", &part),
        ),
        (
            "query".to_owned(),
            post(&format!("{score}?name=a.png&map=true"), "", &png),
        ),
        ("chunked".to_owned(), chunked),
    ])
}
