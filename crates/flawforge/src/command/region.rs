//! The region of interest that a person names, or leaves beside the images.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use flawforge::datasets::{Limits, Loading, RegionOfInterest};
use flawforge::source::{region_beside, tell_region};
use flawforge::training::settings::Region;
use flawforge::training::{Experiment, Run};

use super::source::CategoryArgs;

/// What of the images is looked at.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RegionArgs {
    /// Look at this part of the images alone: a mask, white inside; polygons (JSON, LabelMe's or {"width", "height", "polygons"}); or a
    /// folder with a mask for each image, of its name [default: roi.png among the images, where there is one]
    #[arg(long = "roi", value_name = "FILE|DIR")]
    named: Option<PathBuf>,
}

impl RegionArgs {
    /// The region named; `None` without.
    pub(crate) fn named(&self) -> Result<Option<RegionOfInterest>> {
        let read = |path: &PathBuf| RegionOfInterest::open(path, &Limits::default());
        Ok(self.named.as_ref().map(read).transpose()?)
    }

    /// The file or folder of the region named, or of that beside the images of a category.
    fn file(&self, category: &CategoryArgs) -> Option<PathBuf> {
        self.named.clone().or_else(|| region_beside(category.folder()?))
    }

    /// The region named, or that beside the images of a category. Says in one line where it was found.
    pub(crate) fn of(&self, category: &CategoryArgs) -> Result<Option<RegionOfInterest>> {
        let Some(path) = self.file(category) else {
            return Ok(None);
        };
        let region = RegionOfInterest::open(&path, &Limits::default())?;
        match &region {
            RegionOfInterest::Fixed { mask, .. } => log::info!(
                "region of interest {}: {:.0} % of the image; nothing else is looked at",
                path.display(),
                100.0 * mask.coverage()
            ),
            _ => log::info!("regions of interest: a mask for each image in {}", path.display()),
        }
        Ok(Some(region))
    }

    /// How images are loaded for a run: its own region, or that of each image, which must be named.
    pub(crate) fn loading(&self, run: &Run) -> Result<Loading> {
        self.complete(run.loading(), &run.experiment().region)
    }

    /// The same for an experiment to train on a category, beside whose images the region may lie.
    pub(crate) fn training(&self, experiment: &Experiment, category: &CategoryArgs) -> Result<Loading> {
        let mut loading = self.complete(experiment.loading(), &experiment.region)?;
        if let Some(path) = self.file(category) {
            tell_region(&mut loading, &experiment.region, &path);
        }
        Ok(loading)
    }

    /// The same for an experiment with this region.
    fn complete(&self, mut loading: Loading, region: &Region) -> Result<Loading> {
        let named = self.named()?;
        match (region, named) {
            (Region::EachImage, Some(each @ RegionOfInterest::EachImage(_))) => loading.region = Some(each),
            (Region::EachImage, _) => {
                bail!(
                    "each image of this run has a region of interest of its own: name the folder of their masks (--roi DIR)"
                )
            }
            (Region::All, Some(_)) => bail!("this run looks at whole images (--roi is for `train`)"),
            (_, Some(fixed)) if Region::of(&fixed) != *region => {
                bail!(
                    "this run looks at another region of interest (--roi is for `train`; later commands know it)"
                )
            }
            _ => {}
        }
        if let Some(path) = &self.named {
            tell_region(&mut loading, region, path);
        }
        Ok(loading)
    }
}
