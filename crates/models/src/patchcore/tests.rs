//! Every step against PyTorch, scipy or its definition (`tests/golden/patchcore.py`).

use std::sync::Arc;

use candle_core::{Device, Tensor};
use image::{Rgb, RgbImage};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::*;
use crate::{AnomalyMap, CenterCrop, Detector, ModelError, ResNet, ResNetKind, bytes_to_tensor};

/// Some of an array's numbers, by step, and the mean of their sizes.
#[derive(Deserialize)]
struct Sample {
    step: usize,
    values: Vec<f64>,
    mean: f64,
}

impl Sample {
    /// Asserts that `found` agrees to `tolerance`, relative to the mean size of the numbers.
    fn check(&self, found: &[f32], tolerance: f64) {
        let picked: Vec<f64> = found.iter().step_by(self.step).map(|&v| f64::from(v)).collect();
        assert_eq!(picked.len(), self.values.len());
        for (place, (found, wanted)) in picked.iter().zip(&self.values).enumerate() {
            let difference = (found - wanted).abs() / self.mean;
            assert!(difference < tolerance, "{place}: {found} instead of {wanted}");
        }
        let mean = found.iter().map(|&v| f64::from(v).abs()).sum::<f64>() / found.len() as f64;
        assert!((mean / self.mean - 1.0).abs() < tolerance, "{mean} {}", self.mean);
    }
}

#[derive(Deserialize)]
struct EmbeddingCase {
    fine: [usize; 3],
    coarse: [usize; 3],
    size: usize,
    seed: u64,
    #[serde(flatten)]
    sample: Sample,
}

#[derive(Deserialize)]
struct SmoothingCase {
    width: u32,
    height: u32,
    sigma: f64,
    seed: u64,
    #[serde(flatten)]
    sample: Sample,
}

#[derive(Deserialize)]
struct ResizingCase {
    width: u32,
    height: u32,
    to: [u32; 2],
    seed: u64,
    #[serde(flatten)]
    sample: Sample,
}

#[derive(Deserialize)]
struct NetworkCase {
    network: String,
    side: usize,
    #[serde(flatten)]
    sample: Sample,
}

#[derive(Deserialize)]
struct Golden {
    network: Vec<NetworkCase>,
    embedding: Vec<EmbeddingCase>,
    smoothing: Vec<SmoothingCase>,
    resizing: Vec<ResizingCase>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/golden/patchcore.json")).unwrap()
}

/// The numbers of the script, by position.
pub(super) fn rule(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|index| {
            let mixed = (index * 2_654_435_761 + seed * 40_503 + 12_345) % (1 << 32);
            let mixed = (mixed ^ (mixed >> 15)) * 2_246_822_519 % (1 << 32);
            ((mixed >> 8) as f64 / 8_388_608.0 - 1.0) as f32
        })
        .collect()
}

#[test]
fn vectors_are_those_of_the_official_steps() {
    for case in golden().embedding {
        let map = |[height, width, channels]: [usize; 3], seed| {
            let values = rule(height * width * channels, seed);
            Tensor::from_vec(values, (1, height, width, channels), &Device::Cpu).unwrap()
        };
        let maps = [map(case.fine, case.seed), map(case.coarse, case.seed + 1)];
        let patches = Embedding { size: case.size }.patches(&maps).unwrap().remove(0);
        assert_eq!((patches.height, patches.width), (case.fine[0], case.fine[1]));
        case.sample.check(&patches.vectors, 1e-5);
    }
}

/// The script's weights: convolutions of He's size, norms near the identity.
fn with_rule(kind: ResNetKind) -> ResNet {
    // torchvision counts its last stage and its classes too, but these come after ours.
    let tensors = ResNet::specification(kind, COARSE)
        .into_iter()
        .enumerate()
        .map(|(number, spec)| {
            let count: usize = spec.shape.iter().product();
            let numbers = rule(count, number as u64);
            let fan = spec.shape.iter().skip(1).product::<usize>() as f32;
            let values: Vec<f32> = match spec.shape.len() {
                4 => numbers.iter().map(|v| v * (6.0 / fan).sqrt()).collect(),
                1 if spec.name.ends_with("running_var") => numbers.iter().map(|v| 1.5 + 0.5 * v).collect(),
                1 if spec.name.ends_with("weight") => numbers.iter().map(|v| 0.8 + 0.2 * v).collect(),
                _ => numbers.iter().map(|v| 0.1 * v).collect(),
            };
            (
                spec.name,
                Tensor::from_vec(values, spec.shape, &Device::Cpu).unwrap(),
            )
        });
    let tensors = tensors
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .collect();
    ResNet::from_tensors(kind, COARSE, &tensors, &Device::Cpu).unwrap()
}

