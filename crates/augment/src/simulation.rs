//! From a normal image to a training sample.

use std::cell::RefCell;
use std::fmt::Write;
use std::mem::take;
use std::sync::Arc;

use flawforge_masks::{Mask, OUTSIDE, Stream};
use image::{Rgb32FImage, RgbImage};
use rand::{Rng, RngCore};
use rayon::prelude::*;

use crate::pixels::{copy, to_float_into};
use crate::rotation::Turned;
use crate::{
    AnomalySimulator, Kind, Parameters, Photometric, RotateNormals, Selection, Simulated, SimulationSettings,
    TextureSource,
};

/// One training sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// What a reconstruction should give: the normal image, maybe rotated or relit. A level of 255 is 1 in [`Sample::image`].
    pub normal: RgbImage,
    /// What a detector sees: the same, maybe with an anomaly; RGB in [0, 1].
    pub image: Rgb32FImage,
    /// Where the anomaly is; empty when there is none.
    pub mask: Mask,
    /// The kind of the anomaly; `None` when the sample is clean.
    pub kind: Option<Kind>,
    /// With which parameters the anomaly was made.
    pub parameters: Parameters,
}

/// A simulator of a [`Simulation`], how often it is drawn, and what happens when it can make nothing.
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
///
/// It is made from [`SimulationSettings`], or put together from any simulators: the crate's first page shows how.
#[derive(Clone)]
pub struct Simulation {
    /// Probability that no anomaly is attempted, in [0, 1]; 0.5 (DRAEM; Lin & Yan do not say).
    pub p_clean: f32,
    /// Rotation of normal images, before anything else; `None`: never.
    pub rotation: Option<RotateNormals>,
    /// Light and focus of normal images, after their rotation; `None`: as they are.
    pub light: Option<Photometric>,
    /// Otherwise one of these is drawn by weight (proposal: equal weights, never stacked).
    pub choices: Vec<Choice>,
    /// Whether images tell their region of interest ([`flawforge_masks::inside`]): anomalies lie in it alone, and corners that
    /// a rotation leaves empty lie outside.
    pub inside: bool,
}

/// How often an anomaly is tried that lies outside of the region of interest (proposal).
const TRIES: usize = 8;

impl Simulation {
    /// DRAEM's simulation: [`SimulationSettings::draem`].
    pub fn draem(textures: Arc<dyn TextureSource>) -> Self {
        SimulationSettings::draem().simulation(&textures.into())
    }

    /// Lin & Yan's simulation of a category: [`SimulationSettings::selected`]. Kinds that need normal images cut from the image
    /// itself.
    pub fn selected(selection: &Selection, textures: Arc<dyn TextureSource>) -> Self {
        SimulationSettings::selected(selection).simulation(&textures.into())
    }

    /// The sample of one normal image: a function of the image and the stream only. The work on an anomaly is
    /// done only when the sample is not to be clean.
    pub fn sample(&self, normal: &RgbImage, stream: Stream) -> Sample {
        let mut sample = Sample::default();
        self.sample_into(normal, stream, &mut sample);
        sample
    }

    /// The same, written over a sample, whose memory is used again.
    pub fn sample_into(&self, normal: &RgbImage, stream: Stream, sample: &mut Sample) {
        // Taken, not borrowed: a simulator may draw samples by itself.
        let mut scratch = SCRATCH.take();
        let rotated = self.rotation.is_some_and(|rotation| {
            let Scratch { rotated, turned, .. } = &mut scratch;
            rotation.apply_into(normal, rotated, turned, self.inside, &mut stream.rng("rotation"))
        });
        let Scratch {
            rotated: turned,
            lit,
            left,
            purpose,
            ..
        } = &mut scratch;
        let normal = if rotated { turned } else { normal };
        let is_lit = self
            .light
            .is_some_and(|light| light.apply_into(normal, lit, self.inside, &mut stream.rng("light")));
        let normal = if is_lit { lit } else { normal };
        copy(normal, &mut sample.normal);
        let clean = stream.rng("clean").random::<f32>() < self.p_clean;
        let mut made = Simulated {
            image: take(&mut sample.image),
            mask: take(&mut sample.mask),
            kind: Kind::Other,
            parameters: take(&mut sample.parameters),
        };
        let tries = if self.inside { TRIES } else { 1 };
        let anomalous = !clean
            && (0..tries).any(|attempt| {
                self.simulate(normal, &mut made, (stream, attempt), left, purpose)
                    && (!self.inside || keep_inside(normal, &mut made.image, &mut made.mask))
            });
        if anomalous {
            sample.kind = Some(made.kind);
        } else {
            sample.kind = None;
            to_float_into(normal, &mut made.image);
            made.mask.reset(normal.width(), normal.height());
            made.parameters.clear();
        }
        (sample.image, sample.mask, sample.parameters) = (made.image, made.mask, made.parameters);
        SCRATCH.set(scratch);
    }

