//! Whole networks on a GPU beside the processor's: `cargo test --release --features cuda -p flawforge-models --test gpu`.
//! Without a GPU the tests skip.
#![cfg(feature = "cuda")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use flawforge_models::patchcore::{COARSE, FeatureExtractor, MemoryBank, OFFICIAL_STRIDES, Stages};
use flawforge_models::{
    CenterCrop, Detector, EfficientNetLite, EfficientNetLiteKind, NsaDetector, NsaNetwork, ResNet,
    ResNetKind, bytes_to_tensor, imagenet_normalized,
};
use flawforge_ops::{Mode, Precision, Tape, bce_loss, cuda};
use flawforge_testing::{Need, skip};
use image::{Rgb, RgbImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// cuDNN is measured by one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[track_caller]
fn gpu() -> Option<Device> {
    match cuda::device(0) {
        Ok(device) => Some(device),
        Err(fault) => {
            skip(Need::Gpu, &fault.to_string());
            None
        }
    }
}

fn picture(side: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let level = |k: u32| ((x * (k + 3) + y * (5 - k) + seed * 37 + x * y / (k + 2)) % 251) as u8;
        Rgb([level(0), level(1), level(2)])
    })
}

fn close(what: &str, tolerance: f32, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len(), "{what}: length");
    let largest = expected
        .iter()
        .fold(1e-12f32, |most, value| most.max(value.abs()));
    let farthest = (expected.iter().zip(found))
        .map(|(expected, found)| (expected - found).abs())
        .fold(0f32, |most, difference| {
            if difference.is_nan() {
                f32::INFINITY
            } else {
                most.max(difference)
            }
        });
    assert!(
        farthest <= tolerance * largest,
        "{what}: {farthest} apart, the largest number is {largest}"
    );
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// One training step's map, loss and gradients, by name.
fn nsa_step(device: &Device) -> BTreeMap<String, Vec<f32>> {
    let network = NsaNetwork::new(16, &mut ChaCha8Rng::seed_from_u64(5), device).unwrap();
    let pictures: Vec<RgbImage> = (0..4).map(|seed| picture(128, seed)).collect();
    let images = bytes_to_tensor(&pictures.iter().collect::<Vec<_>>(), device).unwrap();
    let images = imagenet_normalized(&images).unwrap();
    let labels: Vec<f32> = (0..4 * 128 * 128)
        .map(|i| f32::from(u8::from(i / 128 % 128 < 40 && i % 128 > 70)))
        .collect();
    let labels = Tensor::from_vec(labels, (4, 128, 128, 1), device).unwrap();
    let tape = Tape::record();
    let map = network.forward(&images, Mode::Train).unwrap();
    let loss = bce_loss(&map, &labels).unwrap();
    assert!(!tape.is_empty(), "the operators ran as kernels");
    let gradients = tape.backward(&[(&loss, 1.0)]).unwrap();
    let mut found = BTreeMap::from([
        ("map".to_owned(), values(&map)),
        ("loss".to_owned(), values(&loss)),
    ]);
    for (name, variable) in network.parameters().trainable() {
        let gradient = gradients
            .get(&variable)
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        found.insert(format!("gradient of {name}"), values(gradient));
    }
    found
}

#[test]
fn a_training_step_of_nsa_agrees() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(device) = gpu() else { return };
    let expected = nsa_step(&Device::Cpu);
    for (precision, of_map, of_gradients) in [(Precision::F32, 1e-3, 2e-2), (Precision::Tf32, 3e-2, 0.6)] {
        let _precision = precision.scope();
        let found = nsa_step(&device);
        assert_eq!(expected.len(), found.len(), "{precision}");
        // Rounding changes which side of a ReLU some numbers lie on, and with it single numbers of the gradients much. So it is
        // the length of each gradient's error that is bounded, small ones beside the usual length.
        let length = |numbers: &[f32]| numbers.iter().map(|n| f64::from(n * n)).sum::<f64>().sqrt();
        let gradients = expected.iter().filter(|(name, _)| name.starts_with("gradient"));
        let mut lengths: Vec<f64> = gradients.map(|(_, gradient)| length(gradient)).collect();
        lengths.sort_by(f64::total_cmp);
        let usual = lengths[lengths.len() / 2];
        let mut farthest = 0f64;
        for ((name, expected), (other, found)) in expected.iter().zip(&found) {
            assert_eq!(name, other);
            if name.starts_with("gradient") {
                let error: Vec<f32> = expected.iter().zip(found).map(|(a, b)| a - b).collect();
                let share = length(&error) / length(expected).max(usual / 10.0);
                farthest = farthest.max(share);
                assert!(
                    share <= of_gradients,
                    "{precision}, {name}: {share} of its length away"
                );
            } else {
                close(&format!("{precision}, {name}"), of_map, expected, found);
            }
        }
        println!("{precision}: gradients are at most {farthest:.4} of their length away");
    }
}

