//! Every detector takes images of any size, and scores them as it scores images that were prepared by hand.

use std::sync::Arc;

use candle_core::Device;
use flawforge_models::patchcore::{
    COARSE, Embedding, FeatureExtractor, MemoryBank, OFFICIAL_STRIDES, PatchCore, Scoring, Stages,
};
use flawforge_models::{
    AnomalyMap, CenterCrop, Detector, Discriminative, Draem, NsaDetector, NsaNetwork, Reconstructive, ResNet,
    ResNetKind,
};
use flawforge_resample::resize;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const CPU: Device = Device::Cpu;

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (x * 5 % 251) as u8,
            (y * 3 % 241) as u8,
            if x > y { 200 } else { 40 },
        ])
    })
}

fn triangle(image: &RgbImage, side: u32) -> RgbImage {
    imageops::resize(image, side, side, FilterType::Triangle)
}

/// What `inspect` says of images of several sizes is what `detect` says of them at the detector's size, by `resized`.
fn check(detector: &dyn Detector, resized: impl Fn(&RgbImage) -> RgbImage) {
    let (width, height) = detector.input_size();
    let images = [picture(150, 97), picture(width, height), picture(40, 200)];
    let inspected = detector.inspect(&images.iter().collect::<Vec<_>>()).unwrap();
    let prepared: Vec<RgbImage> = images.iter().map(resized).collect();
    let detected = detector.detect(&prepared.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((inspected.len(), detected.len()), (3, 3));
    for ((image, inspected), detected) in images.iter().zip(&inspected).zip(&detected) {
        assert_eq!(detector.prepare(image).dimensions(), (width, height));
        assert_eq!(inspected.score.to_bits(), detected.score.to_bits());
        let AnomalyMap { width, height, .. } = inspected.map;
        assert_eq!((width, height), image.dimensions());
        assert_eq!(inspected.map, detected.map.resized(width, height));
    }
    assert!(detector.inspect(&[]).unwrap().is_empty());
}

#[test]
fn draem_reads_images_as_opencv_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let reconstructive = Reconstructive::new(2, &mut rng, &CPU).unwrap();
    let discriminative = Discriminative::new(2, &mut rng, &CPU).unwrap();
    let draem = Draem::new(&reconstructive, &discriminative, 64, 32).unwrap();
    check(&draem, |image| resize::bilinear_rgb(image, 64, 32));
}

#[test]
fn nsa_sees_the_centre_of_antialiased_images() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let network = NsaNetwork::new(8, &mut rng, &CPU).unwrap();
    let detector = NsaDetector::new(&network, CenterCrop::square(73, 64, 64)).unwrap();
    check(&detector, |image| triangle(image, 73));
}

#[test]
fn patchcore_sees_the_centre_of_antialiased_images() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let network = ResNet::new(ResNetKind::ResNet18, COARSE, &mut rng, &CPU).unwrap();
    let extractor = Stages {
        network,
        device: CPU,
        strides: OFFICIAL_STRIDES.to_vec(),
    };
    let (embedding, crop) = (Embedding { size: 16 }, CenterCrop::square(80, 64, 48));
    let normal = crop.cropped(&triangle(&picture(90, 90), 80));
    let features = extractor.features(&[&normal]).unwrap();
    let patches = embedding.patches(&features).unwrap().remove(0);
    let bank = MemoryBank::new(&patches.vectors, embedding.size).unwrap();
    let detector = PatchCore::new(Arc::new(extractor), embedding, bank, crop, Scoring::default()).unwrap();
    check(&detector, |image| triangle(image, 80));
}
