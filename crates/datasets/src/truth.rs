//! Ground truth: a mask file beside its image, turned as the image is, at the size of scoring.

use std::path::{Path, PathBuf};

use flawforge_masks::Mask;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};
use serde::{Deserialize, Serialize};

use crate::decode::{Decoded, decode, swaps_sides};
use crate::note::{Note, Remark};
use crate::regions::Regions;
use crate::{DatasetError, Limits, TestImage, levels, resize};

/// A share of marked pixels above which a mask may be inverted.
const MOST: f64 = 0.5;

/// What the mask file of a test image marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Marked pixels of the file.
    pub marked: u64,
    /// Pixels of the file.
    pub pixels: u64,
    /// Connected regions of the file.
    pub regions: usize,
    /// Regions that have a pixel in [`TestImage::mask`].
    pub regions_left: usize,
}

impl Marks {
    /// What a mask marks that is not resized.
    pub fn of(mask: &Mask) -> Self {
        let regions = Regions::of(mask).count;
        Self {
            marked: mask.count() as u64,
            pixels: mask.pixels().len() as u64,
            regions,
            regions_left: regions,
        }
    }

    /// Whether more than half is marked.
    pub fn is_most(&self) -> bool {
        self.share() > MOST
    }

    fn share(&self) -> f64 {
        self.marked as f64 / self.pixels.max(1) as f64
    }
}

/// How the masks of a category came out, for results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskCounts {
    /// Defective test images.
    pub defective: usize,
    /// Defective test images with a mask.
    pub masks: usize,
    /// Masks that mark nothing; these images are left out of the pixel metrics.
    pub mark_nothing: usize,
    /// Masks that mark more than half of their image.
    pub mark_most: usize,
    /// Masks that mark something, but have no pixel left at the size of scoring by DRAEM's rule.
    pub nothing_left: usize,
    /// The same by the rule of half coverage.
    pub nothing_left_half: usize,
    /// Connected regions of all masks.
    pub regions: usize,
    /// Regions without a pixel at the size of scoring by DRAEM's rule.
    pub regions_lost: usize,
}

impl MaskCounts {
    /// The counts over test images.
    pub fn of<'a>(test: impl IntoIterator<Item = &'a TestImage>) -> Self {
        let mut counts = Self::default();
        for image in test {
            counts.add(image);
        }
        counts
    }

    /// Counts one more test image.
    pub fn add(&mut self, image: &TestImage) {
        if !image.is_defective() {
            return;
        }
        self.defective += 1;
        let Some(marks) = image.marks else { return };
        self.masks += 1;
        self.regions += marks.regions;
        self.regions_lost += marks.regions - marks.regions_left.min(marks.regions);
        self.mark_most += usize::from(marks.is_most());
        if marks.marked == 0 {
            self.mark_nothing += 1;
        } else {
            self.nothing_left += usize::from(image.mask.is_empty());
            self.nothing_left_half += usize::from(image.mask_half.is_empty());
        }
    }
}

/// Ground truth of one image.
pub(crate) struct Truth {
    pub(crate) mask: Mask,
    pub(crate) mask_half: Mask,
    pub(crate) marks: Marks,
    pub(crate) notes: Vec<Note>,
}

/// What is known of the image that masks belong to.
pub(crate) struct Beside<'a> {
    pub(crate) path: &'a Path,
    /// Width and height as stored.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
}

