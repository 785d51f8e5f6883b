//! A small network on features: which patches look like simulated anomalies.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_ops::vectors::Panels;
use rayon::prelude::*;

use crate::{AnomalyMap, ModelError};

use super::FeatureMap;

/// Places that are computed together: their numbers stay in the cache.
const BLOCK: usize = 1024;

/// Layers of numbers `(out, in)`, ReLU between them, on the features of one place; the last gives one number, the logit.
#[derive(Debug, Clone)]
pub struct Head {
    pub(super) input: Standard,
    pub(super) layers: Vec<Layer>,
}

/// What brings each channel of the features to mean 0 and spread 1 over the normal images.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// What each channel is multiplied by.
    pub factor: Vec<f32>,
}

#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) weight: Panels,
    pub(super) bias: Vec<f32>,
}

impl Standard {
    /// The features of one image at the places of its first map: all maps resized to it, their channels one after the other, each
    /// with mean 0 and spread 1.
    ///
    /// # Errors
    /// Maps with another number of channels.
    pub fn features(&self, maps: &[FeatureMap]) -> Result<Vec<f32>, ModelError> {
        let channels: usize = maps.iter().map(|map| map.channels).sum();
        let Some(finest) = maps.first().filter(|_| channels == self.mean.len()) else {
            return Err(ModelError::Dimension {
                bank: self.mean.len(),
                features: channels,
            });
        };
        let maps: Vec<FeatureMap> = maps
            .iter()
            .map(|map| map.resized(finest.width, finest.height))
            .collect();
        let mut features = Vec::with_capacity(finest.places() * channels);
        for place in 0..finest.places() {
            let mut from = 0;
            // Of each map by itself, which vectorises.
            for map in &maps {
                let channels = from..from + map.channels;
                from = channels.end;
                let standard = self.mean[channels.clone()].iter().zip(&self.factor[channels]);
                let values = map.place(place).iter().zip(standard);
                features.extend(values.map(|(value, (mean, factor))| (value - mean) * factor));
            }
        }
        Ok(features)
    }
}

impl Head {
    /// A head of layers, each a weight (out, in) with the `out` numbers of its bias.
    ///
    /// # Errors
    /// Layers that do not follow each other, or whose last gives more than one number.
    pub fn new(input: Standard, layers: &[(Tensor, Tensor)]) -> Result<Self, ModelError> {
        let mut length = input.mean.len();
        let mut made = Vec::with_capacity(layers.len());
        for (weight, bias) in layers {
            let (out, taken) = weight.dims2()?;
            let bias: Vec<f32> = bias.to_vec1()?;
            if taken != length || bias.len() != out || length == 0 {
                return Err(ModelError::Dimension {
                    bank: taken,
                    features: length,
                });
            }
            made.push(Layer {
                weight: Panels::new(&weight.flatten_all()?.to_vec1::<f32>()?, taken),
                bias,
            });
            length = out;
        }
        if length != 1 || made.is_empty() {
            return Err(ModelError::Dimension {
                bank: 1,
                features: length,
            });
        }
        Ok(Self { input, layers: made })
    }

    /// How likely each place of an image shows an anomaly, by what was simulated: a probability at each place of its first map.
    ///
    /// # Errors
    /// Maps with another number of channels.
    pub fn probabilities(&self, maps: &[FeatureMap]) -> Result<AnomalyMap, ModelError> {
        let features = self.input.features(maps)?;
        let length = self.input.mean.len();
        let scores = features
            .par_chunks(BLOCK * length)
            .flat_map_iter(|features| self.block(features))
            .collect();
        let (width, height) = maps
            .first()
            .map_or((0, 0), |map| (map.width as u32, map.height as u32));
        Ok(AnomalyMap {
            width,
            height,
            scores,
        })
    }

