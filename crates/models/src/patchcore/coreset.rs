//! A few vectors that cover all others (PatchCore's code: approximate greedy coreset).

use candle_core::Device;
use flawforge_ops::vectors::Selection;
use rand::Rng;
use rand::seq::index;

use crate::ModelError;

/// Approximate greedy coreset selection: k-centre greedy on a random projection, from a few random points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coreset {
    /// Share of the vectors that is kept (0.1 in the baseline, 0.01 in the fastest variant).
    pub ratio: f64,
    /// Dimension of a projected vector (128); selection only, the bank keeps whole vectors. `None`: no projection.
    pub projection: Option<usize>,
    /// Random vectors, the mean distance to which is every vector's first distance (10). They are not themselves members.
    pub starts: usize,
}

impl Default for Coreset {
    fn default() -> Self {
        Self {
            ratio: 0.1,
            projection: Some(128),
            starts: 10,
        }
    }
}

impl Coreset {
    /// Vectors that are kept of `count`: the whole part of the share, and at least one.
    pub fn size(&self, count: usize) -> usize {
        ((self.ratio * count as f64) as usize).clamp(1.min(count), count)
    }

    /// Positions of the chosen among `vectors` (one after the other, of dimension `length`), in the order of selection.
    /// Fewer than [`Self::size`] only if these cover all others without any distance.
    ///
    /// A function of the vectors and of the generator's state alone, computed on a device ([`Selection::on`]).
    ///
    /// # Errors
    /// When `length` is zero or does not divide the number of values; when a device fails.
    pub fn select(
        &self,
        vectors: &[f32],
        length: usize,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Vec<usize>, ModelError> {
        let count = vectors.len().checked_div(length).unwrap_or(0);
        let map = self.projection.map(|size| random_map(size, length, rng));
        let starts = index::sample(rng, count, self.starts.clamp(1.min(count), count)).into_vec();
        self.select_with(vectors, length, map.as_deref(), &starts, device)
    }

    /// [`Self::select`] with everything that it draws given: the linear map, one row of `length` numbers for each dimension of a
    /// projected vector, and the positions of the vectors to start from.
    ///
    /// # Errors
    /// As [`Self::select`]; when there is no vector at a position.
    pub fn select_with(
        &self,
        vectors: &[f32],
        length: usize,
        map: Option<&[f32]>,
        starts: &[usize],
        device: &Device,
    ) -> Result<Vec<usize>, ModelError> {
        let selection = Selection {
            vectors,
            length,
            map,
            starts,
            picks: self.size(vectors.len().checked_div(length).unwrap_or(0)),
        };
        Ok(selection.on(device)?)
    }
}

/// A linear map to dimension `size` with entries U(±1/√length): PyTorch's default for a linear layer.
fn random_map(size: usize, length: usize, rng: &mut impl Rng) -> Vec<f32> {
    let bound = 1.0 / (length as f32).sqrt();
    (0..size * length)
        .map(|_| rng.random_range(-bound..bound))
        .collect()
}
