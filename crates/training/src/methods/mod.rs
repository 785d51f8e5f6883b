//! The methods that can be trained: each in a folder of its own, all of them in one table.
//!
//! | folder | holds |
//! |---|---|
//! | [`draem`] | two U-Nets: DRAEM, Lin & Yan, and the ablations of their table 4 |
//! | [`nsa`] | one network on soft labels, patches of normal images blended in |
//! | [`patchcore`] | a memory bank of a pretrained network's features |
//!
//! A new method is a folder with its settings, its [`Recipe`] and its batches, and a row of the two tables below.

pub mod draem;
mod names;
pub mod nsa;
pub mod patchcore;

pub use names::{Method, NameError, UnknownMethod};

use std::sync::Arc;

use candle_core::Device;
use flawforge_augment::{Kind, Materials, Simulation, SimulationSettings, TextureBank, TextureSource};
use flawforge_datasets::{Category, Loading};
use flawforge_ops::Precision;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Result, TrainingError};
use crate::experiment::{Experiment, Intervals, Schedule};
use crate::fit::{BatchSource, Pool, Recipe};
use crate::product::Product;
use crate::profile::Profile;

/// What a method must say, so that the loop, checkpoints, evaluation and the commands need not tell methods apart.
pub(crate) trait Assembly {
    /// Checks the range of every setting of the method.
    fn check(&self, experiment: &Experiment) -> Result<()>;

    /// Changes a profile's intervals where they do not suit the method.
    fn adapt(&self, every: &mut Intervals) {
        let _ = every;
    }

    /// Images as the method wants them, scored on masks of `side` pixels.
    fn loading(&self, side: u32) -> Loading;

    /// Where the method computes when `wanted` is available.
    fn device(&self, wanted: &Device) -> Device {
        wanted.clone()
    }

    /// What the convolutions multiply with.
    fn precision(&self) -> Precision {
        Precision::default()
    }

    /// How the learning rate goes; of methods that learn by gradients.
    fn schedule(&self) -> Option<&Schedule> {
        None
    }

    /// Steps of a training on `images` images.
    fn steps(&self, images: usize) -> u64;

    /// Which of the images to train on feed which part of a batch; or why they do not suffice.
    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String>;

    /// The recipe with its initial weights.
    fn recipe(&self, experiment: &Experiment, device: &Device) -> Result<Box<dyn Recipe>>;

    /// The batches of a run.
    fn batches<'a>(&self, experiment: &Experiment, data: &Data<'a>) -> Box<dyn BatchSource + 'a>;

    /// The anomalies by which the threshold of verdicts is found.
    fn calibration(&self, data: &Data<'_>) -> Simulation;

    /// In which settings an experiment differs from the method's publication, in sentences.
    fn deviations(&self, experiment: &Experiment, steps: u64) -> Vec<String>;
}

/// What batches are made of.
pub(crate) struct Data<'a> {
    pub(crate) category: &'a Category,
    pub(crate) textures: Arc<dyn TextureSource>,
    /// Images to train on, by part of a batch.
    pub(crate) pools: Vec<Pool>,
}

impl Data<'_> {
    /// The simulation that settings describe, made of the textures and, where a kind takes patches of other normal images, of
    /// the category's.
    pub(crate) fn simulation(&self, settings: &SimulationSettings) -> Simulation {
        let takes = |kind: &Kind| matches!(kind, Kind::Nsa | Kind::ForeignPatch);
        let normals = settings.kinds.keys().any(takes).then(|| self.normals()).flatten();
        settings.simulation(&Materials {
            textures: self.textures.clone(),
            normals,
        })
    }

    /// The category's normal images as a source of patches.
    pub(crate) fn normals(&self) -> Option<Arc<dyn TextureSource>> {
        let images = self.category.train.iter().map(|image| image.image.clone());
        let bank = TextureBank::new(images.collect()).ok()?;
        Some(Arc::new(bank))
    }

    /// All images to train on.
    pub(crate) fn kept(&self) -> Vec<usize> {
        self.pools.iter().flat_map(|pool| pool.images.clone()).collect()
    }
}

/// The one place that tells methods apart.
macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($settings:ty, $budget:ident): $($method:ident),+;)+) => {
        /// The settings of a method: of its family alone.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum MethodSettings {
            $($(#[$doc])* $family($settings),)+
        }

        impl MethodSettings {
            /// A method's settings for a product under a profile's budget.
            pub(crate) fn new(method: Method, profile: &Profile, product: &Product) -> Result<Self> {
                match method {
                    $($(Method::$method)|+ => Ok(Self::$family(<$settings>::new(method, &profile.$budget, product))),)+
                    Method::Custom(name) => Err(TrainingError::setting("method", format!("{name} is not a method of this program"))),
                }
            }

            /// Reads the settings of a method from its text.
            pub(crate) fn read(method: Method, text: Value) -> std::result::Result<Self, String> {
                match method {
                    $($(Method::$method)|+ => <$settings>::deserialize(text).map(Self::$family).map_err(|error| error.to_string()),)+
                    Method::Custom(name) => Err(format!("{name} is not a method of this program")),
                }
            }

            pub(crate) fn assembly(&self) -> &dyn Assembly {
                match self {
                    $(Self::$family(settings) => settings,)+
                }
            }
        }
    };
}

families! {
    /// Two networks: DRAEM, Lin & Yan and their ablations.
    Draem(draem::Settings, draem): Draem, LinYan, DraemNoRotation, DraemOurSimulation, SplitDraemSimulation;
    /// NSA.
    Nsa(nsa::Settings, nsa): Nsa;
    /// PatchCore.
    PatchCore(patchcore::Settings, patchcore): PatchCore;
}

impl MethodSettings {
    /// The settings of two-network training, if the method is of that family.
    pub fn draem(&self) -> Option<&draem::Settings> {
        match self {
            Self::Draem(settings) => Some(settings),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn draem_mut(&mut self) -> Option<&mut draem::Settings> {
        match self {
            Self::Draem(settings) => Some(settings),
            _ => None,
        }
    }

    /// The settings of NSA, to be changed, if it is the method.
    pub fn nsa_mut(&mut self) -> Option<&mut nsa::Settings> {
        match self {
            Self::Nsa(settings) => Some(settings),
            _ => None,
        }
    }

    /// The settings of PatchCore, if it is the method.
    pub fn patchcore(&self) -> Option<&patchcore::Settings> {
        match self {
            Self::PatchCore(settings) => Some(settings),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn patchcore_mut(&mut self) -> Option<&mut patchcore::Settings> {
        match self {
            Self::PatchCore(settings) => Some(settings),
            _ => None,
        }
    }
}

/// The processor, for a method whose network has no kernels for a GPU: a step that is half kernels, half reference operators
/// has no gradients.
fn on_the_processor(method: &str, wanted: &Device) -> Device {
    if !wanted.is_cpu() {
        log::info!("{method} has no kernels for a GPU; it computes on the processor");
    }
    Device::Cpu
}
