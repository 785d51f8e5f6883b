//! A category in memory: every image decoded once, in parallel, at one size, with its ground truth.

use std::path::{Path, PathBuf};

use flawforge_masks::Mask;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::layout::GOOD;
use crate::{CategoryFiles, DatasetError, ImageFile, Limits, Loading, TestFile, load_gray, load_rgb, resize};

/// The images of one category, all of one size, with ground truth of one size.
#[derive(Clone, Debug)]
pub struct Category {
    /// Name of the category.
    pub name: String,
    /// Normal images to train on, in the order of their file names; may be empty if only the test part was loaded.
    pub train: Vec<TrainImage>,
    /// Test images, by defect type, then by file name; may be empty.
    pub test: Vec<TestImage>,
}

/// A normal image to train on.
#[derive(Clone, Debug)]
pub struct TrainImage {
    /// Path below the folder of normal images without its ending, "000".
    pub name: String,
    /// Width and height of the file in pixels.
    pub size: (u32, u32),
    /// The image, RGB.
    pub image: RgbImage,
}

/// A test image with its ground truth.
#[derive(Clone, Debug)]
pub struct TestImage {
    /// Defect type and path below its folder without the ending, "broken_large/000"; unique within the category.
    pub name: String,
    /// Defect type; "good" for a normal image.
    pub defect: String,
    /// Width and height of the file in pixels.
    pub size: (u32, u32),
    /// Whether it is known which pixels are anomalous: of a normal image, and of a defective one with a mask. Pixel metrics
    /// leave the others out.
    pub has_truth: bool,
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
    /// What was wrong when the files were listed; files that cannot be decoded or are over the limits, masks whose size differs
    /// from their image's, masks whose values stop short of 128, no training image, a side of zero. Every file is checked
    /// before returning.
    pub fn load(files: &CategoryFiles, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        match (
            Self::load_normals(files, loading, limits),
            Self::load_tests(files, loading, limits),
        ) {
            (Ok(normals), Ok(tests)) => Ok(Self {
                test: tests.test,
                ..normals
            }),
            (
                Err(DatasetError::TargetSize {
                    width,
                    height,
                    max_side,
                }),
                _,
            ) => Err(DatasetError::TargetSize {
                width,
                height,
                max_side,
            }),
            (normals, tests) => Err(both(normals.err(), tests.err())),
        }
    }

    /// As [`load`](Self::load), the normal images to train on alone: no test image is opened, and there are none in the result.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the training part.
    pub fn load_normals(
        files: &CategoryFiles,
        loading: &Loading,
        limits: &Limits,
    ) -> Result<Self, DatasetError> {
        let (category, errors) = Self::load_readable_normals(files, loading, limits)?;
        DatasetError::check(errors)?;
        Ok(category)
    }

    /// As [`load_normals`](Self::load_normals), without the images that cannot be read, whose errors are returned beside it.
    ///
    /// # Errors
    /// What was wrong when the files were listed, no image that can be read, a side of zero.
    pub fn load_readable_normals(
        files: &CategoryFiles,
        loading: &Loading,
        limits: &Limits,
    ) -> Result<(Self, Vec<DatasetError>), DatasetError> {
        check_sizes(loading)?;
        DatasetError::check(files.train_faults.clone())?;
        if files.train.is_empty() {
            return Err(DatasetError::NoImages {
                path: files.normal_folder().to_path_buf(),
                needed: "normal images to train on",
            });
        }
        let load = |file: &ImageFile| -> Result<TrainImage, DatasetError> {
            let image = load_rgb(&file.path, limits)?;
            Ok(TrainImage {
                name: file.name.clone(),
                size: image.dimensions(),
                image: loading.resized(&image),
            })
        };
        let loaded: Vec<_> = files.train.par_iter().map(load).collect();
        let (mut train, mut errors) = (Vec::new(), Vec::new());
        for image in loaded {
            match image {
                Ok(image) => train.push(image),
                Err(error) => errors.push(error),
            }
        }
        if train.is_empty() {
            DatasetError::check(std::mem::take(&mut errors))?;
        }
        let category = Self {
            name: files.name.clone(),
            train,
            test: Vec::new(),
        };
        Ok((category, errors))
    }

    /// As [`load`](Self::load), the test part alone: no training image is opened, and there are none in the result. The test
    /// part may be empty.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the test part.
    pub fn load_tests(
        files: &CategoryFiles,
        loading: &Loading,
        limits: &Limits,
    ) -> Result<Self, DatasetError> {
        check_sizes(loading)?;
        let test: Vec<_> = files
            .test
            .par_iter()
            .map(|file| load_test(file, loading, limits))
            .collect();
        let listed = DatasetError::check(files.test_faults.clone());
        match (listed, all_or_errors(test)) {
            (Ok(()), Ok(test)) => Ok(Self {
                name: files.name.clone(),
                train: Vec::new(),
                test,
            }),
            (listed, test) => Err(both(listed.err(), test.err())),
        }
    }

    /// [`CategoryFiles::discover`] and [`Category::load`] in one.
    ///
    /// # Errors
    /// Those of either.
    pub fn open(dir: &Path, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        Self::load(&CategoryFiles::discover(dir)?, loading, limits)
    }

    /// Whether pixel metrics mean something: some defective image has ground truth.
    pub fn has_ground_truth(&self) -> bool {
        self.test
            .iter()
            .any(|image| image.is_defective() && !image.mask_half.is_empty())
    }
}

fn load_test(file: &TestFile, loading: &Loading, limits: &Limits) -> Result<TestImage, DatasetError> {
    let (width, height) = loading.mask;
    let image = load_rgb(&file.path, limits);
    let truth = load_truth(&file.masks, limits);
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
        name: format!("{}/{}", file.defect, file.name),
        defect: file.defect.clone(),
        size: image.dimensions(),
        has_truth: !file.is_defective() || !file.masks.is_empty(),
        image: loading.resized(&image),
        mask,
        mask_half,
    })
}

/// The mask of an image, with its first file: all of several together, which have the size of the first.
fn load_truth<'a>(
    paths: &'a [PathBuf],
    limits: &Limits,
) -> Result<Option<(&'a PathBuf, GrayImage)>, DatasetError> {
    let Some((first, others)) = paths.split_first() else {
        return Ok(None);
    };
    let mut all = load_gray(first, limits)?;
    for path in others {
        let mask = load_gray(path, limits)?;
        if mask.dimensions() != all.dimensions() {
            return Err(DatasetError::MaskSize {
                mask: path.clone(),
                mask_size: mask.dimensions(),
                image: first.clone(),
                image_size: all.dimensions(),
            });
        }
        for (value, other) in all.iter_mut().zip(mask.iter()) {
            *value = (*value).max(*other);
        }
    }
    Ok(Some((first, all)))
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

fn check_sizes(loading: &Loading) -> Result<(), DatasetError> {
    for (width, height) in [loading.image, loading.mask] {
        check_target(width, height)?;
    }
    Ok(())
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
