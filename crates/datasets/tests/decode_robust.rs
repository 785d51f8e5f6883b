//! Decoding: colour types as they come, limits before pixels, and every truncation an error or an image.

use std::path::{Path, PathBuf};

use flawforge_datasets::{DatasetError, Limits, load_gray, load_rgb};
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder, ImageFormat, Luma, LumaA, Rgb,
    Rgba,
};

/// A picture with structure, so that compressed streams are worth cutting.
fn value(x: u32, y: u32, c: u32) -> u8 {
    ((x * 7 + y * 13 + c * 50) ^ (x * y)) as u8
}

fn fixtures() -> Vec<(&'static str, DynamicImage)> {
    let (w, h) = (31, 22);
    let wide = |x, y, c| u16::from(value(x, y, c)) << 8 | 0x5a;
    vec![
        (
            "gray.png",
            ImageBuffer::from_fn(w, h, |x, y| Luma([value(x, y, 0)])).into(),
        ),
        (
            "gray_alpha.png",
            ImageBuffer::from_fn(w, h, |x, y| LumaA([value(x, y, 0), value(x, y, 1)])).into(),
        ),
        (
            "gray16.png",
            ImageBuffer::from_fn(w, h, |x, y| Luma([wide(x, y, 0)])).into(),
        ),
        (
            "rgb.png",
            ImageBuffer::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
        ),
        (
            "rgba.png",
            ImageBuffer::from_fn(w, h, |x, y| Rgba([0, 1, 2, 3].map(|c| value(x, y, c)))).into(),
        ),
        (
            "rgba16.png",
            ImageBuffer::from_fn(w, h, |x, y| Rgba([0, 1, 2, 3].map(|c| wide(x, y, c)))).into(),
        ),
        (
            "gray.jpg",
            ImageBuffer::from_fn(w, h, |x, y| Luma([value(x, y, 0)])).into(),
        ),
        (
            "rgb.jpeg",
            ImageBuffer::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
        ),
        (
            "rgb.bmp",
            ImageBuffer::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
        ),
        (
            "gray.bmp",
            ImageBuffer::from_fn(w, h, |x, y| Luma([value(x, y, 0)])).into(),
        ),
        (
            "gray16.tif",
            ImageBuffer::from_fn(w, h, |x, y| Luma([wide(x, y, 0)])).into(),
        ),
        (
            "rgb.tiff",
            ImageBuffer::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
        ),
        (
            "rgb.webp",
            ImageBuffer::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
        ),
    ]
}

fn save_all(dir: &Path) -> Vec<(PathBuf, DynamicImage)> {
    let save = |(name, image): (&str, DynamicImage)| {
        let path = dir.join(name);
        image.save(&path).expect("saved");
        (path, image)
    };
    fixtures().into_iter().map(save).collect()
}

#[test]
fn every_colour_type_becomes_rgb_and_grey() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (path, source) in save_all(dir.path()) {
        let (rgb, gray) = (
            load_rgb(&path, &Limits::default()),
            load_gray(&path, &Limits::default()),
        );
        let (rgb, gray) = (rgb.expect("loaded"), gray.expect("loaded"));
        assert_eq!(
            (rgb.dimensions(), gray.dimensions()),
            ((31, 22), (31, 22)),
            "{}",
            path.display()
        );
        let lossy = path
            .extension()
            .is_some_and(|e| e.to_string_lossy().starts_with("jp"));
        for (x, y, pixel) in rgb.enumerate_pixels() {
            let (expected, alpha) = match source.color().has_color() {
                true => ([0, 1, 2].map(|c| value(x, y, c)), value(x, y, 3)),
                false => ([value(x, y, 0); 3], value(x, y, 1)),
            };
            // Transparent pixels lie on black.
            let expected = match source.color() {
                ColorType::La8 | ColorType::Rgba8 => {
                    expected.map(|level| ((u32::from(level) * u32::from(alpha) + 127) / 255) as u8)
                }
                ColorType::Rgba16 => {
                    let alpha = u32::from(alpha) << 8 | 0x5a;
                    expected.map(|level| ((u32::from(level) * alpha + 32_767) / 65_535) as u8)
                }
                _ => expected,
            };
            if lossy {
                continue;
            }
            assert_eq!(pixel.0, expected, "{} at {x},{y}", path.display());
            let [r, g, b] = expected.map(f64::from);
            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
            assert!(
                (f64::from(gray.get_pixel(x, y)[0]) - luma).abs() <= 0.51,
                "{} at {x},{y}",
                path.display()
            );
        }
    }
}

#[test]
fn a_palette_is_looked_up() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("palette.bmp");
    let palette = [[9u8, 8, 7], [200, 100, 50]];
    let indices: Vec<u8> = (0..35).map(|i| i % 2).collect();
    let mut bytes = Vec::new();
    image::codecs::bmp::BmpEncoder::new(&mut bytes)
        .encode_with_palette(&indices, 7, 5, ExtendedColorType::L8, Some(&palette))
        .expect("encoded");
    std::fs::write(&path, bytes).expect("written");
    let image = load_rgb(&path, &Limits::default()).expect("loaded");
    assert_eq!(
        (image.get_pixel(0, 0).0, image.get_pixel(1, 0).0),
        (palette[0], palette[1])
    );
}

