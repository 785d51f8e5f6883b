//! EfficientNet-Lite against PyTorch: on weights that both sides make by formula (`golden/efficientnet_lite.py`, where the rule
//! is written down), and on trained weights where they are at hand.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use flawforge_models::{EfficientNetLite, EfficientNetLiteKind, ModelError, ParameterSpec, Role, pytorch};
use flawforge_testing::{Need, skip};
use image::RgbImage;
use rand::SeedableRng;
use serde_json::Value;

const SAMPLES: usize = 16;
/// The last stage that the golden values know.
const LAST: usize = 5;
/// Names the folder of trained weights.
const VARIABLE: &str = "FLAWFORGE_EFFICIENTNET";

/// Splitmix64 of (stream, element), in [0, 1).
fn uniform(stream: u64, count: usize) -> Vec<f64> {
    (1..=count as u64)
        .map(|index| {
            let mut z = index
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(stream.wrapping_mul(0xD134_2543_DE82_EF95));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 11) as f64 / (1u64 << 53) as f64
        })
        .collect()
}

fn image(width: u32, height: u32) -> RgbImage {
    let bytes = uniform(1000, width as usize * height as usize * 3);
    let bytes = bytes.into_iter().map(|u| (256.0 * u) as u8).collect();
    RgbImage::from_raw(width, height, bytes).unwrap()
}

/// Whether a scale is the last of a block with a shortcut: a block whose input has as many channels, and that does not begin
/// its stage with a stride. Stages change their channels, so channels alone tell.
fn ends_shortcut(specification: &[ParameterSpec], name: &str) -> bool {
    let Some(block) = name.strip_suffix("._bn2.weight") else {
        return false;
    };
    let weight = |part: &str| {
        let name = format!("{block}.{part}.weight");
        specification.iter().find(|spec| spec.name == name)
    };
    match (weight("_expand_conv"), weight("_project_conv")) {
        (Some(expand), Some(project)) => expand.shape[1] == project.shape[0],
        _ => false,
    }
}

fn weights(specification: &[ParameterSpec]) -> HashMap<String, Tensor> {
    let counted = specification.iter().filter(|spec| spec.role != Role::BatchCount);
    counted
        .enumerate()
        .map(|(stream, spec)| {
            let (center, scale) = match spec.role {
                Role::FanOutWeight | Role::DepthwiseWeight => {
                    let fan_in: usize = spec.shape[1..].iter().product();
                    (0.0, (6.0 / fan_in as f64).sqrt())
                }
                Role::RunningVar => (1.0, 0.5),
                Role::UnitNormWeight => (1.0, 0.2),
                _ => (0.0, 0.2),
            };
            let factor = if ends_shortcut(specification, &spec.name) {
                0.25
            } else {
                1.0
            };
            let values: Vec<f32> = uniform(stream as u64, spec.shape.iter().product())
                .into_iter()
                .map(|u| (factor * (center + scale * (2.0 * u - 1.0))) as f32)
                .collect();
            let tensor = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).unwrap();
            (spec.name.clone(), tensor)
        })
        .collect()
}

/// The largest difference from the golden values, relative to their root mean square.
fn largest_difference(network: &EfficientNetLite, expected: &Value) -> f64 {
    let mut largest = 0f64;
    let cases = expected.as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let side = |name: &str| case[name].as_u64().unwrap() as u32;
        let strides = [16, 4, 8];
        let maps = network
            .features(&[&image(side("width"), side("height"))], &strides)
            .unwrap();
        for (stride, map) in strides.into_iter().zip(maps) {
            let expected = &case["strides"][stride.to_string()];
            let values: Vec<f32> = map.flatten_all().unwrap().to_vec1().unwrap();
            let sides = [side("height"), side("width")].map(|side| side.div_ceil(stride as u32) as usize);
            assert_eq!(map.dims()[1..3], sides);
            assert_eq!(values.len() as u64, expected["count"].as_u64().unwrap());
            let rms = expected["rms"].as_f64().unwrap();
            let mut meet = |found: f64, expected: &Value| {
                let difference = (found - expected.as_f64().unwrap()).abs() / rms;
                assert!(difference.is_finite());
                largest = largest.max(difference);
            };
            let count = values.len() as f64;
            let sum = |power: i32| values.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>();
            meet(sum(1) / count, &expected["mean"]);
            meet((sum(2) / count).sqrt(), &expected["rms"]);
            for (index, sample) in expected["samples"].as_array().unwrap().iter().enumerate() {
                meet(f64::from(values[index * (values.len() / SAMPLES)]), sample);
            }
        }
    }
    largest
}

