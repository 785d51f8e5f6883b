//! The pixel metrics over a whole category: 167 maps of 256×256, the largest test set of MVTec AD.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flawforge_metrics::{
    AUPRO_LIMIT, Bins, MapWithTruth, PixelScores, aupro, auroc, average_precision, image_score,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SIDE: usize = 256;
const MAPS: usize = 167;

/// Softmax-like scores, and a square defect in two of three images.
fn maps() -> Vec<(Vec<f32>, Vec<u8>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..MAPS)
        .map(|number| {
            let mut mask = vec![0u8; SIDE * SIDE];
            if number % 3 > 0 {
                let (x, y) = (rng.random_range(0..SIDE - 48), rng.random_range(0..SIDE - 48));
                for row in y..y + 48 {
                    mask[row * SIDE + x..][..48].fill(1);
                }
            }
            let score = |set: u8, noise: f32| 1.0 / (1.0 + (-12.0 * (noise + f32::from(set) - 0.7)).exp());
            let scores = mask
                .iter()
                .map(|set| score(*set, rng.random_range(-0.5..0.5)))
                .collect();
            (scores, mask)
        })
        .collect()
}

fn metrics(criterion: &mut Criterion) {
    let maps = maps();
    let scores: Vec<f32> = maps.iter().flat_map(|(scores, _)| scores).copied().collect();
    let labels: Vec<bool> = maps
        .iter()
        .flat_map(|(_, mask)| mask)
        .map(|set| *set > 0)
        .collect();
    let views: Vec<MapWithTruth<'_>> = maps
        .iter()
        .map(|(scores, mask)| MapWithTruth {
            scores,
            mask,
            width: SIDE,
            height: SIDE,
        })
        .collect();
    let fill = |mut pixels: PixelScores| {
        for map in &views {
            pixels
                .push(map.scores, map.mask, SIDE, SIDE)
                .expect("the maps are sound");
        }
        pixels
    };

    let mut group = criterion.benchmark_group("11M pixels");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(scores.len() as u64));
    group.bench_function("auroc", |bencher| {
        bencher.iter(|| auroc(black_box(&scores), &labels))
    });
    group.bench_function("average precision", |bencher| {
        bencher.iter(|| average_precision(black_box(&scores), &labels));
    });
    group.bench_function("aupro", |bencher| {
        bencher.iter(|| aupro(black_box(&views), AUPRO_LIMIT))
    });
    group.bench_function("exact accumulator, all metrics", |bencher| {
        bencher.iter(|| fill(PixelScores::exact()).finish(AUPRO_LIMIT));
    });
    group.bench_function("bounded accumulator, all metrics", |bencher| {
        let empty = PixelScores::bounded(Bins::Unit(1 << 16)).expect("the number of bins is allowed");
        bencher.iter_batched(
            || empty.clone(),
            |empty| fill(empty).finish(AUPRO_LIMIT),
            BatchSize::LargeInput,
        );
    });
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a pool of one thread");
    group.bench_function("exact accumulator, all metrics, one thread", |bencher| {
        bencher.iter(|| one.install(|| fill(PixelScores::exact()).finish(AUPRO_LIMIT)));
    });
    group.finish();

    criterion.bench_function("image score 256x256", |bencher| {
        bencher.iter(|| image_score(black_box(&maps[0].0), SIDE, SIDE, 21));
    });
}

criterion_group!(benches, metrics);
criterion_main!(benches);