/// A camera held on its side: OpenCV turns the picture upright when it reads it, and so do we.
#[test]
fn the_orientation_of_the_camera_is_applied() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("turned.jpg");
    image::GrayImage::from_fn(32, 16, |x, _| Luma([if x < 16 { 20 } else { 220 }]))
        .save(&path)
        .expect("saved");
    let mut bytes = std::fs::read(&path).expect("read");
    // Exif: little-endian TIFF with one entry, orientation (0x112), a short, 6: turn a quarter clockwise.
    let exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    bytes.splice(2..2, exif.iter().copied());
    std::fs::write(&path, bytes).expect("written");
    let image = load_gray(&path, &Limits::default()).expect("loaded");
    assert_eq!(image.dimensions(), (16, 32));
    assert!(image.get_pixel(8, 2)[0] < 60 && image.get_pixel(8, 29)[0] > 180);
}

#[test]
fn the_content_decides_not_the_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("really_a_bmp.png");
    DynamicImage::new_rgb8(5, 3)
        .save_with_format(&path, ImageFormat::Bmp)
        .expect("saved");
    assert_eq!(
        load_rgb(&path, &Limits::default()).expect("loaded").dimensions(),
        (5, 3)
    );
}

#[test]
fn mvtec_like_sizes_load() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, w, h) in [("odd.jpg", 103, 222), ("square.jpg", 1024, 1024)] {
        let path = dir.path().join(name);
        image::GrayImage::from_fn(w, h, |x, y| Luma([((x + y) % 200) as u8]))
            .save(&path)
            .expect("saved");
        let image = load_rgb(&path, &Limits::default()).expect("loaded");
        assert_eq!(image.dimensions(), (w, h));
        assert!(image.pixels().all(|p| p[0] == p[1] && p[1] == p[2]));
    }
}

/// Cut at every n-th byte: an error or an image, never a panic; and no cut of the first nine tenths is an image.
#[test]
fn every_truncation_is_an_error_or_an_image() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cut = dir.path().join("cut");
    for (path, _) in save_all(dir.path()) {
        let bytes = std::fs::read(&path).expect("read");
        let step = (bytes.len() / 150).max(1);
        for length in (0..bytes.len()).step_by(step) {
            std::fs::write(&cut, &bytes[..length]).expect("written");
            let result = load_rgb(&cut, &Limits::default());
            if length < bytes.len() * 9 / 10 {
                let message = result.err().map(|e| e.to_string());
                let message = message.unwrap_or_else(|| panic!("{} cut at {length} loaded", path.display()));
                assert_eq!(message.lines().count(), 1, "{message}");
                assert!(message.starts_with(&cut.display().to_string()), "{message}");
            }
        }
    }
}

/// Random damage must not panic either. (Most of it goes unnoticed in formats without checksums, so nothing else is asserted
/// but that PNG, which has them, always notices damage to its pixel data.)
#[test]
fn damage_is_survived() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let broken = dir.path().join("broken");
    for (path, _) in save_all(dir.path()) {
        let bytes = std::fs::read(&path).expect("read");
        let is_png = path.extension().is_some_and(|e| e == "png");
        for i in (0..bytes.len()).step_by((bytes.len() / 100).max(1)) {
            let mut damaged = bytes.clone();
            damaged[i] ^= 0xa5;
            std::fs::write(&broken, &damaged).expect("written");
            let result = load_rgb(&broken, &Limits::default());
            // Signature and header take 33 bytes, the end chunk 12.
            if is_png && i > 60 && i + 12 < bytes.len() {
                assert!(result.is_err(), "{} damaged at {i} loaded", path.display());
            }
        }
    }
}

#[test]
fn limits_hold_before_pixels_are_allocated() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // A header that promises 4 billion pixels; nothing of the kind follows.
    let path = dir.path().join("bomb.png");
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(&[0; 3], 1, 1, ExtendedColorType::Rgb8)
        .expect("made");
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let error = load_rgb(&path, &Limits::default()).expect_err("too large");
    assert!(
        matches!(
            error,
            DatasetError::TooManyPixels {
                width: 60_000,
                height: 60_000,
                ..
            }
        ),
        "{error}"
    );

    let limits = Limits {
        max_file_bytes: 10,
        ..Limits::default()
    };
    let error = load_rgb(&path, &limits).expect_err("too long");
    assert!(matches!(error, DatasetError::FileTooLarge { .. }), "{error}");

    let small = dir.path().join("small.png");
    DynamicImage::new_rgb8(20, 3).save(&small).expect("saved");
    let limits = Limits {
        max_side: 19,
        ..Limits::default()
    };
    let error = load_gray(&small, &limits).expect_err("too wide").to_string();
    assert!(
        error.ends_with("small.png: too large: 20x3 pixels, the limit is 19 a side"),
        "{error}"
    );
    let limits = Limits {
        max_side: 20,
        ..Limits::default()
    };
    assert!(load_gray(&small, &limits).is_ok(), "the limit itself is allowed");
    let limits = Limits {
        max_pixels: 59,
        ..Limits::default()
    };
    let error = load_gray(&small, &limits).expect_err("too many").to_string();
    assert!(
        error.ends_with("small.png: too large: 20x3 pixels, the limit is 59 in all"),
        "{error}"
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}
