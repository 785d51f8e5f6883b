//! Two U-Nets, one that repairs and one that locates: DRAEM (Zavrtanik et al. 2021), Lin & Yan (2024), and what lies between.

mod average;
mod batches;
mod recipe;
mod settings;

pub use batches::SimulatedBatches;
pub use recipe::DraemRecipe;
pub use settings::{Average, Budget, Losses, Networks, NormMode, Settings, Split, TruncatedL1};

use candle_core::Device;
use flawforge_augment::Simulation;
use flawforge_datasets::{Loading, parity_split};
use flawforge_ops::Precision;

use super::{Assembly, Continuation, Data, Frame};
use crate::error::Result;
use crate::recipe::{BatchSource, Pool, Recipe};
use crate::settings::Schedule;

impl Assembly for Settings {
    fn check(&self, _: &Frame<'_>) -> Result<()> {
        self.check_ranges()
    }

    fn loading(&self, side: u32) -> Loading {
        Loading::opencv(side, side)
    }

    fn seen(&self, side: u32) -> (u32, u32) {
        (side, side)
    }

    fn takes_rectangles(&self) -> bool {
        true
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn schedule(&self) -> Option<&Schedule> {
        Some(&self.schedule)
    }

    fn steps(&self, images: usize) -> u64 {
        self.schedule.length.steps(images, self.batch.size)
    }

    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String> {
        let Some(split) = &self.split else {
            return Ok(vec![Pool {
                images,
                batch: self.batch.size,
            }]);
        };
        let (x, y) = parity_split(images.len());
        if y.is_empty() {
            return Err("split training needs at least 2 normal images to train on, found 1".to_owned());
        }
        let of = |half: Vec<usize>| half.into_iter().map(|place| images[place]).collect();
        Ok(vec![
            Pool {
                images: of(x),
                batch: split.batch_x,
            },
            Pool {
                images: of(y),
                batch: split.batch_y,
            },
        ])
    }

    fn recipe(&self, frame: &Frame<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
        let recipe = DraemRecipe::new(self, frame.seed, frame.size(frame.image_size), device)?
            .in_windows(frame.windowing);
        Ok(Box::new(recipe))
    }

    fn batches<'a>(&self, frame: &Frame<'_>, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
        Box::new(SimulatedBatches {
            images: &data.category.train,
            pools: data.pools.clone(),
            draw: self.batch.draw,
            simulation: self.calibration(data),
            seed: frame.seed,
            windowing: frame.windowing,
        })
    }

    /// The same anomalies as in training.
    fn continuation(&self) -> Continuation {
        Continuation::BeginsWithWeights
    }

    fn calibration(&self, data: &Data<'_>) -> Simulation {
        data.simulation(&self.simulation)
    }

    fn deviations(&self, frame: &Frame<'_>, steps: u64) -> Vec<String> {
        let mut lines = Vec::new();
        if frame.profile != "paper" {
            lines.push(format!(
                "budget of DRAEM and its relatives: profile {}, {steps} steps of {} images at learning rate {} (DRAEM: 700 epochs, \
                 18,900 steps for bottle, at 0.0001)",
                frame.profile, self.batch.size, self.schedule.learning_rate
            ));
            lines.push(format!(
                "their networks: widths {} and {} at {} px (DRAEM: 128 and 64 at 256 px)",
                self.networks.reconstructive_width, self.networks.discriminative_width, frame.image_size
            ));
        }
        if let Some(average) = &self.average {
            let share = 100.0 * average.share;
            let how = average
                .decay
                .map_or_else(String::new, |decay| format!(", with decay {decay}"));
            lines.push(format!(
                "their weights are averaged over the last {share} % of the steps{how} (DRAEM: those of the last step)"
            ));
        }
        if let Some(flips) = self.flips {
            lines.push(format!(
                "their maps are averaged over {} mirror images (DRAEM: one pass)",
                flips.passes()
            ));
        }
        if let Some(truncated) = &self.loss.truncated_l1 {
            lines.push(format!(
                "their discriminative network also has a truncated L1 loss, weight {}, margin {} (DRAEM: the focal loss alone)",
                truncated.weight, truncated.margin
            ));
        }
        if self.precision == Precision::Bf16 {
            lines.push(
                "their convolutions multiply in bfloat16; sums and weights are single precision".to_owned(),
            );
        }
        lines
    }
}
