//! What a person sees while a run trains.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar};

/// How progress is shown, on standard error.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ProgressStyle {
    /// A bar on a terminal, otherwise a line now and then.
    #[default]
    Auto,
    /// A line now and then, also on a terminal.
    Lines,
    /// A bar among those of other runs.
    Among(MultiProgress),
    /// Nothing.
    Silent,
}

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(20);

enum Kind {
    Bar(ProgressBar),
    Lines { last: Instant },
    Silent,
}

pub(crate) struct Display {
    kind: Kind,
    label: String,
    total: u64,
    started_at: u64,
    began: Instant,
}

impl Display {
    pub(crate) fn new(style: &ProgressStyle, label: &str, total: u64, step: u64) -> Self {
        let bar = || {
            let bar = ProgressBar::new(total).with_position(step);
            let style = "{prefix} [{bar:30}] {pos}/{len} {msg} {eta} left";
            // The template is a constant; were it ever malformed, the plain bar would do.
            let style = indicatif::ProgressStyle::with_template(style)
                .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
                .progress_chars("=> ");
            bar.with_style(style).with_prefix(label.to_owned())
        };
        let kind = match style {
            ProgressStyle::Silent => Kind::Silent,
            ProgressStyle::Among(others) if std::io::stderr().is_terminal() => {
                let bar = others.add(bar());
                bar.reset_eta();
                Kind::Bar(bar)
            }
            ProgressStyle::Auto if std::io::stderr().is_terminal() => {
                let bar = bar();
                bar.reset_eta();
                Kind::Bar(bar)
            }
            _ => Kind::Lines { last: Instant::now() },
        };
        Self {
            kind,
            label: label.to_owned(),
            total,
            started_at: step,
            began: Instant::now(),
        }
    }

    /// After each step.
    pub(crate) fn step(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.inc(1);
        }
    }

    /// After each logging interval.
    pub(crate) fn losses(&mut self, step: u64, losses: &BTreeMap<String, f64>) {
        let text: String = losses
            .iter()
            .map(|(name, value)| format!(" {name} {value:.4}"))
            .collect();
        match &mut self.kind {
            Kind::Bar(bar) => bar.set_message(text.trim_start().to_owned()),
            Kind::Lines { last } if last.elapsed() >= PAUSE || step == self.total => {
                *last = Instant::now();
                let done = (step - self.started_at).max(1) as f64;
                let left = self.began.elapsed().as_secs_f64() / done * (self.total - step) as f64;
                eprintln!(
                    "{}: step {step}/{}{text}, {left:.0} s left",
                    self.label, self.total
                );
            }
            Kind::Lines { .. } | Kind::Silent => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}
