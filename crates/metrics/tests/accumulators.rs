//! Accumulators: order and merging do not matter, and a histogram keeps its promise.

use flawforge_metrics::{Bins, ImageScores, MetricError, PixelMetrics, PixelScores};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 61;
const HEIGHT: usize = 47;

struct Map {
    scores: Vec<f32>,
    mask: Vec<u8>,
}

/// Maps whose scores are shaped like a softmax: crowded at both ends of `[0, 1]`.
fn maps(seed: u64, count: usize, sharpness: f32) -> Vec<Map> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let mut mask = vec![0u8; WIDTH * HEIGHT];
            for _ in 0..number % 4 {
                let (x, y) = (rng.random_range(0..WIDTH - 9), rng.random_range(0..HEIGHT - 9));
                for row in y..y + rng.random_range(1..9) {
                    mask[row * WIDTH + x..][..rng.random_range(1..9)].fill(1);
                }
            }
            let scores = mask
                .iter()
                .map(|m| {
                    let logit = rng.random_range(-1.0..1.0f32) + if *m > 0 { 0.7 } else { -0.2 };
                    1.0 / (1.0 + (-sharpness * logit).exp())
                })
                .collect();
            Map { scores, mask }
        })
        .collect()
}

fn fill<'a>(mut pixels: PixelScores, maps: impl IntoIterator<Item = &'a Map>) -> PixelScores {
    for map in maps {
        pixels.push(&map.scores, &map.mask, WIDTH, HEIGHT).unwrap();
    }
    pixels
}

fn exact(maps: &[Map]) -> PixelMetrics {
    fill(PixelScores::exact(), maps).finish(0.3).unwrap()
}

#[test]
fn merging_halves_equals_one_pass_to_the_last_bit() {
    let maps = maps(1, 13, 4.0);
    for empty in [
        PixelScores::exact(),
        PixelScores::bounded(Bins::Unit(1000)).unwrap(),
        PixelScores::bounded(Bins::FloatBits(14)).unwrap(),
    ] {
        let whole = fill(empty.clone(), &maps).finish(0.3).unwrap();
        for cut in [0, 1, 6, 13] {
            let mut late = fill(empty.clone(), &maps[cut..]);
            late.merge(fill(empty.clone(), &maps[..cut])).unwrap();
            assert_eq!(late.finish(0.3).unwrap(), whole, "cut at {cut}");
        }
        assert_eq!(fill(empty, maps.iter().rev()).finish(0.3).unwrap(), whole);
    }
}

#[test]
fn image_scores_merge_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let scores: Vec<(f32, bool)> = (0..99)
        .map(|i| (rng.random_range(0..20) as f32 / 8.0, i % 3 == 0))
        .collect();
    let collect = |part: &[(f32, bool)]| {
        let mut images = ImageScores::new();
        part.iter()
            .for_each(|(score, anomalous)| images.push(*score, *anomalous).unwrap());
        images
    };
    let whole = collect(&scores).finish().unwrap();
    let mut halves = collect(&scores[40..]);
    halves.merge(collect(&scores[..40]));
    assert_eq!(halves.finish().unwrap(), whole);
    assert_eq!((whole.anomalous, whole.normal), (33, 66));
}

#[test]
fn the_error_of_a_histogram_is_within_its_bound() {
    for (seed, sharpness) in [(3, 1.0), (4, 5.0), (5, 40.0)] {
        let maps = maps(seed, 9, sharpness);
        let truth = exact(&maps);
        assert_eq!(truth.error, Default::default());
        for bins in [
            Bins::Unit(2),
            Bins::Unit(10),
            Bins::Unit(256),
            Bins::Unit(1 << 16),
            Bins::FloatBits(10),
            Bins::FloatBits(14),
            Bins::FloatBits(20),
        ] {
            let binned = fill(PixelScores::bounded(bins).unwrap(), &maps)
                .finish(0.3)
                .unwrap();
            let label = format!("{bins:?}, sharpness {sharpness}: {binned:?}, exact {truth:?}");
            assert!(
                (binned.auroc - truth.auroc).abs() <= binned.error.auroc + 1e-9,
                "{label}"
            );
            let ap = (binned.average_precision - truth.average_precision).abs();
            assert!(ap <= binned.error.average_precision + 1e-9, "{label}");
            assert!(
                (binned.aupro - truth.aupro).abs() <= binned.error.aupro + 1e-9,
                "{label}"
            );
            assert_eq!(
                (binned.anomalous, binned.components),
                (truth.anomalous, truth.components)
            );
        }
    }
}

