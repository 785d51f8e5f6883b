//! One image's feature map.

use candle_core::{DType, Tensor};

use crate::ModelError;
use crate::anomaly_map::taps;

/// Side of the neighbourhood that a mean is taken over, in places.
const SIDE: usize = 3;

/// A feature map of one image, (height, width, channels).
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap {
    /// Places in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Numbers a place.
    pub channels: usize,
    /// The numbers, place by place, row by row.
    pub values: Vec<f32>,
}

impl FeatureMap {
    /// The maps of a batch (N, height, width, channels).
    ///
    /// # Errors
    /// A tensor of another rank, a failed copy.
    pub fn all(batch: &Tensor) -> Result<Vec<Self>, ModelError> {
        let (count, height, width, channels) = batch.dims4()?;
        (0..count)
            .map(|index| {
                Ok(Self {
                    width,
                    height,
                    channels,
                    values: batch.get(index)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?,
                })
            })
            .collect()
    }

    /// The mean of the 3×3 places around each. Places outside of the map count as zero, and every sum is divided by nine: a
    /// network sees zeros there too, and with a smaller divisor every border looks unlike the rest.
    #[must_use]
    pub fn mean3(&self) -> Self {
        let row = self.width * self.channels;
        let mut across = vec![0.0; self.values.len()];
        for (sums, values) in across
            .chunks_exact_mut(row.max(1))
            .zip(self.values.chunks_exact(row.max(1)))
        {
            add_neighbours(sums, values, self.channels);
        }
        let mut values = vec![0.0; self.values.len()];
        add_neighbours(&mut values, &across, row);
        let share = 1.0 / (SIDE * SIDE) as f32;
        values.iter_mut().for_each(|value| *value *= share);
        Self { values, ..*self }
    }

    /// The map at another size: bilinear between the centres of places, the border repeated.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let columns = taps(self.width, width);
        let mut values = Vec::with_capacity(width * height * self.channels);
        for (top, bottom, down) in taps(self.height, height) {
            for &(left, right, across) in &columns {
                let at = |y: usize, x: usize| {
                    &self.values[(y * self.width + x) * self.channels..][..self.channels]
                };
                let corners = at(top, left)
                    .iter()
                    .zip(at(top, right))
                    .zip(at(bottom, left).iter().zip(at(bottom, right)));
                values.extend(corners.map(|((a, b), (c, d))| {
                    let above = a + (b - a) * across;
                    let below = c + (d - c) * across;
                    above + (below - above) * down
                }));
            }
        }
        Self {
            width,
            height,
            values,
            ..*self
        }
    }

    /// The numbers of one place.
    pub fn place(&self, index: usize) -> &[f32] {
        &self.values[index * self.channels..][..self.channels]
    }

    /// Places.
    pub fn places(&self) -> usize {
        self.width * self.height
    }
}

/// Adds to each number of `sums` that of `values`, and those a `step` before and behind it.
fn add_neighbours(sums: &mut [f32], values: &[f32], step: usize) {
    let length = values.len();
    let step = step.min(length);
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
    for (sum, value) in sums[step..].iter_mut().zip(&values[..length - step]) {
        *sum += value;
    }
    for (sum, value) in sums[..length - step].iter_mut().zip(&values[step..]) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn map(width: usize, height: usize, values: &[f32]) -> FeatureMap {
        FeatureMap {
            width,
            height,
            channels: values.len() / (width * height),
            values: values.to_vec(),
        }
    }

    #[test]
    fn means_count_zeros_outside_and_divide_by_nine() {
        let ones = map(4, 3, &[9.0; 24]);
        let mean = ones.mean3();
        assert_eq!(mean.channels, 2);
        assert_eq!(mean.place(0), [4.0, 4.0]);
        assert_eq!(mean.place(1), [6.0, 6.0]);
        assert_eq!(mean.place(5), [9.0, 9.0]);
        // One column alone: three of nine places are inside, two at its ends.
        assert_eq!(map(1, 3, &[9.0; 3]).mean3().values, [2.0, 3.0, 2.0]);
        assert_eq!(map(1, 1, &[9.0]).mean3().values, [1.0]);
    }

    #[test]
    fn a_map_is_resized_channel_by_channel() {
        let two = map(2, 1, &[0.0, 8.0, 1.0, 4.0]);
        assert_eq!(
            two.resized(4, 1).values,
            [0.0, 8.0, 0.25, 7.0, 0.75, 5.0, 1.0, 4.0]
        );
        assert_eq!(two.resized(2, 1), two);
        assert_eq!(two.resized(2, 2).places(), 4);
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let batch = Tensor::arange(0f32, 24.0, &Device::Cpu).and_then(|t| t.reshape((2, 2, 3, 2)));
        let maps = FeatureMap::all(&batch.expect("a tensor")).expect("maps");
        assert_eq!((maps.len(), maps[1].width, maps[1].height), (2, 3, 2));
        assert_eq!(maps[1].place(1), [14.0, 15.0]);
    }
}
