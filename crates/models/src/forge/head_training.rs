//! How the head on the features is trained.

use candle_core::{Device, Tensor, Var};
use flawforge_ops::{Adam, AdamSettings};
use rand::Rng;

use super::{Head, Standard};
use crate::ModelError;

/// How long and with what the head is trained (all of them proposals).
#[derive(Debug, Clone, PartialEq)]
pub struct HeadTraining {
    /// Numbers in the hidden layers.
    pub hidden: Vec<usize>,
    /// Steps.
    pub steps: usize,
    /// Places a step.
    pub batch: usize,
    /// The largest learning rate of Adam: it rises over the first 3 tenths of the steps and falls to nothing, both along a cosine.
    pub learning_rate: f64,
}

impl Default for HeadTraining {
    fn default() -> Self {
        Self {
            hidden: vec![64, 32],
            steps: 300,
            batch: 4096,
            learning_rate: 2e-3,
        }
    }
}

/// Places of one sort: their features, as [`Standard::features`] gives them, one place after the other, and what the head is to say
/// of each, from 0 for normal to 1.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Features.
    pub features: Vec<f32>,
    /// Targets, one a place.
    pub targets: Vec<f32>,
    /// Share of a step's places that are of this sort.
    pub share: f64,
}

impl HeadTraining {
    /// Trains a head on places of several sorts, each in its share; a function of the places and of the generator's state alone.
    /// `None` where no sort has any places.
    ///
    /// # Errors
    /// A failed tensor operation.
    pub fn train(
        &self,
        input: &Standard,
        sorts: &[Places],
        rng: &mut impl Rng,
    ) -> Result<Option<Head>, ModelError> {
        let length = input.mean.len();
        let sorts: Vec<&Places> = sorts.iter().filter(|places| !places.targets.is_empty()).collect();
        let all: f64 = sorts.iter().map(|places| places.share).sum();
        if sorts.is_empty() {
            return Ok(None);
        }
        let device = &Device::Cpu;
        let mut vars: Vec<(Var, Var)> = Vec::new();
        let mut taken = length;
        for &out in self.hidden.iter().chain(&[1]) {
            // PyTorch's default for a linear layer.
            let bound = 1.0 / (taken as f32).sqrt();
            let mut draw =
                |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-bound..bound)).collect() };
            let weight = Var::from_vec(draw(out * taken), (out, taken), device)?;
            vars.push((weight, Var::from_vec(draw(out), out, device)?));
            taken = out;
        }
        let named = vars.iter().enumerate().flat_map(|(index, (weight, bias))| {
            [
                (format!("{index}.weight"), weight.clone()),
                (format!("{index}.bias"), bias.clone()),
            ]
        });
        let mut adam = Adam::new(named.collect(), AdamSettings::default())?;
        for step in 0..self.steps {
            let mut features = Vec::with_capacity(self.batch * length);
            let mut targets = Vec::with_capacity(self.batch);
            for (index, places) in sorts.iter().enumerate() {
                let count = match index + 1 == sorts.len() {
                    true => self.batch - targets.len(),
                    false => (self.batch as f64 * places.share / all) as usize,
                };
                for _ in 0..count {
                    let place = rng.random_range(0..places.targets.len());
                    features.extend_from_slice(&places.features[place * length..][..length]);
                    targets.push(places.targets[place]);
                }
            }
            let features = Tensor::from_vec(features, (self.batch, length), device)?;
            let targets = Tensor::from_vec(targets, self.batch, device)?;
            let mut values = features;
            for (index, (weight, bias)) in vars.iter().enumerate() {
                values = values.matmul(&weight.t()?)?.broadcast_add(bias)?;
                if index + 1 < vars.len() {
                    values = values.relu()?;
                }
            }
            let loss = cross_entropy(&values.squeeze(1)?, &targets)?;
            adam.step(&loss.backward()?, self.rate(step))?;
        }
        let layers: Vec<(Tensor, Tensor)> = vars
            .iter()
            .map(|(weight, bias)| (weight.as_detached_tensor(), bias.as_detached_tensor()))
            .collect();
        Head::new(input.clone(), &layers).map(Some)
    }

    /// The learning rate of a step: from a twenty-fifth of the largest to it, and to nothing, along half a cosine each.
    fn rate(&self, step: usize) -> f64 {
        let cosine = |from: f64, to: f64, share: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
        };
        let peak = 0.3 * self.steps as f64;
        let step = step as f64;
        let first = self.learning_rate / 25.0;
        match step < peak {
            true => cosine(first, self.learning_rate, step / peak),
            false => cosine(
                self.learning_rate,
                first * 1e-4,
                (step - peak) / (self.steps as f64 - peak).max(1.0),
            ),
        }
    }
}

