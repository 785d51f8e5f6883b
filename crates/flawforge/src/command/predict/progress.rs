//! How far a scoring is, on standard error: a bar on a terminal, otherwise a line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use flawforge::training::spoken;
use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// How many there are, if that is known.
    total: Option<usize>,
    done: usize,
    /// Those that were computed now.
    computed: usize,
    began: Instant,
    said: Instant,
}

impl Progress {
    /// `total` inputs are known; silent for a single one.
    pub(super) fn new(total: Option<usize>) -> Self {
        let terminal = std::io::stderr().is_terminal() && total != Some(1);
        let bar = terminal.then(|| {
            // The templates are constants; were they ever malformed, the plain bar would do.
            let (bar, template) = match total {
                Some(total) => (ProgressBar::new(total as u64), "[{bar:30}] {pos}/{len} {msg}"),
                None => (ProgressBar::no_length(), "{pos} images {msg}"),
            };
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            bar.with_style(style)
        });
        let began = Instant::now();
        Self {
            bar,
            total,
            done: 0,
            computed: 0,
            began,
            said: began,
        }
    }

    /// After each input; `computed` if it was scored now.
    pub(super) fn step(&mut self, computed: bool) {
        self.done += 1;
        self.computed += usize::from(computed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(self.message());
        } else if self.said.elapsed() >= PAUSE {
            self.said = Instant::now();
            let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
            // A closed standard error is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{}{of} images, {}", self.done, self.message());
        }
    }

    /// The speed, and how long it will still take.
    fn message(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.computed == 0 || seconds <= 0.0 {
            return String::new();
        }
        let speed = self.computed as f64 / seconds;
        let left = self
            .total
            .map(|total| total.saturating_sub(self.done) as f64 / speed);
        let left = left
            .map(|left| format!(", {} left", spoken(left)))
            .unwrap_or_default();
        format!("{speed:.1} images/s{left}")
    }

    /// How many inputs there are, if that is known.
    pub(super) fn total(&self) -> Option<usize> {
        self.total
    }

    /// Seconds, and images that were scored in them.
    pub(super) fn pace(&self) -> (f64, usize) {
        (self.began.elapsed().as_secs_f64(), self.computed)
    }

    /// Says something without breaking the bar.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
