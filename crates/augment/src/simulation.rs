//! From a normal image to a training sample.

use std::sync::Arc;

use flawforge_masks::{Mask, Stream};
use image::{Rgb32FImage, RgbImage};
use rand::{Rng, RngCore};
use rayon::prelude::*;

use crate::simulator::to_float;
use crate::{
    AnomalySimulator, Kind, NearDistribution, Opaque, Parameters, RotateNormals, Selection, TextureSource,
    Transparent,
};

/// One training sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What a reconstruction should give: the normal image, maybe rotated; RGB in [0, 1].
    pub normal: Rgb32FImage,
    /// What a detector sees: the same, maybe with an anomaly.
    pub image: Rgb32FImage,
    /// Where the anomaly is; empty when there is none.
    pub mask: Mask,
    /// The kind of the anomaly; `None` when the sample is clean.
    pub kind: Option<Kind>,
    /// With which parameters the anomaly was made.
    pub parameters: Parameters,
}

/// A simulator, how often it is drawn, and what happens when it can make nothing.
#[derive(Clone)]
pub struct Choice {
    /// Makes the anomaly.
    pub simulator: Arc<dyn AnomalySimulator>,
    /// How often it is drawn, relative to the others; finite, at least 0.
    pub weight: f64,
    /// What happens when it can make nothing.
    pub on_failure: OnFailure,
}

/// What becomes of a sample when its simulator can make nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It stays clean (DRAEM, when the Perlin mask is empty).
    Clean,
    /// Another of the choices is drawn (Lin & Yan's NDAA; proposal).
    Another,
}

/// Draws training samples. Cheap to clone and to share.
#[derive(Clone)]
pub struct Simulation {
    /// Probability that no anomaly is attempted, in [0, 1]; 0.5 (DRAEM; Lin & Yan do not say).
    pub p_clean: f32,
    /// Rotation of normal images, before anything else; `None`: never.
    pub rotation: Option<RotateNormals>,
    /// Otherwise one of these is drawn by weight (proposal: equal weights, never stacked).
    pub choices: Vec<Choice>,
}

impl Simulation {
    /// DRAEM's simulation: rotation of normals, transparent anomalies, half of the samples clean.
    pub fn draem(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            p_clean: 0.5,
            rotation: Some(RotateNormals::default()),
            choices: vec![Choice {
                simulator: Arc::new(Transparent::new(textures)),
                weight: 1.0,
                on_failure: OnFailure::Clean,
            }],
        }
    }

    /// Lin & Yan's simulation of a category: the kinds of its selection, half of the samples clean.
    pub fn selected(selection: &Selection, textures: Arc<dyn TextureSource>) -> Self {
        let simulators: [(Arc<dyn AnomalySimulator>, OnFailure); 3] = [
            (Arc::new(Transparent::new(textures.clone())), OnFailure::Clean),
            (Arc::new(Opaque::new(textures)), OnFailure::Clean),
            (Arc::new(NearDistribution::default()), OnFailure::Another),
        ];
        Self {
            p_clean: 0.5,
            rotation: selection.rotate_normals.then(|| RotateNormals {
                fill: selection.fill,
                ..RotateNormals::default()
            }),
            choices: simulators
                .into_iter()
                .filter(|(simulator, _)| selection.enables(simulator.kind()))
                .map(|(simulator, on_failure)| Choice {
                    weight: selection.weights.of(simulator.kind()),
                    simulator,
                    on_failure,
                })
                .collect(),
        }
    }

    /// The sample of one normal image: a function of the image and the stream only. The work on an anomaly is
    /// done only when the sample is not to be clean.
    pub fn sample(&self, normal: &RgbImage, stream: Stream) -> Sample {
        let rotated = self
            .rotation
            .and_then(|rotation| rotation.apply(normal, &mut stream.rng("rotation")));
        let normal = rotated.as_ref().unwrap_or(normal);
        let clean = stream.rng("clean").random::<f32>() < self.p_clean;
        let made = if clean {
            None
        } else {
            self.simulate(normal, stream)
        };
        let target = to_float(normal);
        match made {
            Some(made) => Sample {
                normal: target,
                image: made.image,
                mask: made.mask,
                kind: Some(made.kind),
                parameters: made.parameters,
            },
            None => Sample {
                image: target.clone(),
                normal: target,
                mask: Mask::empty(normal.width(), normal.height()),
                kind: None,
                parameters: Parameters::new(),
            },
        }
    }

    /// The samples of many normal images on all threads of the current rayon pool, in the order of the images; as many as the
    /// shorter slice has. The same bytes for any number of threads.
    pub fn batch(&self, normals: &[&RgbImage], streams: &[Stream]) -> Vec<Sample> {
        normals
            .par_iter()
            .zip(streams)
            .map(|(normal, &stream)| self.sample(normal, stream))
            .collect()
    }

    fn simulate(&self, normal: &RgbImage, stream: Stream) -> Option<crate::Simulated> {
        let mut rng = stream.rng("choice");
        let mut left: Vec<&Choice> = self.choices.iter().filter(|choice| choice.weight > 0.0).collect();
        while !left.is_empty() {
            let choice = left.swap_remove(draw(&left, &mut rng));
            let purpose = choice.simulator.kind().name();
            let made = choice.simulator.simulate(normal, &mut stream.rng(purpose));
            if made.is_some() || choice.on_failure == OnFailure::Clean {
                return made;
            }
        }
        None
    }
}

/// The index of a choice, drawn by weight.
fn draw(choices: &[&Choice], rng: &mut dyn RngCore) -> usize {
    let total: f64 = choices.iter().map(|choice| choice.weight).sum();
    let mut at = rng.random::<f64>() * total;
    for (index, choice) in choices.iter().enumerate() {
        at -= choice.weight;
        if at < 0.0 {
            return index;
        }
    }
    choices.len() - 1
}
