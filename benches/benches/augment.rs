//! Simulated anomalies at the size that DRAEM trains on: each kind alone, texture sources, whole training samples, and
//! batches on one and two threads. Memory is used again, as a training loop does.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flawforge_augment::poisson::{Guidance, seamless_clone};
use flawforge_augment::{
    AnomalySimulator, CutOut, CutPaste, ForeignPatch, Mask, NearDistribution, Nsa, NsaSettings, Opaque,
    ProceduralTextures, RotateNormals, Sample, Selections, Simulated, Simulation, Stream, TextureBank,
    TextureSource, Transparent,
};
use image::{Rgb, RgbImage};

const SIDE: u32 = 256;
const BATCH: usize = 8;

/// A surface with enough structure to be distorted.
fn normal(shift: u32) -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let weave = (((x + shift) as f32 * 0.4).sin() * (y as f32 * 0.3).cos() * 60.0 + 120.0) as u8;
        Rgb([weave, weave / 2 + 40, 255 - weave])
    })
}

/// Textures in memory, of the size in which they are used.
fn bank() -> Arc<dyn TextureSource> {
    let textures = ProceduralTextures::default();
    let draw = |index| {
        let stream = Stream {
            seed: 2,
            step: 0,
            index,
        };
        textures.texture(SIDE, SIDE, &mut stream.rng("texture"))
    };
    // Never empty, each with pixels.
    Arc::new(TextureBank::new((0..16).map(draw).collect()).unwrap())
}

/// The streams of one sample after the other.
fn streams() -> impl FnMut() -> Stream {
    let mut index = 0;
    move || {
        index += 1;
        Stream {
            seed: 1,
            step: 0,
            index,
        }
    }
}

fn kinds(criterion: &mut Criterion) {
    let normal = normal(0);
    let bank = bank();
    let normals: Arc<dyn TextureSource> =
        Arc::new(TextureBank::new(vec![self::normal(20), self::normal(50)]).unwrap());
    let nsa = |category: &str| Nsa {
        sources: Some(normals.clone()),
        ..Nsa::new(NsaSettings::builtin()[category])
    };
    let simulators: [(&str, Box<dyn AnomalySimulator>); 8] = [
        ("transparent", Box::new(Transparent::new(bank.clone()))),
        ("opaque", Box::new(Opaque::new(bank))),
        ("near-distribution", Box::new(NearDistribution::default())),
        ("cut-paste", Box::new(CutPaste::default())),
        ("nsa, texture", Box::new(nsa("tile"))),
        ("nsa, object", Box::new(nsa("bottle"))),
        ("cut-out", Box::new(CutOut::default())),
        ("foreign patch", Box::new(ForeignPatch::new(normals.clone()))),
    ];
    let mut group = criterion.benchmark_group("256");
    for (name, simulator) in simulators {
        let (mut made, mut stream) = (Simulated::default(), streams());
        group.bench_function(name, |bencher| {
            bencher.iter(|| simulator.simulate_into(&normal, &mut made, &mut stream().rng("bench")));
        });
    }
    let other = self::normal(33);
    let mut square = Mask::empty(SIDE, SIDE);
    square.set_rectangle((64, 64), (64, 64));
    group.bench_function("seamless clone, 64 x 64", |bencher| {
        bencher.iter(|| seamless_clone(&other, &normal, &square, (140, 119), Guidance::Mixed));
    });
    let turn = RotateNormals {
        probability: 1.0,
        ..RotateNormals::default()
    };
    let mut stream = streams();
    group.bench_function("rotation of a normal image", |bencher| {
        bencher.iter(|| turn.apply(&normal, &mut stream().rng("bench")));
    });
    group.finish();
}

fn textures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("texture 256");
    let photographs = (0..4)
        .map(|shift| image::imageops::thumbnail(&normal(shift), 200, 150))
        .collect();
    let sources: [(&str, Arc<dyn TextureSource>); 3] = [
        ("in memory", bank()),
        (
            "in memory, resized",
            Arc::new(TextureBank::new(photographs).unwrap()),
        ),
        ("procedural", Arc::new(ProceduralTextures::default())),
    ];
    for (name, source) in sources {
        let (mut texture, mut stream) = (RgbImage::default(), streams());
        group.bench_function(name, |bencher| {
            bencher.iter(|| source.texture_into(SIDE, SIDE, &mut texture, &mut stream().rng("bench")));
        });
    }
    group.finish();
}

fn samples(criterion: &mut Criterion) {
    let normal = normal(0);
    let bottle = Selections::builtin().get("bottle").cloned().unwrap_or_default();
    for (name, simulation) in [
        ("draem 256", Simulation::draem(bank())),
        ("selected 256", Simulation::selected(&bottle, bank())),
    ] {
        let mut group = criterion.benchmark_group(name);
        let (mut sample, mut stream) = (Sample::default(), streams());
        group.throughput(Throughput::Elements(1));
        group.bench_function("sample", |bencher| {
            bencher.iter(|| simulation.sample_into(&normal, stream(), &mut sample));
        });
        let mut always = simulation.clone();
        always.p_clean = 0.0;
        group.bench_function("anomalous sample", |bencher| {
            bencher.iter(|| always.sample_into(&normal, stream(), &mut sample));
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut samples = Vec::new();
            group.bench_function(format!("batch of {BATCH}, threads: {threads}"), |bencher| {
                bencher.iter(|| {
                    let streams: [Stream; BATCH] = std::array::from_fn(|_| stream());
                    pool.install(|| simulation.batch_into(&[&normal; BATCH], &streams, &mut samples));
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, kinds, textures, samples);
criterion_main!(benches);
