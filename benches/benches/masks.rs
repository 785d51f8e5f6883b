//! Masks of the size that DRAEM trains on.

use criterion::{Criterion, criterion_group, criterion_main};
use flawforge_masks::{MaskGenerator, Perlin, Rectangle, Scar, Stream};

fn masks(criterion: &mut Criterion) {
    let generators: [(&str, &dyn MaskGenerator); 3] = [
        ("perlin 256", &Perlin::default()),
        ("rectangle 256", &Rectangle::default()),
        ("scar 256", &Scar::default()),
    ];
    for (name, generator) in generators {
        let mut rng = Stream {
            seed: 1,
            epoch: 0,
            index: 0,
        }
        .rng("bench");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| generator.generate(256, 256, &mut rng))
        });
    }
}

criterion_group!(benches, masks);
criterion_main!(benches);