#[test]
fn features_are_those_of_torchvision_and_the_official_steps() {
    for case in golden().network {
        let kind = ResNetKind::ALL
            .into_iter()
            .find(|kind| kind.name() == case.network)
            .unwrap();
        let bytes = rule(case.side * case.side * 3, 99)
            .into_iter()
            .map(|v| ((v + 1.0) * 127.0) as u8)
            .collect();
        let image = RgbImage::from_raw(case.side as u32, case.side as u32, bytes).unwrap();
        let network = Stages {
            network: with_rule(kind),
            device: Device::Cpu,
            strides: OFFICIAL_STRIDES.to_vec(),
        };
        let patches = Embedding { size: 1024 }
            .patches(&network.features(&[&image]).unwrap())
            .unwrap();
        case.sample.check(&patches[0].vectors, 1e-3);
    }
}

#[test]
fn maps_are_smoothed_as_scipy_does() {
    for case in golden().smoothing {
        let map = AnomalyMap {
            width: case.width,
            height: case.height,
            scores: rule((case.width * case.height) as usize, case.seed),
        };
        case.sample.check(&gaussian_blur(&map, case.sigma).scores, 1e-5);
        assert_eq!(gaussian_blur(&map, 0.0), map);
    }
}

#[test]
fn maps_are_enlarged_as_pytorch_does() {
    for case in golden().resizing {
        let map = AnomalyMap {
            width: case.width,
            height: case.height,
            scores: rule((case.width * case.height) as usize, case.seed),
        };
        case.sample
            .check(&map.resized_as_pytorch(case.to[0], case.to[1]).scores, 1e-5);
    }
}

/// Largest distance of a vector to the nearest chosen one.
fn radius(vectors: &[f32], length: usize, chosen: &[usize]) -> f64 {
    let kept: Vec<f32> = chosen
        .iter()
        .flat_map(|&i| vectors[i * length..][..length].to_vec())
        .collect();
    let bank = MemoryBank::new(&kept, length).unwrap();
    let found = bank.nearest(vectors).unwrap();
    found
        .iter()
        .map(|n| f64::from(n.squared))
        .fold(0.0, f64::max)
        .sqrt()
}

/// Vectors around a few places, very unevenly many around each.
fn clusters(count: usize, length: usize) -> Vec<f32> {
    let mut vectors = rule(count * length, 21);
    for (index, vector) in vectors.chunks_exact_mut(length).enumerate() {
        let cluster = (index as f64).sqrt() as usize % 13;
        for (step, value) in vector.iter_mut().enumerate() {
            *value = 0.1 * *value + (cluster * (step + 3) % 7) as f32;
        }
    }
    vectors
}

#[test]
fn a_coreset_covers_better_than_chance_and_depends_on_the_seed_alone() {
    let (count, length) = (1000, 40);
    let vectors = clusters(count, length);
    let coreset = Coreset {
        ratio: 0.03,
        ..Coreset::default()
    };
    let select = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        coreset.select(&vectors, length, &mut rng, &Device::Cpu).unwrap()
    };
    let chosen = select(1);
    assert_eq!(chosen.len(), 30);
    let distinct: std::collections::HashSet<_> = chosen.iter().collect();
    assert_eq!(distinct.len(), 30);
    let by_chance: Vec<usize> = (0..30).map(|i| i * count / 30).collect();
    let (ours, chance) = (
        radius(&vectors, length, &chosen),
        radius(&vectors, length, &by_chance),
    );
    assert!(ours < chance, "{ours} {chance}");
    // The projection costs little: the exact variant covers hardly better.
    let exact = Coreset {
        projection: None,
        starts: count,
        ..coreset
    };
    let exact = exact
        .select(&vectors, length, &mut ChaCha8Rng::seed_from_u64(1), &Device::Cpu)
        .unwrap();
    assert!(ours < 1.5 * radius(&vectors, length, &exact));
    assert_ne!(select(2), chosen);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert_eq!(pool.install(|| select(1)), chosen);
    }
}

