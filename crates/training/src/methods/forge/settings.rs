//! Settings of forge.

use std::sync::Arc;

use flawforge_augment::{Constants, Kind, KindSettings, SimulationSettings};
use flawforge_models::forge::HeadTraining;
use flawforge_ops::Precision;
use serde::{Deserialize, Serialize};

use super::position::Position;
use crate::methods::backbone::{Backbone, BackboneWeights, Given, Weights};
use crate::settings::groups::is_default_precision;
use crate::settings::ranges::{LARGEST_SIZE, SIZE_MULTIPLE, between, simulation};
use crate::{Method, Product, Result, TrainingError};

/// Forge's budget: the table `forge` of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Images a step.
    pub batch: usize,
    /// The network.
    pub backbone: Backbone,
    /// Sides in pixels of the squares at which images are compared.
    pub sides: Vec<u32>,
    /// Vectors of each bank.
    pub vectors: usize,
    /// Simulated anomalies that the head learns from.
    pub simulated: usize,
    /// Steps of the head's training.
    pub head_steps: usize,
}

/// Settings of forge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The method's own.
    pub forge: Group,
    /// Simulated anomalies, which the head learns from and the decision threshold is calibrated on.
    pub simulation: SimulationSettings,
    /// The backbone's weights, where they are given; the settings' text names them by their digest.
    #[serde(skip)]
    pub given: Given,
}

/// What forge alone has; all values are proposals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Images a step.
    pub batch: usize,
    /// The network.
    pub backbone: Backbone,
    /// Where its weights come from.
    pub weights: BackboneWeights,
    /// SHA-256 of weights that were given, as far as it is known before training; empty for random ones.
    pub digest: String,
    /// Sides in pixels of the squares at which images are compared: multiples of 32. The head looks at the first.
    pub sides: Vec<u32>,
    /// Random patches of the normal images that each bank is chosen from.
    pub candidates: usize,
    /// Vectors that each bank keeps of them, far apart from each other.
    pub vectors: usize,
    /// Dimension of the random projection that they are chosen in; 0: none.
    pub projection: usize,
    /// Standard deviation of the Gaussian smoothing of the maps, in pixels of a map of 256 pixels a side; other sizes in proportion.
    pub sigma: f64,
    /// Normal images, at most, that are compared with all others to learn what is usual.
    pub left_out: usize,
    /// How much of a map's mean is taken from its largest number to make the image's score.
    pub mean_share: f32,
    /// How much a patch's place in the whole image counts beside each of its maps, where it is compared; by default normal images choose.
    /// Settings of before that do not name it have none.
    #[serde(default = "Position::none", skip_serializing_if = "Position::is_none")]
    pub position: Position,
    /// How distances of the finest map alone count; settings of before that do not name it measure none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<DetailSettings>,
    /// Precision of the network's convolutions; `tf32`, the default, is f32 on the processor. There an EfficientNet-Lite
    /// multiplies bfloat16 in its 1×1 convolutions, a ResNet f32 in any case.
    #[serde(default, skip_serializing_if = "is_default_precision")]
    pub precision: Precision,
    /// The head on simulated anomalies.
    pub head: HeadSettings,
}

/// Distances of the finest map alone, at the first size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table ([forge.details]), where `weight = 0.0` leaves them out"
)]
pub struct DetailSettings {
    /// How much what is beyond normal images weighs, beside the distances at one size; 0: they are not measured.
    pub weight: f32,
    /// Vectors of their bank.
    pub vectors: usize,
    /// The share of left-out normal images that reach no farther than from where on details count.
    pub below: f64,
    /// Details stay out where normal images differ: where what nine in ten of the left-out ones reach no farther than is more than this
    /// many times as far above the usual distance as what half of them do.
    pub restless: f32,
}

/// The head on simulated anomalies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSettings {
    /// Simulated anomalies that it learns from; 0: no head.
    pub simulated: usize,
    /// Numbers in its hidden layers.
    pub hidden: Vec<usize>,
    /// Steps of its training.
    pub steps: usize,
    /// Places a step.
    pub batch: usize,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// How much it weighs beside the distances, both in standard deviations of normal images.
    pub weight: f32,
}

/// The largest [`position`](Group::position) as a number: patches are then compared with those of nearly the same place alone.
const LARGEST_POSITION: f64 = 100.0;

/// The kinds that the head learns from: those of the category's selection, and beside them two that move normal material to a wrong
/// place: NSA's blended patches and CutPaste.
fn taught(product: &Product) -> SimulationSettings {
    let mut settings = SimulationSettings {
        rotation: None,
        ..SimulationSettings::selected(&product.selection)
    };
    for kind in [Kind::Nsa, Kind::CutPaste] {
        if let Some(constants) = Constants::of(kind) {
            let moved = KindSettings {
                weight: 1.0,
                constants,
            };
            settings.kinds.entry(kind).or_insert(moved);
        }
    }
    settings
}

