//! The resize against OpenCV: committed golden values, exactly; and real files where they are at hand.

use std::path::Path;

use flawforge_datasets::{Limits, Loading, Resampling, load_gray, load_rgb, resize};
use image::{GrayImage, RgbImage};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<u8> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|v| u8::try_from(v.as_u64().expect("a number")).expect("a byte"))
        .collect()
}

fn pair(value: &Value) -> (u32, u32) {
    let side = |i: usize| u32::try_from(value[i].as_u64().expect("a number")).expect("a side");
    (side(0), side(1))
}

#[test]
fn equals_opencv_bit_for_bit() {
    let cases: Value = serde_json::from_str(include_str!("golden/resize.json")).expect("JSON");
    let cases = cases.as_array().expect("a list");
    assert!(cases.len() >= 14);
    for case in cases {
        let (input, expected) = (numbers(&case["input"]), numbers(&case["output"]));
        let ((w, h), (tw, th)) = (pair(&case["source"]), pair(&case["target"]));
        let out = match case["channels"].as_u64() {
            Some(1) => resize::bilinear_gray(&GrayImage::from_raw(w, h, input).expect("sizes fit"), tw, th)
                .into_raw(),
            _ => {
                resize::bilinear_rgb(&RgbImage::from_raw(w, h, input).expect("sizes fit"), tw, th).into_raw()
            }
        };
        assert_eq!(
            out, expected,
            "{} channels, {w}x{h} to {tw}x{th}",
            case["channels"]
        );
    }
}

#[test]
fn antialiased_is_pillows_within_a_level() {
    let cases: Value = serde_json::from_str(include_str!("golden/antialiased.json")).expect("JSON");
    for case in cases.as_array().expect("a list") {
        let ((w, h), target) = (pair(&case["source"]), pair(&case["target"]));
        let loading = Loading {
            image: target,
            mask: target,
            resampling: Resampling::Antialiased,
        };
        let image = RgbImage::from_raw(w, h, numbers(&case["input"])).expect("sizes fit");
        let expected = numbers(&case["output"]);
        let out = loading.resized(&image);
        assert_eq!(out.as_raw().len(), expected.len());
        let worst = out
            .as_raw()
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(1), "{w}x{h} to {target:?}: {worst:?}");
    }
}

#[test]
fn same_size_is_a_copy_and_empty_stays_empty() {
    let image = RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8, y as u8, 200]));
    assert_eq!(resize::bilinear_rgb(&image, 5, 4), image);
    assert_eq!(resize::bilinear_rgb(&image, 0, 4).dimensions(), (0, 4));
    assert!(
        resize::bilinear_rgb(&RgbImage::new(0, 0), 3, 3)
            .iter()
            .all(|&v| v == 0)
    );
}

/// 900x900 originals against copies that OpenCV has brought to 256x256.
#[test]
fn real_files_equal_their_twins_resized_by_opencv() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let (originals, twins) = (data.join("mvtec_originals/bottle"), data.join("mvtec256/bottle"));
    if !originals.is_dir() || !twins.is_dir() {
        println!("skipped: ../shared/data/mvtec_originals or mvtec256 absent");
        return;
    }
    let limits = Limits::default();
    for file in [
        "train/good/000.png",
        "test/good/000.png",
        "test/broken_large/000.png",
    ] {
        let original = load_rgb(&originals.join(file), &limits).expect("loaded");
        assert_eq!(original.dimensions(), (900, 900));
        let twin = load_rgb(&twins.join(file), &limits).expect("loaded");
        assert_close(
            resize::bilinear_rgb(&original, 256, 256).as_raw(),
            twin.as_raw(),
            file,
        );
    }
    let file = "ground_truth/broken_large/000_mask.png";
    let original = load_gray(&originals.join(file), &limits).expect("loaded");
    let twin = load_gray(&twins.join(file), &limits).expect("loaded");
    assert_close(
        resize::bilinear_gray(&original, 256, 256).as_raw(),
        twin.as_raw(),
        file,
    );
}

fn assert_close(ours: &[u8], theirs: &[u8], file: &str) {
    assert_eq!(ours.len(), theirs.len());
    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    let largest = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max();
    println!(
        "{file}: {differing} of {} values differ, by {largest:?} at most",
        ours.len()
    );
    assert!(largest <= Some(1), "{file}: differs by {largest:?}");
}
