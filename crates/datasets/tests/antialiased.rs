//! The antialiased resize against Pillow.

use flawforge_datasets::Resizing;
use image::RgbImage;
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
fn antialiased_is_pillows_within_a_level() {
    let cases: Value = serde_json::from_str(include_str!("golden/antialiased.json")).expect("JSON");
    let cases = cases.as_array().expect("a list");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let ((w, h), target) = (pair(&case["source"]), pair(&case["target"]));
        let image = RgbImage::from_raw(w, h, numbers(&case["input"])).expect("sizes fit");
        let expected = numbers(&case["output"]);
        let out = Resizing::antialiased(target.0, target.1).apply(&image);
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
