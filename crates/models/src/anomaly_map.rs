//! Anomaly maps, and how they are brought to another size.

/// How anomalous every pixel of an image is.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyMap {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Row by row; larger is more anomalous. [`Draem`](crate::Draem)'s are probabilities in \[0, 1\].
    pub scores: Vec<f32>,
}

impl AnomalyMap {
    /// The largest score; negative infinity without pixels.
    pub fn largest(&self) -> f32 {
        self.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// The map at another size: bilinear between pixel centres, the border repeated.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        self.mixed(width, height, |a, b, share| a + (b - a) * share)
    }

    /// As [`resized`](Self::resized), rounded as PyTorch rounds it (`align_corners = False`): the official code of PatchCore
    /// enlarges its maps so. The two differ in the last bit.
    pub(crate) fn resized_as_pytorch(&self, width: u32, height: u32) -> Self {
        self.mixed(width, height, |a, b, share| (1.0 - share) * a + share * b)
    }

    /// The map at another size, where `mix(a, b, share)` lies between two scores, `share` of the way from `a` to `b`.
    fn mixed(&self, width: u32, height: u32, mix: impl Fn(f32, f32, f32) -> f32) -> Self {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let pixels = width as usize * height as usize;
        let mut scores = Vec::with_capacity(pixels);
        if self.scores.is_empty() {
            scores.resize(pixels, 0.0); // nothing was seen, nothing is anomalous
        } else {
            let length = self.width as usize;
            let columns = taps(length, width as usize);
            let across = |row: usize, mixed: &mut Vec<f32>| {
                let scores = &self.scores[row * length..][..length];
                mixed.clear();
                let columns = columns.iter();
                mixed.extend(columns.map(|&(left, right, share)| mix(scores[left], scores[right], share)));
            };
            // Of two neighbouring rows of the map, between which many of the result lie.
            let (mut above, mut below) = (Vec::new(), Vec::new());
            let mut held = None;
            for (top, bottom, down) in taps(self.height as usize, height as usize) {
                if held != Some((top, bottom)) {
                    across(top, &mut above);
                    across(bottom, &mut below);
                    held = Some((top, bottom));
                }
                scores.extend(
                    above
                        .iter()
                        .zip(&below)
                        .map(|(&above, &below)| mix(above, below, down)),
                );
            }
        }
        Self {
            width,
            height,
            scores,
        }
    }
}

/// For each of `target` places the two of `source` that it lies between (half-pixel centres, no place outside), and the
/// weight of the second. `source` is at least 1.
pub(crate) fn taps(source: usize, target: usize) -> Vec<(usize, usize, f32)> {
    let scale = source as f64 / target as f64;
    let last = source.saturating_sub(1);
    (0..target)
        .map(|place| {
            let position = ((place as f64 + 0.5) * scale - 0.5).max(0.0);
            let first = (position as usize).min(last);
            (first, (first + 1).min(last), (position - first as f64) as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: u32, height: u32, scores: &[f32]) -> AnomalyMap {
        AnomalyMap {
            width,
            height,
            scores: scores.to_vec(),
        }
    }

    #[test]
    fn a_map_is_resized_between_pixel_centres() {
        let two = map(2, 1, &[0.0, 1.0]);
        for resized in [AnomalyMap::resized, AnomalyMap::resized_as_pytorch] {
            assert_eq!(resized(&two, 4, 1).scores, [0.0, 0.25, 0.75, 1.0]);
            assert_eq!(resized(&two, 2, 3).scores, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
            assert_eq!(resized(&two, 1, 1).scores, [0.5]);
            assert_eq!(resized(&two, 2, 1), two);
            assert_eq!(resized(&map(0, 0, &[]), 2, 1), map(2, 1, &[0.0; 2]));
        }
    }
}
