//! Training images beyond what may be held are decoded whenever they are wanted, and are the same.

use std::fs;
use std::path::Path;

use flawforge_datasets::{Category, CategoryFiles, DatasetError, Limits, Loading, SetDigest, Survey};
use image::{Rgb, RgbImage};

const IMAGES: u8 = 9;

fn picture(seed: u8) -> RgbImage {
    RgbImage::from_fn(20, 20, |x, y| {
        Rgb([(7 * x + 3 * y) as u8 ^ seed, seed.wrapping_mul(20), y as u8])
    })
}

fn write(dir: &Path) {
    fs::create_dir_all(dir.join("normal")).expect("made");
    for seed in 0..IMAGES {
        // Two are the same, one is constant.
        let image = match seed {
            4 => picture(1),
            6 => RgbImage::from_pixel(20, 20, Rgb([9; 3])),
            _ => picture(seed),
        };
        image.save(dir.join(format!("normal/{seed}.png"))).expect("saved");
    }
}

/// The images at 16×16 of which so many may be held.
fn load(dir: &Path, held: u64) -> Category {
    let limits = Limits {
        max_held_bytes: held * 3 * 16 * 16,
        ..Limits::default()
    };
    let files = CategoryFiles::discover(dir).expect("a category");
    Category::load_normals(&files, &Loading::opencv(16, 16), &limits).expect("whole")
}

#[test]
fn images_that_are_not_held_are_the_same_in_every_respect() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path());
    let all = load(dir.path(), 1000);
    assert!(all.seen.is_none() && all.train.iter().all(|image| image.is_held()));
    let mut own = SetDigest::default();
    for image in &all.train {
        own.add(&image.name, &image.image().expect("held"));
    }
    let digest = own.finish();
    assert_eq!(all.train_digest().expect("held"), digest);
    for held in [0, 3, 8] {
        let some = load(dir.path(), held);
        assert_eq!(some.train.len(), all.train.len());
        let kept = some.train.iter().filter(|image| image.is_held()).count();
        assert_eq!(kept as u64, held);
        for (a, b) in some.train.iter().zip(&all.train) {
            assert_eq!(
                (&a.name, a.size, a.dimensions()),
                (&b.name, b.size, b.dimensions())
            );
            assert_eq!(a.look(), b.look());
            assert_eq!(a.image().expect("read"), b.image().expect("held"));
        }
        let survey = Survey::of_normals(&some);
        assert_eq!(survey, Survey::of_normals(&all));
        assert_eq!((survey.doubled.len(), survey.constant.len()), (1, 1));
        assert_eq!(some.train_digest().expect("known"), digest);
        // Another set has another digest: that which a set of the same images in memory has.
        let (mut fewer, mut held) = (some.clone(), all.clone());
        fewer.train.remove(2);
        held.train.remove(2);
        let of_fewer = fewer.train_digest().expect("read");
        assert_eq!(of_fewer, held.train_digest().expect("held"));
        assert_ne!(of_fewer, digest);
    }
}

#[test]
fn a_file_that_changes_or_goes_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path());
    let category = load(dir.path(), 2);
    let file = |index: u8| dir.path().join(format!("normal/{index}.png"));
    picture(99).save(file(2)).expect("saved");
    fs::remove_file(file(3)).expect("removed");
    fs::write(file(5), b"no picture").expect("written");
    let fault = |index: usize| category.train[index].image().expect_err("another file");
    assert!(matches!(fault(2), DatasetError::Changed { .. }));
    for index in [2, 3, 5] {
        let (said, path) = (fault(index).to_string(), file(index as u8));
        assert!(said.starts_with(&path.display().to_string()), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
    assert!(category.train[0].image().is_ok() && category.train[8].image().is_ok());
    // The same pixels in another file are no change.
    RgbImage::from_pixel(20, 20, Rgb([9; 3]))
        .save(file(6))
        .expect("saved");
    assert!(category.train[6].image().is_ok());
}

#[test]
fn deep_images_keep_the_scale_of_all() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(dir.path().join("normal")).expect("made");
    for index in 0..5u16 {
        // 12 bits of 16.
        let image = image::ImageBuffer::<image::Luma<u16>, _>::from_fn(16, 16, |x, y| {
            image::Luma([(x * 16 + y) as u16 * 15 + index])
        });
        image
            .save(dir.path().join(format!("normal/{index}.png")))
            .expect("saved");
    }
    let (all, none) = (load(dir.path(), 5), load(dir.path(), 0));
    assert_eq!(all.scale, none.scale);
    for (a, b) in all.train.iter().zip(&none.train) {
        assert_eq!(a.image().expect("held"), b.image().expect("read"));
    }
    assert_eq!(
        all.train_digest().expect("held"),
        none.train_digest().expect("read")
    );
}
