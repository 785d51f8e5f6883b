//! An average of both networks' weights over the last steps of a training.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_models::{Discriminative, Reconstructive};

use super::settings::Average;
use crate::error::{Result, TrainingError};
use crate::recipe::{below, prefixed};

const RECONSTRUCTIVE: &str = "reconstructive";
const DISCRIMINATIVE: &str = "discriminative";
const BEGUN: &str = "begun";

/// Networks that follow those in training.
///
/// Weights and running statistics of batch norms are averaged alike. Averaged statistics are not those that the averaged weights
/// would see; but these weights lie close together by then, statistics are averages over steps already, and nothing else is
/// needed: no pass over the images after the last step, nothing that a checkpoint would have to hold beside it.
pub(super) struct Averaged {
    settings: Average,
    /// The first step that counts.
    first: u64,
    /// The step with which the average began, counted from 0, and the average.
    networks: Option<(u64, (Reconstructive, Discriminative))>,
}

impl Averaged {
    /// Nothing yet; every step counts, until [`expect`](Self::expect) is told how many there are.
    pub(super) fn new(settings: Average) -> Self {
        Self {
            settings,
            first: 0,
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
        // Of a training that was extended other steps are the last ones: the average begins anew.
        self.networks = self.networks.take().filter(|(begun, _)| *begun >= self.first);
        if step < self.first {
            return Ok(());
        }
        if let Some((begun, (r, s))) = &self.networks {
            let share = self.settings.newest(step.saturating_sub(*begun) + 1);
            r.parameters().approach(reconstructive.parameters(), share)?;
            s.parameters().approach(discriminative.parameters(), share)?;
        } else {
            let copies = (
                reconstructive.to_dtype(DType::F32)?,
                discriminative.to_dtype(DType::F32)?,
            );
            self.networks = Some((step, copies));
        }
        Ok(())
    }

    /// The averaged networks, once a step has counted.
    pub(super) fn networks(&self) -> Option<&(Reconstructive, Discriminative)> {
        self.networks.as_ref().map(|(_, networks)| networks)
    }

    /// The average by unique names; nothing before a step has counted.
    pub(super) fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let Some((begun, (r, s))) = &self.networks else {
            return Ok(Vec::new());
        };
        let begun = Tensor::new(*begun as i64, r.parameters().device())?;
        let mut state = vec![(BEGUN.to_owned(), begun)];
        for (prefix, parameters) in [(RECONSTRUCTIVE, r.parameters()), (DISCRIMINATIVE, s.parameters())] {
            state.extend(prefixed(prefix, parameters.tensors()?));
        }
        Ok(state)
    }

    /// Takes back what [`state`](Self::state) gave.
    pub(super) fn restore(&mut self, state: &HashMap<String, Tensor>, device: &Device) -> Result<()> {
        let Some(begun) = state.get(BEGUN) else {
            self.networks = None;
            return Ok(());
        };
        let begun = begun.to_scalar::<i64>()?;
        let begun = u64::try_from(begun)
            .map_err(|_| TrainingError::Batches(format!("an average from step {begun} on is impossible")))?;
        let networks = (
            Reconstructive::from_tensors(&below(RECONSTRUCTIVE, state), device)?,
            Discriminative::from_tensors(&below(DISCRIMINATIVE, state), device)?,
        );
        self.networks = Some((begun, networks));
        Ok(())
    }
}
