//! From feature maps to one vector a patch (PatchCore's code: patchify, pre-projection, merge).

use std::ops::Range;

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use crate::ModelError;
use crate::anomaly_map::taps;

/// Side of a patch, in places of a feature map.
const SIDE: usize = 3;
/// Places of a patch.
const PLACES: usize = SIDE * SIDE;

/// How the two maps of a network become one vector at each place of the finer map.
///
/// The official code unfolds every 3×3 patch (zero padding), interpolates the coarser map's patches bilinearly to the
/// finer grid, for every channel and place of the patch by itself; flattens each patch, channel by channel, and averages
/// it to dimension `size` in adaptive bins; and averages the two vectors, one after the other, in pairs to `size` again.
///
/// Interpolation mixes places and the bins mix channels, so the order of the two makes no difference: here the bins come
/// first, on the coarser grid, where they are a quarter of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedding {
    /// Dimension of a vector; even (PatchCore's code: 1024).
    pub size: usize,
}

/// The vectors of one image's patches.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Patches in a row.
    pub width: usize,
    /// Rows of patches.
    pub height: usize,
    /// The vectors, patch by patch, row by row.
    pub vectors: Vec<f32>,
}

impl Embedding {
    /// The patches of each image of a batch.
    ///
    /// # Errors
    /// Maps that are no batches of one length, or a failed tensor operation.
    pub fn patches(&self, [fine, coarse]: &[Tensor; 2]) -> Result<Vec<Patches>, ModelError> {
        let fine_maps = Map::all(fine)?;
        let coarse_maps = Map::all(coarse)?;
        if fine_maps.len() != coarse_maps.len() {
            let fault = format!("{} finer and {} coarser maps", fine_maps.len(), coarse_maps.len());
            return Err(candle_core::Error::msg(fault).into());
        }
        Ok(fine_maps
            .par_iter()
            .zip(&coarse_maps)
            .map(|(fine, coarse)| self.patches_of(fine, coarse))
            .collect())
    }

    fn patches_of(&self, fine: &Map, coarse: &Map) -> Patches {
        let half = self.size / 2;
        let first = fine.pooled(self.size);
        let second = coarse.pooled(self.size);
        let (columns, rows) = (taps(coarse.width, fine.width), taps(coarse.height, fine.height));
        let mut vectors = vec![0.0; fine.width * fine.height * self.size];
        for (place, vector) in vectors.chunks_exact_mut(self.size).enumerate() {
            vector[..half].copy_from_slice(&first[place * half..][..half]);
            let (row, column) = (rows[place / fine.width], columns[place % fine.width]);
            let corner = |y: usize, x: usize| &second[(y * coarse.width + x) * half..][..half];
            let corners = [
                (corner(row.0, column.0), (1.0 - row.2) * (1.0 - column.2)),
                (corner(row.0, column.1), (1.0 - row.2) * column.2),
                (corner(row.1, column.0), row.2 * (1.0 - column.2)),
                (corner(row.1, column.1), row.2 * column.2),
            ];
            for (values, weight) in corners {
                for (sum, value) in vector[half..].iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
        }
        Patches {
            width: fine.width,
            height: fine.height,
            vectors,
        }
    }
}

/// One image's feature map, (height, width, channels).
struct Map {
    height: usize,
    width: usize,
    channels: usize,
    values: Vec<f32>,
}

impl Map {
    fn all(tensor: &Tensor) -> Result<Vec<Self>, ModelError> {
        let (count, height, width, channels) = tensor.dims4()?;
        (0..count)
            .map(|index| {
                Ok(Self {
                    height,
                    width,
                    channels,
                    values: tensor
                        .get(index)?
                        .to_dtype(DType::F32)?
                        .flatten_all()?
                        .to_vec1()?,
                })
            })
            .collect()
    }

    /// At each place, the patch around it averaged in `size` adaptive bins, and these in pairs: `size / 2` numbers.
    fn pooled(&self, size: usize) -> Vec<f32> {
        let half = size / 2;
        let bins: Vec<Range<usize>> = (0..size)
            .map(|bin| bin_of(bin, self.channels * PLACES, size))
            .collect();
        let mut pooled = vec![0.0; self.height * self.width * half];
        let mut patch = vec![0.0; self.channels * PLACES];
        for (place, pooled) in pooled.chunks_exact_mut(half.max(1)).enumerate() {
            self.unfold(place / self.width, place % self.width, &mut patch);
            for (value, pair) in pooled.iter_mut().zip(bins.chunks_exact(2)) {
                let mean = |bin: &Range<usize>| patch[bin.clone()].iter().sum::<f32>() / bin.len() as f32;
                *value = 0.5 * (mean(&pair[0]) + mean(&pair[1]));
            }
        }
        pooled
    }

    /// The patch around a place, channel by channel, each as 3×3 numbers; zero outside of the map.
    fn unfold(&self, y: usize, x: usize, patch: &mut [f32]) {
        for dy in 0..SIDE {
            for dx in 0..SIDE {
                let place = dy * SIDE + dx;
                let inside = (1..=self.height).contains(&(y + dy)) && (1..=self.width).contains(&(x + dx));
                let targets = patch.iter_mut().skip(place).step_by(PLACES);
                if inside {
                    let from = ((y + dy - 1) * self.width + x + dx - 1) * self.channels;
                    let values = &self.values[from..from + self.channels];
                    targets.zip(values).for_each(|(target, &value)| *target = value);
                } else {
                    targets.for_each(|target| *target = 0.0);
                }
            }
        }
    }
}

/// Bin `index` of `count` adaptive bins over `length` numbers; neighbours overlap where the division leaves a rest.
fn bin_of(index: usize, length: usize, count: usize) -> Range<usize> {
    index * length / count..((index + 1) * length).div_ceil(count)
}
