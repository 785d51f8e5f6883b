//! What a training would cost on this machine, by profile and method.

use std::collections::BTreeMap;
use std::thread;

use flawforge::augment::Selection;
use flawforge::training::estimate::{Speeds, estimate, middle};
use flawforge::training::settings::View;
use flawforge::training::{Experiment, Method, Product, Profile, gpu_available, spoken};
use serde::Serialize;

/// Profiles and methods that are told of.
const PROFILES: [&str; 4] = ["demo", "quick", "gpu", "paper"];
const METHODS: [Method; 5] = [
    Method::Forge,
    Method::LinYan,
    Method::Draem,
    Method::Nsa,
    Method::PatchCore,
];

/// What a training would cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) profile: String,
    pub(super) method: String,
    /// Steps of the training.
    pub(super) steps: u64,
    /// Seconds, about; `None` where it would not start.
    pub(super) seconds: Option<f64>,
    /// Bytes of memory, about.
    pub(super) bytes: Option<u64>,
    /// What the time rests on, or why it would not start.
    pub(super) basis: String,
}

/// The machine, and what trainings would cost on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Costs {
    /// How images are seen.
    pub(super) view: String,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// Whether a GPU computes.
    pub(super) gpu: bool,
    /// Programs that want a core, on average over the last minute, where the system says so.
    pub(super) load: Option<f64>,
    /// Bytes of memory that are free, where the system says so.
    pub(super) free_bytes: Option<u64>,
    /// By profile, then by method.
    pub(super) costs: Vec<Cost>,
}

/// Measures and reckons, for normal images with files of these sizes under a view, or under each method's own.
pub(super) fn costs(category: &str, sizes: &[(u32, u32)], images: usize, view: Option<View>) -> Costs {
    let size = middle(sizes);
    let product = Product::new(category, Selection::default());
    // Before this program's own work counts.
    let load = load();
    let mut costs = Vec::new();
    let mut seen = view.unwrap_or_default().to_string();
    let mut speeds = Speeds::default();
    for profile in PROFILES {
        for method in METHODS {
            let experiment = Profile::builtin(profile).and_then(|profile| {
                let mut experiment = Experiment::new(method, &profile, &product, 0)?;
                experiment.view = view.unwrap_or_else(|| experiment.default_view(sizes));
                if view.is_none() && !experiment.view.is_stretch() {
                    seen = format!("{}, by {method} as {}", View::Stretch, experiment.view);
                }
                experiment.calibrate_for_use();
                Ok(experiment)
            });
            let steps = experiment
                .as_ref()
                .map_or(0, |experiment| experiment.steps(images));
            let found = experiment.and_then(|experiment| estimate(&experiment, images, size, &mut speeds));
            costs.push(Cost {
                profile: profile.to_owned(),
                method: method.to_string(),
                steps,
                seconds: found.as_ref().ok().map(|found| found.seconds),
                bytes: found.as_ref().ok().map(|found| found.bytes),
                basis: match found {
                    Ok(found) => found.basis,
                    Err(fault) => flawforge::fault::in_one_line(&fault),
                },
            });
        }
    }
    Costs {
        view: seen,
        cores: thread::available_parallelism().map_or(1, usize::from),
        gpu: gpu_available(),
        load,
        free_bytes: free_bytes(),
        costs,
    }
}

/// Memory that Linux says is free for programs.
fn free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// How busy Linux says the machine is.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

impl Cost {
    /// Time and memory in words.
    pub(super) fn words(&self) -> String {
        match (self.seconds, self.bytes) {
            (Some(seconds), Some(bytes)) => format!("{}, {}", time(seconds), memory(bytes)),
            _ => "would not start".to_owned(),
        }
    }
}

impl Costs {
    /// The machine in words.
    pub(super) fn machine(&self) -> String {
        let cores = flawforge::datasets::counted(self.cores, "core");
        let free = match self.free_bytes {
            Some(bytes) => format!(", {} of memory free now", memory(bytes)),
            None => String::new(),
        };
        let gpu = if self.gpu { ", GPU" } else { "" };
        let busy = match self.load.filter(|load| *load > 1.5 * self.cores as f64) {
            Some(load) => format!(
                ", other programs are busy, load {load:.1}: these figures are rough, and beside them it takes longer"
            ),
            None => String::new(),
        };
        let view = match self.view == View::Stretch.to_string() {
            true => String::new(),
            false => format!(", images seen as {}", self.view),
        };
        format!("{cores}{gpu}{free}{view}{busy}")
    }

    /// Methods in the order of their columns.
    pub(super) fn methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = Vec::new();
        for cost in &self.costs {
            if !methods.contains(&cost.method.as_str()) {
                methods.push(&cost.method);
            }
        }
        methods
    }

    /// The rows: a profile with its costs by method.
    pub(super) fn rows(&self) -> Vec<(&str, Vec<&Cost>)> {
        let mut rows: Vec<(&str, Vec<&Cost>)> = Vec::new();
        for cost in &self.costs {
            match rows.last_mut().filter(|(profile, _)| *profile == cost.profile) {
                Some((_, row)) => row.push(cost),
                None => rows.push((&cost.profile, vec![cost])),
            }
        }
        rows
    }

    /// What the figures rest on, each once, with the columns that it is about.
    pub(super) fn bases(&self) -> Vec<String> {
        let mut bases: BTreeMap<usize, String> = BTreeMap::new();
        for (at, cost) in self.costs.iter().enumerate() {
            let alike = self.costs.iter().position(|other| other.basis == cost.basis);
            let name = format!("{} {}", cost.profile, cost.method);
            match alike
                .filter(|&first| first < at)
                .and_then(|first| bases.get_mut(&first))
            {
                Some(names) => names.push_str(&format!(", {name}")),
                None => {
                    bases.insert(at, name);
                }
            }
        }
        let line = |(at, names): (usize, String)| Some(format!("{names}: {}", self.costs.get(at)?.basis));
        bases.into_iter().filter_map(line).collect()
    }

    /// Trainings that need more memory than is free.
    pub(super) fn too_large(&self) -> Vec<String> {
        let free = self.free_bytes.unwrap_or(u64::MAX);
        let large = self
            .costs
            .iter()
            .filter(|cost| cost.bytes.is_some_and(|bytes| bytes > free));
        large
            .map(|cost| {
                let bytes = memory(cost.bytes.unwrap_or_default());
                format!("{} {}: about {bytes}", cost.profile, cost.method)
            })
            .collect()
    }
}

/// Seconds in words, days where there are many.
fn time(seconds: f64) -> String {
    match seconds / 3600.0 {
        hours if hours >= 48.0 => format!("{:.0} days", hours / 24.0),
        _ => spoken(seconds),
    }
}

fn memory(bytes: u64) -> String {
    match bytes as f64 / 1e9 {
        large if large >= 10.0 => format!("{large:.0} GB"),
        small => format!("{small:.1} GB"),
    }
}