    fn block(&self, features: &[f32]) -> Vec<f32> {
        let last = self.layers.len() - 1;
        let mut values: Option<Vec<f32>> = None;
        for (index, layer) in self.layers.iter().enumerate() {
            let mut next = layer.weight.product(values.as_deref().unwrap_or(features));
            for row in next.chunks_exact_mut(layer.bias.len()) {
                for (value, bias) in row.iter_mut().zip(&layer.bias) {
                    let sum = *value + bias;
                    *value = if index < last { sum.max(0.0) } else { sigmoid(sum) };
                }
            }
            values = Some(next);
        }
        values.unwrap_or_default()
    }

    /// The head as tensors by name.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, ModelError> {
        let device = &Device::Cpu;
        let mut tensors = vec![
            (
                "mean".to_owned(),
                Tensor::new(self.input.mean.as_slice(), device)?,
            ),
            (
                "factor".to_owned(),
                Tensor::new(self.input.factor.as_slice(), device)?,
            ),
        ];
        for (index, layer) in self.layers.iter().enumerate() {
            let shape = (layer.weight.len(), layer.weight.length());
            let weight = Tensor::from_vec(layer.weight.to_vec(), shape, device)?;
            tensors.push((format!("{index}.weight"), weight));
            tensors.push((
                format!("{index}.bias"),
                Tensor::new(layer.bias.as_slice(), device)?,
            ));
        }
        Ok(tensors)
    }

    /// A head from [`tensors`](Self::tensors).
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn from_tensors(tensors: &HashMap<String, Tensor>) -> Result<Self, ModelError> {
        let get = |name: String| {
            let found = tensors.get(&name).cloned();
            found.ok_or(ModelError::MissingTensor { name })
        };
        let input = Standard {
            mean: get("mean".to_owned())?.to_vec1()?,
            factor: get("factor".to_owned())?.to_vec1()?,
        };
        let mut layers = Vec::new();
        while tensors.contains_key(&format!("{}.weight", layers.len())) {
            let index = layers.len();
            layers.push((get(format!("{index}.weight"))?, get(format!("{index}.bias"))?));
        }
        Self::new(input, &layers)
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let tensor = |values: &[f32], shape: (usize, usize)| {
            Tensor::from_slice(values, shape, &Device::Cpu).expect("a tensor")
        };
        let bias = |values: &[f32]| Tensor::new(values, &Device::Cpu).expect("a tensor");
        let input = Standard {
            mean: vec![1.0, 0.0],
            factor: vec![2.0, 1.0],
        };
        let layers = [
            (tensor(&[1.0, 1.0, -1.0, 0.5], (2, 2)), bias(&[0.0, 1.0])),
            (tensor(&[1.0, -2.0], (1, 2)), bias(&[0.25])),
        ];
        Head::new(input, &layers).expect("a head")
    }

    fn maps() -> Vec<FeatureMap> {
        let map = |values: &[f32]| FeatureMap {
            width: values.len(),
            height: 1,
            channels: 1,
            values: values.to_vec(),
        };
        vec![map(&[1.0, 3.0]), map(&[4.0])]
    }

    #[test]
    fn each_place_has_the_probability_of_its_features() {
        let found = head().probabilities(&maps()).expect("probabilities");
        // Features (0, 4) and (4, 4); hidden (4, 3) and (8, 0 for -1).
        let wanted = [sigmoid(4.0 - 6.0 + 0.25), sigmoid(8.0 + 0.25)];
        assert_eq!((found.width, found.height), (2, 1));
        for (found, wanted) in found.scores.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        assert!(matches!(
            head().probabilities(&maps()[..1]),
            Err(ModelError::Dimension { .. })
        ));
    }

    #[test]
    fn a_head_comes_back_from_its_tensors() {
        let tensors: HashMap<String, Tensor> = head().tensors().expect("tensors").into_iter().collect();
        let again = Head::from_tensors(&tensors).expect("a head");
        assert_eq!(
            again.probabilities(&maps()).expect("probabilities"),
            head().probabilities(&maps()).expect("probabilities")
        );
        let mut less = tensors.clone();
        less.remove("1.weight");
        assert!(Head::from_tensors(&less).is_err(), "it gives two numbers");
    }
}