/// Ground truth from the mask files of an image: each is made binary and turned; what any of them marks is brought to the size
/// of scoring. `None` without files.
///
/// # Errors
/// Files that cannot be decoded, a size that is not the image's, values that cannot be told from noise.
pub(crate) fn truth(
    paths: &[PathBuf],
    beside: &Beside<'_>,
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<Option<Truth>, DatasetError> {
    let mut notes = Vec::new();
    let (Some(first), Some(image)) = (paths.first(), joined(paths, beside, limits, &mut notes)?) else {
        return Ok(None);
    };
    let own = at_least(&image, 128);
    let regions = Regions::of(&own);
    let resized = resize::bilinear_gray(&image, width, height);
    let (mask, mask_half) = (at_least(&resized, 255), at_least(&resized, 128));
    let marks = Marks {
        marked: own.count() as u64,
        pixels: own.pixels().len() as u64,
        regions: regions.count,
        regions_left: regions.left_in(&mask),
    };
    let size = (width, height);
    let mut say = |remark| notes.push(note(first, remark));
    if marks.marked == 0 {
        say(Remark::MarksNothing);
    } else if mask.is_empty() {
        say(Remark::Vanishes { size });
    } else if marks.regions_left < marks.regions {
        say(Remark::RegionsVanish {
            gone: marks.regions - marks.regions_left,
            of: marks.regions,
            size,
        });
    }
    if marks.is_most() {
        let percent = 100.0 * marks.share();
        say(Remark::MarksMost { percent });
    }
    Ok(Some(Truth {
        mask,
        mask_half,
        marks,
        notes,
    }))
}

/// What the mask files of an image mark together, upright and at its own size. `None` without files.
///
/// # Errors
/// As [`truth`].
pub(crate) fn joined(
    paths: &[PathBuf],
    beside: &Beside<'_>,
    limits: &Limits,
    notes: &mut Vec<Note>,
) -> Result<Option<GrayImage>, DatasetError> {
    let Some((first, others)) = paths.split_first() else {
        return Ok(None);
    };
    let mut image = upright(first, beside, limits, notes)?;
    for path in others {
        let other = upright(path, beside, limits, notes)?;
        for (value, other) in image.iter_mut().zip(other.iter()) {
            *value = (*value).max(*other);
        }
    }
    Ok(Some(image))
}

/// Whether a mask file marks anything.
///
/// # Errors
/// A file that cannot be decoded, values that cannot be told from noise.
pub(crate) fn marks_anything(path: &Path, limits: &Limits) -> Result<bool, DatasetError> {
    let marked = binary(path, &decode(path, limits)?)?;
    Ok(marked.image.iter().any(|&value| value >= 128))
}

fn binary(path: &Path, decoded: &Decoded) -> Result<levels::Marked, DatasetError> {
    levels::marked(decoded).map_err(|largest| {
        let mask = path.to_path_buf();
        DatasetError::MaskValues { mask, largest }
    })
}

/// A mask file, binary and turned.
fn upright(
    path: &Path,
    beside: &Beside<'_>,
    limits: &Limits,
    notes: &mut Vec<Note>,
) -> Result<GrayImage, DatasetError> {
    let decoded = decode(path, limits)?;
    let levels::Marked { image, mut remarks } = binary(path, &decoded)?;
    let image = turned(path, image, &decoded, beside, &mut remarks)?;
    let all = decoded.remarks.into_iter().chain(remarks);
    notes.extend(all.map(|remark| note(path, remark)));
    Ok(image)
}

fn note(path: &Path, remark: Remark) -> Note {
    Note {
        path: path.to_path_buf(),
        remark,
    }
}

/// The mask upright. One with an orientation of its own follows it. One without was drawn either on the stored image, and is
/// turned as the image is, or on the turned one: sizes tell, and where they do not, it is turned and said.
fn turned(
    path: &Path,
    image: GrayImage,
    decoded: &Decoded,
    beside: &Beside<'_>,
    remarks: &mut Vec<Remark>,
) -> Result<GrayImage, DatasetError> {
    let upright = match swaps_sides(beside.orientation) {
        true => (beside.size.1, beside.size.0),
        false => beside.size,
    };
    let turns = |orientation: Orientation| orientation != Orientation::NoTransforms;
    let orientation = if decoded.says_orientation {
        if decoded.orientation != beside.orientation {
            remarks.push(Remark::OwnOrientation);
        }
        decoded.orientation
    } else if !turns(beside.orientation) {
        Orientation::NoTransforms
    } else if image.dimensions() == beside.size {
        remarks.push(Remark::Turned);
        beside.orientation
    } else {
        remarks.push(Remark::Upright);
        Orientation::NoTransforms
    };
    let mut turned = DynamicImage::ImageLuma8(image);
    turned.apply_orientation(orientation);
    let turned = turned.into_luma8();
    if turned.dimensions() != upright {
        let exif = turns(beside.orientation) || turns(decoded.orientation);
        return Err(DatasetError::MaskSize {
            mask: path.to_path_buf(),
            mask_size: turned.dimensions(),
            image: beside.path.to_path_buf(),
            image_size: upright,
            hint: if exif { " (turned by EXIF orientation)" } else { "" },
        });
    }
    Ok(turned)
}

/// DRAEM divides the resized mask by 255 and truncates, so 255 alone counts (docs/method.md, section 13.1); 128 is the first
/// value of at least one half.
pub(crate) fn at_least(mask: &GrayImage, level: u8) -> Mask {
    Mask::from_fn(mask.width(), mask.height(), |x, y| {
        mask.get_pixel(x, y)[0] >= level
    })
}
