//! `reproduce-table2`: plan the cells, check everything, train and score what is missing, write the table.

use crate::cell::{self, CellKey, CellResult, Provenance};
use crate::published::Published;
use crate::source::{self, Data, Textures};
use crate::sweep::{self, Job};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::Selection;
use flawforge::datasets::{Category, Loading};
use flawforge::training::{Config, Method, Profile, Subject, loading_for};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

/// Options of a sweep that ends in a table.
#[derive(Args, Debug, Clone)]
pub struct ReproduceArgs {
    /// Budget of a cell: smoke, demo, quick or paper [default: demo on the demo data; on real data quick, or paper with a GPU]
    #[arg(long)]
    pub profile: Option<String>,
    /// Data set in MVTec layout, or one category's folder [default: the downloaded MVTec AD, else the demo data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of texture images [default: the downloaded DTD, else procedural textures]
    #[arg(long, value_name = "DIR")]
    pub textures: Option<PathBuf>,
    /// Selections of anomaly kinds for categories of your own (TOML, as data/selection.toml)
    #[arg(long, value_name = "FILE")]
    pub selection: Option<PathBuf>,
    /// Categories, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub categories: Vec<String>,
    /// Methods, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "A,B",
        default_value = "draem,lin-yan"
    )]
    pub methods: Vec<String>,
    /// Seeds per method and category
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Cells trained at the same time; the cores are shared among them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Run only every N-th cell, starting with the I-th (from 0): for job arrays
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Folder of cells and tables [default: out/PROFILE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder that `cargo xtask download` fills
    #[arg(long, value_name = "DIR", default_value = crate::download::DEFAULT_DIR)]
    pub downloads: PathBuf,
}

/// Every `count`-th cell from `index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let parse = || {
        let (index, count) = text.split_once('/')?;
        let shard = Shard {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
        };
        (shard.index < shard.count).then_some(shard)
    };
    parse().ok_or_else(|| format!("{text:?} is not I/N with I below N"))
}

/// Everything that a sweep will do, decided and checked before it starts.
struct Plan {
    data: Data,
    textures: Textures,
    profile: Profile,
    out: PathBuf,
    methods: Vec<String>,
    categories: Vec<String>,
    selections: Vec<Selection>,
    seeds: u64,
}

impl Plan {
    fn new(args: &ReproduceArgs, published: &Published) -> Result<Self> {
        for method in &args.methods {
            method.parse::<Method>()?;
        }
        let data = Data::resolve(args.data.as_deref(), &args.downloads)?;
        let textures = Textures::resolve(args.textures.as_deref(), &args.downloads)?;
        let profile = Profile::builtin(args.profile.as_deref().unwrap_or_else(|| default_profile(&data)))?;
        let categories = data.categories(&dedup(&args.categories), published.order())?;
        let known = data.selections(args.selection.as_deref())?;
        let mut selections = Vec::new();
        for category in &categories {
            let found = source::select(&known, category);
            if found.is_none() && args.methods.iter().any(|m| m == Method::LinYan.name()) {
                eprintln!(
                    "note: no selection names {category}; the default is used (every kind, no rotation). \
                     Give one with --selection FILE; `flawforge simulate` shows what it makes"
                );
            }
            selections.push(found.cloned().unwrap_or_default());
        }
        let out = args
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("out").join(&profile.name));
        let methods = dedup(&args.methods);
        Ok(Self {
            data,
            textures,
            profile,
            out,
            methods,
            categories,
            selections,
            seeds: args.seeds,
        })
    }

    fn config(&self, method: &str, seed: u64) -> Result<Config> {
        Ok(Config::for_method(method.parse()?, &self.profile, seed))
    }

    /// Settings and selection as one SHA-256, and where images and textures come from.
    fn provenance(&self, key: &CellKey, selection: &Selection) -> Result<Provenance> {
        let config = self.config(&key.method, key.seed)?;
        let mut hash = Sha256::new();
        for part in [&config.hash(), &serde_json::to_string(selection)?, &key.category] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let config_hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Provenance {
            config_hash,
            data: self.data.describe(),
            textures: self.textures.describe(),
        })
    }

    /// All cells: seeds outermost, so that a first table over every method and category is there early.
    fn cells(&self) -> Result<Vec<Planned>> {
        let mut cells = Vec::new();
        for seed in 0..self.seeds {
            for (index, category) in self.categories.iter().enumerate() {
                for method in &self.methods {
                    let key = CellKey {
                        method: method.clone(),
                        category: category.clone(),
                        seed,
                    };
                    let provenance = self.provenance(&key, &self.selections[index])?;
                    let result = cell::finished(&key.dir(&self.out), &provenance)?;
                    cells.push(Planned {
                        key,
                        category: index,
                        provenance,
                        result,
                    });
                }
            }
        }
        Ok(cells)
    }
}

