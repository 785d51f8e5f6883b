//! Masks of the size that DRAEM trains on, in memory that is used again.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use flawforge_masks::{Lattice, Mask, MaskGenerator, Perlin, Rectangle, Scar, Stream, Union, glass};

fn masks(criterion: &mut Criterion) {
    let perlin = Perlin::default();
    let generators: [(&str, Arc<dyn MaskGenerator>); 5] = [
        ("perlin", Arc::new(perlin)),
        ("rectangle", Arc::new(Rectangle::default())),
        ("scar", Arc::new(Scar::default())),
        ("union of two perlin", Arc::new(Union(perlin, perlin))),
        ("glass", Arc::new(glass(perlin))),
    ];
    let mut group = criterion.benchmark_group("mask 256");
    for (name, generator) in generators {
        let stream = Stream::of_run(1);
        let (mut mask, mut rng) = (Mask::default(), stream.rng("bench"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| generator.generate_into(256, 256, &mut mask, &mut rng));
        });
    }
    // The noise alone, coarse and fine.
    for exponent in [1, 5] {
        let mut vertex = 0.0;
        let lattice = Lattice::new(exponent, exponent, || {
            vertex += 0.7;
            vertex
        });
        let cells = 1 << exponent;
        group.bench_function(format!("noise, {cells} x {cells} cells"), |bencher| {
            bencher.iter(|| lattice.noise(256, 256));
        });
    }
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
