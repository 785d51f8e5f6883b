//! A category: every image decoded once, in parallel, at one size, with its ground truth; in memory as far as it may be.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flawforge_resample::Sizing;
use image::RgbImage;
use rayon::prelude::*;

use crate::alike::load_alike;
use crate::look::{SetDigest, SetLook};
use crate::note::Note;
use crate::truth::MaskCounts;
use crate::{CategoryFiles, DatasetError, ImageFile, Limits, Loading, PixelScale, TestImage, TrainImage};

/// The images of one category, all of one size, with ground truth of one size.
#[derive(Clone, Debug, Default)]
pub struct Category {
    /// Name of the category.
    pub name: String,
    /// Normal images to train on, in the order of their file names; may be empty if only the test part was loaded.
    pub train: Vec<TrainImage>,
    /// Test images, by defect type, then by file name; may be empty.
    pub test: Vec<TestImage>,
    /// The scale that files with more than 8 bits were read by.
    pub scale: PixelScale,
    /// What is doubtful, assumed or passed over in the files, in their order. [`note_lines`](crate::note_lines) makes text of it.
    pub notes: Vec<Note>,
    /// What was found of the training images when they were read, where they are not all held.
    pub seen: Option<SetLook>,
}

impl Category {
    /// Decodes all files in parallel and brings them to the sizes, by the resampling, that a method asks for (aspect ratio
    /// ignored). The result does not depend on the number of threads.
    ///
    /// Files with more than 8 bits are read by the scale of `loading`, or by one that all training images give together. Masks
    /// are made binary at their own size, turned as their images are, then resized, then judged.
    ///
    /// # Errors
    /// What was wrong when the files were listed; files that cannot be decoded or are over the limits, masks whose size differs
    /// from their image's, masks whose values are too faint to tell marks from noise, no training image, a side of zero. Every
    /// file is checked before returning.
    pub fn load(files: &CategoryFiles, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        check_sizes(loading)?;
        let normals = Self::load_normals(files, loading, limits);
        // Without a scale the test images cannot be read right, but the faults of their files are found all the same.
        let any = PixelScale {
            reals: Some((0.0, 1.0)),
            ..PixelScale::default()
        };
        let scale = normals.as_ref().map_or(any, |normals| normals.scale);
        let (normals, tests) = match (
            normals,
            Self::load_tests(files, &loading.clone().by(scale), limits),
        ) {
            (Ok(normals), Ok(tests)) => (normals, tests),
            (normals, tests) => return Err(DatasetError::both(normals.err(), tests.err())),
        };
        let mut notes = normals.notes;
        notes.extend(tests.notes);
        Ok(Self {
            test: tests.test,
            notes,
            ..normals
        })
    }

