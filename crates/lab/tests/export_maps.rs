//! Exported anomaly maps, read back and scored as an independent script scored them.

use flawforge::masks::Mask;
use flawforge::metrics::{AUPRO_LIMIT, PixelScores};
use flawforge::models::AnomalyMap;
use flawforge_lab::export_maps::{map_path, write_map};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tiff::decoder::{Decoder, DecodingResult};

/// Where tests/golden/exported_maps.py gets the files that this test writes.
const KEEP: &str = "FLAWFORGE_EXPORT_DIR";

fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Name, width and height of a category's images, and for each image its name and the rectangles (x, y, width, height) of
/// its ground truth.
type Boxes = &'static [(u32, u32, u32, u32)];
type Category = (&'static str, u32, u32, &'static [(&'static str, Boxes)]);

const CATEGORIES: [Category; 2] = [
    (
        "plate",
        60,
        44,
        &[
            ("dent/000", &[(5, 6, 20, 9), (40, 30, 12, 8)]),
            ("dent/001", &[(0, 0, 11, 11), (11, 11, 6, 6), (30, 5, 2, 2)]),
            ("good/000", &[]),
            ("good/001", &[]),
            ("scratch/000", &[(10, 20, 45, 3)]),
        ],
    ),
    ("ring", 32, 32, &[("cut/007", &[(3, 3, 9, 6)]), ("good/000", &[])]),
];

fn truth(width: u32, height: u32, boxes: Boxes) -> Mask {
    Mask::from_fn(width, height, |x, y| {
        boxes
            .iter()
            .any(|&(left, top, w, h)| (left..left + w).contains(&x) && (top..top + h).contains(&y))
    })
}

/// A map of 32 × 32 pixels that is higher where the truth is, with noise and values outside of [0, 1].
fn found(seed: u64, width: u32, height: u32, mask: &Mask) -> AnomalyMap {
    let scores = (0..32 * 32)
        .map(|place| {
            let (x, y) = (place % 32 * width / 32, place / 32 * height / 32);
            let noise = (splitmix64(seed, u64::from(place)) >> 40) as f32 / (1 << 24) as f32;
            3.0 * noise - 1.0 + if mask.get(x, y) { 0.8 } else { 0.0 }
        })
        .collect();
    AnomalyMap {
        width: 32,
        height: 32,
        scores,
    }
}

/// Writes all maps and masks below `root`.
fn write(root: &Path) {
    for (category, width, height, images) in CATEGORIES {
        for (index, (name, boxes)) in (0u64..).zip(images) {
            let mask = truth(width, height, boxes);
            let map = found(index + u64::from(width), width, height, &mask).resized(width, height);
            write_map(&map_path(&root.join("maps"), category, name), &map).unwrap();
            if !boxes.is_empty() {
                let file = root
                    .join("data")
                    .join(category)
                    .join("ground_truth")
                    .join(format!("{name}_mask.png"));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                mask.to_luma8().save(file).unwrap();
            }
        }
    }
}

fn read_map(path: &Path) -> (u32, u32, Vec<f32>) {
    let mut decoder = Decoder::new(File::open(path).unwrap()).unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    match decoder.read_image().unwrap() {
        DecodingResult::F32(scores) => (width, height, scores),
        _ => panic!("{}: not 32-bit floats", path.display()),
    }
}

#[test]
fn our_metrics_agree_with_an_independent_reading_of_the_files() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::var_os(KEEP).map_or(temporary.path().to_path_buf(), PathBuf::from);
    write(&root);
    let golden: Value = serde_json::from_str(include_str!("golden/exported_maps.json")).unwrap();
    for (category, width, height, images) in CATEGORIES {
        let mut scores = PixelScores::exact();
        for (index, (name, boxes)) in (0u64..).zip(images) {
            let path = root
                .join("maps")
                .join(category)
                .join("test")
                .join(format!("{name}.tiff"));
            let (w, h, map) = read_map(&path);
            assert_eq!((w, h), (width, height), "{name}");
            let mask = truth(width, height, boxes);
            let written = found(index + u64::from(width), width, height, &mask).resized(width, height);
            assert_eq!(map, written.scores, "{name}: floats must survive to the last bit");
            scores.push(&map, mask.pixels(), w as usize, h as usize).unwrap();
        }
        let ours = scores.finish(AUPRO_LIMIT).unwrap();
        let theirs = &golden[category];
        assert_eq!(theirs["maps"].as_u64(), Some(images.len() as u64));
        assert_eq!(theirs["regions"].as_u64(), Some(ours.components));
        for (figure, value) in [
            ("pixel_auroc", ours.auroc),
            ("pixel_ap", ours.average_precision),
            ("aupro", ours.aupro),
        ] {
            let expected = theirs[figure].as_f64().unwrap();
            assert!(
                (value - expected).abs() < 1e-6,
                "{category} {figure}: {value} {expected}"
            );
        }
    }
}
