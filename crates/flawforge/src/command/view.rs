//! The view that a person asks for, and the one that their images speak for.

use std::borrow::Cow;
use std::str::FromStr;

use anyhow::{Context, Result};
use flawforge::augment::evidence::{Detail, shows_parts};
use flawforge::datasets::{Category, RegionOfInterest};
use flawforge::training::ViewProposal;
use flawforge::training::settings::View;
use image::RgbImage;

use crate::command::source::CategoryArgs;

/// `--view`: a name, of tiles with their scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AskedView {
    Stretch,
    Fit,
    Tiles(f64),
    TwoScales(f64),
}

impl FromStr for AskedView {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, scale) = match text.split_once(':') {
            Some((name, scale)) => (name, Some(scale)),
            None => (text, None),
        };
        let at = || match scale.map(str::parse) {
            None => Ok(1.0),
            Some(Ok(scale)) if scale > 0.0 => Ok(scale),
            Some(_) => Err(format!(
                "`{text}` names no scale; `{name}:0.5` is half that of the files"
            )),
        };
        match (name, scale) {
            ("stretch", None) => Ok(Self::Stretch),
            ("fit", None) => Ok(Self::Fit),
            ("tiles", _) => Ok(Self::Tiles(at()?)),
            ("two-scales", _) => Ok(Self::TwoScales(at()?)),
            _ => {
                Err("there are stretch, fit, tiles, two-scales, tiles:SCALE and two-scales:SCALE".to_owned())
            }
        }
    }
}

impl AskedView {
    /// The view, for the images of a category.
    pub(crate) fn of(self, category: &CategoryArgs) -> Result<View> {
        let sizes = match self {
            Self::Fit => category.file_sizes()?,
            _ => Vec::new(),
        };
        self.of_sizes(&sizes)
            .context("no normal images whose aspect ratio could be kept")
    }

    /// The view, for images with files of these sizes; `None` where it depends on sizes and there are none.
    pub(crate) fn of_sizes(self, sizes: &[(u32, u32)]) -> Option<View> {
        match self {
            Self::Stretch => Some(View::Stretch),
            Self::Tiles(scale) => Some(View::tiles(scale)),
            Self::TwoScales(scale) => Some(View::two_scales(scale)),
            Self::Fit => View::fitting(sizes),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_asked_for_by_name() {
        assert_eq!("fit".parse(), Ok(AskedView::Fit));
        assert_eq!("tiles".parse(), Ok(AskedView::Tiles(1.0)));
        assert_eq!("tiles:0.25".parse(), Ok(AskedView::Tiles(0.25)));
        assert_eq!("two-scales".parse(), Ok(AskedView::TwoScales(1.0)));
        for wrong in [
            "tiles:0",
            "tiles:x",
            "tiles:-1",
            "two-scales:a",
            "fit:2",
            "tile",
            "",
        ] {
            assert!(wrong.parse::<AskedView>().is_err(), "{wrong}");
        }
    }
}
