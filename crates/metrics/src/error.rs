//! What can be wrong with scores and truths.

use thiserror::Error;

/// Why a metric could not be computed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A score is NaN, which has no place in a ranking.
    #[error("score {index} is not a number")]
    NotANumber {
        /// Position of the first such score in the slice that was given.
        index: usize,
    },
    /// A score lies outside `[0, 1]`, the range of [`Bins::Unit`](crate::Bins::Unit).
    #[error("score {index} is {value}, outside the range 0 to 1 of this accumulator")]
    OutOfRange {
        /// Position of the first such score in the slice that was given.
        index: usize,
        /// The score.
        value: f32,
    },
    /// All truths are of one class, so that there is nothing to tell apart.
    #[error("both normal and anomalous truths are needed, got {anomalous} anomalous and {normal} normal")]
    OneClass {
        /// Number of anomalous truths.
        anomalous: u64,
        /// Number of normal truths.
        normal: u64,
    },
    /// There is no score at all where at least one is needed.
    #[error("no scores were given")]
    Empty,
    /// Scores and truths differ in number.
    #[error("{scores} scores do not pair with {truths} truths")]
    Length {
        /// Number of scores.
        scores: usize,
        /// Number of truths.
        truths: usize,
    },
    /// A map or a mask does not have `width * height` entries.
    #[error("a map of {width}x{height} has {scores} scores and {mask} mask entries")]
    Dimensions {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Number of scores.
        scores: usize,
        /// Number of mask entries.
        mask: usize,
    },
    /// The largest false positive rate of AUPRO is not in `(0, 1]`.
    #[error("the limit of AUPRO must be above 0 and at most 1, got {0}")]
    Limit(f64),
    /// A rate or a confidence is not in `(0, 1)`.
    #[error("a rate or a confidence must be above 0 and below 1, got {0}")]
    Share(f64),
    /// The number of histogram bins (or of kept bits) is out of range.
    #[error("unusable histogram resolution: {0}")]
    Resolution(&'static str),
    /// Two accumulators of different modes or resolutions cannot be merged.
    #[error("accumulators of different modes or resolutions cannot be merged")]
    Incompatible,
}

/// The error for truths of one class, or nothing.
pub(crate) fn both_classes(anomalous: u64, normal: u64) -> Result<(), MetricError> {
    if anomalous == 0 || normal == 0 {
        return Err(MetricError::OneClass { anomalous, normal });
    }
    Ok(())
}

/// The error for the first NaN among the scores, or nothing.
pub(crate) fn no_nan(scores: &[f32]) -> Result<(), MetricError> {
    match scores.iter().position(|score| score.is_nan()) {
        Some(index) => Err(MetricError::NotANumber { index }),
        None => Ok(()),
    }
}

/// The error for a map or mask of another size than stated, or nothing.
pub(crate) fn same_size(scores: usize, mask: usize, width: usize, height: usize) -> Result<(), MetricError> {
    if width.checked_mul(height) != Some(scores) || scores != mask {
        return Err(MetricError::Dimensions {
            width,
            height,
            scores,
            mask,
        });
    }
    Ok(())
}
