//! What there is in the files of a category, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::glance::Glance;
use crate::PixelScale;
use crate::note::Remark;

/// Sizes that are told one by one.
const SIZES: usize = 6;

/// A size of images, and how many have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// Images of this size.
    pub images: usize,
}

/// What the image files of a category are, without their masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileFacts {
    /// Files that could be read.
    pub read: usize,
    /// The most common sizes.
    pub sizes: Vec<SizeCount>,
    /// How many sizes there are.
    pub different_sizes: usize,
    /// Least and largest width in pixels.
    pub width: Option<(u32, u32)>,
    /// Least and largest height in pixels.
    pub height: Option<(u32, u32)>,
    /// Least and largest width through height.
    pub aspect: Option<(f64, f64)>,
    /// Files by kind: PNG, JPEG, …
    pub kinds: BTreeMap<String, usize>,
    /// Files by how samples are stored: "8 bits", "16 bits", "floating point, signed or 32 bits".
    pub depths: BTreeMap<String, usize>,
    /// Files by what they show: "grey", "color", and "grey in a color file".
    pub colors: BTreeMap<String, usize>,
    /// Files with an alpha channel.
    pub alpha: usize,
    /// Files by EXIF orientation, from 1; 1 is upright.
    pub orientations: BTreeMap<u8, usize>,
    /// Files with further pages, frames or pictures.
    pub further: usize,
    /// How deep values become 8 bits in a run on these images.
    pub scale: PixelScale,
}

impl FileFacts {
    /// Sums up files, each with whether its small picture has colors.
    pub(super) fn of<'a>(files: impl Iterator<Item = (&'a Glance, bool)>, scale: PixelScale) -> Self {
        let mut facts = Self {
            scale,
            ..Self::default()
        };
        let mut sizes: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        let add = |counts: &mut BTreeMap<String, usize>, name: &str| {
            *counts.entry(name.to_owned()).or_default() += 1;
        };
        for (file, colored) in files {
            facts.read += 1;
            let (width, height) = file.size;
            *sizes.entry(file.size).or_default() += 1;
            let wider = |known: Option<(u32, u32)>, value: u32| {
                Some(known.map_or((value, value), |(a, b)| (a.min(value), b.max(value))))
            };
            facts.width = wider(facts.width, width);
            facts.height = wider(facts.height, height);
            let aspect = f64::from(width) / f64::from(height);
            facts.aspect = Some(
                facts
                    .aspect
                    .map_or((aspect, aspect), |(a, b)| (a.min(aspect), b.max(aspect))),
            );
            add(&mut facts.kinds, file.kind);
            let depth = match (file.extent.bytes, file.bits()) {
                (true, _) => "8 bits",
                (false, 16) => "16 bits",
                (false, _) => "floating point, signed or 32 bits",
            };
            add(&mut facts.depths, depth);
            let color = match (colored, file.stored.has_color()) {
                (true, _) => "color",
                (false, false) => "grey",
                (false, true) => "grey in a color file",
            };
            add(&mut facts.colors, color);
            facts.alpha += usize::from(file.stored.has_alpha());
            *facts.orientations.entry(file.orientation).or_default() += 1;
            let further = |remark: &Remark| matches!(remark, Remark::Further { .. });
            facts.further += usize::from(file.remarks.iter().any(further));
        }
        facts.different_sizes = sizes.len();
        let mut sizes: Vec<SizeCount> = sizes
            .into_iter()
            .map(|((width, height), images)| SizeCount {
                width,
                height,
                images,
            })
            .collect();
        sizes.sort_by_key(|size| std::cmp::Reverse((size.images, size.width, size.height)));
        sizes.truncate(SIZES);
        facts.sizes = sizes;
        facts
    }
}
