//! Test images one after the other: all are read and checked first, some are held, the others are decoded again when they are
//! wanted.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::category::check_sizes;
use crate::look::{Look, SetDigest, digest_of};
use crate::note::Note;
use crate::survey::Surveyed;
use crate::{Category, CategoryFiles, DatasetError, Limits, Loading, Marks, TestFile, TestImage};

/// Files that are decoded at a time: enough to keep all threads busy (proposal).
const CHUNK: usize = 32;

/// The test images of a category. What is known of each is in memory, the pixels of the first ones too.
#[derive(Clone, Debug)]
pub struct TestSet<'a> {
    /// Name of the category.
    pub name: String,
    /// Their files, where they come from files.
    pub files: Option<&'a CategoryFiles>,
    /// What is doubtful, assumed or passed over in the files, in their order.
    pub notes: Vec<Note>,
    /// [`SetDigest`] of the names and pixels.
    pub digest: String,
    entries: Vec<TestEntry<'a>>,
    loading: Loading,
    limits: Limits,
}

/// What is known of a test image.
#[derive(Clone, Debug)]
pub struct TestEntry<'a> {
    /// As [`TestImage::defect`].
    pub defect: String,
    /// As [`TestImage::marks`].
    pub marks: Option<Marks>,
    /// What there is to know of its pixels and its file.
    pub seen: Surveyed,
    /// Of the masks at the size of scoring.
    masks: [u8; 32],
    mask_size: (u32, u32),
    pixels: Pixels<'a>,
}

#[derive(Clone, Debug)]
enum Pixels<'a> {
    Drawn(&'a TestImage),
    Held(Box<TestImage>, &'a TestFile),
    InFile(&'a TestFile),
}

impl<'a> TestEntry<'a> {
    fn new(image: &TestImage, pixels: Pixels<'a>) -> Self {
        Self {
            defect: image.defect.clone(),
            marks: image.marks,
            seen: Surveyed::test(image),
            masks: digest_of(&[image.mask.pixels(), image.mask_half.pixels()]),
            mask_size: (image.mask.width(), image.mask.height()),
            pixels,
        }
    }

    /// Whether the image shows a defect.
    pub fn is_defective(&self) -> bool {
        self.seen.defective
    }
}

impl<'a> TestSet<'a> {
    /// Test images that are in memory.
    pub fn held(category: &'a Category) -> Self {
        let mut digest = SetDigest::default();
        for test in &category.test {
            digest.add(&test.name, &test.image);
        }
        Self {
            name: category.name.clone(),
            files: None,
            notes: category.notes.clone(),
            digest: digest.finish(),
            entries: category
                .test
                .par_iter()
                .map(|test| TestEntry::new(test, Pixels::Drawn(test)))
                .collect(),
            // Never read again.
            loading: Loading::opencv(1, 1).by(category.scale),
            limits: Limits::default(),
        }
    }

    /// Reads all test images once, as [`Category::load_tests`] does, so that whatever is wrong with them is known at once. Those
    /// beyond [`Limits::max_held_bytes`], images with their masks, are not held.
    ///
    /// # Errors
    /// As [`Category::load_tests`].
    pub fn read(files: &'a CategoryFiles, loading: &Loading, limits: &Limits) -> Result<Self, DatasetError> {
        check_sizes(loading)?;
        let mut room = limits.max_held_bytes;
        let mut entries = Vec::with_capacity(files.test.len());
        let (mut notes, mut errors) = (Vec::new(), Vec::new());
        let mut digest = SetDigest::default();
        for chunk in files.test.chunks(CHUNK) {
            let read: Vec<_> = chunk
                .par_iter()
                .map(|file| TestImage::load(file, loading, limits))
                .collect();
            for (file, read) in chunk.iter().zip(read) {
                let (image, found) = match read {
                    Ok(read) => read,
                    Err(error) => {
                        errors.push(error);
                        continue;
                    }
                };
                notes.extend(found);
                digest.add(&image.name, &image.image);
                let mut entry = TestEntry::new(&image, Pixels::InFile(file));
                let bytes = image.image.as_raw().len() + 2 * image.mask.pixels().len();
                if let Some(left) = room.checked_sub(bytes as u64) {
                    room = left;
                    entry.pixels = Pixels::Held(Box::new(image), file);
                }
                entries.push(entry);
            }
        }
        match (
            DatasetError::check(files.test_faults.clone()),
            DatasetError::check(errors),
        ) {
            (Ok(()), Ok(())) => Ok(Self {
                name: files.name.clone(),
                files: Some(files),
                notes,
                digest: digest.finish(),
                entries,
                loading: loading.clone(),
                limits: *limits,
            }),
            (listed, read) => Err(DatasetError::both(listed.err(), read.err())),
        }
    }

    /// What is known of the images, in their order: by defect type, then by file name.
    pub fn entries(&self) -> &[TestEntry<'a>] {
        &self.entries
    }

    /// Width and height of the masks in pixels; `None` where they differ from image to image.
    pub fn scored_at(&self) -> Option<(u32, u32)> {
        let first = self.entries.first()?.mask_size;
        self.entries
            .iter()
            .all(|entry| entry.mask_size == first)
            .then_some(first)
    }

    /// Pixels to score: all images at the size of the masks, or at that of their files.
    pub fn pixels(&self, at_file_size: bool) -> u64 {
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let size = |entry: &TestEntry<'_>| match at_file_size {
            true => entry.seen.size,
            false => entry.mask_size,
        };
        self.entries.iter().map(|entry| pixels(size(entry))).sum()
    }

    /// A test image: that in memory, or decoded anew.
    ///
    /// # Errors
    /// Its files can no longer be read, or their pixels are not those that they had when they were first read.
    pub fn image<'s>(&self, entry: &'s TestEntry<'a>) -> Result<Cow<'s, TestImage>, DatasetError> {
        let file = match &entry.pixels {
            Pixels::Drawn(image) => return Ok(Cow::Borrowed(image)),
            Pixels::Held(image, _) => return Ok(Cow::Borrowed(image)),
            Pixels::InFile(file) => file,
        };
        let (image, _) = TestImage::load(file, &self.loading, &self.limits)?;
        let masks = digest_of(&[image.mask.pixels(), image.mask_half.pixels()]);
        let path = file.path.clone();
        match Look::of(&image.image) == entry.seen.look && masks == entry.masks {
            true => Ok(Cow::Owned(image)),
            false => Err(DatasetError::Changed { path }),
        }
    }

    /// A test image and its masks at their own size, decoded anew; `None` if it comes from no file.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    pub fn at_file_size(&self, entry: &TestEntry<'a>) -> Result<Option<TestImage>, DatasetError> {
        let file = match entry.pixels {
            Pixels::Drawn(_) => return Ok(None),
            Pixels::Held(_, file) | Pixels::InFile(file) => file,
        };
        let scale = self.loading.scale.unwrap_or_default();
        let image = TestImage::at_file_size(file, scale, self.loading.region.as_ref(), &self.limits)?;
        // At their own size all regions of a mask have pixels.
        let of_file = |marks: Option<Marks>| marks.map(|marks| (marks.marked, marks.pixels, marks.regions));
        let shown = self.loading.shown(&image.image, Some(&file.path), &self.limits)?;
        let same = Look::of(&shown) == entry.seen.look;
        let path = file.path.clone();
        match same && of_file(image.marks) == of_file(entry.marks) {
            true => Ok(Some(image)),
            false => Err(DatasetError::Changed { path }),
        }
    }
}
