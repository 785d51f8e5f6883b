//! Light that varies: memory banks know each normal image in another light too, and leave that out with it.

use crate::support::{SIDE, category_of, quiet, selected, textures};
use flawforge_augment::{Photometric, Selection};
use flawforge_datasets::Category;
use flawforge_training::{Method, Run, train};
use image::RgbImage;

/// Eight normal images as the method wants them.
fn normals(method: Method) -> Category {
    category_of(8, if method == Method::Forge { 2 * SIDE } else { SIDE })
}

/// A run with this light of its selection.
fn trained(method: Method, light: Option<Photometric>) -> (tempfile::TempDir, Run) {
    let selection = Selection {
        light,
        ..Selection::default()
    };
    let mut experiment = selected(method, 4, selection);
    experiment.calibrate_for_use();
    let out = tempfile::tempdir().unwrap();
    train(&experiment, &normals(method), textures(), out.path(), &quiet()).unwrap();
    let run = Run::open(out.path()).unwrap();
    (out, run)
}

/// The scores of normal images that the run had not seen.
fn unseen(run: &Run) -> Vec<f32> {
    let calibrated = run.calibrated().unwrap();
    calibrated.normal().map(|one| one.score).collect()
}

/// The images at three quarters of their brightness.
fn darkened(normals: &Category) -> Vec<RgbImage> {
    let darkened = normals.train.iter().map(|normal| {
        let mut image = normal.image().unwrap().into_owned();
        for level in image.iter_mut() {
            *level = (f32::from(*level) * 0.75) as u8;
        }
        image
    });
    darkened.collect()
}

fn mean(scores: &[f32]) -> f32 {
    scores.iter().sum::<f32>() / scores.len() as f32
}

#[test]
fn an_image_is_not_known_by_its_copy() {
    // Copies that are like their images: a bank that kept them would know every image.
    let same = Photometric {
        probability: 1.0,
        ..Photometric::default()
    };
    for method in [Method::PatchCore, Method::Forge] {
        let (_plain, plain) = trained(method, None);
        let (_copied, copied) = trained(method, Some(same));
        let (plain, copied) = (unseen(&plain), unseen(&copied));
        assert_eq!((plain.len(), copied.len()), (8, 8), "{method}");
        let least = copied.iter().copied().fold(f32::INFINITY, f32::min);
        assert!(
            least > 0.0 && mean(&copied) > 0.5 * mean(&plain),
            "{method}: {copied:?} {plain:?}"
        );
    }
}

#[test]
fn parts_in_another_light_are_less_anomalous_where_the_light_varies() {
    let light = Photometric {
        brightness: (0.6, 1.4),
        ..Photometric::default()
    };
    // PatchCore's scores are distances. Forge's count in its own spread, which on eight images and with a random network says little.
    let method = Method::PatchCore;
    let dark = darkened(&normals(method));
    let score = |run: &Run| {
        let detector = run.detector().unwrap();
        let found = detector.inspect(&dark.iter().collect::<Vec<_>>()).unwrap();
        mean(&found.iter().map(|one| one.verdict_score).collect::<Vec<_>>())
    };
    let (_plain, plain) = trained(method, None);
    let (_lit, lit) = trained(method, Some(light));
    let farther = |run: &Run| score(run) / mean(&unseen(run));
    assert!(
        farther(&lit) < 0.9 * farther(&plain),
        "{method}: {} {}",
        farther(&lit),
        farther(&plain)
    );
}
