//! Comparison with imgaug, Pillow and OpenCV (`tests/golden/operations.py`).

use flawforge_resample::resize::bilinear_rgb;
use image::RgbImage;
use serde_json::Value;

use super::{ColorSpace, TextureOperation};

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2)
        .map(|k| u8::from_str_radix(&text[2 * k..2 * k + 2], 16).unwrap())
        .collect()
}

fn golden() -> (Value, RgbImage) {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/operations.json")).unwrap();
    let side = |name: &str| golden[name].as_u64().unwrap() as u32;
    let image = RgbImage::from_raw(side("width"), side("height"), bytes(&golden["image"])).unwrap();
    (golden, image)
}

fn operation(case: &Value) -> TextureOperation {
    let float = |name: &str| case[name].as_f64().unwrap() as f32;
    let int = |name: &str| case[name].as_i64().unwrap() as i32;
    match case["operation"].as_str().unwrap() {
        "gamma" => TextureOperation::Gamma {
            gammas: std::array::from_fn(|c| case["gammas"][c].as_f64().unwrap() as f32),
        },
        "brightness" => TextureOperation::Brightness {
            space: ColorSpace::ALL
                .into_iter()
                .find(|space| case["space"] == format!("{space:?}"))
                .unwrap(),
            multiply: float("multiply"),
            add: float("add"),
            multiply_first: case["multiply_first"].as_bool().unwrap(),
        },
        "sharpness" => TextureOperation::Sharpness {
            factor: float("factor"),
        },
        "hue_saturation" => TextureOperation::HueSaturation {
            hue: int("hue"),
            saturation: int("saturation"),
        },
        "solarize" => TextureOperation::Solarize {
            threshold: Some(int("threshold") as u8),
        },
        "posterize" => TextureOperation::Posterize {
            bits: int("bits") as u8,
        },
        "invert" => TextureOperation::Invert,
        "auto_contrast" => TextureOperation::AutoContrast {
            cutoff: int("cutoff") as u8,
        },
        "equalize" => TextureOperation::Equalize,
        "rotate" => TextureOperation::Rotate {
            degrees: float("degrees"),
        },
        other => panic!("unknown operation {other}"),
    }
}

/// Largest difference: nothing but floating-point conversions between colour spaces may round otherwise.
fn tolerance(operation: &TextureOperation) -> u8 {
    match operation {
        TextureOperation::Brightness {
            space: ColorSpace::YCrCb | ColorSpace::Yuv,
            ..
        } => 0,
        TextureOperation::Brightness { .. } | TextureOperation::HueSaturation { .. } => 1,
        _ => 0,
    }
}

#[test]
fn every_operation_equals_its_original() {
    let (golden, image) = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 35);
    let mut faults = Vec::new();
    for case in cases {
        let operation = operation(case);
        let mut result = image.clone();
        operation.apply(&mut result);
        let expected = bytes(&case["result"]);
        let differences: Vec<u8> = result
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .collect();
        let worst = differences.iter().max().copied().unwrap();
        let many = differences.iter().filter(|&&d| d > 0).count();
        if worst > tolerance(&operation) || many * 10 > differences.len() {
            faults.push(format!(
                "{operation:?}: {many} of {} differ, by up to {worst}",
                differences.len()
            ));
        }
        assert_eq!(differences.len(), expected.len());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn textures_are_resized_as_opencv_does() {
    let (golden, image) = golden();
    for case in golden["resized"].as_array().unwrap() {
        let side = |name: &str| case[name].as_u64().unwrap() as u32;
        let result = bilinear_rgb(&image, side("width"), side("height"));
        assert_eq!(
            result.into_raw(),
            bytes(&case["result"]),
            "{}x{}",
            side("width"),
            side("height")
        );
    }
}