    /// The samples of many normal images on all threads of the current rayon pool, in the order of the images; as
    /// many as the shorter slice has. The same bytes for any number of threads.
    pub fn batch(&self, normals: &[&RgbImage], streams: &[Stream]) -> Vec<Sample> {
        let mut samples = Vec::new();
        self.batch_into(normals, streams, &mut samples);
        samples
    }

    /// The same, written over other samples, whose memory is used again.
    pub fn batch_into(&self, normals: &[&RgbImage], streams: &[Stream], samples: &mut Vec<Sample>) {
        samples.resize_with(normals.len().min(streams.len()), Sample::default);
        samples
            .par_iter_mut()
            .zip(normals)
            .zip(streams)
            // One takes ten times as long as another: each may go to another thread.
            .with_max_len(1)
            .for_each(|((sample, normal), &stream)| self.sample_into(normal, stream, sample));
    }

    /// Draws choices until one makes something or fails for good.
    fn simulate(
        &self,
        normal: &RgbImage,
        made: &mut Simulated,
        (stream, attempt): (Stream, usize),
        left: &mut Vec<usize>,
        purpose: &mut String,
    ) -> bool {
        let again = |purpose: &mut String| {
            if attempt > 0 {
                // Writing to a string cannot fail.
                let _ = write!(purpose, "@{attempt}");
            }
        };
        purpose.clear();
        purpose.push_str("choice");
        again(purpose);
        let mut rng = stream.rng(purpose);
        left.clear();
        left.extend((0..self.choices.len()).filter(|&index| self.choices[index].weight > 0.0));
        while !left.is_empty() {
            let index = left.swap_remove(self.draw(left, &mut rng));
            let choice = &self.choices[index];
            self.write_purpose(index, purpose);
            again(purpose);
            let success = choice
                .simulator
                .simulate_into(normal, made, &mut stream.rng(purpose));
            if success || choice.on_failure == OnFailure::Clean {
                return success;
            }
        }
        false
    }

    /// What the random stream of a choice is named by: the name of its kind, and from the second choice of that name on its
    /// number among them (`other#2`), so that no two choices draw the same numbers.
    fn write_purpose(&self, index: usize, purpose: &mut String) {
        let name = |choice: &Choice| choice.simulator.kind().name();
        let own = name(&self.choices[index]);
        let before = self.choices[..index]
            .iter()
            .filter(|choice| name(choice) == own)
            .count();
        purpose.clear();
        purpose.push_str(own);
        if before > 0 {
            // Writing to a string cannot fail.
            let _ = write!(purpose, "#{}", before + 1);
        }
    }

    /// The place of a choice among those left, drawn by weight.
    fn draw(&self, left: &[usize], rng: &mut dyn RngCore) -> usize {
        let weights = || left.iter().map(|&index| self.choices[index].weight);
        let mut at = rng.random::<f64>() * weights().sum::<f64>();
        for (place, weight) in weights().enumerate() {
            at -= weight;
            if at < 0.0 {
                return place;
            }
        }
        left.len() - 1
    }
}

/// Makes pixels normal again that lie outside of the region of interest that a normal image [tells](flawforge_masks::inside): in
/// the image made of it, and in the mask. `false` if nothing of the anomaly is left.
pub fn keep_inside(normal: &RgbImage, image: &mut Rgb32FImage, mask: &mut Mask) -> bool {
    let pairs = image.pixels_mut().zip(normal.pixels());
    for (pixel, before) in pairs.filter(|(_, before)| **before == OUTSIDE) {
        pixel.0 = before.0.map(|level| f32::from(level) / 255.0);
    }
    let mut places = normal.pixels();
    mask.change_rows(|_, row| {
        for (pixel, before) in row.iter_mut().zip(&mut places) {
            *pixel &= u8::from(*before != OUTSIDE);
        }
    });
    !mask.is_empty()
}

/// Memory that a thread keeps from one sample to the next.
#[derive(Default)]
struct Scratch {
    rotated: RgbImage,
    turned: Turned,
    lit: RgbImage,
    left: Vec<usize>,
    purpose: String,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}