/// A cell of the plan, with its result when it is finished.
struct Planned {
    key: CellKey,
    category: usize,
    provenance: Provenance,
    result: Option<CellResult>,
}

fn default_profile(data: &Data) -> &'static str {
    match data {
        Data::Demo => "demo",
        _ if flawforge::training::gpu_available() => "paper",
        _ => "quick",
    }
}

fn dedup(names: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name.clone());
        }
    }
    seen
}

/// Runs `reproduce-table2`.
///
/// # Errors
/// Bad input before anything is trained; afterwards, the cells that failed (the others are finished and tabled).
pub fn table2(args: &ReproduceArgs) -> Result<()> {
    let published = Published::load()?;
    let plan = Plan::new(args, &published)?;
    if matches!(plan.data, Data::Demo) {
        eprintln!(
            "Using the generated demo data: no MVTec AD was downloaded and no --data given.\n\
             For the real thing: `cargo xtask download mvtec-ad dtd`, or --data DIR with your own images."
        );
    }
    let mut cells = plan.cells()?;
    let chosen = |index: usize| args.shard.is_none_or(|s| index % s.count == s.index);
    let waiting: Vec<usize> = (0..cells.len())
        .filter(|&i| chosen(i) && cells[i].result.is_none())
        .collect();
    let done = cells.iter().filter(|c| c.result.is_some()).count();
    eprintln!(
        "{} cells ({} finished, {} to run): {} × {} × {} seed(s), profile {}, {} px, textures {} -> {}",
        cells.len(),
        done,
        waiting.len(),
        plan.methods.join("+"),
        plan.categories.join("+"),
        plan.seeds,
        plan.profile.name,
        plan.profile.image_size,
        plan.textures.describe(),
        plan.out.display(),
    );

    let failures = run_waiting(args, &plan, &mut cells, &waiting)?;
    let finished: Vec<CellResult> = cells.into_iter().filter_map(|c| c.result).collect();
    if finished.is_empty() {
        bail!("no cell finished:\n{}", failures.join("\n"));
    }
    let differences = differences(&plan, finished.first());
    let table = Table::build(&published, &plan.methods, &plan.categories, finished, differences);
    table.write(&plan.out, "table2")?;
    println!("{}", table.markdown());
    eprintln!(
        "written: {0}/table2.md, {0}/table2.csv, {0}/table2.json",
        plan.out.display()
    );
    if !failures.is_empty() {
        bail!(
            "{} cell(s) failed; the same command runs them again:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
    Ok(())
}

/// Loads what the waiting cells need, then trains and scores them; returns one line per failure.
fn run_waiting(
    args: &ReproduceArgs,
    plan: &Plan,
    cells: &mut [Planned],
    waiting: &[usize],
) -> Result<Vec<String>> {
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let size = plan.profile.image_size;
    let textures = plan.textures.load(size)?;
    // All images are decoded before the first step: a corrupt file is found now, not in the tenth cell. Methods that want
    // a category alike share it.
    let mut images: HashMap<(usize, Loading), Category> = HashMap::new();
    let mut wanted = Vec::new();
    for &index in waiting {
        let planned = &cells[index];
        let config = plan.config(&planned.key.method, planned.key.seed)?;
        let name = &plan.categories[planned.category];
        let subject = Subject {
            category: name,
            selection: &plan.selections[planned.category],
        };
        let key = (planned.category, loading_for(&config, subject));
        if let Entry::Vacant(place) = images.entry(key) {
            place.insert(plan.data.load(name, &key.1)?);
        }
        wanted.push((config, key));
    }
    let mut jobs = Vec::new();
    for (&index, (config, key)) in waiting.iter().zip(wanted) {
        let planned = &cells[index];
        jobs.push(Job {
            key: planned.key.clone(),
            dir: planned.key.dir(&plan.out),
            config,
            category: images.get(&key).context("images of a waiting cell")?,
            selection: &plan.selections[planned.category],
            textures: textures.clone(),
            provenance: planned.provenance.clone(),
        });
    }
    let mut failures = Vec::new();
    for (&index, outcome) in waiting.iter().zip(sweep::run(&jobs, usize::from(args.jobs))) {
        match outcome {
            Ok(result) => cells[index].result = Some(result),
            Err(error) => failures.push(format!("{}: {error:#}", cells[index].key.name())),
        }
    }
    Ok(failures)
}

/// Where this sweep's setting differs from the paper's.
fn differences(plan: &Plan, example: Option<&CellResult>) -> Vec<String> {
    let profile = &plan.profile;
    let mut lines = Vec::new();
    match &plan.data {
        Data::Demo => {
            lines.push("images: the generated demo data, not MVTec AD; the paper has no value for it".into())
        }
        data => lines.push(format!("images: {}", data.describe())),
    }
    lines.push(match &plan.textures {
        Textures::Procedural => "textures: procedural noise (the paper: 5640 images of DTD)".into(),
        Textures::Folder(dir) => format!("textures: {} (the paper: 5640 images of DTD)", dir.display()),
    });
    if profile.name != "paper" {
        let steps = example.map_or(0, |cell| cell.steps);
        lines.push(format!(
            "budget: profile {}, {} steps of {} images at learning rate {} (DRAEM: 700 epochs, 18,900 steps for bottle, at 0.0001)",
            profile.name, steps, profile.batch, profile.learning_rate
        ));
        lines.push(format!(
            "networks: widths {} and {} at {} px (DRAEM: 128 and 64 at 256 px)",
            profile.reconstructive_width, profile.discriminative_width, profile.image_size
        ));
        if plan.methods.iter().any(|method| method == Method::Nsa.name()) {
            let nsa = &profile.nsa;
            lines.push(format!(
                "NSA: width {}, {} of {} images at learning rate {} (its code: width 64, 320 or 560 epochs of 64 images)",
                nsa.width, nsa.length, nsa.batch, nsa.learning_rate
            ));
        }
    }
    lines.push(format!(
        "seeds: {} (the paper: one run, no spread given)",
        plan.seeds
    ));
    lines.push(
        "selection per category, constants of the near-distribution simulation, mixing of kinds and details of split \
         training are not given in the paper; ours are in data/selection.toml and the run's config.toml"
            .into(),
    );
    if plan.methods.iter().any(|method| method == Method::Nsa.name()) {
        lines.push(
            "NSA looks at the central part of its images; the table scores its maps on whole images (0 around that part), \
             `native` in a cell's result.json on the part alone"
                .into(),
        );
    }
    lines.push("no test image chooses anything: the last checkpoint is scored".into());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parsed_and_bounded() {
        assert_eq!(parse_shard("2/5"), Ok(Shard { index: 2, count: 5 }));
        for wrong in ["5/5", "1", "a/b", "1/0", ""] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_taken_once() {
        let names = ["b".to_string(), "a".into(), "b".into()];
        assert_eq!(dedup(&names), ["b", "a"]);
    }
}
