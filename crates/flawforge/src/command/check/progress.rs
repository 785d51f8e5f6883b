//! How far a check is, on standard error: a bar on a terminal, otherwise a line now and then.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    name: String,
    total: usize,
    done: AtomicUsize,
    said: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(name: &str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            // The template is a constant; were it ever malformed, the plain bar would do.
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} images")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            let bar = ProgressBar::new(total as u64).with_style(style);
            bar.with_prefix(format!("checking {name}"))
        });
        Self {
            bar,
            name: name.to_owned(),
            total,
            done: AtomicUsize::new(0),
            said: Mutex::new(Instant::now()),
        }
    }

    /// After each image, from any thread.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= PAUSE
        {
            *said = Instant::now();
            // A closed standard error is no reason to stop.
            let _ = writeln!(
                std::io::stderr(),
                "checking {}: {done} of {} images",
                self.name,
                self.total
            );
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
