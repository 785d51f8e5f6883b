//! Area under the per-region overlap curve.

use crate::accumulate::PixelScores;
use crate::error::MetricError;
use crate::truth::Truth;

/// The usual largest false positive rate of AUPRO (docs/method.md, section 13.3; Bergmann et al., MVTec AD).
pub const AUPRO_LIMIT: f64 = 0.3;

/// An anomaly map with its ground truth, both row-major.
#[derive(Debug, Clone, Copy)]
pub struct MapWithTruth<'a, T = u8> {
    /// One score a pixel, larger is more anomalous.
    pub scores: &'a [f32],
    /// One [`Truth`] a pixel: a mask's bytes (non-zero is anomalous) or `bool`s.
    pub mask: &'a [T],
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Area under the per-region overlap (PRO) over the false positive rate from 0 to `limit`, divided by
/// `limit`: in `[0, 1]` (docs/method.md, section 13.3).
///
/// PRO at a threshold is the mean, over all 8-connected components of all ground truths, of the fraction of
/// the component that scores at or above it; the false positive rate is taken over all defect-free pixels of
/// all maps. The curve is exact, with one point for every distinct score, straight between points, and cut
/// at `limit` by linear interpolation.
///
/// # Errors
/// [`MetricError::Dimensions`], [`MetricError::NotANumber`] (the index counts within its map),
/// [`MetricError::Limit`], and [`MetricError::OneClass`] when no pixel or every pixel is anomalous.
pub fn aupro<T: Truth>(maps: &[MapWithTruth<'_, T>], limit: f64) -> Result<f64, MetricError> {
    let mut pixels = PixelScores::exact();
    for map in maps {
        pixels.push(map.scores, map.mask, map.width, map.height)?;
    }
    Ok(pixels.finish(limit)?.aupro)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(scores: &'a [f32], mask: &'a [u8]) -> MapWithTruth<'a> {
        MapWithTruth {
            scores,
            mask,
            width: scores.len(),
            height: 1,
        }
    }

    #[test]
    fn perfect_and_hopeless_maps() {
        let mask = [1, 1, 0, 0, 0, 1];
        let perfect = aupro(&[row(&[0.9, 0.8, 0.1, 0.2, 0.0, 0.7], &mask)], 0.3).unwrap();
        assert!((perfect - 1.0).abs() < 1e-12, "{perfect}");
        assert_eq!(
            aupro(&[row(&[0.0, 0.0, 0.1, 0.2, 0.3, 0.0], &mask)], 0.3).unwrap(),
            0.0
        );
    }

    #[test]
    fn regions_count_alike_whatever_their_size() {
        // The large region (4 pixels) is found before any false positive, the small one (1 pixel) after all.
        let scores = [0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.1];
        let mask = [1, 1, 1, 1, 0, 0, 1];
        assert!((aupro(&[row(&scores, &mask)], 0.3).unwrap() - 0.5).abs() < 1e-12);
        assert!((aupro(&[row(&scores, &mask)], 1.0).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_end_point_is_interpolated() {
        // Everything tied: PRO equals the false positive rate, so the area to L is L²/2.
        let value = aupro(&[row(&[0.5; 5], &[1, 0, 0, 0, 1])], 0.3).unwrap();
        assert!((value - 0.15).abs() < 1e-12, "{value}");
    }

    #[test]
    fn unusable_input_is_a_typed_error() {
        let map = row(&[0.1, 0.2], &[0, 1]);
        for limit in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(matches!(aupro(&[map], limit), Err(MetricError::Limit(_))));
        }
        assert!(matches!(
            aupro(&[row(&[0.1, 0.2], &[0, 0])], 0.3),
            Err(MetricError::OneClass { .. })
        ));
        assert!(matches!(aupro::<u8>(&[], 0.3), Err(MetricError::OneClass { .. })));
        assert!(matches!(
            aupro(&[row(&[f32::NAN], &[0])], 0.3),
            Err(MetricError::NotANumber { index: 0 })
        ));
        assert!(matches!(
            aupro(&[MapWithTruth { width: 3, ..map }], 0.3),
            Err(MetricError::Dimensions { .. })
        ));
    }
}
