//! The view that images speak for.

use std::borrow::Cow;

use anyhow::Result;
use flawforge::augment::evidence::{Detail, shows_parts};
use flawforge::datasets::{Category, RegionOfInterest};
use flawforge::training::ViewProposal;
use image::RgbImage;

use crate::command::source::CategoryArgs;

/// Images whose detail is looked at, and images that are compared to tell parts from a surface (proposals).
const DETAILED: usize = 4;
const COMPARED: usize = 24;

/// The proposal of sizes, completed by a look at some images where it depends on them. `shown` holds the normal images, made small.
pub(crate) fn completed(
    proposal: ViewProposal,
    category: &CategoryArgs,
    shown: &Category,
    region: Option<RegionOfInterest>,
) -> Result<ViewProposal> {
    if !proposal.needs_a_look() {
        return Ok(proposal);
    }
    let Some(detail) = Detail::of(&category.at_file_size(DETAILED, shown, region)?) else {
        return Ok(proposal);
    };
    let count = shown.train.len().min(COMPARED);
    let images = (0..count).map(|i| shown.train[i * shown.train.len() / count].image());
    let images: Vec<Cow<'_, RgbImage>> = images.collect::<Result<_, _>>()?;
    let parts = shows_parts(&images.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    Ok(proposal.looked_at(&detail, parts))
}
