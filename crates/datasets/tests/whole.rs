//! A picture is whole when all its rows are there, wherever its end marker is and whatever follows.

use std::fs;
use std::path::{Path, PathBuf};

use flawforge_datasets::{DatasetError, Limits, PixelScale, Remark, load_picture, load_rgb};
use image::RgbImage;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(golden().join(name)).expect("a golden picture")
}

/// The pictures with their mean colors as Pillow reads them.
fn expected() -> Vec<(String, [f64; 3])> {
    let text = String::from_utf8(bytes("expected.txt")).expect("text");
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name").to_owned();
        let mut mean = [0.0; 3];
        for (value, word) in mean.iter_mut().zip(words) {
            *value = word.parse().expect("a number");
        }
        (name, mean)
    };
    text.lines().map(line).collect()
}

/// Writes and reads a file: its pixels and what is said of it.
fn read(content: &[u8]) -> Result<(RgbImage, Vec<Remark>), DatasetError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), content).expect("written");
    let read = load_picture(file.path(), &Limits::default(), &PixelScale::default())?;
    Ok((
        read.image,
        read.notes.into_iter().map(|note| note.remark).collect(),
    ))
}

#[test]
fn pictures_of_every_kind_are_read_and_further_ones_are_said() {
    for (name, mean) in expected() {
        let (image, remarks) = read(&bytes(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(image.dimensions(), (45, 29), "{name}");
        for (channel, mean) in mean.into_iter().enumerate() {
            let sum: f64 = image.pixels().map(|pixel| f64::from(pixel[channel])).sum();
            let found = sum / f64::from(45 * 29);
            assert!(
                (found - mean).abs() < 0.6,
                "{name}: channel {channel} is {found}, not {mean}"
            );
        }
        let further = match name.as_str() {
            "frames.webp" | "frames.png" => vec![Remark::Further { what: "frames" }],
            "pages.tif" => vec![Remark::Further { what: "pages" }],
            _ => vec![],
        };
        assert_eq!(remarks, further, "{name}");
    }
}

/// A tail of bytes as phones append it: with markers of scans and ends in it, and such that look like nothing.
fn tail() -> Vec<u8> {
    let mut tail: Vec<u8> = (0..700u32).map(|i| (i * 73 % 255) as u8).collect();
    for (at, marker) in [(100, 0xd9), (300, 0xda), (500, 0xd8)] {
        tail[at..at + 2].copy_from_slice(&[0xff, marker]);
    }
    tail
}

fn jpegs() -> impl Iterator<Item = (String, Vec<u8>)> {
    let all = expected().into_iter().map(|(name, _)| name);
    all.filter(|name| name.ends_with(".jpg")).map(|name| {
        let content = bytes(&name);
        (name, content)
    })
}

#[test]
fn a_jpeg_is_whole_whatever_follows_and_without_its_marker() {
    for (name, whole) in jpegs() {
        let (image, remarks) = read(&whole).expect("read");
        assert!(remarks.is_empty(), "{name}: {remarks:?}");
        let open = &whole[..whole.len() - 2];
        for (content, said) in [
            ([&whole, tail().as_slice()].concat(), vec![]),
            (open.to_vec(), vec![Remark::NoEnd]),
            ([open, tail().as_slice()].concat(), vec![Remark::NoEnd]),
            ([whole.as_slice(), &[0; 600]].concat(), vec![]),
            (whole.repeat(2), vec![Remark::Further { what: "pictures" }]),
        ] {
            let (same, remarks) = read(&content).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(same == image && remarks == said, "{name}: {remarks:?}");
        }
    }
}

#[test]
fn a_cut_jpeg_is_found_also_where_an_end_was_put_behind_it() {
    for (name, whole) in jpegs() {
        // The data are cut away from their last bytes on, which hold rows.
        for length in 3..whole.len() - 6 {
            let cut = &whole[..length];
            for end in [&[][..], &[0xff, 0xd9], &[0xff, 0xd9, 0, 0, 0]] {
                let content = [cut, end].concat();
                let error = read(&content).err().map(|e| e.to_string());
                let error = error.unwrap_or_else(|| panic!("{name} cut at {length} was read"));
                assert_eq!(error.lines().count(), 1, "{error}");
            }
        }
        // Halved and filled up, with junk or with zeros.
        let half = whole.len() - (whole.len() - header_of(&whole)) / 2;
        for filling in [
            tail(),
            vec![0; whole.len() - half],
            [vec![0; 400], vec![0xff, 0xd9]].concat(),
        ] {
            let content = [&whole[..half], filling.as_slice(), &[0xff, 0xd9]].concat();
            // One color throughout is coded so that zeros continue it.
            if name != "flat.jpg" {
                assert!(
                    read(&content).is_err(),
                    "{name} filled up with {} bytes was read",
                    filling.len()
                );
            }
        }
    }
}

/// Where the first scan begins.
fn header_of(jpeg: &[u8]) -> usize {
    jpeg.windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .expect("a scan")
}

#[test]
fn a_png_without_its_end_is_read_and_one_without_rows_is_not() {
    let mut whole = Vec::new();
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * y) as u8, x as u8, (x ^ y) as u8]))
        .write_to(&mut std::io::Cursor::new(&mut whole), image::ImageFormat::Png)
        .expect("encoded");
    let (image, _) = read(&whole).expect("read");
    let end = &whole[whole.len() - 12..];
    for length in [whole.len() - 12, whole.len() - 5] {
        let (same, remarks) = read(&whole[..length]).expect("read");
        assert!(same == image && remarks == [Remark::NoEnd]);
    }
    assert_eq!(
        read(&[&whole, tail().as_slice()].concat()).expect("read"),
        (image, vec![])
    );
    for length in (8..whole.len() - 20).step_by(5) {
        assert!(
            read(&[&whole[..length], end].concat()).is_err(),
            "cut at {length}"
        );
        assert!(read(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn other_kinds_that_are_cut_are_refused() {
    for name in [
        "lossy.webp",
        "frames.webp",
        "palette.tif",
        "ycbcr.tif",
        "rgb-jpeg.tif",
        "group4.tif",
    ] {
        let whole = bytes(name);
        let (image, _) = read(&whole).expect("read");
        for length in 0..whole.len() {
            // What ends within the tail, a second frame or a table after the pixels, is whole.
            if let Ok((same, _)) = read(&whole[..length]) {
                assert!(same == image, "{name} cut at {length} shows another picture");
            }
        }
        assert!(
            read(&whole[..whole.len() / 2]).is_err() || name == "frames.webp",
            "{name}"
        );
    }
}

#[test]
fn the_endings_of_cameras_and_scanners_are_known() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let normal = dir.path().join("normal");
    fs::create_dir(&normal).expect("made");
    for ending in ["jfif", "JPE", "jpg"] {
        fs::write(
            normal.join(format!("photo-{ending}.{ending}")),
            bytes("baseline.jpg"),
        )
        .expect("written");
    }
    fs::write(normal.join("gray.pgm"), b"P5 2 2 255\n\x01\x02\x03\xff").expect("written");
    fs::write(normal.join("color.ppm"), b"P6 1 1 255\n\x01\x02\x03").expect("written");
    // 12 bits, by the header: the whole range.
    fs::write(normal.join("deep.pnm"), b"P5 2 1 4095\n\x0f\xff\x08\x00").expect("written");
    let files = flawforge_datasets::CategoryFiles::discover(dir.path()).expect("found");
    assert_eq!(files.train.len(), 6);
    let load = |name: &str| load_rgb(&normal.join(name), &Limits::default()).expect("read");
    assert_eq!(
        load("gray.pgm").as_raw(),
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 255, 255, 255]
    );
    assert_eq!(load("color.ppm").as_raw(), &[1, 2, 3]);
    assert_eq!(load("deep.pnm").as_raw(), &[255, 255, 255, 128, 128, 128]);
}
