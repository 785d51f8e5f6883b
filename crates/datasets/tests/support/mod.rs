//! Folders of small images, and what is found in them.

use std::path::Path;

use flawforge_datasets::{Category, CategoryFiles, Layout, Limits, Loading, Why};
use image::{GrayImage, Luma, Rgb, RgbImage};

pub(crate) const SIZE: (u32, u32) = (12, 10);

pub(crate) fn save(path: &Path, write: impl FnOnce(&Path) -> image::ImageResult<()>) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    write(path).expect("saved");
}

/// Images, each of another grey.
pub(crate) fn images(dir: &Path, names: &[&str]) {
    for (index, name) in names.iter().enumerate() {
        let picture = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([40 + index as u8; 3]));
        save(&dir.join(name), |path| picture.save(path));
    }
}

/// A mask that marks some columns; none at all for 0.
pub(crate) fn mask(path: &Path, columns: std::ops::Range<u32>) {
    let picture = GrayImage::from_fn(SIZE.0, SIZE.1, |x, _| {
        Luma([if columns.contains(&x) { 255 } else { 0 }])
    });
    save(path, |path| picture.save(path));
}

pub(crate) fn files(dir: &Path) -> CategoryFiles {
    CategoryFiles::discover(dir).expect("a category")
}

/// Layout, names of the images to train on, and `defect/name:masks` of the test images.
pub(crate) fn found(dir: &Path) -> (Layout, Vec<String>, Vec<String>) {
    let files = files(dir);
    assert!(
        files.train_faults.is_empty() && files.test_faults.is_empty(),
        "{files:?}"
    );
    let test = files
        .test
        .iter()
        .map(|t| format!("{}/{}:{}", t.defect, t.name, t.masks.len()));
    (
        files.layout,
        files.train.iter().map(|t| t.name.clone()).collect(),
        test.collect(),
    )
}

pub(crate) fn load(dir: &Path) -> Category {
    Category::open(dir, &Loading::opencv(SIZE.0, SIZE.1), &Limits::default()).expect("loaded")
}

/// The reasons why something was passed over, with how often.
pub(crate) fn passed(dir: &Path) -> Vec<(Why, usize)> {
    let files = files(dir);
    let mut found: Vec<(Why, usize)> = Vec::new();
    for passed in &files.inventory.passed {
        match found.iter_mut().find(|(why, _)| *why == passed.why) {
            Some((_, count)) => *count += 1,
            None => found.push((passed.why, 1)),
        }
    }
    found.sort();
    found
}
