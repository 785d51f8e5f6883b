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

/// How the maps of a network become one vector at each place of the finest.
///
/// The official code unfolds every 3×3 patch (zero padding), interpolates the coarser maps' patches bilinearly to the
/// finest grid, for every channel and place of the patch by itself; flattens each patch, channel by channel, and averages
/// it to dimension `size` in adaptive bins; and averages the vectors of all maps, one after the other, to `size` again: two
/// maps in pairs, three in threes.
///
/// Interpolation mixes places and the bins mix channels, so the order of the two makes no difference: here the bins come
/// first, on the coarser grids, where they are a quarter of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedding {
    /// Dimension of a vector; with two maps even (PatchCore's code: 1024).
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
    /// The patches of each image of a batch, from its maps, the finest first.
    ///
    /// # Errors
    /// No maps, maps that are no batches of one length, or a failed tensor operation.
    pub fn patches(&self, maps: &[Tensor]) -> Result<Vec<Patches>, ModelError> {
        let maps: Vec<Vec<Map>> = maps.iter().map(Map::all).collect::<Result<_, _>>()?;
        let images = maps.first().map_or(0, Vec::len);
        if images == 0 || maps.iter().any(|map| map.len() != images) {
            let counts: Vec<usize> = maps.iter().map(Vec::len).collect();
            let fault = format!("feature maps of {counts:?} images");
            return Err(candle_core::Error::msg(fault).into());
        }
        Ok((0..images)
            .into_par_iter()
            .map(|image| self.patches_of(&maps.iter().map(|map| &map[image]).collect::<Vec<_>>()))
            .collect())
    }

    fn patches_of(&self, maps: &[&Map]) -> Patches {
        let (width, height) = (maps[0].width, maps[0].height);
        let mut vectors = vec![0.0; width * height * self.size];
        for (number, map) in maps.iter().enumerate() {
            let part = self.part(number, maps.len());
            let length = part.len();
            let pooled = map.pooled(self.size, number, &part, maps.len());
            let (columns, rows) = (taps(map.width, width), taps(map.height, height));
            for (place, vector) in vectors.chunks_exact_mut(self.size).enumerate() {
                let vector = &mut vector[part.clone()];
                if number == 0 {
                    vector.copy_from_slice(&pooled[place * length..][..length]);
                    continue;
                }
                let (row, column) = (rows[place / width], columns[place % width]);
                let corner = |y: usize, x: usize| &pooled[(y * map.width + x) * length..][..length];
                let corners = [
                    (corner(row.0, column.0), (1.0 - row.2) * (1.0 - column.2)),
                    (corner(row.0, column.1), (1.0 - row.2) * column.2),
                    (corner(row.1, column.0), row.2 * (1.0 - column.2)),
                    (corner(row.1, column.1), row.2 * column.2),
                ];
                for (values, weight) in corners {
                    for (sum, value) in vector.iter_mut().zip(values) {
                        *sum += weight * value;
                    }
                }
            }
        }
        Patches {
            width,
            height,
            vectors,
        }
    }

    /// What makes the numbers `part` of a vector of the patches of map `number` of `count`: a filter of 3×3 for each of them and each
    /// channel, (part, channels, 3, 3).
    pub(super) fn filters(
        &self,
        channels: usize,
        number: usize,
        part: &Range<usize>,
        count: usize,
    ) -> Vec<f32> {
        let length = channels * PLACES;
        let bins = bins_of(channels, self.size);
        let mut filters = vec![0.0f64; part.len() * length];
        let rows = filters.chunks_exact_mut(length.max(1));
        for (filter, bins) in rows.zip(groups(&bins, number, part, count)) {
            for bin in bins {
                let share = 1.0 / (count * bin.len()) as f64;
                filter[bin.clone()].iter_mut().for_each(|weight| *weight += share);
            }
        }
        filters.into_iter().map(|weight| weight as f32).collect()
    }

    /// The numbers of a vector that map `number` of `count` has a share in.
    pub(super) fn part(&self, number: usize, count: usize) -> Range<usize> {
        number * self.size / count..((number + 1) * self.size).div_ceil(count)
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

    /// At each place, the patch around it averaged in `size` adaptive bins, and of these, one after another behind those of the
    /// maps before, the share in the numbers `part`, each of which is the mean of `count` of them.
    fn pooled(&self, size: usize, number: usize, part: &Range<usize>, count: usize) -> Vec<f32> {
        let bins = bins_of(self.channels, size);
        let groups = groups(&bins, number, part, count);
        let share = 1.0 / count as f32;
        let mut pooled = vec![0.0; self.height * self.width * groups.len()];
        let mut patch = vec![0.0; self.channels * PLACES];
        for (place, pooled) in pooled.chunks_exact_mut(groups.len().max(1)).enumerate() {
            self.unfold(place / self.width, place % self.width, &mut patch);
            for (value, bins) in pooled.iter_mut().zip(&groups) {
                let mean = |bin: &Range<usize>| patch[bin.clone()].iter().sum::<f32>() / bin.len() as f32;
                *value = share * bins.iter().map(mean).sum::<f32>();
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

/// The adaptive bins over the numbers of a patch.
fn bins_of(channels: usize, size: usize) -> Vec<Range<usize>> {
    (0..size)
        .map(|bin| bin_of(bin, channels * PLACES, size))
        .collect()
}

/// Of the bins of map `number` of `count`, those that each of the numbers `part` is the mean of.
fn groups<'a>(
    bins: &'a [Range<usize>],
    number: usize,
    part: &Range<usize>,
    count: usize,
) -> Vec<&'a [Range<usize>]> {
    let size = bins.len();
    let own = |bin: usize| bin.clamp(number * size, (number + 1) * size) - number * size;
    part.clone()
        .map(|place| &bins[own(place * count)..own((place + 1) * count)])
        .collect()
}

/// Bin `index` of `count` adaptive bins over `length` numbers; neighbours overlap where the division leaves a rest.
fn bin_of(index: usize, length: usize, count: usize) -> Range<usize> {
    index * length / count..((index + 1) * length).div_ceil(count)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::tests::rule;
    use super::*;

    /// The official steps as they are written: every map unfolded and interpolated, its patches averaged in `size` bins, the vectors of
    /// all maps one after the other averaged in `size` bins again.
    fn by_definition(maps: &[Tensor], size: usize) -> Vec<f32> {
        let (_, height, width, _) = maps[0].dims4().unwrap();
        let bins = |values: &[f64]| -> Vec<f64> {
            let count = values.len();
            let bin = |index: usize| {
                let range = index * count / size..((index + 1) * count).div_ceil(size);
                values[range.clone()].iter().sum::<f64>() / range.len() as f64
            };
            (0..size).map(bin).collect()
        };
        let mut vectors = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut all = Vec::new();
            for map in maps {
                let (_, rows, columns, channels) = map.dims4().unwrap();
                let values: Vec<f32> = map.flatten_all().unwrap().to_vec1().unwrap();
                let at = |y: i64, x: i64, channel: usize| {
                    let inside = (0..rows as i64).contains(&y) && (0..columns as i64).contains(&x);
                    let place = (y * columns as i64 + x) as usize * channels + channel;
                    if inside { f64::from(values[place]) } else { 0.0 }
                };
                let tap = |place: usize, from: usize, to: usize| {
                    let there =
                        ((place as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
                    (
                        there.floor() as i64,
                        (there.floor() as i64 + 1).min(from as i64 - 1),
                        there.fract(),
                    )
                };
                let ((top, bottom, down), (left, right, across)) =
                    (tap(y, rows, height), tap(x, columns, width));
                let mut patch = Vec::new();
                for channel in 0..channels {
                    for (dy, dx) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))) {
                        let upper = at(top + dy, left + dx, channel) * (1.0 - across)
                            + at(top + dy, right + dx, channel) * across;
                        let lower = at(bottom + dy, left + dx, channel) * (1.0 - across)
                            + at(bottom + dy, right + dx, channel) * across;
                        patch.push(upper * (1.0 - down) + lower * down);
                    }
                }
                all.extend(bins(&patch));
            }
            vectors.extend(bins(&all).into_iter().map(|value| value as f32));
        }
        vectors
    }

    #[test]
    fn one_map_and_three_become_vectors_by_the_same_steps() {
        let map = |side: usize, channels: usize, seed| {
            let values = rule(side * side * channels, seed);
            Tensor::from_vec(values, (1, side, side, channels), &Device::Cpu).unwrap()
        };
        let maps = [map(8, 5, 1), map(4, 7, 2), map(2, 30, 3)];
        // 32 is no multiple of 3: a number may have shares in two maps.
        for (count, size) in [(1, 32), (1, 33), (2, 32), (3, 32), (3, 33)] {
            let maps = &maps[..count];
            let found = Embedding { size }.patches(maps).unwrap().remove(0);
            let wanted = by_definition(maps, size);
            assert_eq!(
                (found.width, found.height, found.vectors.len()),
                (8, 8, wanted.len())
            );
            for (place, (found, wanted)) in found.vectors.iter().zip(&wanted).enumerate() {
                assert!(
                    (found - wanted).abs() < 1e-5,
                    "{count} maps, {size}, {place}: {found} {wanted}"
                );
            }
        }
        assert!(Embedding { size: 8 }.patches(&[]).is_err());
    }
}
