//! What verdicts are worth: how often good parts were called anomalous, and defective ones normal.

use std::fmt;

use crate::binomial::{Interval, proportion_interval};

/// How many images were called what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Calls {
    /// Called normal.
    pub normal: u64,
    /// Between the two thresholds: for a person to look at.
    pub look: u64,
    /// Called anomalous.
    pub anomalous: u64,
}

impl Calls {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.normal + self.look + self.anomalous
    }
}

/// The calls on good and on defective images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Confusion {
    /// On good images.
    pub good: Calls,
    /// On defective images.
    pub defective: Calls,
}

impl Confusion {
    /// The calls on images of one sort.
    pub fn of(&mut self, defective: bool) -> &mut Calls {
        match defective {
            true => &mut self.defective,
            false => &mut self.good,
        }
    }

    /// Good images that were called anomalous. Those to look at are no false alarms.
    pub fn false_alarms(&self, confidence: f64) -> Rate {
        Rate::new(self.good.anomalous, self.good.all(), confidence)
    }

    /// Defective images that were called normal. Those to look at are no misses.
    pub fn misses(&self, confidence: f64) -> Rate {
        Rate::new(self.defective.normal, self.defective.all(), confidence)
    }

    /// Images of both sorts that a person is to look at.
    pub fn to_look_at(&self, confidence: f64) -> Rate {
        let all = self.good.all() + self.defective.all();
        Rate::new(self.good.look + self.defective.look, all, confidence)
    }
}

/// How often something was seen, and what that says of how often it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rate {
    /// How often.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// Their ratio; `None` where there was nothing to see it on.
    pub rate: Option<f64>,
    /// Interval of the true rate: Clopper and Pearson's, exact and never too narrow.
    pub interval: Interval,
    /// Confidence of the interval, in `(0, 1)`.
    pub confidence: f64,
}

impl Rate {
    /// A count with its interval.
    pub fn new(count: u64, of: u64, confidence: f64) -> Self {
        Self {
            count,
            of,
            rate: (of > 0).then(|| count as f64 / of as f64),
            interval: proportion_interval(count, of, confidence),
            confidence,
        }
    }
}

impl fmt::Display for Rate {
    /// `3 of 22 (13.6 %; 95 % sure: 2.9 to 34.9 %)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rate) = self.rate else {
            return f.write_str("none to judge");
        };
        write!(
            f,
            "{} of {} ({:.1} %; {:.0} % sure: {:.1} to {:.1} %)",
            self.count,
            self.of,
            100.0 * rate,
            100.0 * self.confidence,
            100.0 * self.interval.low,
            100.0 * self.interval.high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_their_own_sort() {
        let mut confusion = Confusion::default();
        for (defective, normal, look, anomalous) in [(false, 17, 2, 3), (true, 1, 4, 5)] {
            *confusion.of(defective) = Calls {
                normal,
                look,
                anomalous,
            };
        }
        let alarms = confusion.false_alarms(0.95);
        assert_eq!((alarms.count, alarms.of), (3, 22));
        assert_eq!(alarms.to_string(), "3 of 22 (13.6 %; 95 % sure: 2.9 to 34.9 %)");
        let misses = confusion.misses(0.95);
        assert_eq!((misses.count, misses.of, misses.rate), (1, 10, Some(0.1)));
        let look = confusion.to_look_at(0.95);
        assert_eq!((look.count, look.of), (6, 32));
    }

    #[test]
    fn nothing_to_judge_says_nothing() {
        let rate = Confusion::default().misses(0.95);
        assert_eq!(rate.rate, None);
        assert_eq!((rate.interval.low, rate.interval.high), (0.0, 1.0));
        assert_eq!(rate.to_string(), "none to judge");
    }
}
