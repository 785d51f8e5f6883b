//! The structural similarity: its window, its constants, its dynamic range.

/// Pixels on either side of the centre of the 11-pixel window.
pub(crate) const RADIUS: usize = 5;
/// Width of the window.
pub(crate) const TAPS: usize = 2 * RADIUS + 1;
/// Standard deviation of the Gaussian window in pixels (DRAEM's code).
const SIGMA: f64 = 1.5;

/// How the dynamic range L of the images is chosen; the stabilising constants are (0.01·L)² and (0.03·L)².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum SsimRange {
    /// L = 1: images in [0, 1].
    #[default]
    Unit,
    /// DRAEM's rule: the upper end is 255 if the prediction exceeds 128, else 1; the lower end is −1 if it falls
    /// below −0.5, else 0.
    FromPrediction,
}

/// The normalised 1-D window; the 2-D window is its outer product with itself.
pub(crate) fn window() -> [f64; TAPS] {
    let mut window = [0f64; TAPS];
    for (tap, value) in window.iter_mut().enumerate() {
        let distance = tap as f64 - RADIUS as f64;
        *value = (-distance * distance / (2.0 * SIGMA * SIGMA)).exp();
    }
    let total: f64 = window.iter().sum();
    window.map(|value| value / total)
}

/// C1 and C2 for a dynamic range.
pub(crate) fn stabilizers(range: f64) -> (f64, f64) {
    ((0.01 * range).powi(2), (0.03 * range).powi(2))
}

/// DRAEM's rule, see [`SsimRange::FromPrediction`].
pub(crate) fn range_from_extremes(lowest: f64, highest: f64) -> f64 {
    let upper = if highest > 128.0 { 255.0 } else { 1.0 };
    let lower = if lowest < -0.5 { -1.0 } else { 0.0 };
    upper - lower
}
