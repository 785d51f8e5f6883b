//! What normal patches look like at one size of the image, and how far others are from them.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_ops::vectors::Among;

use super::{FeatureMap, Weights};
use crate::patchcore::{MemoryBank, Patches, gaussian_blur};
use crate::{AnomalyMap, ModelError, Place};

/// A memory bank at one size of the image, that knows which normal image each of its vectors is of.
#[derive(Debug, Clone)]
pub struct SizedBank {
    /// Width and height in pixels that images are brought to for the network.
    pub size: (u32, u32),
    pub(super) weights: Weights,
    /// Of each vector, the normal image that it is of.
    origins: Vec<u32>,
    bank: MemoryBank,
}

impl SizedBank {
    /// A bank of vectors, one after the other, each with the number of its image.
    ///
    /// # Errors
    /// No vectors, numbers that are not finite, or another number of origins than of vectors.
    pub fn new(
        size: (u32, u32),
        weights: Weights,
        vectors: &[f32],
        origins: Vec<u32>,
    ) -> Result<Self, ModelError> {
        let length = vectors.len().checked_div(origins.len()).unwrap_or(0);
        let bank = MemoryBank::new(vectors, length)?;
        if bank.len() != origins.len() {
            return Err(ModelError::Origins {
                origins: origins.len(),
                vectors: bank.len(),
            });
        }
        Ok(Self {
            size,
            weights,
            origins,
            bank,
        })
    }

    /// The vectors.
    pub fn memory(&self) -> &MemoryBank {
        &self.bank
    }

    /// The vectors of an image's patches, as they are compared: of one that lies at this place in a whole image.
    ///
    /// # Errors
    /// Maps of another network.
    pub fn patches(&self, maps: &[FeatureMap], place: Place) -> Result<Patches, ModelError> {
        self.weights.patches(maps, place)
    }

    /// The same bank with further vectors, each with the number of its image.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(&self, vectors: &[f32], origins: &[u32]) -> Result<Self, ModelError> {
        let bank = self.bank.with(vectors)?;
        let origins = [self.origins.as_slice(), origins].concat();
        if bank.len() != origins.len() {
            return Err(ModelError::Origins {
                origins: origins.len(),
                vectors: bank.len(),
            });
        }
        Ok(Self {
            size: self.size,
            weights: self.weights.clone(),
            origins,
            bank,
        })
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.origins.len()
    }

    /// Always false: there is no empty bank.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// How far each patch of an image is from its nearest vector: Euclidean distances at the places of the finest map. The image
    /// lies at this place in a whole one.
    ///
    /// # Errors
    /// Maps of another network or size.
    pub fn distances(&self, maps: &[FeatureMap], place: Place) -> Result<AnomalyMap, ModelError> {
        self.measured(maps, place, None)
    }

    /// The same for normal image `number`, without the vectors of its own patches: as for an image that was never seen. `None`
    /// if the bank holds no others.
    ///
    /// # Errors
    /// As [`distances`](Self::distances).
    pub fn distances_without(
        &self,
        number: u32,
        maps: &[FeatureMap],
        place: Place,
    ) -> Result<Option<AnomalyMap>, ModelError> {
        match self.bank.without(number, &self.origins)? {
            None => Ok(None),
            Some(others) => self.measured(maps, place, Some(&others)).map(Some),
        }
    }

    fn measured(
        &self,
        maps: &[FeatureMap],
        place: Place,
        among: Option<&Among>,
    ) -> Result<AnomalyMap, ModelError> {
        let patches = self.weights.patches(maps, place)?;
        let nearest = match among {
            None => self.bank.nearest(&patches.vectors)?,
            Some(among) => self.bank.nearest_among(among, &patches.vectors)?,
        };
        Ok(AnomalyMap {
            width: patches.width as u32,
            height: patches.height as u32,
            scores: nearest
                .iter()
                .map(|neighbor| neighbor.squared.max(0.0).sqrt())
                .collect(),
        })
    }

    /// The bank as tensors by name; all of f32, which whole numbers of images are exact in.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, ModelError> {
        let origins: Vec<f32> = self.origins.iter().map(|&number| number as f32).collect();
        let device = &Device::Cpu;
        let mut tensors = vec![
            (
                "size".to_owned(),
                Tensor::new(&[self.size.0 as f32, self.size.1 as f32], device)?,
            ),
            (
                "weights".to_owned(),
                Tensor::new(self.weights.maps.as_slice(), device)?,
            ),
            ("vectors".to_owned(), self.bank.to_tensor()?),
            ("origins".to_owned(), Tensor::new(origins.as_slice(), device)?),
        ];
        if let Some(weight) = self.weights.position {
            tensors.push(("position".to_owned(), Tensor::new(&[weight], device)?));
        }
        Ok(tensors)
    }

    /// A bank from [`tensors`](Self::tensors).
    ///
    /// # Errors
    /// A tensor that is missing or of another kind.
    pub fn from_tensors(tensors: &HashMap<String, Tensor>) -> Result<Self, ModelError> {
        let get = |name: &str| {
            tensors.get(name).ok_or_else(|| ModelError::MissingTensor {
                name: format!("bank.{name}"),
            })
        };
        let size: Vec<f32> = get("size")?.to_vec1()?;
        let &[width, height] = size.as_slice() else {
            let name = "bank.size".to_owned();
            return Err(ModelError::MissingTensor { name });
        };
        let origins: Vec<f32> = get("origins")?.to_vec1()?;
        let position = match tensors.get("position") {
            Some(weight) => weight.to_vec1::<f32>()?.first().copied(),
            None => None,
        };
        Self::new(
            (width as u32, height as u32),
            Weights {
                maps: get("weights")?.to_vec1()?,
                position,
            },
            &get("vectors")?.flatten_all()?.to_vec1::<f32>()?,
            origins.into_iter().map(|number| number as u32).collect(),
        )
    }
}

