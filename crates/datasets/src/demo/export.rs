//! Writing the demo data set as files, in MVTec AD's layout.

use std::fs;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use rayon::prelude::*;

use super::{LARGE, category, file_size};
use crate::{Category, DatasetError, GOOD, Loading};

/// Writes categories below `dir` as PNG files, those of [`LARGE`] at their [file size](file_size), that [`crate::CategoryFiles::discover`] reads back to the same pixels:
///
/// ```text
/// DIR/gear/train/good/000.png
/// DIR/gear/test/broken_tooth/000.png
/// DIR/gear/ground_truth/broken_tooth/000_mask.png
/// ```
///
/// Each category appears whole or not at all: it is written to a temporary folder inside `dir` and then renamed, in the
/// place of a folder of that name if there is one.
///
/// # Errors
/// [`DatasetError::UnknownCategory`], [`DatasetError::DemoSize`], and [`DatasetError::Io`] for whatever cannot be written.
pub fn export(dir: &Path, names: &[&str], size: u32, seed: u64) -> Result<(), DatasetError> {
    fs::create_dir_all(dir).map_err(|e| DatasetError::io(dir, e))?;
    for &name in names {
        let (width, height) = match LARGE.contains(&name) {
            true => file_size(name),
            false => (size, size),
        };
        let generated = category(name, &Loading::opencv(width, height), seed)?;
        let staging = tempfile::Builder::new()
            .prefix(".demo-")
            .tempdir_in(dir)
            .map_err(|e| DatasetError::io(dir, e))?;
        let fresh = staging.path().join("new");
        write(&generated, &fresh)?;
        let target = dir.join(name);
        if target.exists() {
            let old = staging.path().join("old");
            fs::rename(&target, &old).map_err(|e| DatasetError::io(&target, e))?;
        }
        fs::rename(&fresh, &target).map_err(|e| DatasetError::io(&target, e))?;
    }
    Ok(())
}

fn write(category: &Category, dir: &Path) -> Result<(), DatasetError> {
    let mut files = Vec::new();
    for train in &category.train {
        let path = dir.join("train").join(GOOD).join(format!("{}.png", train.name));
        files.push((path, DynamicImage::ImageRgb8(train.image()?.into_owned())));
    }
    for test in &category.test {
        let path = dir.join("test").join(format!("{}.png", test.name));
        files.push((path, DynamicImage::ImageRgb8(test.image.clone())));
        if test.is_defective() {
            let path = dir.join("ground_truth").join(format!("{}_mask.png", test.name));
            files.push((path, DynamicImage::ImageLuma8(test.mask.to_luma8())));
        }
    }
    for (path, _) in &files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| DatasetError::io(folder, e))?;
        }
    }
    files.par_iter().try_for_each(|(path, image)| {
        image.save_with_format(path, ImageFormat::Png).map_err(|error| {
            let source = match error {
                image::ImageError::IoError(source) => source,
                other => std::io::Error::other(other),
            };
            DatasetError::io(path, source)
        })
    })
}