    /// As [`load`](Self::load), the normal images to train on alone: no test image is opened, and there are none in the result.
    /// Those beyond [`Limits::max_held_bytes`] are checked and measured, and decoded again whenever they are wanted.
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
        let paths: Vec<&Path> = files.train.iter().map(|file| file.path.as_path()).collect();
        let room = Room::new(limits.max_held_bytes, loading.image);
        // Those that are not held are handed on once, for the digest of all.
        let make = |place: usize, image: RgbImage, scale: PixelScale| {
            let file: &ImageFile = &files.train[place];
            let (name, size) = (file.name.clone(), image.dimensions());
            let shown = loading.shown(&image, Some(&file.path), limits)?;
            if room.takes(place, &shown) {
                return Ok((TrainImage::of_file(name, size, shown), None));
            }
            let by = loading.clone().by(scale);
            let image = TrainImage::in_file(name, size, file.path.clone(), by, *limits, &shown);
            Ok((image, Some(shown)))
        };
        let mut set = room.may_end_before(files.train.len()).then(SetLook::default);
        let mut digest = SetDigest::default();
        let mut each = |(image, shown): &mut (TrainImage, Option<RgbImage>)| {
            if let Some(set) = &mut set {
                match (shown.take(), image.image()) {
                    (Some(shown), _) => digest.add(&image.name, &shown),
                    (None, Ok(held)) => digest.add(&image.name, &held),
                    (None, Err(_)) => {}
                }
                set.add(image);
            }
        };
        let mut alike = load_alike(&paths, loading.scale, limits, make, &mut each);
        let train: Vec<TrainImage> = alike.images.drain(..).map(|(image, _)| image).collect();
        if train.is_empty() {
            DatasetError::check(std::mem::take(&mut alike.errors))?;
        }
        let category = Self {
            name: files.name.clone(),
            train,
            test: Vec::new(),
            scale: alike.scale,
            notes: alike.notes,
            seen: set.map(|set| set.with(digest)),
        };
        Ok((category, alike.errors))
    }

    /// As [`load`](Self::load), the test part alone: no training image is opened, and there are none in the result. The test
    /// part may be empty. Files with more than 8 bits are read by the scale of `loading`, which the training images gave; without
    /// one at full range.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the test part.
    pub fn load_tests(
        files: &CategoryFiles,
        loading: &Loading,
        limits: &Limits,
    ) -> Result<Self, DatasetError> {
        check_sizes(loading)?;
        let loaded: Vec<_> = files
            .test
            .par_iter()
            .map(|file| TestImage::load(file, loading, limits))
            .collect();
        let listed = DatasetError::check(files.test_faults.clone());
        let loaded = match (listed, all_or_errors(loaded)) {
            (Ok(()), Ok(loaded)) => loaded,
            (listed, loaded) => return Err(DatasetError::both(listed.err(), loaded.err())),
        };
        let (test, notes): (Vec<_>, Vec<_>) = loaded.into_iter().unzip();
        Ok(Self {
            name: files.name.clone(),
            train: Vec::new(),
            test,
            scale: loading.scale.unwrap_or_default(),
            notes: notes.into_iter().flatten().collect(),
            seen: None,
        })
    }

    /// [`CategoryFiles::discover`] and [`Category::load`] in one.
    ///
    /// # Errors
    /// Those of either.
    pub fn open(dir: &Path, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        Self::load(&CategoryFiles::discover(dir)?, loading, limits)
    }

    /// SHA-256 of the names and pixels of the training images, in hexadecimal digits. Images that are not held are decoded for it
    /// only where they are not those that were loaded together.
    ///
    /// # Errors
    /// As [`TrainImage::image`].
    pub fn train_digest(&self) -> Result<String, DatasetError> {
        if let Some(digest) = self.seen.as_ref().and_then(|seen| seen.digest_of(&self.train)) {
            return Ok(digest.to_owned());
        }
        let mut digest = SetDigest::default();
        for image in &self.train {
            digest.add(&image.name, &*image.image()?);
        }
        Ok(digest.finish())
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

/// How many images may be held.
struct Room {
    bytes: u64,
    /// Images that have room, where all are of one size.
    images: Option<u64>,
    /// Bytes of images that are held, where they are not.
    taken: AtomicU64,
}

impl Room {
    fn new(bytes: u64, sizing: Sizing) -> Self {
        let images = match sizing {
            Sizing::Exactly((width, height)) => Some(bytes / (3 * u64::from(width) * u64::from(height))),
            _ => None,
        };
        Self {
            bytes,
            images,
            taken: AtomicU64::new(0),
        }
    }

    /// Whether the image at a place of the list may be held. Which ones are changes no result.
    fn takes(&self, place: usize, image: &RgbImage) -> bool {
        if let Some(images) = self.images {
            return (place as u64) < images;
        }
        let bytes = image.as_raw().len() as u64;
        self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.bytes
    }

    /// Whether some of so many images may have no room.
    fn may_end_before(&self, images: usize) -> bool {
        self.images.is_none_or(|held| held < images as u64)
    }
}

/// All values, or all errors in the order of the files.
fn all_or_errors<T>(results: Vec<Result<T, DatasetError>>) -> Result<Vec<T>, DatasetError> {
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

pub(crate) fn check_sizes(loading: &Loading) -> Result<(), DatasetError> {
    for sizing in [loading.image, loading.mask] {
        if let Sizing::Exactly((width, height)) = sizing {
            check_target(width, height)?;
        }
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
