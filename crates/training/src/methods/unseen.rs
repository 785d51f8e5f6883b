//! Scores of normal images as if they had not been seen, in a checkpoint.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_models::ModelError;

use crate::error::Result;

const IMAGES: &str = "unseen.images";
const SCORES: &str = "unseen.scores";

/// Normal images by their number among those that were trained on, and the score of each by all others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Unseen(pub(crate) Vec<(usize, f32)>);

impl Unseen {
    /// As tensors of a checkpoint; all of f32, which whole numbers of images are exact in.
    pub(crate) fn state(&self) -> Result<[(String, Tensor); 2]> {
        let (images, scores): (Vec<f32>, Vec<f32>) = self
            .0
            .iter()
            .map(|&(number, score)| (number as f32, score))
            .unzip();
        let tensor = |numbers: Vec<f32>| Tensor::new(numbers, &Device::Cpu);
        Ok([
            (IMAGES.to_owned(), tensor(images)?),
            (SCORES.to_owned(), tensor(scores)?),
        ])
    }

    /// From the tensors of a checkpoint.
    ///
    /// # Errors
    /// Tensors that are missing or of another kind.
    pub(crate) fn restored(state: &HashMap<String, Tensor>) -> Result<Self> {
        let get = |name: &str| -> Result<Vec<f32>> {
            let found = state.get(name).ok_or_else(|| ModelError::MissingTensor {
                name: name.to_owned(),
            })?;
            Ok(found.to_vec1()?)
        };
        let images = get(IMAGES)?.into_iter().map(|number| number as usize);
        Ok(Self(images.zip(get(SCORES)?).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_with_their_images() {
        let unseen = Unseen(vec![(0, 1.5), (7, -0.25)]);
        let state: HashMap<String, Tensor> = unseen.state().unwrap().into_iter().collect();
        assert_eq!(Unseen::restored(&state).unwrap(), unseen);
        let fault = Unseen::restored(&HashMap::new()).unwrap_err().to_string();
        assert!(fault.contains(IMAGES), "{fault}");
        assert_eq!(Unseen::default().state().unwrap()[0].1.elem_count(), 0);
    }
}
