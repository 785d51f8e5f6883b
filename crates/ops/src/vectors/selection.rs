//! Greedy selection from vectors as they are or as a linear map shows them, on the processor or on a GPU.

use candle_core::{Device, Result, bail};

use super::farthest::{farthest_first, mean_distances};
use super::panels::Panels;

/// What is chosen from, and how.
///
/// Each vector's first distance is the mean of its distances to some of them; then, again and again, the vector is chosen
/// whose distance to the chosen ones is largest, as [`farthest_first`] does.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The vectors, one after the other.
    pub vectors: &'a [f32],
    /// Numbers in each.
    pub length: usize,
    /// A linear map, one row of `length` numbers for each number of a mapped vector; distances are those of the mapped.
    pub map: Option<&'a [f32]>,
    /// Places of the vectors that first distances are measured to; not chosen thereby.
    pub starts: &'a [usize],
    /// How many are chosen; fewer only where every vector coincides with a chosen one.
    pub picks: usize,
}

impl Selection<'_> {
    /// Places of the chosen, in the order of selection.
    ///
    /// A CUDA device, in builds with the feature `cuda`, chooses what a processor with fused multiplication (AVX2, AVX-512,
    /// NEON) chooses: every product and distance has the same bits. All other devices leave it to the processor.
    ///
    /// # Errors
    /// Lengths or places that do not fit; on a GPU, more numbers than it can index, or too little memory.
    pub fn on(self, device: &Device) -> Result<Vec<usize>> {
        let Self {
            vectors,
            length,
            map,
            starts,
            picks,
        } = self;
        let fits = |numbers: &[f32]| length > 0 && numbers.len().is_multiple_of(length);
        if !fits(vectors) || !map.is_none_or(|map| fits(map) && !map.is_empty()) {
            bail!("selection: {} numbers are no vectors of {length}", vectors.len());
        }
        let count = vectors.len() / length;
        if let Some(start) = starts.iter().find(|&&start| start >= count) {
            bail!("selection: vector {start} of {count}");
        }
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            return crate::cuda::farthest_first(device, self);
        }
        let _ = device;
        let mapped = map.map(|map| Panels::new(map, length).product(vectors));
        let (points, length) = match (&mapped, map) {
            (Some(points), Some(map)) => (points.as_slice(), map.len() / length),
            _ => (vectors, length),
        };
        let mut distances = mean_distances(points, length, starts);
        Ok(farthest_first(points, length, &mut distances, picks))
    }
}
