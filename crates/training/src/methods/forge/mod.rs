//! Forge: memory banks of a small pretrained network, and a head on simulated anomalies (proposal).

mod batches;
mod collected;
mod details;
mod learning;
mod left_out;
mod position;
mod recipe;
mod settings;
mod shares;
mod sizes;

pub use position::Position;
pub use recipe::ForgeRecipe;
pub use settings::{Budget, Group, HeadSettings, Settings};

use candle_core::Device;
use flawforge_augment::Simulation;
use flawforge_datasets::{Loading, Resizing};
use flawforge_models::patchcore::STRIDES;
use flawforge_ops::Precision;

use super::backbone::{BackboneWeights, in_bfloat16, in_f32_all_the_same};
use super::one_pass::Relit;
use super::{Assembly, Continuation, Data, Frame, one_pass};
use crate::device::gpu_available;
use crate::error::Result;
use crate::recipe::{BatchSource, Pool, Recipe};
use crate::settings::Intervals;
use crate::windowing::step;
use batches::ForgeBatches;

impl Assembly for Settings {
    fn check(&self, frame: &Frame<'_>) -> Result<()> {
        self.check_ranges()?;
        one_pass::check_panels(frame, "forge")
    }

    fn adapt(&self, every: &mut Intervals) {
        *every = one_pass::intervals();
    }

    fn loading(&self, side: u32) -> Loading {
        let largest = self.forge.sides.iter().copied().max().unwrap_or(side);
        Loading::new(Resizing::antialiased(largest, largest), (side, side))
    }

    fn seen(&self, side: u32) -> (u32, u32) {
        let largest = self.forge.sides.iter().copied().max().unwrap_or(side);
        (largest, largest)
    }

    fn step(&self, side: u32) -> u32 {
        let (largest, _) = self.seen(side);
        let stride = STRIDES.iter().copied().max().unwrap_or(1);
        step(stride as u32, largest, &self.forge.sides)
    }

    fn takes_rectangles(&self) -> bool {
        true
    }

    fn keeps_long_shape(&self) -> bool {
        true
    }

    fn precision(&self) -> Precision {
        self.forge.precision
    }

    fn steps(&self, images: usize) -> u64 {
        batches::steps(images, self.forge.head.simulated, self.forge.batch)
    }

    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String> {
        if images.len() < 2 {
            return Err("needs at least 2 normal images: each is compared with the others".to_owned());
        }
        Ok(vec![Pool {
            images,
            batch: self.forge.batch,
        }])
    }

    fn recipe(&self, frame: &Frame<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
        let recipe = ForgeRecipe::new(self, frame, device)?;
        Ok(Box::new(recipe))
    }

    fn batches<'a>(&self, frame: &Frame<'_>, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
        let mut simulation = data.simulation(&self.simulation);
        simulation.p_clean = 0.0;
        Box::new(ForgeBatches {
            images: &data.category.train,
            chosen: data.kept(),
            batch: self.forge.batch,
            simulated: self.forge.head.simulated,
            simulation,
            seed: frame.seed,
            windowing: frame.windowing,
            relit: Relit::of(&self.simulation, frame),
        })
    }

    fn leaves_one_out(&self) -> bool {
        true
    }

    fn leaves_out_in_parts(&self) -> bool {
        true
    }

    fn continuation(&self) -> Continuation {
        Continuation::AddsNormals
    }

    fn calibration(&self, data: &Data<'_>) -> Simulation {
        data.simulation(&self.simulation)
    }

    fn notices(&self, _: usize) -> Vec<String> {
        let multiplied = in_f32_all_the_same(
            "forge",
            self.forge.backbone,
            self.forge.precision,
            !gpu_available(),
            self.forge.precision.is_served_here(),
        );
        multiplied.into_iter().collect()
    }

    fn deviations(&self, _: &Frame<'_>, _: u64) -> Vec<String> {
        let ours = "forge: a method of this program; the paper has no such column".to_owned();
        let network = match self.forge.weights {
            BackboneWeights::Pretrained => None,
            _ => Some(format!(
                "forge's network: {} without weights trained on photographs",
                self.forge.backbone.name()
            )),
        };
        let rounded = in_bfloat16("forge", self.forge.backbone, self.forge.precision);
        std::iter::once(ours).chain(network).chain(rounded).collect()
    }
}
