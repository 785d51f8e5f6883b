//! Antialiased resizing, beside that of the image crate, whose numbers it has.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flawforge_resample::Resizing;
use image::RgbImage;
use image::imageops::{FilterType, resize};

fn antialiased(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("antialiased");
    group.sample_size(10);
    for (side, target) in [(256, 384), (384, 256), (1024, 384), (3000, 384)] {
        let image = RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([x as u8, (x * y) as u8, (x + 3 * y) as u8])
        });
        let name = format!("{side} to {target} pixels a side");
        group.bench_function(BenchmarkId::new("ours", &name), |bencher| {
            bencher.iter(|| Resizing::antialiased(target, target).apply(&image));
        });
        group.bench_function(BenchmarkId::new("image", &name), |bencher| {
            bencher.iter(|| resize(&image, target, target, FilterType::Triangle));
        });
    }
    group.finish();
}

criterion_group!(benches, antialiased);
criterion_main!(benches);
