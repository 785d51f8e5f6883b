//! The steps of the paper against scikit-image, and what is made of them.

use image::Rgb;
use serde_json::Value;

use super::*;
use crate::{Stream, to_float};

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2)
        .map(|k| u8::from_str_radix(&text[2 * k..2 * k + 2], 16).unwrap())
        .collect()
}

fn mask(value: &Value) -> Mask {
    let rows: Vec<&str> = value
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_str().unwrap())
        .collect();
    Mask::from_fn(rows[0].len() as u32, rows.len() as u32, |x, y| {
        rows[y as usize].as_bytes()[x as usize] == b'1'
    })
}

#[test]
fn every_step_equals_scikit_image() {
    let golden: Value =
        serde_json::from_str(include_str!("../../../tests/golden/near_distribution.json")).unwrap();
    let image = RgbImage::from_raw(40, 32, bytes(&golden["image"])).unwrap();
    // 8 px at the golden image's shorter side of 32.
    let simulator = NearDistribution {
        block: 64.0,
        ..NearDistribution::default()
    };
    for case in golden["cases"].as_array().unwrap() {
        let int = |name: &str| case[name].as_u64().unwrap() as u32;
        let float = |name: &str| case[name].as_f64().unwrap() as f32;
        let distortion = Distortion {
            x: int("x0"),
            y: int("y0"),
            width: int("w"),
            height: int("h"),
            axis: if case["axis"] == "horizontal" {
                Axis::Horizontal
            } else {
                Axis::Vertical
            },
            amplitude: float("amplitude"),
            wavelength: float("wavelength"),
            phase: float("phase"),
            envelope: case["envelope"].as_bool().unwrap(),
        };
        let expected = bytes(&case["distorted"]);
        let distorted = distortion.apply(&image);
        let differing = distorted.iter().zip(&expected).filter(|(a, b)| a != b).count();
        let worst = distorted.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(
            worst <= Some(1) && differing <= 3,
            "{differing} differ, by up to {worst:?}"
        );
        // The later steps on the golden result of the first, so that each is checked alone.
        let distorted = RgbImage::from_raw(40, 32, expected).unwrap();
        let changed = simulator.changed(&image, &distorted);
        assert_eq!(changed, mask(&case["changed"]));
        let dense = simulator.dense(&changed);
        assert_eq!(dense, mask(&case["mask"]));
        assert!(!dense.is_empty() && dense.count() < changed.count());
    }
}

/// Grey stripes of 12 px with an oblique bright bar: a surface with edges in every direction.
fn structured(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = if (x * 256 / width / 12).is_multiple_of(2) {
            90
        } else {
            150
        };
        let bar = (x + 2 * y) % 97 < 9;
        let cross = (y * 256 / height / 20).is_multiple_of(3);
        Rgb(if bar {
            [210, 200, 190]
        } else if cross {
            [60, stripe, stripe]
        } else {
            [stripe; 3]
        })
    })
}

#[test]
fn statistics_on_a_structured_image() {
    for (width, height) in [(256, 256), (128, 128), (103, 222)] {
        let image = structured(width, height);
        let one_try = NearDistribution {
            tries: 1,
            ..NearDistribution::default()
        };
        let mut coverages = Vec::new();
        for index in 0..200 {
            let made = one_try.simulate(
                &image,
                &mut Stream {
                    seed: 4,
                    step: 0,
                    index,
                }
                .rng(""),
            );
            coverages.extend(made.map(|made| made.mask.coverage()));
        }
        // Regular classes of MVTec AD (grid, cable, carpet): every try succeeds, median 3 to 5 %, 95 % at 6 to 9 %.
        coverages.sort_by(f64::total_cmp);
        let median = coverages[coverages.len() / 2];
        let high = coverages[coverages.len() * 95 / 100];
        assert!(coverages.len() >= 190, "{width}x{height}: {}", coverages.len());
        assert!((0.015..0.08).contains(&median), "{width}x{height}: {median}");
        assert!((0.04..0.2).contains(&high), "{width}x{height}: {high}");
    }
}

#[test]
fn the_label_is_what_was_replaced() {
    let image = structured(96, 80);
    let made = NearDistribution::default()
        .simulate(&image, &mut Stream::default().rng(""))
        .unwrap();
    let normal = to_float(&image);
    for (x, y, pixel) in made.image.enumerate_pixels() {
        let before = normal.get_pixel(x, y).0;
        let change = (0..3).map(|c| (pixel.0[c] - before[c]).abs()).sum::<f32>() / 3.0;
        assert_eq!(change * 255.0 > 15.0, made.mask.get(x, y), "({x}, {y})");
    }
}

#[test]
fn a_plain_surface_has_nothing_to_bend() {
    let plain = RgbImage::from_pixel(64, 64, Rgb([120, 130, 140]));
    assert!(
        NearDistribution::default()
            .simulate(&plain, &mut Stream::default().rng(""))
            .is_none()
    );
    for (width, height) in [(0, 0), (1, 1), (3, 2)] {
        let tiny = RgbImage::new(width, height);
        assert!(
            NearDistribution::default()
                .simulate(&tiny, &mut Stream::default().rng(""))
                .is_none()
        );
    }
}

#[test]
fn masks_keep_to_the_object() {
    // The left half is plain ground at level 200, but for a pattern that would be distorted as well.
    let image = RgbImage::from_fn(96, 96, |x, y| {
        let dark = (x / 5 + y / 6) % 2 == 0;
        Rgb(if x < 48 {
            [if dark { 180 } else { 220 }; 3]
        } else {
            [if dark { 40 } else { 110 }; 3]
        })
    });
    let simulator = NearDistribution {
        background: Some(Background::new(200.0, 60.0)),
        ..NearDistribution::default()
    };
    let (mut beside, mut made) = (0, 0);
    for index in 0..60 {
        let stream = Stream {
            seed: 0,
            step: 0,
            index,
        };
        if let Some(anomaly) = simulator.simulate(&image, &mut stream.rng("")) {
            assert!((0..96).all(|y| (0..46).all(|x| !anomaly.mask.get(x, y))));
            made += 1;
        }
        if let Some(anomaly) = NearDistribution::default().simulate(&image, &mut stream.rng("")) {
            beside += usize::from((0..96).any(|y| (0..46).any(|x| anomaly.mask.get(x, y))));
        }
    }
    assert!(made > 30 && beside > 30, "{made} {beside}");
}
