//! Simulated anomalies at the size that DRAEM trains on: each kind alone, and whole training samples.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flawforge_augment::{
    AnomalySimulator, NearDistribution, Opaque, ProceduralTextures, Simulation, Stream, TextureSource,
    Transparent,
};
use image::{Rgb, RgbImage};

const SIDE: u32 = 256;
const BATCH: usize = 8;

/// A surface with enough structure to be distorted.
fn normal() -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let weave = ((x as f32 * 0.4).sin() * (y as f32 * 0.3).cos() * 60.0 + 120.0) as u8;
        Rgb([weave, weave / 2 + 40, 255 - weave])
    })
}

fn kinds(criterion: &mut Criterion) {
    let normal = normal();
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::default());
    let simulators: [(&str, Box<dyn AnomalySimulator>); 3] = [
        ("transparent 256", Box::new(Transparent::new(textures.clone()))),
        ("opaque 256", Box::new(Opaque::new(textures.clone()))),
        ("near-distribution 256", Box::new(NearDistribution::default())),
    ];
    for (name, simulator) in simulators {
        let mut rng = Stream {
            seed: 1,
            epoch: 0,
            index: 0,
        }
        .rng("bench");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| simulator.simulate(&normal, &mut rng))
        });
    }
    let mut rng = Stream {
        seed: 1,
        epoch: 0,
        index: 0,
    }
    .rng("bench");
    criterion.bench_function("procedural texture 256", |bencher| {
        bencher.iter(|| textures.texture(SIDE, SIDE, &mut rng));
    });
}

fn samples(criterion: &mut Criterion) {
    let normal = normal();
    let simulation = Simulation::draem(Arc::new(ProceduralTextures::default()));
    let mut group = criterion.benchmark_group("draem 256");
    let mut index = 0;
    let mut stream = || {
        index += 1;
        Stream {
            seed: 1,
            epoch: 0,
            index,
        }
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("sample", |bencher| {
        bencher.iter(|| simulation.sample(&normal, stream()))
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("batch of 8, all cores", |bencher| {
        bencher.iter(|| {
            let streams: Vec<Stream> = (0..BATCH).map(|_| stream()).collect();
            simulation.batch(&[&normal; BATCH], &streams)
        });
    });
    group.finish();
}

criterion_group!(benches, kinds, samples);
criterion_main!(benches);
