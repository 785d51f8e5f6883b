//! The resize against OpenCV: committed golden values, exactly. (Real files: `crates/datasets/tests/resize_real.rs`.)

use flawforge_resample::resize;
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

#[test]
fn a_part_is_resized_like_an_image_of_its_own() {
    let image = RgbImage::from_fn(40, 30, |x, y| {
        image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y % 251) as u8])
    });
    for (from, size, to) in [
        ((3, 5), (20, 11), (13, 17)),
        ((8, 2), (12, 20), (6, 10)),
        ((0, 0), (7, 7), (7, 7)),
    ] {
        let part = image::imageops::crop_imm(&image, from.0, from.1, size.0, size.1).to_image();
        let mut out = RgbImage::new(to.0, to.1);
        resize::bilinear_rgb_part(&image, from, size, &mut out);
        assert_eq!(out, resize::bilinear_rgb(&part, to.0, to.1));
    }
}