/// Mean binary cross-entropy of logits.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, ModelError> {
    // log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), whose exponential cannot overflow.
    let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    Ok((softplus - (logits * targets)?)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::FeatureMap;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn places() -> (Standard, Vec<Places>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut draw = |x: f32, target: f32, share: f64| Places {
            features: (0..60)
                .flat_map(|_| [x + rng.random_range(-0.5..0.5f32), rng.random_range(-1.0..1.0)])
                .collect(),
            targets: vec![target; 60],
            share,
        };
        let places = vec![
            draw(2.0, 1.0, 0.5),
            draw(0.0, 0.0, 0.25),
            Places::default(),
            draw(-1.0, 0.0, 0.25),
        ];
        let input = Standard {
            mean: vec![0.0; 2],
            factor: vec![1.0; 2],
        };
        (input, places)
    }

    fn training() -> HeadTraining {
        HeadTraining {
            hidden: vec![8],
            steps: 400,
            batch: 64,
            learning_rate: 2e-2,
        }
    }

    #[test]
    fn it_learns_what_anomalous_places_look_like() {
        let (input, places) = places();
        let train = || {
            let head = training().train(&input, &places, &mut ChaCha8Rng::seed_from_u64(2));
            head.expect("trained").expect("a head")
        };
        let map = |x: f32| {
            vec![FeatureMap {
                width: 1,
                height: 1,
                channels: 2,
                values: vec![x, 0.3],
            }]
        };
        let head = train();
        let score = |x: f32| head.probabilities(&map(x)).expect("probabilities").scores[0];
        let scores = [2.0, 0.0, -1.0].map(score);
        assert!(
            scores[0] > 0.8 && scores[1] < 0.2 && scores[2] < 0.2,
            "{scores:?}"
        );
        // The same places and generator give the same head.
        let again = train();
        assert_eq!(
            again.probabilities(&map(1.1)).expect("scored").scores,
            [score(1.1)]
        );
    }

    #[test]
    fn without_places_there_is_no_head() {
        let (input, _) = places();
        let head = training().train(&input, &[Places::default()], &mut ChaCha8Rng::seed_from_u64(2));
        assert!(head.expect("no fault").is_none());
    }

    #[test]
    fn the_loss_is_that_of_the_definition() {
        let logits = Tensor::new(&[0.5f32, -100.0, 80.0], &Device::Cpu).expect("a tensor");
        let targets = Tensor::new(&[1f32, 0.0, 0.75], &Device::Cpu).expect("a tensor");
        let loss: f32 = cross_entropy(&logits, &targets)
            .and_then(|l| Ok(l.to_scalar()?))
            .expect("a loss");
        let wanted = ((1.0 + (-0.5f64).exp()).ln() + 0.0 + 80.0 * 0.25) / 3.0;
        assert!((f64::from(loss) - wanted).abs() < 1e-5, "{loss} {wanted}");
        let training = training();
        assert!(training.rate(0) < training.rate(20) && training.rate(399) < 1e-4);
        assert!((training.rate(120) - 2e-2).abs() < 1e-9);
    }
}