/// Places in a row of the finest map for one pixel, and its channels.
const FINEST: (f64, usize) = (0.25, 24);

impl Group {
    /// Multiplications of the search for the details of an image, with the default network.
    pub(crate) fn details_work(&self) -> f64 {
        let (Some(details), Some(&side)) = (&self.details, self.sides.first()) else {
            return 0.0;
        };
        let length = FINEST.1 + 2 * usize::from(!self.position.is_none());
        (FINEST.0 * f64::from(side)).powi(2) * (details.vectors * length) as f64
    }

    /// Numbers of a vector that is compared, with the default network.
    pub(crate) fn length(&self) -> usize {
        152 + 2 * usize::from(!self.position.is_none())
    }
}

impl Settings {
    /// Forge's defaults, with random weights until others are given.
    pub(crate) fn new(_: Method, budget: &Budget, product: &Product) -> Self {
        let training = HeadTraining::default();
        Self {
            forge: Group {
                batch: budget.batch,
                backbone: budget.backbone,
                weights: BackboneWeights::Random,
                digest: String::new(),
                sides: budget.sides.clone(),
                candidates: 5 * budget.vectors,
                vectors: budget.vectors,
                projection: 48,
                sigma: 4.0,
                left_out: 256,
                mean_share: 1.0,
                position: Position::Auto,
                details: Some(DetailSettings {
                    weight: 2.0,
                    vectors: budget.vectors.div_ceil(2),
                    below: 0.9,
                    restless: 1.5,
                }),
                precision: Precision::default(),
                head: HeadSettings {
                    simulated: budget.simulated,
                    hidden: training.hidden,
                    steps: budget.head_steps,
                    batch: training.batch,
                    learning_rate: training.learning_rate,
                    weight: 0.15,
                },
            },
            simulation: taught(product),
            given: Given::default(),
        }
    }

    /// Takes pretrained weights, and says in the settings which they are.
    pub fn give(&mut self, weights: Arc<Weights>) {
        let group = &mut self.forge;
        (group.backbone, group.weights, group.digest) = weights.said();
        self.given = Given(Some(weights));
    }

    /// Checks every setting's range.
    pub(super) fn check_ranges(&self) -> Result<()> {
        let group = &self.forge;
        between("forge.batch", group.batch as f64, 1.0, 4096.0)?;
        if group.sides.is_empty() || group.sides.len() > 8 {
            return Err(TrainingError::setting("forge.sides", "has none or more than 8"));
        }
        for &side in &group.sides {
            between(
                "forge.sides",
                side.into(),
                SIZE_MULTIPLE.into(),
                LARGEST_SIZE.into(),
            )?;
            if !side.is_multiple_of(SIZE_MULTIPLE) {
                let message = format!("{side} is not a multiple of {SIZE_MULTIPLE}");
                return Err(TrainingError::setting("forge.sides", message));
            }
        }
        between("forge.vectors", group.vectors as f64, 1.0, 1e6)?;
        between(
            "forge.candidates",
            group.candidates as f64,
            group.vectors as f64,
            1e7,
        )?;
        between("forge.projection", group.projection as f64, 0.0, 16384.0)?;
        between("forge.sigma", group.sigma, 0.0, 100.0)?;
        between("forge.left_out", group.left_out as f64, 2.0, 1e6)?;
        between("forge.mean_share", group.mean_share.into(), 0.0, 1.0)?;
        if let Position::Share(share) = group.position {
            between("forge.position", share.into(), 0.0, LARGEST_POSITION)?;
        }
        if let Some(details) = &group.details {
            between("forge.details.weight", details.weight.into(), 0.0, 100.0)?;
            between(
                "forge.details.vectors",
                details.vectors as f64,
                1.0,
                group.candidates as f64,
            )?;
            between("forge.details.below", details.below, 0.0, 1.0)?;
            between("forge.details.restless", details.restless.into(), 1.0, 1e6)?;
        }
        let head = &group.head;
        between("forge.head.simulated", head.simulated as f64, 0.0, 1e5)?;
        between("forge.head.steps", head.steps as f64, 1.0, 1e6)?;
        between("forge.head.batch", head.batch as f64, 16.0, 1e6)?;
        between("forge.head.learning_rate", head.learning_rate, 1e-9, 1.0)?;
        between("forge.head.weight", head.weight.into(), 0.0, 100.0)?;
        if head.hidden.contains(&0) {
            return Err(TrainingError::setting(
                "forge.head.hidden",
                "a layer has no numbers",
            ));
        }
        simulation(&self.simulation)
    }
}