#[test]
fn a_coreset_has_the_whole_part_of_its_share() {
    let size = |ratio, count| {
        Coreset {
            ratio,
            ..Coreset::default()
        }
        .size(count)
    };
    assert_eq!(
        (size(0.1, 171_696), size(0.01, 1999), size(0.01, 50)),
        (17_169, 19, 1)
    );
    assert_eq!((size(1.0, 7), size(0.5, 0)), (7, 0));
}

#[test]
fn reweighting_is_equation_7() {
    let length = 2;
    // The neighbour (0, 0) has (1, 0) and (0, 3) around it; (50, 50) is not among the three nearest.
    let bank = MemoryBank::new(&[0.0, 0.0, 50.0, 50.0, 1.0, 0.0, 0.0, 3.0], length).unwrap();
    let query = [0.0, -2.0];
    let nearest = bank.nearest(&query).unwrap()[0];
    assert_eq!((nearest.index, nearest.squared), (0, 4.0));
    let distances = [2.0f64, 5.0f64.sqrt(), 5.0];
    let weight = 1.0 - distances[0].exp() / distances.iter().map(|d| d.exp()).sum::<f64>();
    let found = f64::from(bank.reweighted(&query, nearest, 3, None));
    assert!((found - weight * 2.0).abs() < 1e-6, "{found}");
    assert_eq!(bank.reweighted(&query, nearest, 1, None), 0.0);
    // More neighbours than there are: all of them.
    assert!(bank.reweighted(&query, nearest, 9, None) > 1.99);
}

#[test]
fn banks_are_checked() {
    assert!(MemoryBank::new(&[], 4).is_err());
    assert!(MemoryBank::new(&[1.0; 6], 4).is_err());
    let fault = MemoryBank::new(&[1.0, f32::NAN], 2).unwrap_err().to_string();
    assert!(fault.contains("not finite"), "{fault}");
    let bank = MemoryBank::new(&[1.0, 2.0, 3.0, 4.0], 2).unwrap();
    assert_eq!(
        bank.to_tensor().unwrap().to_vec2::<f32>().unwrap(),
        [[1.0, 2.0], [3.0, 4.0]]
    );
    assert!(bank.nearest(&[0.0; 3]).is_err() && bank.nearest(&[f32::INFINITY, 0.0]).is_err());
}

/// Means of colours in squares of 8 and of 16 pixels: as little of a network as can be.
struct Squares;

impl FeatureExtractor for Squares {
    fn features(&self, images: &[&RgbImage]) -> Result<Vec<Tensor>, ModelError> {
        let nchw = bytes_to_tensor(images, &Device::Cpu)?
            .permute((0, 3, 1, 2))?
            .contiguous()?;
        let pooled = |side| nchw.avg_pool2d(side)?.permute((0, 2, 3, 1))?.contiguous();
        Ok(vec![pooled(8)?, pooled(16)?])
    }
}

fn grey(spot: Option<(u32, u32)>) -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| {
        let near = spot.is_some_and(|(a, b)| x.abs_diff(a) < 5 && y.abs_diff(b) < 5);
        Rgb(if near {
            [250, 30, 30]
        } else {
            [(100 + x % 8) as u8, 100, 100]
        })
    })
}

fn detector(crop: CenterCrop, scoring: Scoring) -> PatchCore {
    let embedding = Embedding { size: 16 };
    let features = Squares.features(&[&crop.cropped(&grey(None))]).unwrap();
    let patches = embedding.patches(&features).unwrap().remove(0);
    let bank = MemoryBank::new(&patches.vectors, embedding.size).unwrap();
    PatchCore::new(Arc::new(Squares), embedding, bank, crop, scoring).unwrap()
}

