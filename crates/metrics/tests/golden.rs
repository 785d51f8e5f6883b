//! The metrics against scikit-learn and against an AUPRO computed from its definition with scipy.
//!
//! `golden/metrics.py` made `golden/metrics.json` and holds the versions.

use flawforge_metrics::{MapWithTruth, PixelScores, aupro, auroc, average_precision, best_f1, image_score};
use serde::Deserialize;

const GOLDEN: &str = include_str!("golden/metrics.json");

#[derive(Deserialize)]
struct Golden {
    ranking: Vec<RankingCase>,
    pixels: Vec<PixelCase>,
}

#[derive(Deserialize)]
struct RankingCase {
    name: String,
    seed: u64,
    count: u64,
    one_in: u64,
    boost: i64,
    step: i64,
    anomalous: usize,
    auroc: f64,
    average_precision: f64,
    best_f1: f64,
}

#[derive(Deserialize)]
struct PixelCase {
    name: String,
    seed: u64,
    width: usize,
    height: usize,
    boost: i64,
    step: i64,
    rectangles: Vec<Vec<[usize; 4]>>,
    components: u64,
    auroc: f64,
    average_precision: f64,
    aupro_03: f64,
    aupro_1: f64,
    image_scores: Vec<f64>,
}

fn splitmix64(seed: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn score(seed: u64, index: u64, anomalous: bool, boost: i64, step: i64) -> f32 {
    let value = (splitmix64(seed, index) >> 44) as i64 + if anomalous { boost } else { 0 };
    (value.div_euclid(step) * step) as f32 / (1 << 21) as f32
}

fn assert_near(value: f64, golden: f64, tolerance: f64, what: &str) {
    assert!(
        (value - golden).abs() <= tolerance,
        "{what}: {value}, golden {golden}"
    );
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

#[test]
fn rankings_agree_with_scikit_learn() {
    let cases = golden().ranking;
    assert_eq!(cases.len(), 5);
    for case in cases {
        let labels: Vec<bool> = (0..case.count)
            .map(|i| splitmix64(case.seed + 1000, i).is_multiple_of(case.one_in))
            .collect();
        let scores: Vec<f32> = labels
            .iter()
            .enumerate()
            .map(|(i, label)| score(case.seed, i as u64, *label, case.boost, case.step))
            .collect();
        assert_eq!(
            labels.iter().filter(|label| **label).count(),
            case.anomalous,
            "{}",
            case.name
        );
        assert_near(auroc(&scores, &labels).unwrap(), case.auroc, 1e-9, &case.name);
        let ap = average_precision(&scores, &labels).unwrap();
        assert_near(ap, case.average_precision, 1e-9, &case.name);
        assert_near(
            best_f1(&scores, &labels).unwrap().f1,
            case.best_f1,
            1e-9,
            &case.name,
        );
    }
}

#[test]
fn pixels_agree_with_scikit_learn_and_scipy() {
    let cases = golden().pixels;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let area = case.width * case.height;
        let mut maps = Vec::new();
        for (number, boxes) in case.rectangles.iter().enumerate() {
            let mut mask = vec![0u8; area];
            for &[x, y, w, h] in boxes {
                for row in y..y + h {
                    mask[row * case.width + x..][..w].fill(255);
                }
            }
            let scores: Vec<f32> = mask
                .iter()
                .enumerate()
                .map(|(i, m)| {
                    score(
                        case.seed,
                        (number * area + i) as u64,
                        *m > 0,
                        case.boost,
                        case.step,
                    )
                })
                .collect();
            let best = f64::from(image_score(&scores, case.width, case.height, 21));
            assert_near(best, case.image_scores[number], 1e-6, &case.name);
            maps.push((scores, mask));
        }
        let views: Vec<MapWithTruth<'_>> = maps
            .iter()
            .map(|(scores, mask)| MapWithTruth {
                scores,
                mask,
                width: case.width,
                height: case.height,
            })
            .collect();
        assert_near(aupro(&views, 0.3).unwrap(), case.aupro_03, 1e-9, &case.name);
        assert_near(aupro(&views, 1.0).unwrap(), case.aupro_1, 1e-9, &case.name);

        let mut pixels = PixelScores::exact();
        for map in &views {
            pixels.push(map.scores, map.mask, map.width, map.height).unwrap();
        }
        let metrics = pixels.finish(0.3).unwrap();
        assert_eq!(metrics.components, case.components, "{}", case.name);
        assert_near(metrics.auroc, case.auroc, 1e-9, &case.name);
        assert_near(
            metrics.average_precision,
            case.average_precision,
            1e-9,
            &case.name,
        );
        assert_near(metrics.aupro, case.aupro_03, 1e-9, &case.name);
    }
}
