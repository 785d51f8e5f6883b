//! A category in memory: every image decoded once, in parallel, at one size, with its ground truth.

use std::path::Path;

use flawforge_masks::Mask;
use image::RgbImage;
use rayon::prelude::*;

use crate::alike::{Alike, load_alike};
use crate::decode::{decode, picture};
use crate::layout::GOOD;
use crate::note::{Note, Remark};
use crate::truth::{Beside, Marks, MaskCounts, Truth, truth};
use crate::{CategoryFiles, DatasetError, Limits, Loading, PixelScale, TestFile, files};

/// The images of one category, all of one size, with ground truth of one size.
#[derive(Clone, Debug, Default)]
pub struct Category {
    /// Name of the category.
    pub name: String,
    /// Normal images to train on, in the order of their file names; at least one.
    pub train: Vec<TrainImage>,
    /// Test images, by defect type, then by file name; may be empty.
    pub test: Vec<TestImage>,
    /// The scale that files with more than 8 bits were read by.
    pub scale: PixelScale,
    /// What is doubtful, assumed or passed over in the files, in their order. [`note_lines`](crate::note_lines) makes text of it.
    pub notes: Vec<Note>,
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
    /// contributing pixels of the file are marked. Empty for normal images, and for defective ones without a mask file.
    pub mask: Mask,
    /// Ground truth by the plain rule: anomalous where the resized mask is at least half of 255. Never smaller than `mask`.
    pub mask_half: Mask,
    /// What the mask file marks; `None` without one.
    pub marks: Option<Marks>,
    /// Width and height of the image's file in pixels, upright.
    pub file_size: (u32, u32),
}

impl TestImage {
    /// An image with ground truth of the same size that comes from no file.
    pub fn drawn(name: String, defect: String, image: RgbImage, mask: Mask) -> Self {
        let marks = (defect != GOOD).then(|| Marks::of(&mask));
        let file_size = image.dimensions();
        Self {
            name,
            defect,
            image,
            mask_half: mask.clone(),
            mask,
            marks,
            file_size,
        }
    }

    /// Reads a test image and its mask at their own size, for scores at the resolution of the files. Deep values are read by
    /// `scale`.
    ///
    /// # Errors
    /// As [`Category::load`].
    pub fn at_file_size(file: &TestFile, scale: PixelScale, limits: &Limits) -> Result<Self, DatasetError> {
        Ok(load_test(file, None, scale, limits)?.0)
    }

    /// Whether the image shows a defect.
    pub fn is_defective(&self) -> bool {
        self.defect != GOOD
    }

    /// Whether it is known which pixels are anomalous. It is not for a defective image without a mask, or with one that marks
    /// nothing: such an image has no part in metrics of pixels.
    pub fn pixels_are_known(&self) -> bool {
        !self.is_defective() || self.marks.is_some_and(|marks| marks.marked > 0)
    }
}

impl Category {
    /// Decodes all files in parallel and brings them to the sizes, by the resampling, that a method asks for (aspect ratio
    /// ignored). The result does not depend on the number of threads.
    ///
    /// Files with more than 8 bits are read by the scale of `loading`, or by one that all training images give together. Masks
    /// are made binary at their own size, turned as their images are, then resized, then judged.
    ///
    /// # Errors
    /// Files that cannot be decoded or are over the limits, masks whose size differs from their image's, masks whose values are
    /// too faint to tell marks from noise, no training image, a side of zero. Every file is checked before returning.
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
        let train = load_alike(&files.train, loading.scale, limits, |path, read| {
            let mut notes = read.notes;
            if is_constant(&read.image) {
                notes.push(note(path, Remark::Constant));
            }
            let image = TrainImage {
                name: files::stem(path),
                image: loading.resized(&read.image),
            };
            (image, notes)
        });
        // Without a scale the test images cannot be read right, but the faults of their files are found all the same.
        let any = PixelScale {
            reals: Some((0.0, 1.0)),
            ..PixelScale::default()
        };
        let scale = train.as_ref().map_or(any, |train| train.scale);
        let test: Vec<_> = files
            .test
            .par_iter()
            .map(|file| load_test(file, Some(loading), scale, limits))
            .collect();
        let (
            Alike {
                images, mut notes, ..
            },
            test,
        ) = match (train, all_or_errors(test)) {
            (Ok(train), Ok(test)) => (train, test),
            (train, test) => return Err(both(train.err(), test.err())),
        };
        let constant = notes
            .iter()
            .filter(|note| note.remark == Remark::Constant)
            .count();
        if constant == images.len() {
            notes.retain(|note| note.remark != Remark::Constant);
            notes.push(note(&files.train[0], Remark::AllConstant));
        }
        let mut images_and_notes = Vec::with_capacity(test.len());
        for (image, found) in test {
            images_and_notes.push(image);
            notes.extend(found);
        }
        Ok(Self {
            name: files.name.clone(),
            train: images,
            test: images_and_notes,
            scale,
            notes,
        })
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

    /// How the masks of the test images came out.
    pub fn mask_counts(&self) -> MaskCounts {
        MaskCounts::of(&self.test)
    }
}

fn note(path: &Path, remark: Remark) -> Note {
    Note {
        path: path.to_path_buf(),
        remark,
    }
}

fn is_constant(image: &RgbImage) -> bool {
    let mut pixels = image.pixels();
    let first = pixels.next();
    pixels.all(|pixel| Some(pixel) == first)
}

/// A test image and its mask, at the sizes of `loading` or at their own.
fn load_test(
    file: &TestFile,
    loading: Option<&Loading>,
    scale: PixelScale,
    limits: &Limits,
) -> Result<(TestImage, Vec<Note>), DatasetError> {
    let image = decode(&file.path, limits).and_then(|decoded| {
        let stored = (decoded.image.width(), decoded.image.height());
        let orientation = decoded.orientation;
        Ok((picture(&file.path, decoded, &scale)?, stored, orientation))
    });
    let mask = file.mask.as_ref().map(|path| Ok((path, decode(path, limits)?)));
    let ((read, stored, orientation), mask) = match (image, mask.transpose()) {
        (Ok(image), Ok(mask)) => (image, mask),
        (image, mask) => return Err(both(image.err(), mask.err())),
    };
    let mut notes = read.notes;
    let file_size = read.image.dimensions();
    let size = loading.map_or(file_size, |loading| loading.mask);
    let (mask, mask_half, marks) = match mask {
        None => (Mask::empty(size.0, size.1), Mask::empty(size.0, size.1), None),
        Some((path, decoded)) => {
            let beside = Beside {
                path: &file.path,
                size: stored,
                orientation,
            };
            let Truth {
                mask,
                mask_half,
                marks,
                remarks,
            } = truth(path, &decoded, &beside, size)?;
            let of_file = decoded.remarks.into_iter().chain(remarks);
            notes.extend(of_file.map(|remark| note(path, remark)));
            (mask, mask_half, Some(marks))
        }
    };
    let image = TestImage {
        name: format!("{}/{}", file.defect, files::stem(&file.path)),
        defect: file.defect.clone(),
        image: match loading {
            Some(loading) => loading.resized(&read.image),
            None => read.image,
        },
        mask,
        mask_half,
        marks,
        file_size,
    };
    Ok((image, notes))
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
