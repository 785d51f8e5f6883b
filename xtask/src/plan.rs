//! What a sweep will do, decided and checked before it starts: methods, categories, seeds, and where everything comes from.

use crate::backbone::{BackboneArgs, SweepBackbone};
use crate::cell::{self, CellKey, CellResult, Provenance};
use crate::published::Published;
use crate::simulated::{self, SetSettings, SimulatedResult};
use anyhow::Result;
use clap::Args;
use flawforge::augment::Selection;
use flawforge::datasets::Loading;
use flawforge::ops::Precision;
use flawforge::source::{Images, Textures, selection_lines};
use flawforge::training::{Config, Method, Profile, RotateWhen, Simulator, Subject, loading_for};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Options of a sweep, the same for every table and figure.
#[derive(Args, Debug, Clone)]
pub struct SweepArgs {
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
    /// Methods, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "A,B", help = methods_help())]
    pub methods: Vec<String>,
    /// Seeds per method and category
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// What convolutions of the two networks multiply with: f32, tf32 (on a GPU; f32 elsewhere) or bf16 [default: tf32]
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
    /// Cells trained at the same time; the cores are shared among them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Run only every N-th cell, starting with the I-th (from 0): for job arrays
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Folder of cells and tables, shared by all tables [default: out/PROFILE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The network of PatchCore
    #[command(flatten)]
    pub backbone: BackboneArgs,
    /// Folder that `cargo xtask download` fills
    #[arg(long, value_name = "DIR", default_value = crate::download::DEFAULT_DIR)]
    pub downloads: PathBuf,
}

impl SweepArgs {
    /// The methods asked for, each once; without any, `default`.
    ///
    /// # Errors
    /// When a name is none of a method.
    pub fn methods_or(&self, default: &[Method]) -> Result<Vec<Method>> {
        let mut methods = Vec::new();
        for name in &self.methods {
            let method = name.parse()?;
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Ok(if methods.is_empty() {
            default.to_vec()
        } else {
            methods
        })
    }
}

fn methods_help() -> String {
    format!(
        "Methods, separated by commas [default: the columns of the table; known: {}]",
        Method::names()
    )
}

/// Every `count`-th cell from `index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Whether the cell at this place of the plan is one of the shard's.
    pub fn has(self, place: usize) -> bool {
        place % self.count == self.index
    }
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

/// Everything that a sweep will do.
pub struct Plan {
    /// Where images come from.
    pub data: Images,
    /// Where textures come from.
    pub textures: Textures,
    /// The budget of a cell.
    pub profile: Profile,
    /// Folder of cells and tables.
    pub out: PathBuf,
    /// The methods, in the order of the columns.
    pub methods: Vec<Method>,
    /// Those of them that are also scored on the simulated dataset.
    pub on_simulated: Vec<Method>,
    /// The categories, in the order of the rows.
    pub categories: Vec<String>,
    /// The selection of each category.
    pub selections: Vec<Selection>,
    /// As many seeds are run, from 0 on.
    pub seeds: u64,
    /// What convolutions multiply with.
    pub precision: Precision,
    /// The weights of PatchCore's network, where it is among the methods.
    pub backbone: Option<SweepBackbone>,
}

impl Plan {
    /// Settles where everything comes from.
    ///
    /// # Errors
    /// Missing folders, unknown categories or profiles, a faulty selection file.
    pub fn new(
        args: &SweepArgs,
        methods: Vec<Method>,
        on_simulated: Vec<Method>,
        published: &Published,
    ) -> Result<Self> {
        let downloads = Some(args.downloads.as_path());
        let data = Images::resolve(args.data.as_deref(), downloads)?;
        let textures = Textures::resolve(args.textures.as_deref(), downloads)?;
        let profile = Profile::builtin(args.profile.as_deref().unwrap_or_else(|| default_profile(&data)))?;
        let categories = data.categories(&distinct(&args.categories), published.order())?;
        let mut found = Vec::new();
        for category in &categories {
            found.push(data.selection(category, args.selection.as_deref())?);
        }
        if methods.iter().any(|&method| uses_selection(method, &profile)) {
            let origins = found.iter().map(|found| &found.origin);
            for line in selection_lines(categories.iter().map(String::as_str).zip(origins)) {
                eprintln!("{line}");
            }
        }
        let selections = found.into_iter().map(|found| found.selection).collect();
        let out = args
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("out").join(&profile.name));
        let backbone = SweepBackbone::settle(
            &args.backbone,
            &methods,
            &profile,
            textures.folder(),
            &args.downloads,
            &out,
        )?;
        Ok(Self {
            data,
            textures,
            profile,
            out,
            methods,
            on_simulated,
            categories,
            selections,
            seeds: args.seeds,
            precision: args.precision.unwrap_or_default(),
            backbone,
        })
    }