#[test]
fn the_bound_is_tight_enough_to_be_of_use() {
    let binned = fill(
        PixelScores::bounded(Bins::Unit(1 << 16)).unwrap(),
        &maps(6, 9, 3.0),
    )
    .finish(0.3)
    .unwrap();
    assert!(binned.error.auroc < 1e-4, "{binned:?}");
    assert!(binned.error.average_precision < 1e-2, "{binned:?}");
    assert!(binned.error.aupro < 1e-3, "{binned:?}");
}

#[test]
fn a_histogram_of_its_own_levels_is_exact_in_auroc() {
    // Scores that are bin edges fall into bins of their own, so only true ties share a bin.
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut maps = maps(7, 5, 2.0);
    for score in maps.iter_mut().flat_map(|map| &mut map.scores) {
        *score = rng.random_range(0..64) as f32 / 64.0;
    }
    let truth = exact(&maps);
    let binned = fill(PixelScores::bounded(Bins::Unit(64)).unwrap(), &maps)
        .finish(0.3)
        .unwrap();
    assert_eq!(binned.auroc, truth.auroc);
    assert_eq!(binned.average_precision, truth.average_precision);
    assert_eq!(binned.aupro, truth.aupro);
}

#[test]
fn nothing_is_added_by_a_refused_map() {
    let good = &maps(8, 4, 2.0);
    let mut pixels = fill(PixelScores::bounded(Bins::Unit(100)).unwrap(), good);
    let mut scores = vec![0.5; WIDTH * HEIGHT];
    scores[7] = 1.5;
    let mask = vec![1; WIDTH * HEIGHT];
    let refused = pixels.push(&scores, &mask, WIDTH, HEIGHT);
    assert_eq!(refused, Err(MetricError::OutOfRange { index: 7, value: 1.5 }));
    scores[5] = f32::NAN;
    let refused = pixels.push(&scores, &mask, WIDTH, HEIGHT);
    assert_eq!(refused, Err(MetricError::NotANumber { index: 5 }));
    assert_eq!(pixels.merge(PixelScores::exact()), Err(MetricError::Incompatible));
    let other = PixelScores::bounded(Bins::Unit(101)).unwrap();
    assert_eq!(pixels.merge(other), Err(MetricError::Incompatible));
    let untouched = fill(PixelScores::bounded(Bins::Unit(100)).unwrap(), good);
    assert_eq!(pixels.finish(0.3).unwrap(), untouched.finish(0.3).unwrap());

    for bins in [
        Bins::Unit(1),
        Bins::Unit((1 << 24) + 1),
        Bins::FloatBits(9),
        Bins::FloatBits(25),
    ] {
        assert!(
            matches!(PixelScores::bounded(bins), Err(MetricError::Resolution(_))),
            "{bins:?}"
        );
    }
    assert_eq!(
        ImageScores::new().push(f32::NAN, true),
        Err(MetricError::NotANumber { index: 0 })
    );
}

#[test]
fn a_large_set_agrees_with_a_count_of_all_pairs() {
    // Enough pixels for the radix sort to take part.
    let maps = maps(9, 10, 3.0);
    let (mut anomalous, mut normal) = (Vec::new(), Vec::new());
    for map in &maps {
        for (score, entry) in map.scores.iter().zip(&map.mask) {
            if *entry > 0 {
                anomalous.push(*score)
            } else {
                normal.push(*score)
            }
        }
    }
    assert!(normal.len() > 1 << 14);
    let mut won = 0.0;
    for a in &anomalous {
        for n in &normal {
            won += if a > n {
                1.0
            } else if a == n {
                0.5
            } else {
                0.0
            };
        }
    }
    let expected = won / (anomalous.len() * normal.len()) as f64;
    assert!((exact(&maps).auroc - expected).abs() < 1e-12);
}