#[test]
fn features_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("golden/efficientnet_lite.json")).unwrap();
    for kind in EfficientNetLiteKind::ALL {
        let tensors = weights(&EfficientNetLite::specification(kind, LAST));
        let network = EfficientNetLite::from_tensors(kind, LAST, &tensors).unwrap();
        let difference = largest_difference(&network, &golden["networks"][kind.key()]);
        println!("{}: {difference:e}", kind.key());
        assert!(difference < 2e-5, "{}: {difference}", kind.key());
    }
}

#[test]
fn features_of_trained_weights_are_pytorchs() {
    let Some(folder) = std::env::var_os(VARIABLE) else {
        skip(
            Need::Peer,
            &format!("{VARIABLE} does not name a folder of trained weights"),
        );
        return;
    };
    let files: Vec<_> = std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pth"))
        .collect();
    for kind in EfficientNetLiteKind::ALL {
        let of_kind = |path: &&std::path::PathBuf| path.to_string_lossy().contains(kind.key());
        let Some(path) = files.iter().find(of_kind) else {
            skip(
                Need::Peer,
                &format!("{VARIABLE}: no file of {} is there", kind.key()),
            );
            continue;
        };
        let golden = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let network = EfficientNetLite::from_tensors(kind, LAST, &pytorch::read(path).unwrap()).unwrap();
        let difference = largest_difference(&network, &golden["networks"][kind.key()]);
        println!("{}, trained: {difference:e}", kind.key());
        assert!(difference < 1e-3, "{}: {difference}", kind.key());
    }
}

#[test]
fn features_are_the_same_alone_and_in_a_batch_for_any_number_of_threads() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let network = EfficientNetLite::new(EfficientNetLiteKind::Lite0, LAST, &mut rng).unwrap();
    let images = [image(70, 45), RgbImage::new(70, 45), image(70, 45)];
    let bits = |threads: usize, images: &[&RgbImage]| -> Vec<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let maps = pool.install(|| network.features(images, &[4, 8, 16])).unwrap();
        let values = |map: &Tensor| map.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        maps.iter()
            .map(|map| values(map).into_iter().map(f32::to_bits).collect())
            .collect()
    };
    let batch = bits(1, &images.each_ref());
    assert!(batch == bits(3, &images.each_ref()));
    for (alone, batch) in bits(2, &[&images[0]]).iter().zip(&batch) {
        assert!(alone.iter().any(|&bits| bits != 0));
        assert_eq!(alone[..], batch[..alone.len()]);
        assert_eq!(alone[..], batch[2 * alone.len()..]);
    }
    // The same image as numbers in [0, 1].
    let tensor = flawforge_models::bytes_to_tensor(&[&images[0]], &Device::Cpu).unwrap();
    let other = network.features_of(&tensor, &[16]).unwrap();
    let same = network.features(&[&images[0]], &[16]).unwrap();
    let distance = (&other[0] - &same[0]).unwrap().abs().unwrap().max_all().unwrap();
    assert!(distance.to_scalar::<f32>().unwrap() < 1e-4);
}

#[test]
fn what_is_missing_is_named() {
    let kind = EfficientNetLiteKind::Lite1;
    let mut tensors = weights(&EfficientNetLite::specification(kind, 2));
    tensors.remove("_blocks.2._bn1.running_mean");
    let fault = EfficientNetLite::from_tensors(kind, 2, &tensors).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "tensor \"_blocks.2._bn1.running_mean\" is missing"
    );
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let network = EfficientNetLite::new(kind, 2, &mut rng).unwrap();
    let fault = network.features(&[&image(16, 16)], &[4, 8]).unwrap_err();
    assert!(matches!(fault, ModelError::Stride { stride: 8 }));
    assert!(matches!(network.features(&[], &[4]), Err(ModelError::NoImages)));
    assert!(network.features(&[&RgbImage::new(0, 0)], &[4]).is_err());
}