/// A map of patches at the size of scoring: bilinear, then smoothed by a Gaussian of `sigma` pixels.
pub fn smoothed(map: &AnomalyMap, (width, height): (u32, u32), sigma: f64) -> AnomalyMap {
    gaussian_blur(&map.resized(width, height), sigma)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(values: &[f32]) -> Vec<FeatureMap> {
        vec![FeatureMap {
            width: values.len(),
            height: 1,
            channels: 1,
            values: values.to_vec(),
        }]
    }

    fn bank() -> SizedBank {
        SizedBank::new((64, 64), Weights::of(vec![2.0]), &[2.0, 10.0, 4.0], vec![0, 1, 1]).expect("a bank")
    }

    #[test]
    fn an_image_is_measured_with_and_without_its_own_patches() {
        let bank = bank();
        let all = bank
            .distances(&maps(&[1.0, 2.5]), Place::WHOLE)
            .expect("measured");
        assert_eq!(all.scores, [0.0, 1.0]);
        let without = bank
            .distances_without(0, &maps(&[1.0, 2.5]), Place::WHOLE)
            .expect("measured")
            .expect("others");
        assert_eq!(without.scores, [2.0, 1.0]);
        let alone = SizedBank::new((64, 64), Weights::of(vec![1.0]), &[1.0], vec![3]).expect("a bank");
        assert!(
            alone
                .distances_without(3, &maps(&[1.0]), Place::WHOLE)
                .expect("measured")
                .is_none()
        );
        assert!(bank.distances(&[], Place::WHOLE).is_err());
    }

    #[test]
    fn further_vectors_are_of_further_images() {
        let more = bank().with(&[7.0], &[9]).expect("a larger bank");
        assert_eq!((more.len(), &more.origins[..]), (4, &[0, 1, 1, 9][..]));
        let found = more.distances(&maps(&[3.5]), Place::WHOLE).expect("measured");
        assert_eq!(found.scores, [0.0]);
        let without = more
            .distances_without(9, &maps(&[3.5]), Place::WHOLE)
            .expect("measured");
        assert_eq!(without.expect("others").scores, [3.0]);
        assert!(bank().with(&[7.0], &[9, 9]).is_err());
    }

    #[test]
    fn a_bank_comes_back_from_its_tensors() {
        let bank = bank();
        let tensors: HashMap<String, Tensor> = bank.tensors().expect("tensors").into_iter().collect();
        let again = SizedBank::from_tensors(&tensors).expect("a bank");
        assert_eq!(
            (again.size, again.len(), &again.origins),
            ((64, 64), 3, &bank.origins)
        );
        let there = |bank: &SizedBank| {
            bank.distances(&maps(&[3.0, 4.0]), Place::WHOLE)
                .expect("measured")
        };
        assert_eq!(there(&again), there(&bank));
        let mut less = tensors.clone();
        less.remove("origins");
        assert!(matches!(
            SizedBank::from_tensors(&less),
            Err(ModelError::MissingTensor { .. })
        ));
        assert!(SizedBank::new((64, 64), Weights::of(vec![1.0]), &[1.0, 2.0, 3.0], vec![0, 1]).is_err());
    }
}
