//! A test image in memory, with its ground truth.

use std::path::PathBuf;

use flawforge_masks::Mask;
use image::RgbImage;

use crate::decode::{decode, picture};
use crate::layout::GOOD;
use crate::note::Note;
use crate::truth::{Beside, Marks, truth};
use crate::{DatasetError, Limits, Loading, PixelScale, RegionOfInterest, TestFile};

/// A test image with its ground truth.
#[derive(Clone, Debug)]
pub struct TestImage {
    /// Defect type and path below its folder without the ending, "broken_large/000"; unique within the category.
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
    /// What the mask files mark, all together; `None` without one.
    pub marks: Option<Marks>,
    /// Width and height of the image's file in pixels, upright.
    pub file_size: (u32, u32),
    /// What of the image is looked at, at the size of the masks; `None` where that is all of it. Nothing else is anomalous, nor counts.
    pub inside: Option<Mask>,
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
            inside: None,
        }
    }

    /// Reads a test image and its masks and brings them to the sizes of `loading`. Deep values are read by its scale, or else
    /// at full range. Beside the image, what is doubtful, assumed or passed over in its files.
    ///
    /// # Errors
    /// As [`Category::load`](crate::Category::load), of one image.
    pub fn load(
        file: &TestFile,
        loading: &Loading,
        limits: &Limits,
    ) -> Result<(Self, Vec<Note>), DatasetError> {
        let scale = loading.scale.unwrap_or_default();
        read(file, Some(loading), loading.region.as_ref(), scale, limits)
    }

    /// Reads a test image and its masks at their own size, for scores at the resolution of the files. Deep values are read by
    /// `scale`; of a `region` of interest pixels outside count for nothing, and the image shows them.
    ///
    /// # Errors
    /// As [`Category::load`](crate::Category::load), of one image.
    pub fn at_file_size(
        file: &TestFile,
        scale: PixelScale,
        region: Option<&RegionOfInterest>,
        limits: &Limits,
    ) -> Result<Self, DatasetError> {
        Ok(read(file, None, region, scale, limits)?.0)
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

/// A test image and its masks, at the sizes of `loading` or at their own.
fn read(
    file: &TestFile,
    loading: Option<&Loading>,
    region: Option<&RegionOfInterest>,
    scale: PixelScale,
    limits: &Limits,
) -> Result<(TestImage, Vec<Note>), DatasetError> {
    let decoded = match decode(&file.path, limits) {
        Ok(decoded) => decoded,
        // The faults of the masks are found all the same.
        Err(error) => return Err(DatasetError::both(Some(error), mask_faults(&file.masks, limits))),
    };
    let beside = Beside {
        path: &file.path,
        size: (decoded.image.width(), decoded.image.height()),
        orientation: decoded.orientation,
    };
    let shown = picture(&file.path, decoded, &scale);
    let file_size = shown
        .as_ref()
        .map_or(beside.size, |picture| picture.image.dimensions());
    let size = loading.map_or(file_size, |loading| loading.mask.of(file_size));
    let (picture, truth) = match (shown, truth(&file.masks, &beside, size, limits)) {
        (Ok(picture), Ok(truth)) => (picture, truth),
        (picture, truth) => return Err(DatasetError::both(picture.err(), truth.err())),
    };
    let mut notes = picture.notes;
    let inside = match region {
        Some(region) => Some(
            region
                .of(Some(&file.path), file_size, limits)?
                .scaled(size.0, size.1),
        ),
        None => None,
    };
    let (mut mask, mut mask_half, marks) = match truth {
        None => (Mask::empty(size.0, size.1), Mask::empty(size.0, size.1), None),
        Some(truth) => {
            notes.extend(truth.notes);
            (truth.mask, truth.mask_half, Some(truth.marks))
        }
    };
    for mask in [&mut mask, &mut mask_half] {
        if let Some(inside) = &inside {
            // Both have the size of scoring.
            *mask = mask.intersection(inside).unwrap_or_default();
        }
    }
    let image = TestImage {
        name: format!("{}/{}", file.defect, file.name),
        defect: file.defect.clone(),
        image: match loading {
            Some(loading) => loading.shown(&picture.image, Some(&file.path), limits)?,
            None => picture.image,
        },
        mask,
        mask_half,
        marks,
        file_size,
        inside,
    };
    Ok((image, notes))
}

fn mask_faults(masks: &[PathBuf], limits: &Limits) -> Option<DatasetError> {
    let faults = masks.iter().filter_map(|mask| decode(mask, limits).err());
    DatasetError::check(faults.collect()).err()
}
