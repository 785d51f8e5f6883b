//! How long a sweep will still take: from the cells that are finished and from those that run.

use flawforge::training::Method;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The cells of a sweep that are not finished yet, with what is known of their time. Cells of a method are taken for equally
/// long; a method of which nothing is known yet, for as long as the others.
pub struct Estimate {
    parallel: usize,
    state: Mutex<State>,
}

struct State {
    /// Methods of the cells that have not begun, by the cell's place.
    waiting: BTreeMap<usize, Method>,
    running: BTreeMap<usize, Running>,
    /// Seconds of finished cells.
    finished: Vec<(Method, f64)>,
}

struct Running {
    method: Method,
    began: Instant,
    /// Seconds that it will still take, as it says itself.
    left: Option<f64>,
}

impl Estimate {
    /// An estimate for cells to run, `parallel` at a time, by their places, and the seconds of those that are finished.
    pub fn new(parallel: usize, waiting: &[(usize, Method)], finished: Vec<(Method, f64)>) -> Self {
        Self {
            parallel: parallel.max(1),
            state: Mutex::new(State {
                waiting: waiting.iter().copied().collect(),
                running: BTreeMap::new(),
                finished,
            }),
        }
    }

    /// A cell begins.
    pub fn begin(&self, place: usize) {
        let mut state = self.state();
        if let Some(method) = state.waiting.remove(&place) {
            let (began, left) = (Instant::now(), None);
            state.running.insert(place, Running { method, began, left });
        }
    }

    /// A cell ends; the time of one that failed says nothing about others.
    pub fn end(&self, place: usize, failed: bool) {
        let mut state = self.state();
        if let Some(cell) = state.running.remove(&place)
            && !failed
        {
            let seconds = cell.began.elapsed().as_secs_f64();
            state.finished.push((cell.method, seconds));
        }
    }

    /// A running cell says that it will take `seconds` more; the answer is for the whole sweep, if it can be told.
    pub fn left(&self, place: usize, seconds: f64) -> Option<f64> {
        let mut state = self.state();
        state.running.get_mut(&place)?.left = Some(seconds);
        state.left(self.parallel)
    }

    /// A thread that panicked left nothing half done here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn left(&self, parallel: usize) -> Option<f64> {
        let mut known: Vec<(Method, f64)> = self.finished.clone();
        let mut work = 0.0;
        let mut longest: f64 = 0.0;
        for cell in self.running.values() {
            if let Some(left) = cell.left {
                known.push((cell.method, cell.began.elapsed().as_secs_f64() + left));
                work += left;
                longest = longest.max(left);
            }
        }
        for method in self.waiting.values() {
            let own = known
                .iter()
                .filter(|(of, _)| of == method)
                .map(|(_, seconds)| *seconds);
            let all = known.iter().map(|(_, seconds)| *seconds);
            let cell = mean(own).or_else(|| mean(all))?;
            work += cell;
            longest = longest.max(cell);
        }
        // However many run at a time, the longest of them has to be waited for.
        Some((work / parallel as f64).max(longest))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Method::{Draem, LinYan, Nsa};

    fn close(seconds: Option<f64>, expected: f64) {
        let seconds = seconds.unwrap();
        assert!(
            (seconds - expected).abs() < 1.0,
            "{seconds} instead of {expected}"
        );
    }

    #[test]
    fn cells_to_come_take_as_long_as_their_like() {
        let waiting = [(3, Draem), (4, LinYan), (5, Nsa)];
        let estimate = Estimate::new(
            1,
            &waiting,
            vec![(Draem, 100.0), (LinYan, 300.0), (LinYan, 500.0)],
        );
        estimate.begin(3);
        // 20 of this cell, 400 of Lin & Yan's, and for NSA's the mean of all: 100, 300, 500, 20.
        close(estimate.left(3, 20.0), 20.0 + 400.0 + 230.0);
        estimate.end(3, true);
        estimate.begin(4);
        close(estimate.left(4, 10.0), 10.0 + 227.5);
        assert_eq!(estimate.left(5, 1.0), None, "it does not run");
    }

    #[test]
    fn one_cell_is_enough_to_judge_by_and_the_longest_is_waited_for() {
        let waiting: Vec<(usize, Method)> = (0..5).map(|place| (place, Nsa)).collect();
        let estimate = Estimate::new(2, &waiting, Vec::new());
        estimate.begin(0);
        estimate.begin(1);
        close(estimate.left(0, 60.0), (60.0 + 3.0 * 60.0) / 2.0);
        close(estimate.left(1, 20.0), (60.0 + 20.0 + 3.0 * 40.0) / 2.0);
        for place in 2..5 {
            estimate.begin(place);
            estimate.end(place, true);
        }
        close(estimate.left(1, 20.0), 60.0);
    }
}
