//! What masks mark: at their own size, and what is left at the sizes of networks.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::glance::Stored;
use crate::note::{Note, Remark};
use crate::regions::Regions;
use crate::truth::{at_least, joined};
use crate::{DatasetError, Limits, Marks, TestFile, resize};

/// Sides, in pixels, at which it is told what is left of masks: those of the profiles `quick` and `paper`.
pub const SIDES: [u32; 2] = [128, 256];

/// What the masks of one image mark.
pub(super) struct Marked {
    /// At the masks' own size; the regions left are those at the first of [`SIDES`].
    pub(super) marks: Marks,
    /// Regions that have a pixel left, by [`SIDES`].
    pub(super) left: [usize; 2],
    pub(super) notes: Vec<Note>,
}

impl Marked {
    /// Reads the masks of an image; `None` where there are none.
    pub(super) fn of(file: &TestFile, image: &Stored, limits: &Limits) -> Result<Option<Self>, DatasetError> {
        let mut notes = Vec::new();
        let Some(mask) = joined(&file.masks, &image.beside(&file.path), limits, &mut notes)? else {
            return Ok(None);
        };
        let own = at_least(&mask, 128);
        let regions = Regions::of(&own);
        let left = SIDES.map(|side| {
            let small = at_least(&resize::bilinear_gray(&mask, side, side), 255);
            regions.left_in(&small)
        });
        Ok(Some(Self {
            marks: Marks {
                marked: own.count() as u64,
                pixels: own.pixels().len() as u64,
                regions: regions.count,
                regions_left: left[0],
            },
            left,
            notes,
        }))
    }

    /// Share of the image that is marked.
    pub(super) fn share(&self) -> f64 {
        self.marks.marked as f64 / self.marks.pixels.max(1) as f64
    }

    /// Which values were found, in words.
    fn values(&self) -> &'static str {
        let mut found = "0 and one other value";
        for note in &self.notes {
            found = match note.remark {
                Remark::ManyGreys { .. } => "many greys",
                Remark::SeveralLevels { .. } => "several levels",
                Remark::Labels { .. } => "labels",
                Remark::Colors { .. } => "colors",
                Remark::Alpha => "alpha channel",
                Remark::Reduced => "grey borders (reduced before)",
                _ => found,
            };
        }
        found
    }
}

/// Limits between the classes of coverage, in shares of the image.
const CLASSES: [(f64, &str); 6] = [
    (0.0, "nothing"),
    (0.001, "to 0.1 %"),
    (0.01, "to 1 %"),
    (0.1, "to 10 %"),
    (0.5, "to 50 %"),
    (f64::INFINITY, "more"),
];

/// What all masks together mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MaskFacts {
    /// Defective images.
    pub defective: usize,
    /// Defective images with a mask.
    pub masked: usize,
    /// Masks that could be read.
    pub read: usize,
    /// Masks by the kind of values in them.
    pub values: BTreeMap<String, usize>,
    /// Masks that mark nothing.
    pub mark_nothing: usize,
    /// Masks that mark more than half.
    pub mark_most: usize,
    /// Share of the image that masks mark, in percent: least, median and largest.
    pub coverage_percent: Option<[f64; 3]>,
    /// Masks by classes of coverage, from none to most.
    pub coverage: Vec<(String, usize)>,
    /// Connected regions.
    pub regions: usize,
    /// What is lost at the sizes of networks.
    pub lost: Vec<Lost>,
}

/// What of the masks is lost at a size.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lost {
    /// Side in pixels.
    pub side: u32,
    /// Masks that mark something, with no pixel left.
    pub masks: usize,
    /// Regions without a pixel left.
    pub regions: usize,
}

impl MaskFacts {
    /// Sums up what was read.
    pub(super) fn of<'a>(
        defective: usize,
        masked: usize,
        all: impl Iterator<Item = &'a Marked> + Clone,
    ) -> Self {
        let mut facts = Self {
            defective,
            masked,
            coverage: CLASSES.iter().map(|(_, name)| ((*name).to_owned(), 0)).collect(),
            lost: SIDES
                .iter()
                .map(|&side| Lost {
                    side,
                    ..Lost::default()
                })
                .collect(),
            ..Self::default()
        };
        let mut shares = Vec::new();
        for one in all {
            facts.read += 1;
            *facts.values.entry(one.values().to_owned()).or_default() += 1;
            facts.mark_nothing += usize::from(one.marks.marked == 0);
            facts.mark_most += usize::from(one.marks.is_most());
            facts.regions += one.marks.regions;
            for (lost, left) in facts.lost.iter_mut().zip(one.left) {
                lost.masks += usize::from(one.marks.marked > 0 && left == 0);
                lost.regions += one.marks.regions - left.min(one.marks.regions);
            }
            let share = one.share();
            let class = CLASSES.iter().position(|(limit, _)| share <= *limit);
            if let Some((_, count)) = class.and_then(|class| facts.coverage.get_mut(class)) {
                *count += 1;
            }
            shares.push(100.0 * share);
        }
        shares.sort_by(f64::total_cmp);
        facts.coverage_percent = match (shares.first(), shares.get(shares.len() / 2), shares.last()) {
            (Some(&least), Some(&median), Some(&most)) => Some([least, median, most]),
            _ => None,
        };
        facts
    }
}

/// Faults of masks whose image cannot be read.
pub(super) fn faults(file: &TestFile, limits: &Limits) -> Vec<DatasetError> {
    let fault = |mask: &std::path::PathBuf| crate::decode::decode(Path::new(mask), limits).err();
    file.masks.iter().filter_map(fault).collect()
}
