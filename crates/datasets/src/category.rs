//! A category in memory: every image decoded once, in parallel, at one size, with its ground truth.

use std::path::Path;

use flawforge_masks::Mask;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::layout::GOOD;
use crate::{CategoryFiles, DatasetError, Limits, Loading, TestFile, files, load_gray, load_rgb, resize};

/// The images of one category, all of one size, with ground truth of one size.
#[derive(Clone, Debug)]
pub struct Category {
    /// Name of the category.
    pub name: String,
    /// Normal images to train on, in the order of their file names; at least one.
    pub train: Vec<TrainImage>,
    /// Test images, by defect type, then by file name; may be empty.
    pub test: Vec<TestImage>,
}

/// A normal image to train on.
#[derive(Clone, Debug)]
pub struct TrainImage {
    /// File name without its ending, "000".
    pub name: String,
    /// The image, RGB.
    pub image: RgbImage,
}

/// A test image with its ground truth.
#[derive(Clone, Debug)]
pub struct TestImage {
    /// Defect type and file name without its ending, "broken_large/000"; unique within the category.
    pub name: String,
    /// Defect type; "good" for a normal image.
    pub defect: String,
    /// The image, RGB.
    pub image: RgbImage,
    /// Ground truth by DRAEM's rule: a pixel is anomalous where the resized mask is exactly 255, that is where all
    /// contributing pixels of the file are. Empty for normal images, and for defective ones without a mask file.
    pub mask: Mask,
    /// Ground truth by the plain rule: anomalous where the resized mask is at least half of 255. Never smaller than `mask`.
    pub mask_half: Mask,
}

impl TestImage {
    /// Whether the image shows a defect.
    pub fn is_defective(&self) -> bool {
        self.defect != GOOD
    }
}

impl Category {
    /// Decodes all files in parallel and brings them to the sizes, by the resampling, that a method asks for (aspect ratio
    /// ignored). The result does not depend on the number of threads. Masks are resized, then binarised.
    ///
    /// # Errors
    /// Files that cannot be decoded or are over the limits, masks whose size differs from their image's, masks whose values
    /// stop short of 128, no training image, a side of zero. Every file is checked before returning.
    pub fn load(files: &CategoryFiles, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        for (width, height) in [loading.image, loading.mask] {
            check_target(width, height)?;
        }
        if files.train.is_empty() {
            const NEEDED: &str = "normal images to train on";
            return Err(DatasetError::NoImages {
                path: files.name.clone().into(),
                needed: NEEDED,
            });
        }
        let train: Vec<_> = files
            .train
            .par_iter()
            .map(|path| {
                let image = loading.resized(&load_rgb(path, limits)?);
                Ok(TrainImage {
                    name: files::stem(path),
                    image,
                })
            })
            .collect();
        let test: Vec<_> = files
            .test
            .par_iter()
            .map(|file| load_test(file, loading, limits))
            .collect();
        match (all_or_errors(train), all_or_errors(test)) {
            (Ok(train), Ok(test)) => Ok(Self {
                name: files.name.clone(),
                train,
                test,
            }),
            (train, test) => Err(both(train.err(), test.err())),
        }
    }

    /// [`CategoryFiles::discover`] and [`Category::load`] in one.
    ///
    /// # Errors
    /// Those of either.
    pub fn open(dir: &Path, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        Self::load(&CategoryFiles::discover(dir)?, loading, limits)
    }

    /// Whether pixel metrics mean something: some defective image has ground truth. (A plain folder has masks for all of its
    /// defective images or for none.)
    pub fn has_ground_truth(&self) -> bool {
        self.test
            .iter()
            .any(|image| image.is_defective() && !image.mask_half.is_empty())
    }
}

fn load_test(file: &TestFile, loading: &Loading, limits: &Limits) -> Result<TestImage, DatasetError> {
    let (width, height) = loading.mask;
    let image = load_rgb(&file.path, limits);
    let truth = file
        .mask
        .as_ref()
        .map(|path| load_gray(path, limits).map(|mask| (path, mask)))
        .transpose();
    let (image, truth) = match (image, truth) {
        (Ok(image), Ok(truth)) => (image, truth),
        (image, truth) => return Err(both(image.err(), truth.err())),
    };
    let (mask, mask_half) = match truth {
        None => (Mask::empty(width, height), Mask::empty(width, height)),
        Some((path, mask)) => {
            if mask.dimensions() != image.dimensions() {
                return Err(DatasetError::MaskSize {
                    mask: path.clone(),
                    mask_size: mask.dimensions(),
                    image: file.path.clone(),
                    image_size: image.dimensions(),
                });
            }
            // Masks written as 0 and 1 look empty to every rule; say so instead of scoring against nothing.
            let largest = mask.as_raw().iter().copied().max().unwrap_or(0);
            if (1..128).contains(&largest) {
                return Err(DatasetError::MaskValues {
                    mask: path.clone(),
                    largest,
                });
            }
            let mask = resize::bilinear_gray(&mask, width, height);
            (at_least(&mask, 255), at_least(&mask, 128))
        }
    };
    Ok(TestImage {
        name: format!("{}/{}", file.defect, files::stem(&file.path)),
        defect: file.defect.clone(),
        image: loading.resized(&image),
        mask,
        mask_half,
    })
}

/// DRAEM divides the resized mask by 255 and truncates, so 255 alone counts (docs/method.md, section 13.1); 128 is the first
/// value of at least one half.
fn at_least(mask: &GrayImage, level: u8) -> Mask {
    Mask::from_fn(mask.width(), mask.height(), |x, y| {
        mask.get_pixel(x, y)[0] >= level
    })
}

fn both(first: Option<DatasetError>, second: Option<DatasetError>) -> DatasetError {
    match (first, second) {
        (Some(first), None) => first,
        (None, Some(second)) => second,
        (first, second) => {
            let errors = [first, second].into_iter().flatten();
            DatasetError::Several(errors.flat_map(DatasetError::into_errors).collect())
        }
    }
}

/// All values, or all errors in the order of the files.
pub(crate) fn all_or_errors<T>(results: Vec<Result<T, DatasetError>>) -> Result<Vec<T>, DatasetError> {
    let mut values = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    DatasetError::check(errors)?;
    Ok(values)
}

/// The sizes that images can be brought to.
pub(crate) fn check_target(width: u32, height: u32) -> Result<(), DatasetError> {
    const MAX_SIDE: u32 = 16_384;
    let sides = 1..=MAX_SIDE;
    match sides.contains(&width) && sides.contains(&height) {
        true => Ok(()),
        false => Err(DatasetError::TargetSize {
            width,
            height,
            max_side: MAX_SIDE,
        }),
    }
}
