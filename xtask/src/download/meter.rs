//! How far it is: a bar on a terminal, a line at every tenth elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A bar that is redrawn.
    Bar,
    /// A line at every tenth, for logs.
    Lines,
    /// Nothing.
    Nothing,
}

impl Show {
    /// A bar when standard error is a terminal, lines otherwise.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bar
        } else {
            Self::Lines
        }
    }

    /// One line for the reader, kept out of a bar's way by being printed between bars.
    pub(super) fn note(self, text: &str) {
        if self != Self::Nothing {
            eprintln!("{text}");
        }
    }
}

/// Progress in bytes of one piece of work. Dropping it unfinished leaves the display where it stands.
pub(super) struct Meter {
    show: Show,
    label: String,
    total: u64,
    done: u64,
    tenths: u64,
    bar: ProgressBar,
}

impl Meter {
    pub(super) fn new(show: Show, label: &str, total: u64) -> Self {
        let target = if show == Show::Bar {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_style(style)
            .with_message(label.to_owned());
        Self {
            show,
            label: label.to_owned(),
            total,
            done: 0,
            tenths: 0,
            bar,
        }
    }

    /// Starts from bytes that were there before.
    pub(super) fn resume_at(&mut self, bytes: u64) {
        self.done = bytes;
        self.tenths = self.tenths_done();
        self.bar.set_position(bytes);
        self.bar.reset_eta();
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        self.bar.set_position(self.done);
        if self.show == Show::Lines && self.tenths_done() > self.tenths {
            self.tenths = self.tenths_done();
            eprintln!(
                "{}: {} % of {} MB",
                self.label,
                10 * self.tenths,
                self.total / 1_000_000
            );
        }
    }

    pub(super) fn finish(self) {
        self.bar.finish();
    }

    fn tenths_done(&self) -> u64 {
        (self.done.saturating_mul(10))
            .checked_div(self.total)
            .unwrap_or(0)
    }
}
