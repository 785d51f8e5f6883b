//! What a method must say about its training; the loop does the rest.

mod batch;
mod highest;

pub use batch::{Batch, BatchSource, Part, Pool, decoded, drawn};
pub use highest::Highest;

use std::collections::HashMap;

use candle_core::Tensor;
use flawforge_datasets::TrainImage;
use flawforge_models::Detector;

use crate::error::Result;

/// The losses of a step by name, before weighting.
pub type Losses = Vec<(&'static str, f32)>;

/// A normal image as a detector sees it that was not trained on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unseen {
    /// Its place among the images that were trained on.
    pub place: usize,
    /// Its [verdict score](flawforge_models::Detection::verdict_score).
    pub score: f32,
    /// The [high pixel](flawforge_metrics::high_pixel) of its anomaly map.
    pub pixel: f32,
}

/// What became of normal images that were added after a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// Each image as the detector would have seen it had only others been added.
    pub unseen: Vec<Unseen>,
    /// Vectors that the memory banks have more than before.
    pub vectors: usize,
}

/// A way to train a detector, one step at a time.
///
/// The loop owns batches, schedule, checkpoints and progress; a recipe owns the networks and the optimiser. All that a
/// later step depends on is in [`state`](Self::state), so that a run which was interrupted and restored goes on exactly
/// as if it had not been. A method without gradients (a memory bank) collects in `step` and condenses in `finish`; where that is
/// quickly done again, it need not be saved ([`begins_anew`](Self::begins_anew)).
pub trait Recipe {
    /// Told the steps of the whole training before anything else.
    fn expect(&mut self, steps: u64) {
        let _ = steps;
    }

    /// Called before the first step of a new run, not when one is resumed.
    ///
    /// # Errors
    /// Pretrained weights that are needed and were not given, or that do not fit.
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    /// Learns from one batch. Returns no losses if the method has none, or if the device still computes them; then
    /// [`pending_losses`](Self::pending_losses) hands them out.
    ///
    /// # Errors
    /// If a tensor operation fails. A loss that is not finite is returned, not an error: the loop stops the run.
    fn step(&mut self, batch: &Batch, learning_rate: f64) -> Result<Losses>;

    /// Waits for the device and returns the losses of all steps that returned none since the last call, in order. The
    /// loop asks before it logs, draws or saves anything, so that no checkpoint follows a loss that is not finite.
    ///
    /// # Errors
    /// If the device fails.
    fn pending_losses(&mut self) -> Result<Vec<Losses>> {
        Ok(Vec::new())
    }

    /// Called once after the last step, before the last checkpoint.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Everything that must be saved, by unique names: weights, running statistics, moments of the optimiser.
    ///
    /// # Errors
    /// If a tensor cannot be read.
    fn state(&self) -> Result<Vec<(String, Tensor)>>;

    /// Takes back what [`state`](Self::state) gave after `steps` steps.
    ///
    /// # Errors
    /// If a tensor is missing, superfluous or of another shape.
    fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()>;

    /// As much of it as detecting needs, in the form that [`restore_weights`](Self::restore_weights) takes; `None` where that is
    /// no less than all of it.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    fn weights(&self) -> Result<Option<Vec<(String, Tensor)>>> {
        Ok(None)
    }

    /// Whether a training that was stopped before its end begins anew, asked after [`restore`](Self::restore): what its steps
    /// had collected is not part of the [`state`](Self::state).
    fn begins_anew(&self) -> bool {
        false
    }

    /// Takes back as much of it as detecting needs.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    fn restore_weights(&mut self, state: &HashMap<String, Tensor>) -> Result<()>;

    /// A detector with the present weights, in inference mode.
    ///
    /// # Errors
    /// If it cannot be built.
    fn detector(&self) -> Result<Box<dyn Detector>>;

    /// Normal images that were trained on, each as the detector would have seen it had it not been. `None` for methods that
    /// cannot tell.
    fn unseen_scores(&self) -> Option<&[Unseen]> {
        None
    }

    /// The maps of those of them that score highest, in the session that made them alone: they are not kept in checkpoints.
    fn unseen_maps(&self) -> Option<&Highest> {
        None
    }

    /// Takes in normal images beside those that were trained on, without a training; `first` is the number of the first of them,
    /// larger than all before. `None` for methods that cannot.
    ///
    /// # Errors
    /// Images that can no longer be read; a failed tensor operation.
    fn add_normals(&mut self, images: &[&TrainImage], first: u32) -> Result<Option<Learned>> {
        let _ = (images, first);
        Ok(None)
    }

    /// A detector for the inputs of a batch, where these are no whole images but parts of them.
    ///
    /// # Errors
    /// As [`detector`](Self::detector).
    fn batch_detector(&self) -> Result<Box<dyn Detector>> {
        self.detector()
    }
}

/// Tensors with `prefix.` in front of their names.
pub fn prefixed(prefix: &str, tensors: Vec<(String, Tensor)>) -> impl Iterator<Item = (String, Tensor)> {
    tensors
        .into_iter()
        .map(move |(name, tensor)| (format!("{prefix}.{name}"), tensor))
}

/// The tensors whose names begin with `prefix.`, without it.
pub fn below(prefix: &str, state: &HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let rest = |name: &str| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
    state
        .iter()
        .filter_map(|(name, tensor)| Some((rest(name)?, tensor.clone())))
        .collect()
}
