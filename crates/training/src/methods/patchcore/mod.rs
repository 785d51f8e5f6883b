//! PatchCore (Roth et al. 2022): a memory bank of a pretrained network's features, nothing simulated.

mod batches;
mod collected;
mod in_parts;
mod left_out;
mod recipe;
mod room;
mod settings;

pub(crate) use left_out::left_out;
pub use recipe::PatchCoreRecipe;
pub use settings::{Budget, Group, Settings};

use candle_core::Device;
use flawforge_augment::Simulation;
use flawforge_datasets::{Loading, Resizing};
use flawforge_ops::Precision;

use super::backbone::{BackboneWeights, in_bfloat16, in_f32_all_the_same};
use super::one_pass::Relit;
use super::{Assembly, Continuation, Data, Frame, one_pass};
use crate::device::gpu_available;
use crate::error::Result;
use crate::recipe::{BatchSource, Pool, Recipe};
use crate::settings::Intervals;
use crate::windowing::step;
use batches::PlainBatches;

impl Assembly for Settings {
    fn check(&self, frame: &Frame<'_>) -> Result<()> {
        self.check_ranges()?;
        one_pass::check_panels(frame, "PatchCore")
    }

    fn adapt(&self, every: &mut Intervals) {
        *every = one_pass::intervals();
    }

    fn loading(&self, side: u32) -> Loading {
        let whole = self.patchcore.whole();
        Loading::new(Resizing::antialiased(whole, whole), (side, side))
    }

    fn seen(&self, side: u32) -> (u32, u32) {
        let crop = self.patchcore.center(side);
        (crop.image.0, crop.crop.0)
    }

    fn step(&self, side: u32) -> u32 {
        let (_, seen) = self.seen(side);
        let stride = self.patchcore.strides.iter().copied().max().unwrap_or(1);
        step(stride as u32, seen, &self.patchcore.sides())
    }

    fn precision(&self) -> Precision {
        self.patchcore.precision
    }

    /// One pass over the images.
    fn steps(&self, images: usize) -> u64 {
        images.div_ceil(self.patchcore.batch.max(1)) as u64
    }

    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String> {
        Ok(vec![Pool {
            images,
            batch: self.patchcore.batch,
        }])
    }

    fn recipe(&self, frame: &Frame<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
        let recipe = PatchCoreRecipe::new(self, frame, device)?;
        Ok(Box::new(recipe))
    }

    fn batches<'a>(&self, frame: &Frame<'_>, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
        Box::new(PlainBatches {
            images: &data.category.train,
            chosen: data.kept(),
            batch: self.patchcore.batch,
            relit: Relit::of(&self.simulation, frame),
        })
    }

    fn leaves_one_out(&self) -> bool {
        true
    }

    fn leaves_out_in_parts(&self) -> bool {
        true
    }

    fn column(&self) -> String {
        let differs = self.patchcore.differs();
        let texts: Vec<String> = differs.into_iter().map(|(text, _)| text).collect();
        texts.join("; ")
    }

    fn continuation(&self) -> Continuation {
        Continuation::AddsNormals
    }

    fn calibration(&self, data: &Data<'_>) -> Simulation {
        data.simulation(&self.simulation)
    }

    fn notices(&self, images: usize) -> Vec<String> {
        let group = &self.patchcore;
        let multiplied = in_f32_all_the_same(
            "PatchCore",
            group.backbone,
            group.precision,
            !gpu_available(),
            group.precision.is_served_here(),
        );
        group.said(images).into_iter().chain(multiplied).collect()
    }

    fn deviations(&self, _: &Frame<'_>, steps: u64) -> Vec<String> {
        let images = (steps as usize).saturating_mul(self.patchcore.batch);
        let thinned = self.patchcore.said(images);
        let network = self.patchcore.backbone.name();
        let weights = match self.patchcore.weights {
            BackboneWeights::Pretrained => None,
            BackboneWeights::Random => Some(format!(
                "PatchCore's network: {network} with random weights, no knowledge of images (the paper: trained on ImageNet)"
            )),
            BackboneWeights::Textures => Some(format!(
                "PatchCore's network: a small {network} trained here on textures (the paper: trained on ImageNet)"
            )),
        };
        let differs = self.patchcore.differs().into_iter();
        let differs = differs.map(|(_, sentence)| format!("PatchCore's {sentence}"));
        let rounded = in_bfloat16("PatchCore", self.patchcore.backbone, self.patchcore.precision);
        weights
            .into_iter()
            .chain(differs)
            .chain(rounded)
            .chain(thinned)
            .collect()
    }
}
