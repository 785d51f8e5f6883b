//! What a person sees while a run trains.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar};

use super::pace::{Pace, spoken};

/// How progress is shown, on standard error.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ProgressStyle {
    /// A bar on a terminal, otherwise a line now and then.
    #[default]
    Auto,
    /// A line now and then, also on a terminal.
    Lines,
    /// As one of many runs.
    Among(Sweep),
    /// By another program's function, instead of on standard error.
    Told(Teller),
    /// Nothing.
    Silent,
}

/// Many runs that a person waits for together.
#[derive(Clone)]
pub struct Sweep {
    /// The bars of those that run at the same time.
    pub bars: MultiProgress,
    /// From the seconds that this run will still take to those that all will take together, if that is known.
    pub left: Arc<dyn Fn(f64) -> Option<f64> + Send + Sync>,
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").finish_non_exhaustive()
    }
}

/// A function that is told of every step, on the thread that trains.
#[derive(Clone)]
pub struct Teller(pub Arc<dyn Fn(&Progress<'_>) + Send + Sync>);

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

/// How far a training is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is being done: method and category, or which of several short trainings.
    pub label: &'a str,
    /// Steps done.
    pub step: u64,
    /// All steps.
    pub total: u64,
    /// Means of the losses over the last interval of the journal, by name; empty before the first, and of methods without losses.
    pub losses: &'a BTreeMap<String, f64>,
    /// Seconds that the steps left will take, once that is known.
    pub seconds_left: Option<f64>,
}

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(20);
/// Time between two changes of a bar's text.
const BLINK: Duration = Duration::from_secs(1);

/// What losses are called in front of a person, in the order in which they are shown.
const WORDS: [(&str, &str); 6] = [
    ("ssim", "reconstruction SSIM"),
    ("l2", "L2"),
    ("focal", "focal"),
    ("truncated_l1", "truncated L1"),
    ("mse", "mean squared error"),
    ("bce", "binary cross-entropy"),
];

enum Kind {
    Bar(ProgressBar),
    Lines,
    Told(Teller),
    Silent,
}

pub(crate) struct Display {
    kind: Kind,
    label: String,
    total: u64,
    step: u64,
    pace: Pace,
    began: Instant,
    shown: Instant,
    losses: BTreeMap<String, f64>,
    sweep: Option<Sweep>,
}

impl Display {
    pub(crate) fn new(style: &ProgressStyle, label: &str, total: u64, step: u64) -> Self {
        let bar = || {
            let bar = ProgressBar::new(total).with_position(step);
            // The template is a constant; were it ever malformed, the plain bar would do.
            let style = indicatif::ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}")
                .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar())
                .progress_chars("=> ");
            bar.with_style(style).with_prefix(label.to_owned())
        };
        let terminal = std::io::stderr().is_terminal();
        let kind = match style {
            ProgressStyle::Silent => Kind::Silent,
            ProgressStyle::Told(teller) => Kind::Told(teller.clone()),
            ProgressStyle::Among(sweep) if terminal => Kind::Bar(sweep.bars.add(bar())),
            ProgressStyle::Auto if terminal => Kind::Bar(bar()),
            _ => Kind::Lines,
        };
        let began = Instant::now();
        Self {
            kind,
            label: label.to_owned(),
            total,
            step,
            pace: Pace::new(step),
            began,
            shown: began,
            losses: BTreeMap::new(),
            sweep: match style {
                ProgressStyle::Among(sweep) => Some(sweep.clone()),
                _ => None,
            },
        }
    }

    /// After each step.
    pub(crate) fn step(&mut self) {
        self.step += 1;
        self.pace.note(self.began.elapsed(), self.step);
        if let Kind::Bar(bar) = &self.kind {
            bar.inc(1);
            if self.shown.elapsed() >= BLINK {
                self.shown = Instant::now();
                bar.set_message(self.message());
            }
        }
        self.tell();
    }

    fn tell(&self) {
        if let Kind::Told(teller) = &self.kind {
            (teller.0)(&Progress {
                label: &self.label,
                step: self.step,
                total: self.total,
                losses: &self.losses,
                seconds_left: self.pace.seconds_left(self.total),
            });
        }
    }

    /// After each of many things without losses.
    pub(crate) fn item(&mut self) {
        self.step();
        if matches!(self.kind, Kind::Lines) && self.shown.elapsed() >= PAUSE {
            self.shown = Instant::now();
            // A closed standard error is no reason to stop.
            let _ = writeln!(
                std::io::stderr(),
                "{}: {}/{}, {}",
                self.label,
                self.step,
                self.total,
                self.message()
            );
        }
    }

    /// After each logging interval.
    pub(crate) fn losses(&mut self, losses: &BTreeMap<String, f64>) {
        self.losses.clone_from(losses);
        match &self.kind {
            Kind::Bar(bar) => bar.set_message(self.message()),
            Kind::Lines if self.shown.elapsed() >= PAUSE || self.step >= self.total => {
                self.shown = Instant::now();
                let _ = writeln!(
                    std::io::stderr(),
                    "{}: step {}/{}, {}",
                    self.label,
                    self.step,
                    self.total,
                    self.message()
                );
            }
            Kind::Told(_) => self.tell(),
            Kind::Lines | Kind::Silent => {}
        }
    }

    /// The losses, and how long this run and all of them will still take.
    fn message(&self) -> String {
        let own = self.pace.seconds_left(self.total);
        let all = self
            .sweep
            .as_ref()
            .zip(own)
            .and_then(|(sweep, own)| (sweep.left)(own));
        let parts = [
            (!self.losses.is_empty()).then(|| in_words(&self.losses)),
            own.map(|seconds| format!("{} left", spoken(seconds))),
            all.map(|seconds| format!("{} for all", spoken(seconds))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The losses by their words: `reconstruction SSIM 0.12, L2 0.003, focal 0.04`. A sum is left out beside its parts.
fn in_words(losses: &BTreeMap<String, f64>) -> String {
    let place = |name: &str| {
        WORDS
            .iter()
            .position(|(known, _)| *known == name)
            .unwrap_or(WORDS.len())
    };
    let mut shown: Vec<(&str, f64)> = losses
        .iter()
        .filter(|(name, _)| *name != "total" || losses.len() == 1)
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    shown.sort_by_key(|(name, _)| place(name));
    let word = |name| WORDS.get(place(name)).map_or(name, |(_, word)| *word);
    let texts: Vec<String> = shown
        .into_iter()
        .map(|(name, value)| format!("{} {}", word(name), two_digits(value)))
        .collect();
    texts.join(", ")
}

/// A number with two digits that mean something, or all that are before the point.
fn two_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let places = (1 - value.abs().log10().floor() as i32).clamp(0, 9);
    format!("{value:.*}", places as usize)
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_have_words() {
        let losses = [
            ("focal", 0.0412),
            ("l2", 0.00301),
            ("ssim", 0.1234),
            ("total", 0.1676),
        ];
        let losses: BTreeMap<String, f64> = losses.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(
            in_words(&losses),
            "reconstruction SSIM 0.12, L2 0.0030, focal 0.041"
        );
        let own = BTreeMap::from([("hinge".to_owned(), 12.34), ("total".to_owned(), 12.34)]);
        assert_eq!(in_words(&own), "hinge 12");
        assert_eq!(in_words(&BTreeMap::new()), "");
    }

    #[test]
    fn a_function_is_told_of_every_step_and_of_losses() {
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let teller = Teller(Arc::new(move |progress: &Progress<'_>| {
            let said = (progress.step, progress.total, progress.losses.get("bce").copied());
            listener.lock().unwrap().push((progress.label.to_owned(), said));
        }));
        let mut display = Display::new(&ProgressStyle::Told(teller), "own parts", 3, 1);
        display.step();
        display.losses(&BTreeMap::from([("bce".to_owned(), 0.5)]));
        display.item();
        let told: Vec<_> = heard.lock().unwrap().iter().map(|(_, said)| *said).collect();
        assert_eq!(told, [(2, 3, None), (2, 3, Some(0.5)), (3, 3, Some(0.5))]);
        assert_eq!(heard.lock().unwrap()[0].0, "own parts");
    }

    #[test]
    fn the_time_of_all_runs_stands_beside_that_of_one() {
        let sweep = Sweep {
            bars: MultiProgress::new(),
            left: Arc::new(|own| Some(own + 3600.0)),
        };
        let mut display = Display::new(&ProgressStyle::Among(sweep), "7 of 16 lin-yan-gear-s0", 10, 2);
        display.kind = Kind::Silent;
        assert_eq!(display.message(), "", "nothing is known before the first step");
        for _ in 0..8 {
            display.step();
        }
        display.losses(&BTreeMap::from([("bce".to_owned(), 0.5)]));
        assert_eq!(
            display.message(),
            "binary cross-entropy 0.50, 0 s left, 60 min for all"
        );
    }
}
