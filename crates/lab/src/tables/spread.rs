//! A value over several seeds.

use serde::Serialize;
use std::fmt;

/// Mean and sample standard deviation over seeds. The spread of a single seed is unknown, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean over the seeds.
    pub mean: f64,
    /// Sample standard deviation over the seeds (n − 1), absent with one seed.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Summarises values, of which there is at least one.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
        Self { mean, deviation }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deviation {
            Some(deviation) => write!(f, "{:.1}±{deviation:.1}", self.mean),
            None => write!(f, "{:.1}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of(&[50.0, 70.0]);
        assert!((spread.mean - 60.0).abs() < 1e-12);
        assert!((spread.deviation.unwrap() - 200f64.sqrt()).abs() < 1e-12);
        assert_eq!(spread.to_string(), "60.0±14.1");
        assert_eq!(Spread::of(&[12.34]).to_string(), "12.3");
    }
}
