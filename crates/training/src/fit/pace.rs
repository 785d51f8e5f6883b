//! How fast something goes on, and how long it will still take.

use std::collections::VecDeque;
use std::time::Duration;

/// The time that an estimate looks back on: a run that was slow for its first minutes, or shares its cores no more, is judged
/// by what it does now.
const WINDOW: Duration = Duration::from_secs(60);
/// Least time between two moments that are kept.
const GRAIN: Duration = Duration::from_millis(500);

/// Moments of the last minute, with the steps that were done by then.
#[derive(Debug)]
pub(crate) struct Pace {
    moments: VecDeque<(Duration, u64)>,
    last: (Duration, u64),
}

impl Pace {
    /// Begins at `step`, at the time zero.
    pub(crate) fn new(step: u64) -> Self {
        let start = (Duration::ZERO, step);
        Self {
            moments: VecDeque::from([start]),
            last: start,
        }
    }

    /// After `time`, `step` steps are done. Both never decrease.
    pub(crate) fn note(&mut self, time: Duration, step: u64) {
        self.last = (time, step);
        if self.moments.back().is_none_or(|&(at, _)| time >= at + GRAIN) {
            self.moments.push_back(self.last);
        }
        // The newest moment that is a whole window old stays: the estimate spans the window, not less.
        while self.moments.get(1).is_some_and(|&(at, _)| time >= at + WINDOW) {
            self.moments.pop_front();
        }
    }

    /// Seconds until `total` steps are done, at the speed of the last minute; `None` before the first step.
    pub(crate) fn seconds_left(&self, total: u64) -> Option<f64> {
        let &(since, from) = self.moments.front()?;
        let (now, step) = self.last;
        let done = step.checked_sub(from).filter(|&done| done > 0)?;
        let a_step = (now - since).as_secs_f64() / done as f64;
        Some(a_step * total.saturating_sub(step) as f64)
    }
}

/// A length of time as people say it, two units at most: `40 s`, `6 min`, `2 h 10 min`.
pub fn spoken(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        _ if seconds < 99.5 => format!("{:.0} s", seconds.max(0.0)),
        0..100 => format!("{minutes} min"),
        _ if minutes < 48 * 60 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} days {} h", minutes / (24 * 60), minutes / 60 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_alone_counts() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.seconds_left(1000), None);
        // Ten minutes at 10 s a step, then a second a step.
        for step in 1..=60 {
            pace.note(Duration::from_secs(10 * step), 100 + step);
        }
        let left = pace.seconds_left(1000).unwrap();
        assert!((left - 8400.0).abs() < 1e-6, "{left}");
        for step in 1..=90 {
            pace.note(Duration::from_secs(600 + step), 160 + step);
        }
        let left = pace.seconds_left(1000).unwrap();
        assert!((left - 750.0).abs() < 1e-6, "{left}");
        assert!(pace.moments.len() < 130);
    }

    #[test]
    fn short_runs_are_judged_by_what_there_is() {
        let mut pace = Pace::new(0);
        for step in 1..=100 {
            pace.note(Duration::from_millis(20 * step), step);
        }
        assert!((pace.seconds_left(200).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(pace.seconds_left(100), Some(0.0));
    }

    #[test]
    fn time_is_spoken() {
        for (seconds, words) in [
            (0.2, "0 s"),
            (98.0, "98 s"),
            (360.0, "6 min"),
            (7800.0, "2 h 10 min"),
            (200_000.0, "2 days 7 h"),
        ] {
            assert_eq!(spoken(seconds), words);
        }
    }
}
