//! NSA (Schlüter et al. 2022): how its images are prepared, its batches, its recipe.
//!
//! ```text
//! category ── preparation ── rotation, crops ──┐
//!          └─ constants ───────────────────────┴─> patches blended in ── soft labels ──> NsaNetwork, cross-entropy
//! ```

mod batches;
mod preparation;
mod recipe;
mod settings;

pub use recipe::NsaRecipe;
pub use settings::{Budget, Group, Settings};

use std::sync::Arc;

use candle_core::Device;
use flawforge_augment::{Choice, Nsa, OnFailure, Simulation};
use flawforge_datasets::Loading;

use super::{Assembly, Continuation, Data, Frame};
use crate::error::Result;
use crate::recipe::{BatchSource, Pool, Recipe};
use crate::settings::Schedule;
use batches::NsaBatches;
use preparation::{crop, loading};

impl Assembly for Settings {
    fn check(&self, _: &Frame<'_>) -> Result<()> {
        self.check_ranges()
    }

    fn loading(&self, side: u32) -> Loading {
        loading(self.nsa.constants.preparation, side)
    }

    fn seen(&self, side: u32) -> (u32, u32) {
        let crop = crop(self.nsa.constants.preparation, side);
        (crop.image.0, crop.crop.0)
    }

    fn schedule(&self) -> Option<&Schedule> {
        Some(&self.schedule)
    }

    fn steps(&self, images: usize) -> u64 {
        self.schedule.length.steps(images, self.batch.size)
    }

    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String> {
        Ok(vec![Pool {
            images,
            batch: self.batch.size,
        }])
    }

    fn recipe(&self, frame: &Frame<'_>, device: &Device) -> Result<Box<dyn Recipe>> {
        Ok(Box::new(NsaRecipe::new(self, frame, device)?))
    }

    fn batches<'a>(&self, frame: &Frame<'_>, data: &Data<'a>) -> Box<dyn BatchSource + 'a> {
        let preparation = self.nsa.constants.preparation;
        Box::new(NsaBatches {
            images: &data.category.train,
            pool: Pool {
                images: data.kept(),
                batch: self.batch.size,
            },
            draw: self.batch.draw,
            simulator: self.simulator(),
            preparation,
            side: crop(preparation, frame.image_size).crop.0,
            max_degrees: self.nsa.max_degrees,
            seed: frame.seed,
            windowing: frame.windowing,
            inside: frame.inside,
        })
    }

    fn continuation(&self) -> Continuation {
        Continuation::BeginsWithWeights
    }

    fn calibration(&self, data: &Data<'_>) -> Simulation {
        let simulator = Nsa {
            sources: data.normals(),
            ..self.simulator()
        };
        Simulation {
            p_clean: 0.0,
            rotation: None,
            choices: vec![Choice {
                simulator: Arc::new(simulator),
                weight: 1.0,
                on_failure: OnFailure::Clean,
            }],
            light: None,
            inside: data.inside,
        }
    }

    fn deviations(&self, frame: &Frame<'_>, _: u64) -> Vec<String> {
        let mut lines = Vec::new();
        if frame.profile != "paper" {
            lines.push(format!(
                "NSA: width {}, {} of {} images at learning rate {} (its code: width 64, 320 or 560 epochs of 64 images)",
                self.nsa.width, self.schedule.length, self.batch.size, self.schedule.learning_rate
            ));
        }
        lines.push(
            "NSA looks at the central part of its images; its maps are scored on whole images (0 around that part), and in a \
             grid of their own on the part alone"
                .to_owned(),
        );
        lines
    }
}