    /// Images as the simulated dataset is made of, at the size of the masks: the same for every method.
    pub fn common_loading(&self) -> Loading {
        Loading::opencv(self.profile.image_size, self.profile.image_size)
    }

    fn config(&self, method: Method, seed: u64) -> Config {
        let mut config = Config::for_method(method, &self.profile, seed);
        config.precision = self.precision;
        if let Some(backbone) = &self.backbone {
            backbone.apply(&mut config);
        }
        config
    }

    /// Settings and selection as one SHA-256, and where images and textures come from.
    fn provenance(&self, config: &Config, category: &str, selection: &Selection) -> Result<Provenance> {
        let mut hash = Sha256::new();
        for part in [&config.hash(), &serde_json::to_string(selection)?, category] {
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

    /// All cells with what is finished of them: seeds outermost, so that a first table over every method and category is
    /// there early. Which table asks has no influence on a cell.
    ///
    /// # Errors
    /// When a finished cell was made with other settings, or cannot be read.
    pub fn cells(&self) -> Result<Vec<Planned>> {
        let mut cells = Vec::new();
        for seed in 0..self.seeds {
            for (index, category) in self.categories.iter().enumerate() {
                for &method in &self.methods {
                    let key = CellKey {
                        method: method.name().into(),
                        category: category.clone(),
                        seed,
                    };
                    let config = self.config(method, seed);
                    let provenance = self.provenance(&config, category, &self.selections[index])?;
                    let subject = Subject {
                        category,
                        selection: &self.selections[index],
                    };
                    let loading = loading_for(&config, subject);
                    let dir = key.dir(&self.out);
                    let result = cell::finished(&dir, &provenance)?;
                    let set = self
                        .on_simulated
                        .contains(&method)
                        .then(|| SetSettings::of_table3(category));
                    let simulated = match &set {
                        Some(set) if result.is_some() => simulated::finished(&dir, &provenance, set)?,
                        _ => None,
                    };
                    cells.push(Planned {
                        key,
                        category: index,
                        config,
                        loading,
                        provenance,
                        result,
                        set,
                        simulated,
                    });
                }
            }
        }
        Ok(cells)
    }
}

/// A cell of the plan, with its results as far as they are there.
pub struct Planned {
    /// Which cell.
    pub key: CellKey,
    /// Place of its category in the plan.
    pub category: usize,
    /// Settings of the run.
    pub config: Config,
    /// How the method wants its images.
    pub loading: Loading,
    /// What it is made from.
    pub provenance: Provenance,
    /// The figures on the test images.
    pub result: Option<CellResult>,
    /// The simulated dataset that it is to be scored on as well.
    pub set: Option<SetSettings>,
    /// The figures on it.
    pub simulated: Option<SimulatedResult>,
}

impl Planned {
    /// Whether something is left to do.
    pub fn waits(&self) -> bool {
        self.result.is_none() || (self.set.is_some() && self.simulated.is_none())
    }
}

/// Whether what a method learns depends on the category's selection.
fn uses_selection(method: Method, profile: &Profile) -> bool {
    let config = Config::for_method(method, profile, 0);
    config.simulation.simulator == Simulator::Selected || config.rotation.when == RotateWhen::Selected
}

fn default_profile(data: &Images) -> &'static str {
    match data {
        Images::Demo => "demo",
        _ if flawforge::training::gpu_available() => "paper",
        _ => "quick",
    }
}

/// The names without repetitions, in the order of their first appearance.
pub(crate) fn distinct(names: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name.clone());
        }
    }
    seen
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
        let places: Vec<usize> = (0..7)
            .filter(|&place| Shard { index: 1, count: 3 }.has(place))
            .collect();
        assert_eq!(places, [1, 4]);
    }

    #[test]
    fn names_are_taken_once() {
        let names = ["b".to_string(), "a".into(), "b".into()];
        assert_eq!(distinct(&names), ["b", "a"]);
    }

    #[test]
    fn the_selection_matters_where_it_is_used() {
        let profile = Profile::builtin("smoke").unwrap();
        assert!(
            uses_selection(Method::LinYan, &profile) && uses_selection(Method::DraemOurSimulation, &profile)
        );
        assert!(
            !uses_selection(Method::Draem, &profile)
                && !uses_selection(Method::SplitDraemSimulation, &profile)
        );
    }
}
