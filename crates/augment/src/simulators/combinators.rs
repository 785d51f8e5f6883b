//! Simulators made of simulators.

use std::sync::Arc;

use image::RgbImage;
use rand::{Rng, RngCore};
use thiserror::Error;

use crate::{AnomalySimulator, Kind, Simulated};

/// Weights from which nothing can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// A weight is negative or not finite.
    #[error("weight {0} is not a finite number of at least 0")]
    Weight(f64),
    /// No weight is greater than 0.
    #[error("no choice has a weight greater than 0")]
    Nothing,
}

/// One of several simulators, drawn by weight for each anomaly. When the one drawn can make nothing, nothing is
/// made. Its kind is that of the simulators if they agree, else [`Kind::Other`]; the anomaly's own kind is exact.
#[derive(Clone)]
pub struct OneOf {
    choices: Vec<(Arc<dyn AnomalySimulator>, f64)>,
    total: f64,
}

impl OneOf {
    /// Draws from simulators with relative frequencies.
    ///
    /// # Errors
    /// [`WeightError`] when a weight is negative or not finite, or none is greater than 0.
    pub fn new(choices: Vec<(Arc<dyn AnomalySimulator>, f64)>) -> Result<Self, WeightError> {
        if let Some(choice) = choices
            .iter()
            .find(|choice| !(choice.1.is_finite() && choice.1 >= 0.0))
        {
            return Err(WeightError::Weight(choice.1));
        }
        let choices: Vec<_> = choices.into_iter().filter(|choice| choice.1 > 0.0).collect();
        if choices.is_empty() {
            return Err(WeightError::Nothing);
        }
        let total = choices.iter().map(|choice| choice.1).sum();
        Ok(Self { choices, total })
    }
}

impl AnomalySimulator for OneOf {
    fn kind(&self) -> Kind {
        let first = self.choices[0].0.kind();
        let agree = self.choices.iter().all(|choice| choice.0.kind() == first);
        if agree { first } else { Kind::Other }
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        let mut at = rng.random::<f64>() * self.total;
        let drawn = self.choices.iter().find(|choice| {
            at -= choice.1;
            at < 0.0
        });
        // Rounding may leave a remainder for the last one.
        drawn
            .or(self.choices.last())
            .is_some_and(|(simulator, _)| simulator.simulate_into(normal, made, rng))
    }
}

/// A simulator that is used now and then, and otherwise makes nothing.
#[derive(Clone)]
pub struct Chance {
    /// Probability of trying, in [0, 1].
    pub probability: f64,
    /// What is tried.
    pub simulator: Arc<dyn AnomalySimulator>,
}

impl AnomalySimulator for Chance {
    fn kind(&self) -> Kind {
        self.simulator.kind()
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        rng.random::<f64>() < self.probability && self.simulator.simulate_into(normal, made, rng)
    }
}

/// A simulator that is asked again while it makes nothing.
#[derive(Clone)]
pub struct Retry {
    /// How often it is asked at most.
    pub tries: u32,
    /// What is asked.
    pub simulator: Arc<dyn AnomalySimulator>,
}

impl AnomalySimulator for Retry {
    fn kind(&self) -> Kind {
        self.simulator.kind()
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        (0..self.tries).any(|_| self.simulator.simulate_into(normal, made, rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CutPaste, Mask, NearDistribution, Parameters, Stream, to_float};

    fn mark(level: u32) -> Arc<dyn AnomalySimulator> {
        Arc::new(move |normal: &RgbImage, _: &mut dyn RngCore| {
            Some(Simulated {
                image: to_float(normal),
                mask: Mask::from_fn(normal.width(), normal.height(), |_, _| true),
                kind: Kind::Other,
                parameters: Parameters::new().with("level", level),
            })
        })
    }

    fn never(_: &RgbImage, _: &mut dyn RngCore) -> Option<Simulated> {
        None
    }

    #[test]
    fn weights_are_kept() {
        let simulator = OneOf::new(vec![(mark(0), 3.0), (mark(1), 0.0), (mark(2), 1.0)]).unwrap();
        let mut rng = Stream::default().rng("");
        let mut counts = [0; 3];
        for _ in 0..2000 {
            let made = simulator.simulate(&RgbImage::new(2, 2), &mut rng).unwrap();
            counts[made.parameters.number("level").unwrap() as usize] += 1;
        }
        assert!((1400..1600).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn faulty_weights_are_errors() {
        assert_eq!(OneOf::new(vec![]).err(), Some(WeightError::Nothing));
        assert_eq!(OneOf::new(vec![(mark(0), 0.0)]).err(), Some(WeightError::Nothing));
        assert_eq!(
            OneOf::new(vec![(mark(0), -1.0)]).err(),
            Some(WeightError::Weight(-1.0))
        );
        assert!(OneOf::new(vec![(mark(0), f64::NAN)]).is_err());
    }

    #[test]
    fn kinds_of_mixtures() {
        let cut: Arc<dyn AnomalySimulator> = Arc::new(CutPaste::default());
        let near: Arc<dyn AnomalySimulator> = Arc::new(NearDistribution::default());
        let one = OneOf::new(vec![(cut.clone(), 1.0), (cut.clone(), 2.0)]).unwrap();
        assert_eq!(one.kind(), Kind::CutPaste);
        assert_eq!(
            OneOf::new(vec![(cut.clone(), 1.0), (near, 1.0)]).unwrap().kind(),
            Kind::Other
        );
        assert_eq!(
            Chance {
                probability: 0.5,
                simulator: cut
            }
            .kind(),
            Kind::CutPaste
        );
    }

    #[test]
    fn chance_and_retry() {
        let chance = Chance {
            probability: 0.25,
            simulator: mark(0),
        };
        let retry = Retry {
            tries: 3,
            simulator: Arc::new(chance.clone()),
        };
        let image = RgbImage::new(2, 2);
        let mut rng = Stream::default().rng("");
        let mut rate = |simulator: &dyn AnomalySimulator| {
            (0..2000)
                .filter(|_| simulator.simulate(&image, &mut rng).is_some())
                .count()
        };
        assert!((430..570).contains(&rate(&chance)));
        // 1 - 0.75^3 = 0.578
        assert!((1080..1230).contains(&rate(&retry)));
        assert_eq!(
            rate(&Retry {
                tries: 5,
                simulator: Arc::new(never)
            }),
            0
        );
    }
}