#[test]
fn what_the_bank_knows_scores_nothing_and_a_spot_is_found_where_it_is() {
    let crop = CenterCrop {
        crop: (48, 48),
        map: (32, 32),
        ..CenterCrop::whole(64, 64)
    };
    for reweight in [None, Some(9)] {
        let detector = detector(crop, Scoring { sigma: 1.0, reweight });
        let found = detector.detect(&[&grey(None), &grey(Some((40, 24)))]).unwrap();
        assert_eq!(found[0].score, 0.0);
        assert!(found[0].map.scores.iter().all(|&score| score == 0.0));
        let map = &found[1].map;
        assert_eq!((map.width, map.height, map.scores.len()), (32, 32, 32 * 32));
        let place = (0..map.scores.len())
            .max_by(|&a, &b| map.scores[a].total_cmp(&map.scores[b]))
            .unwrap();
        let (x, y) = (place % 32, place / 32);
        assert!(x.abs_diff(20) <= 3 && y.abs_diff(12) <= 3, "{x} {y}");
        // The network does not see what lies outside of the crop.
        assert_eq!(map.scores[0], 0.0);
        let seen = detector.field_of_view().unwrap();
        assert_eq!(
            (seen.left, seen.top, seen.right, seen.bottom),
            (0.125, 0.125, 0.875, 0.875)
        );
        assert!(found[1].score > 0.0);
    }
}

#[test]
fn maps_of_several_sizes_are_summed_in_units_of_what_is_usual() {
    let crop = CenterCrop::whole(64, 64);
    let (embedding, scoring) = (
        Embedding { size: 16 },
        Scoring {
            sigma: 1.0,
            reweight: None,
        },
    );
    let bank = |side: u32, usual: f32| {
        let patches = patches(&Squares, embedding, &[&grey(None)], side)
            .unwrap()
            .remove(0);
        let bank = MemoryBank::new(&patches.vectors, embedding.size).unwrap();
        SizeBank { side, bank, usual }
    };
    let with = |banks: Vec<SizeBank>| {
        PatchCore::with_banks(Arc::new(Squares), embedding, banks, crop, scoring).unwrap()
    };
    let image = grey(Some((40, 24)));
    let detect = |detector: &PatchCore| detector.detect(&[&image]).unwrap().remove(0);
    let (small, large) = (
        detect(&with(vec![bank(32, 1.0)])),
        detect(&with(vec![bank(64, 1.0)])),
    );
    let both = detect(&with(vec![bank(32, 2.0), bank(64, 0.5)]));
    for ((found, small), large) in both
        .map
        .scores
        .iter()
        .zip(&small.map.scores)
        .zip(&large.map.scores)
    {
        let wanted = small / 2.0 + large / 0.5;
        assert!(
            (found - wanted).abs() <= 1e-4 * (1.0 + wanted),
            "{found} {wanted}"
        );
    }
    let largest = both.map.scores.iter().copied().fold(0.0, f32::max);
    assert_eq!(both.score, largest);
    // What the banks know scores nothing at any size.
    let known = with(vec![bank(32, 2.0), bank(64, 0.5)])
        .detect(&[&grey(None)])
        .unwrap();
    assert_eq!(known[0].score, 0.0);
    assert!(PatchCore::with_banks(Arc::new(Squares), embedding, Vec::new(), crop, scoring).is_err());
}

#[test]
fn wrong_sizes_are_errors() {
    let whole = detector(CenterCrop::whole(64, 64), Scoring::default());
    assert_eq!(whole.input_size(), (64, 64));
    assert!(whole.detect(&[&RgbImage::new(32, 64)]).is_err());
    let other = Embedding { size: 8 };
    let bank = whole.banks()[0].bank.clone();
    assert!(
        PatchCore::new(
            Arc::new(Squares),
            other,
            bank.clone(),
            CenterCrop::whole(64, 64),
            Scoring::default()
        )
        .is_err()
    );
    let crop = CenterCrop {
        crop: (65, 64),
        ..CenterCrop::whole(64, 64)
    };
    assert!(
        PatchCore::new(
            Arc::new(Squares),
            Embedding { size: 16 },
            bank,
            crop,
            Scoring::default()
        )
        .is_err()
    );
}
