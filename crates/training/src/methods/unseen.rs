//! Normal images as if they had not been seen, in a checkpoint.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_models::ModelError;

use crate::error::Result;
use crate::recipe::Unseen;

const IMAGES: &str = "unseen.images";
const SCORES: &str = "unseen.scores";
const PIXELS: &str = "unseen.pixels";

/// As tensors of a checkpoint; all of f32, which whole numbers of images are exact in.
pub(super) fn state(all: &[Unseen]) -> Result<Vec<(String, Tensor)>> {
    type Column = (&'static str, fn(&Unseen) -> f32);
    let columns: [Column; 3] = [
        (IMAGES, |one| one.place as f32),
        (SCORES, |one| one.score),
        (PIXELS, |one| one.pixel),
    ];
    let column = |(name, value): Column| {
        let values: Vec<f32> = all.iter().map(value).collect();
        Ok((name.to_owned(), Tensor::new(values, &Device::Cpu)?))
    };
    columns.into_iter().map(column).collect()
}

/// From the tensors of a checkpoint.
///
/// # Errors
/// Tensors that are missing or of another kind.
pub(super) fn restored(state: &HashMap<String, Tensor>) -> Result<Vec<Unseen>> {
    let get = |name: &str| -> Result<Vec<f32>> {
        let found = state.get(name).ok_or_else(|| ModelError::MissingTensor {
            name: name.to_owned(),
        })?;
        Ok(found.to_vec1()?)
    };
    let rows = get(IMAGES)?.into_iter().zip(get(SCORES)?).zip(get(PIXELS)?);
    let row = |((place, score), pixel): ((f32, f32), f32)| Unseen {
        place: place as usize,
        score,
        pixel,
    };
    Ok(rows.map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_with_their_images() {
        let one = |place, score, pixel| Unseen { place, score, pixel };
        let all = [one(0, 1.5, 0.5), one(7, -0.25, -1.0)];
        let tensors: HashMap<String, Tensor> = state(&all).unwrap().into_iter().collect();
        assert_eq!(restored(&tensors).unwrap(), all);
        let fault = restored(&HashMap::new()).unwrap_err().to_string();
        assert!(fault.contains(IMAGES), "{fault}");
        assert_eq!(state(&[]).unwrap()[0].1.elem_count(), 0);
    }
}
