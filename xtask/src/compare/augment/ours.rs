//! Our side of the comparison.

use anyhow::{Context, Result, bail};
use flawforge::augment::poisson::{Guidance, seamless_clone};
use flawforge::augment::{
    AnomalySimulator, Axis, ColorChange, CutPaste, Distortion, LabelKind, Mask, MaskGenerator,
    NearDistribution, Nsa, NsaSample, NsaSettings, Perlin, Sample, Simulated, Simulation, Stream,
    TextureBank, TextureOperation,
};
use flawforge::masks::Lattice;
use image::RgbImage;
use std::path::Path;
use std::sync::Arc;

use super::{SAMPLES, SIDE, TEXTURES, Work};
use crate::compare::serve;

/// The pictures, and memory for results.
pub(super) struct Ours {
    work: Work,
    normal: RgbImage,
    other: RgbImage,
    textures: Vec<RgbImage>,
    draem: Simulation,
    next: u64,
    mask: Mask,
    sample: Sample,
    simulated: Simulated,
    nsa: NsaSample,
    square: Mask,
}

impl Ours {
    /// Reads the pictures.
    pub(super) fn open(work: Work, folder: &Path) -> Result<Box<Self>> {
        if work.is_through_python() {
            bail!("{} is the work of through.py", work.name());
        }
        let read = |name: &str| -> Result<RgbImage> {
            let path = folder.join(name);
            let picture =
                image::open(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
            Ok(picture.into_rgb8())
        };
        let textures: Result<Vec<RgbImage>> = (0..TEXTURES)
            .map(|index| read(&format!("texture-{index}.png")))
            .collect();
        let textures = textures?;
        let mut draem = Simulation::draem(Arc::new(TextureBank::new(textures.clone())?));
        // DRAEM does all the work before it decides that a sample stays clean.
        draem.p_clean = 0.0;
        let normal = read("normal.png")?;
        let quarter = normal.width() / 4;
        let mut square = Mask::empty(normal.width(), normal.height());
        square.set_rectangle((quarter, quarter), (quarter, quarter));
        Ok(Box::new(Self {
            work,
            normal,
            other: read("other.png")?,
            textures,
            draem,
            next: 0,
            mask: Mask::default(),
            sample: Sample::default(),
            simulated: Simulated::default(),
            nsa: NsaSample::default(),
            square,
        }))
    }

    fn one(&mut self) -> Result<()> {
        self.next += 1;
        let stream = Stream {
            seed: 1,
            step: 0,
            index: self.next,
        };
        let mut rng = stream.rng("compare");
        match self.work {
            Work::Mask => Perlin::default().generate_into(SIDE, SIDE, &mut self.mask, &mut rng),
            Work::Draem | Work::DraemPython | Work::DraemPythonBatch => {
                self.draem.sample_into(&self.normal, stream, &mut self.sample)
            }
            Work::Ndaa => {
                NearDistribution::default().simulate_into(&self.normal, &mut self.simulated, &mut rng);
            }
            Work::Cutpaste => {
                CutPaste::default().simulate_into(&self.normal, &mut self.simulated, &mut rng);
            }
            Work::Nsa => {
                nsa().blend_into(&self.normal, &self.other, &mut self.nsa, &mut rng);
            }
            Work::Clone => {
                self.clone()?;
            }
        }
        Ok(())
    }

    /// A quarter of the other image, cloned to another place.
    fn clone(&self) -> Result<RgbImage> {
        let side = self.normal.width() / 4;
        let to = (2 * side + 12, 2 * side - 9);
        Ok(seamless_clone(
            &self.other,
            &self.normal,
            &self.square,
            to,
            Guidance::Mixed,
        )?)
    }
}

/// NSA's settings for textures (mixed gradients), one patch, the binary label.
fn nsa() -> Nsa {
    let settings = NsaSettings::builtin().get("tile").copied().unwrap_or_default();
    Nsa {
        label: LabelKind::Binary,
        ..Nsa::new(NsaSettings {
            patches: 1,
            ..settings
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

fn levels(image: &RgbImage) -> f64 {
    mean(image.iter().map(|&level| f64::from(level)))
}

impl serve::Work for Ours {
    /// Fixed cases of every work, as `peer.py` computes them. Means of levels, or shares scaled to a similar size.
    fn check(&mut self) -> Result<Vec<f64>> {
        Ok(match self.work {
            Work::Mask => {
                let mut vertex = 0;
                let lattice = Lattice::new(3, 4, || {
                    vertex += 1;
                    0.7 * f64::from(vertex - 1)
                });
                let noise = lattice.noise(SIDE, SIDE);
                vec![
                    mean(noise.iter().map(|&value| f64::from(value.abs()))),
                    mean(noise.iter().map(|&value| f64::from(u8::from(value > 0.5)))),
                ]
            }
            Work::Draem | Work::DraemPython | Work::DraemPythonBatch => {
                let mut texture = self.textures[0].clone();
                for operation in [
                    TextureOperation::Gamma { gammas: [1.4; 3] },
                    TextureOperation::Rotate { degrees: 20.0 },
                    TextureOperation::Sharpness { factor: 1.7 },
                    TextureOperation::Solarize { threshold: Some(100) },
                    TextureOperation::Equalize,
                ] {
                    operation.apply(&mut texture);
                }
                vec![levels(&texture)]
            }
            Work::Ndaa => {
                let distortion = Distortion {
                    x: 60,
                    y: 50,
                    width: 120,
                    height: 110,
                    axis: Axis::Horizontal,
                    amplitude: 9.0,
                    wavelength: 50.0,
                    phase: 1.0,
                    envelope: true,
                };
                let distorted = distortion.apply(&self.normal);
                let near = NearDistribution::default();
                let changed = near.changed(&self.normal, &distorted);
                vec![
                    levels(&distorted),
                    1000.0 * changed.coverage(),
                    1000.0 * near.dense(&changed).coverage(),
                ]
            }
            Work::Cutpaste => {
                let mut pixels: Vec<[f32; 3]> = self
                    .normal
                    .pixels()
                    .map(|pixel| pixel.0.map(|level| f32::from(level) / 255.0))
                    .collect();
                for change in [
                    ColorChange::Brightness(1.08),
                    ColorChange::Contrast(0.93),
                    ColorChange::Saturation(1.1),
                    // Twelve of the 255 steps in which Pillow counts hues.
                    ColorChange::Hue(12.0 / 255.0),
                ] {
                    change.apply(&mut pixels);
                    // Pillow keeps bytes between changes, and cuts off what they cannot hold.
                    for value in pixels.as_flattened_mut() {
                        *value = (*value * 255.0 + 1e-3).floor() / 255.0;
                    }
                }
                (0..3)
                    .map(|c| mean(pixels.iter().map(|pixel| 255.0 * f64::from(pixel[c]))))
                    .collect()
            }
            Work::Nsa | Work::Clone => {
                let cloned = self.clone()?;
                let differing = cloned
                    .pixels()
                    .zip(self.normal.pixels())
                    .filter(|(a, b)| a != b)
                    .count();
                vec![levels(&cloned), differing as f64 / 100.0]
            }
        })
    }

    fn run(&mut self) -> Result<()> {
        (0..SAMPLES).try_for_each(|_| self.one())
    }
}
