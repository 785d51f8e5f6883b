//! What a detector of two networks can do beside the paper's: maps averaged over mirror images, weights averaged over steps.

use candle_core::{Device, Tensor};
use flawforge_models::{Detector, Discriminative, Draem, Flips, Parameters, Reconstructive};
use flawforge_ops::Mode;
use image::RgbImage;
use image::imageops::{flip_horizontal, flip_vertical};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CPU: Device = Device::Cpu;
const FLIPS: [Flips; 3] = [Flips::Horizontal, Flips::Vertical, Flips::Both];

/// Untrained networks: their maps are anything but symmetric.
fn detector(flips: Option<Flips>) -> Draem {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let reconstructive = Reconstructive::new(4, rng, &CPU).unwrap();
    let discriminative = Discriminative::new(4, rng, &CPU).unwrap();
    let draem = Draem::new(&reconstructive, &discriminative, 64, 32)
        .unwrap()
        .with_reconstructions();
    match flips {
        Some(flips) => draem.with_flips(flips),
        None => draem,
    }
}

fn picture(seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    RgbImage::from_fn(64, 32, |_, _| image::Rgb(rng.random()))
}

fn map(detector: &Draem, image: &RgbImage) -> Vec<f32> {
    detector.detect(&[image]).unwrap().remove(0).map.scores
}

fn mirrored(map: &[f32], across: bool, down: bool) -> Vec<f32> {
    let at = |place: usize| {
        let (x, y) = (place % 64, place / 64);
        let (x, y) = (if across { 63 - x } else { x }, if down { 31 - y } else { y });
        map[64 * y + x]
    };
    (0..map.len()).map(at).collect()
}

#[test]
fn a_mirrored_image_has_exactly_the_mirrored_map() {
    let image = picture(5);
    for flips in FLIPS {
        let detector = detector(Some(flips));
        let own = map(&detector, &image);
        if flips != Flips::Vertical {
            let found = map(&detector, &flip_horizontal(&image));
            assert!(found == mirrored(&own, true, false), "{flips:?}");
        }
        if flips != Flips::Horizontal {
            let found = map(&detector, &flip_vertical(&image));
            assert!(found == mirrored(&own, false, true), "{flips:?}");
        }
    }
    // Without flips the networks tell left from right.
    let plain = detector(None);
    let found = map(&plain, &flip_horizontal(&image));
    assert_ne!(found, mirrored(&map(&plain, &image), true, false));
}

#[test]
fn a_symmetric_image_has_an_exactly_symmetric_map() {
    let noise = picture(6);
    let across = RgbImage::from_fn(64, 32, |x, y| *noise.get_pixel(x.min(63 - x), y));
    let down = RgbImage::from_fn(64, 32, |x, y| *noise.get_pixel(x, y.min(31 - y)));
    let turned = RgbImage::from_fn(64, 32, |x, y| {
        if y < 16 {
            *noise.get_pixel(x, y)
        } else {
            *noise.get_pixel(63 - x, 31 - y)
        }
    });
    for (flips, image, symmetry) in [
        (Flips::Horizontal, &across, (true, false)),
        (Flips::Vertical, &down, (false, true)),
        (Flips::Both, &across, (true, false)),
        (Flips::Both, &down, (false, true)),
        (Flips::Both, &turned, (true, true)),
    ] {
        let found = map(&detector(Some(flips)), image);
        assert!(
            found == mirrored(&found, symmetry.0, symmetry.1),
            "{flips:?} {symmetry:?}"
        );
        let plain = map(&detector(None), image);
        assert_ne!(plain, mirrored(&plain, symmetry.0, symmetry.1));
    }
}

#[test]
fn the_map_is_the_mean_of_the_passes_and_an_image_counts_the_same_in_any_batch() {
    let (image, other) = (picture(7), picture(8));
    let plain = detector(None);
    let passes = [
        map(&plain, &image),
        mirrored(&map(&plain, &flip_horizontal(&image)), true, false),
    ];
    let flipped = detector(Some(Flips::Horizontal));
    let found = flipped.detect(&[&other, &image, &other]).unwrap().remove(1);
    for (place, score) in found.map.scores.iter().enumerate() {
        assert!((score - (passes[0][place] + passes[1][place]) / 2.0).abs() < 1e-6);
    }
    let alone = flipped.detect(&[&image]).unwrap().remove(0);
    assert_eq!((found.score, &found.map), (alone.score, &alone.map));
    // The picture of the image itself, not an average of pictures.
    let reconstruction = plain.detect(&[&image]).unwrap().remove(0).reconstruction;
    assert!(reconstruction.is_some() && found.reconstruction == reconstruction);
}

#[test]
fn parameters_approach_others_weights_and_running_statistics_alike() {
    let rng = &mut ChaCha8Rng::seed_from_u64(9);
    let own = Reconstructive::new(2, rng, &CPU).unwrap();
    let other = Reconstructive::new(2, rng, &CPU).unwrap();
    let image = Tensor::rand(0f32, 1f32, (1, 32, 32, 3), &CPU).unwrap();
    for _ in 0..3 {
        other.forward(&image, Mode::Train).unwrap();
    }
    let numbers = |parameters: &Parameters| -> Vec<(String, Vec<f32>)> {
        parameters
            .specification()
            .iter()
            .filter_map(|spec| {
                let var = parameters.var(&spec.name).ok()?;
                Some((spec.name.clone(), var.flatten_all().ok()?.to_vec1().ok()?))
            })
            .collect()
    };
    let (before, target) = (numbers(own.parameters()), numbers(other.parameters()));
    own.parameters().approach(other.parameters(), 0.25).unwrap();
    let after = numbers(own.parameters());
    assert!(after.iter().any(|(name, _)| name.ends_with("running_var")));
    for ((name, after), ((_, before), (_, target))) in after.iter().zip(before.iter().zip(&target)) {
        for (after, (before, target)) in after.iter().zip(before.iter().zip(target)) {
            assert!((after - (0.75 * before + 0.25 * target)).abs() < 1e-5, "{name}");
        }
    }
    assert_eq!(own.parameters().batches_seen(), 3);
    own.parameters().approach(other.parameters(), 1.0).unwrap();
    assert!(numbers(own.parameters()) == target);
    // Nothing is shared: the target goes on alone.
    other.forward(&image, Mode::Train).unwrap();
    assert!(numbers(own.parameters()) == target);
    let wider = Reconstructive::new(3, rng, &CPU).unwrap();
    assert!(own.parameters().approach(wider.parameters(), 0.5).is_err());
}