#[test]
fn steps_of_nsa_in_bfloat16_run_and_repeat_their_bits() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(device) = gpu() else { return };
    for precision in [Precision::Tf32, Precision::Bf16] {
        let _precision = precision.scope();
        let (first, second) = (nsa_step(&device), nsa_step(&device));
        for (name, first) in &first {
            assert!(
                first.iter().all(|value| value.is_finite()),
                "{precision}, {name}: not finite"
            );
            assert!(*first == second[name], "{precision}, {name}: other bits");
        }
    }
}

#[test]
fn nsas_detector_agrees() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(device) = gpu() else { return };
    let detect = |device: &Device| {
        let _precision = Precision::F32.scope();
        let network = NsaNetwork::new(16, &mut ChaCha8Rng::seed_from_u64(5), device).unwrap();
        let detector = NsaDetector::new(&network, CenterCrop::whole(96, 96)).unwrap();
        let mut found = detector.detect(&[&picture(96, 1)]).unwrap();
        let found = found.pop().unwrap();
        (found.map.scores, found.score)
    };
    let (expected, found) = (detect(&Device::Cpu), detect(&device));
    close("map", 1e-3, &expected.0, &found.0);
    close("score", 1e-3, &[expected.1], &[found.1]);
}

#[test]
fn patchcores_features_and_neighbors_agree() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(device) = gpu() else { return };
    for kind in [ResNetKind::ResNet18, ResNetKind::WideResNet50] {
        let features = |device: &Device| {
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            let network = ResNet::new(kind, COARSE, &mut rng, device).unwrap();
            let stages = Stages {
                network,
                device: device.clone(),
                strides: OFFICIAL_STRIDES.to_vec(),
            };
            // 112 is odd after four halvings.
            let found = stages.features(&[&picture(112, 1), &picture(112, 2)]).unwrap();
            let maps = found.iter().map(|map| (map.dims().to_vec(), values(map)));
            maps.collect::<Vec<_>>()
        };
        let (expected, found) = (features(&Device::Cpu), features(&device));
        for (stage, (expected, found)) in (2..).zip(expected.iter().zip(&found)) {
            assert_eq!(expected.0, found.0, "{kind:?}, stage {stage}");
            close(&format!("{kind:?}, stage {stage}"), 1e-4, &expected.1, &found.1);
        }
        // Given the same features, neighbours are the same.
        let (shape, vectors) = &expected[0];
        let length = shape[3];
        let half = vectors.len() / 2;
        let bank = MemoryBank::new(&vectors[..half], length).unwrap();
        let wanted = bank.nearest(&vectors[half..]).unwrap();
        let found = bank.on(&device).unwrap().nearest(&vectors[half..]).unwrap();
        assert_eq!(wanted, found, "{kind:?}");
    }
}

#[test]
fn efficientnet_lites_features_agree_and_are_the_same_alone_and_in_a_batch() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(device) = gpu() else { return };
    const STRIDES: [usize; 4] = [2, 4, 8, 16];
    // The processor's products are f32 here; on a GPU they are in any case.
    let _precision = Precision::F32.scope();
    for kind in EfficientNetLiteKind::ALL {
        let network = || EfficientNetLite::new(kind, 5, &mut ChaCha8Rng::seed_from_u64(6)).unwrap();
        let (here, there) = (network(), network().on(&device).unwrap());
        // Even sides have one row of zeros, behind the image; 99 is odd at first and after two halvings.
        for side in [128, 99] {
            let pictures = [picture(side, 1), picture(side, 2), picture(side, 3)];
            let all: Vec<&RgbImage> = pictures.iter().collect();
            let expected = here.features(&all, &STRIDES).unwrap();
            let found = there.features(&all, &STRIDES).unwrap();
            let alone = there.features(&all[1..2], &STRIDES).unwrap();
            for (stride, ((expected, found), alone)) in
                STRIDES.iter().zip(expected.iter().zip(&found).zip(&alone))
            {
                let what = format!("{kind:?}, {side} pixels, stride {stride}");
                assert_eq!(expected.dims(), found.dims(), "{what}");
                let (expected, found, alone) = (values(expected), values(found), values(alone));
                assert!(
                    expected.iter().any(|value| value.abs() > 1e-3),
                    "{what}: nothing to compare"
                );
                close(&what, 1e-4, &expected, &found);
                let of_image = alone.len();
                assert!(
                    alone == found[of_image..2 * of_image],
                    "{what}: other bits in a batch"
                );
            }
        }
    }
}
