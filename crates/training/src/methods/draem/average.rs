//! An average of both networks' weights over the last steps of a training.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_models::{Discriminative, Reconstructive};

use super::settings::Average;
use crate::error::{Result, TrainingError};
use crate::recipe::below;

const RECONSTRUCTIVE: &str = "reconstructive";
const DISCRIMINATIVE: &str = "discriminative";
const COUNT: &str = "count";

/// Networks that follow those in training.
///
/// Weights and running statistics of batch norms are averaged alike. Averaged statistics are not those that the averaged weights
/// would see; but these weights lie close together by then, statistics are averages over steps already, and nothing else is
/// needed: no pass over the images after the last step, nothing that a checkpoint would have to hold beside it.
pub(super) struct Averaged {
    settings: Average,
    /// The first step that counts.
    first: u64,
    /// Steps that count so far.
    count: u64,
    networks: Option<(Reconstructive, Discriminative)>,
}

impl Averaged {
    /// Nothing yet; every step counts, until [`expect`](Self::expect) is told how many there are.
    pub(super) fn new(settings: Average) -> Self {
        Self {
            settings,
            first: 0,
            count: 0,
            networks: None,
        }
    }

    /// Of a training of so many steps the last ones count.
    pub(super) fn expect(&mut self, steps: u64) {
        self.first = self.settings.first(steps);
    }

    /// Takes in the networks as they are after `step`, counted from 0.
    pub(super) fn follow(
        &mut self,
        step: u64,
        reconstructive: &Reconstructive,
        discriminative: &Discriminative,
    ) -> Result<()> {
        if step < self.first {
            // A training that was extended: the last steps are others now.
            (self.count, self.networks) = (0, None);
            return Ok(());
        }
        self.count += 1;
        if let Some((r, s)) = &self.networks {
            let share = self.settings.newest(self.count);
            r.parameters().approach(reconstructive.parameters(), share)?;
            s.parameters().approach(discriminative.parameters(), share)?;
        } else {
            let copies = (
                reconstructive.to_dtype(DType::F32)?,
                discriminative.to_dtype(DType::F32)?,
            );
            self.networks = Some(copies);
        }
        Ok(())
    }

    /// The averaged networks, once a step has counted.
    pub(super) fn networks(&self) -> Option<&(Reconstructive, Discriminative)> {
        self.networks.as_ref()
    }

    /// The average by unique names; nothing before a step has counted.
    pub(super) fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let Some((r, s)) = &self.networks else {
            return Ok(Vec::new());
        };
        let count = Tensor::new(self.count as i64, r.parameters().device())?;
        let mut state = vec![(COUNT.to_owned(), count)];
        for (prefix, parameters) in [(RECONSTRUCTIVE, r.parameters()), (DISCRIMINATIVE, s.parameters())] {
            let tensors = parameters.tensors()?.into_iter();
            state.extend(tensors.map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
        }
        Ok(state)
    }

    /// Takes back what [`state`](Self::state) gave.
    pub(super) fn restore(&mut self, state: &HashMap<String, Tensor>, device: &Device) -> Result<()> {
        let Some(count) = state.get(COUNT) else {
            (self.count, self.networks) = (0, None);
            return Ok(());
        };
        let count = count.to_scalar::<i64>()?;
        self.count = u64::try_from(count)
            .map_err(|_| TrainingError::Batches(format!("an average of {count} steps is impossible")))?;
        self.networks = Some((
            Reconstructive::from_tensors(&below(RECONSTRUCTIVE, state), device)?,
            Discriminative::from_tensors(&below(DISCRIMINATIVE, state), device)?,
        ));
        Ok(())
    }
}
