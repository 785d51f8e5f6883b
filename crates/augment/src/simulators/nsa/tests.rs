//! Sizes, places and labels against their definitions.

use image::Rgb;

use super::*;
use crate::poisson::Guidance;
use crate::{Background, Stream, TextureBank};

/// A dark textured disk on a bright ground.
fn object(shift: u32) -> RgbImage {
    RgbImage::from_fn(128, 128, |x, y| {
        let inside = x.abs_diff(64).pow(2) + y.abs_diff(64).pow(2) < 45 * 45;
        let grain = ((x + shift) * 7 % 23 + (y * 5 + shift) % 31) as u8;
        Rgb(if inside {
            [40 + 2 * grain, 60 + grain, 30]
        } else {
            [210, 205, 200]
        })
    })
}

fn texture(seed: u32) -> RgbImage {
    RgbImage::from_fn(96, 160, |x, y| {
        let wave = 60.0 * ((x + seed) as f32 * 0.21).sin() + 50.0 * ((y * 2 + seed) as f32 * 0.13).cos();
        Rgb([125.0 + wave, 120.0 - wave, 100.0 + 0.5 * wave].map(|v| v as u8))
    })
}

fn values(sample: &NsaSample, key: &str) -> Vec<f64> {
    let entries = sample.parameters.iter().filter(|entry| entry.0 == key);
    entries
        .map(|entry| match entry.1 {
            crate::Value::Number(number) => number,
            other => panic!("{other}"),
        })
        .collect()
}

fn rng(index: u64) -> impl RngCore {
    Stream {
        seed: 11,
        step: 0,
        index,
    }
    .rng("nsa")
}

#[test]
fn sizes_and_places_follow_their_definition() {
    let nsa = Nsa::new(NsaSettings {
        scale: (0.5, 2.0),
        blending: Guidance::Mixed,
        ..NsaSettings::default()
    });
    let (normal, source) = (texture(0), texture(40));
    let (mut patches, mut samples, mut mean_x, mut heights) = (0.0, 0.0, 0.0, 0.0);
    for index in 0..400 {
        let Some(sample) = nsa.blend(&normal, &source, &mut rng(index)) else {
            continue;
        };
        samples += 1.0;
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|key| values(&sample, key));
        let [sx, sy, sw, sh] =
            ["source_x", "source_y", "source_width", "source_height"].map(|key| values(&sample, key));
        for k in 0..x.len() {
            patches += 1.0;
            assert!(x[k] >= 1.0 && y[k] >= 1.0 && x[k] + w[k] <= 96.0 && y[k] + h[k] <= 160.0);
            assert!(
                (3.0..=38.0).contains(&w[k]) && (5.0..=64.0).contains(&h[k]),
                "{} {}",
                w[k],
                h[k]
            );
            assert!((w[k] - 2.0) * (h[k] - 2.0) >= 50.0);
            assert!(sx[k] + sw[k] <= 96.0 && sy[k] + sh[k] <= 160.0 && sw[k] <= 76.0 && sh[k] <= 128.0);
            mean_x += (x[k] - 1.0) / (96.0 - w[k] - 1.0);
            heights += sh[k];
        }
        assert!(
            sample
                .mask
                .pixels()
                .iter()
                .zip(&sample.label)
                .all(|(&m, &l)| (l > 0.0) == (m != 0) && l < 1.0)
        );
        // Pixels beside every patch are those of the normal image.
        for (px, py, pixel) in sample.image.enumerate_pixels() {
            let (px, py, at) = (f64::from(px), f64::from(py), normal.get_pixel(px, py));
            let inside = |k: usize| px >= x[k] && px < x[k] + w[k] && py >= y[k] && py < y[k] + h[k];
            assert!(pixel == at || (0..x.len()).any(inside));
        }
    }
    // One patch, and two more with even chances, less those too small.
    assert!(samples > 320.0, "{samples}");
    assert!(
        (1.6..2.05).contains(&(patches / samples)),
        "{}",
        patches / samples
    );
    assert!((mean_x / patches - 0.5).abs() < 0.05, "{}", mean_x / patches);
    // Twice (0.03 + 0.1) of 160, a little less at the borders and a little more without the small ones.
    assert!(
        (34.0..50.0).contains(&(heights / patches)),
        "{}",
        heights / patches
    );
}

#[test]
fn patches_keep_to_the_object() {
    let objects = Objects {
        background: Background::new(200.0, 60.0),
        min_share: 0.7,
        min_overlap: 0.25,
    };
    let nsa = Nsa::new(NsaSettings {
        objects: Some(objects),
        ..NsaSettings::default()
    });
    let (normal, source) = (object(0), object(9));
    let (in_source, in_normal) = (
        objects.background.objects(&source),
        objects.background.objects(&normal),
    );
    let mut made = 0;
    for index in 0..120 {
        let Some(sample) = nsa.blend(&normal, &source, &mut rng(index)) else {
            continue;
        };
        made += 1;
        let [sx, sy, sw, sh] = ["source_x", "source_y", "source_width", "source_height"]
            .map(|key| values(&sample, key)[0] as u32);
        let share = Mask::from_fn(sw, sh, |x, y| in_source.get(sx + x, sy + y)).coverage();
        assert!(share > 0.7, "{share}");
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|key| values(&sample, key)[0] as u32);
        let overlap = Mask::from_fn(w, h, |u, v| in_normal.get(x + u, y + v)).coverage();
        assert!(overlap > 0.1, "{overlap}");
    }
    assert!(made > 90, "{made}");
    // There is no object to cut from.
    let plain = RgbImage::from_pixel(128, 128, Rgb([200; 3]));
    assert!(nsa.blend(&normal, &plain, &mut rng(0)).is_none());
}

#[test]
fn a_bank_serves_other_sizes_and_bytes_are_a_function_of_the_seed() {
    let bank = TextureBank::new(vec![texture(3), texture(60)]).unwrap();
    let nsa = Nsa {
        sources: Some(Arc::new(bank)),
        ..Nsa::new(NsaSettings::default())
    };
    let normal = object(0);
    let make = |index| nsa.simulate(&normal, &mut rng(index));
    let (mut made, mut different) = (0, 0);
    for index in 0..30 {
        let first = make(index);
        assert_eq!(first, make(index));
        if let Some(first) = first {
            made += 1;
            assert_eq!((first.kind, first.image.dimensions()), (Kind::Nsa, (128, 128)));
            different += usize::from(Some(first) != make(index + 1));
        }
    }
    assert!(made > 20 && different == made, "{made} {different}");
}

#[test]
fn the_image_itself_may_be_the_source_and_any_size_works() {
    let nsa = Nsa {
        label: LabelKind::Binary,
        ..Nsa::new(NsaSettings::default())
    };
    let sizes = [(0, 0), (1, 1), (5, 3), (32, 32), (200, 33)];
    for (width, height) in sizes {
        let image = RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 37 % 256) as u8, (y * 91 % 256) as u8, 7])
        });
        let made = (0..60)
            .filter(|&index| nsa.simulate(&image, &mut rng(index)).is_some())
            .count();
        assert_eq!(made > 0, width >= 32, "{width}x{height}: {made}");
    }
}
