//! What a sweep will do, decided and checked before it starts: methods, categories, seeds, and where everything comes from.

use crate::backbone::{BackboneArgs, SweepBackbone};
use crate::cell::{CellKey, CellResult, Provenance};
use crate::earlier;
use crate::published::Published;
use crate::simulated::{self, SetSettings, SimulatedResult};
use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::{Kind, Selection};
use flawforge::datasets::Loading;
use flawforge::device::DeviceArgs;
use flawforge::ops::Precision;
use flawforge::source::{Images, Textures, selection_lines};
use flawforge::training::{Experiment, Method, Overrides, Product, Profile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Options of a sweep, the same for every table and figure.
#[derive(Args, Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepArgs {
    /// Budget of a cell: smoke, demo, quick, gpu or paper [default: demo for the demo data, else quick, or gpu with a GPU]
    #[arg(long)]
    pub profile: Option<String>,
    /// Data set in MVTec layout, or one category's folder [default: the downloaded MVTec AD, else the demo data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of texture images [default: the downloaded DTD, else procedural textures]
    #[arg(long, value_name = "DIR")]
    pub textures: Option<PathBuf>,
    /// Selection file (TOML) for your categories, such as `flawforge select` writes
    #[arg(long, value_name = "FILE")]
    pub selection: Option<PathBuf>,
    /// Settings file (TOML): its values replace those of the profile in every cell that has them, any constant of a simulator too
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Categories, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub categories: Vec<String>,
    /// Methods, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "A,B", help = methods_help())]
    pub methods: Vec<String>,
    /// Number of seeds for each method and category
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: tf32]. NSA, and ResNets on
    /// the processor, multiply f32 in any case
    #[arg(long, value_name = "NAME")]
    pub precision: Option<Precision>,
    /// Where the cells compute. No part of a plan: whoever runs a cell says it.
    #[command(flatten)]
    #[serde(skip)]
    pub device: DeviceArgs,
    /// Cells trained at the same time; they share the cores
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    #[serde(skip, default = "one")]
    pub jobs: u16,
    /// Run every N-th cell from the I-th on (counted from 0), for job arrays
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    #[serde(skip)]
    pub shard: Option<Shard>,
    /// Folder of cells and tables, shared by all tables [default: out/PROFILE]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Leave the seconds of training out of the tables: the same cells then make the same bytes, wherever they were trained
    #[arg(long)]
    pub no_times: bool,
    /// The backbone of PatchCore
    #[command(flatten)]
    pub backbone: BackboneArgs,
    /// Folder that `cargo xtask download` fills
    #[arg(long, value_name = "DIR", default_value = crate::DOWNLOADS)]
    pub downloads: PathBuf,
}

impl SweepArgs {
    /// The methods asked for, each once; without any, `default`.
    ///
    /// # Errors
    /// If a name is not that of a method.
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

/// Cells at a time, where nothing is said.
fn one() -> u16 {
    1
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
    /// What is known of each category: its selection, and NSA's published constants.
    pub products: Vec<Product>,
    /// Settings that replace those of the profile.
    pub overrides: Overrides,
    /// As many seeds are run, from 0 on.
    pub seeds: u64,
    /// Precision of the two networks' convolutions, if it was given.
    pub precision: Option<Precision>,
    /// The weights of PatchCore's backbone, if PatchCore is among the methods.
    pub backbone: Option<SweepBackbone>,
    /// Whether tables show seconds.
    pub times: bool,
}

impl Plan {
    /// Settles where everything comes from.
    ///
    /// # Errors
    /// Missing folders, unknown categories or profiles, a faulty selection file, a device that is not there.
    pub fn new(
        args: &SweepArgs,
        methods: Vec<Method>,
        on_simulated: Vec<Method>,
        published: &Published,
    ) -> Result<Self> {
        let overrides = args.config.as_deref().map(Overrides::read).transpose()?;
        // The profile of a machine with a GPU is another.
        args.device.choose(overrides.as_ref())?;
        let downloads = Some(args.downloads.as_path());
        let data = Images::resolve(args.data.as_deref(), downloads)?;
        let textures = Textures::resolve(args.textures.as_deref(), downloads)?;
        let profile = Profile::builtin(args.profile.as_deref().unwrap_or_else(|| default_profile(&data)))?;
        let categories = data.categories(&distinct(&args.categories), published.order())?;
        let mut found = Vec::new();
        for category in &categories {
            found.push(data.selection(category, args.selection.as_deref())?);
        }
        if uses_selection(&methods, &profile)? {
            let origins = found.iter().map(|found| &found.origin);
            for line in selection_lines(categories.iter().map(String::as_str).zip(origins)) {
                eprintln!("{line}");
            }
        }
        let products = (categories.iter().zip(found))
            .map(|(category, found)| data.product(category, found.selection))
            .collect();
        let out = args
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("out").join(&profile.name));
        for category in &categories {
            data.check_output(category, &out)?;
        }
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
            products,
            overrides: overrides.unwrap_or_default(),
            seeds: args.seeds,
            precision: args.precision,
            backbone,
            times: !args.no_times,
        })
    }

    /// Images as the simulated dataset is made of, at the size of the masks: the same for every method.
    pub fn common_loading(&self) -> Loading {
        Loading::opencv(self.profile.image_size, self.profile.image_size)
    }

    /// The experiment of a cell, and the names of the overriding settings that it does not have.
    ///
    /// # Errors
    /// Overriding settings with values that cannot be used.
    pub fn experiment(
        &self,
        method: Method,
        category: usize,
        seed: u64,
    ) -> Result<(Experiment, Vec<String>)> {
        let product = self.products.get(category).context("a category of the plan")?;
        let plain = Experiment::new(method, &self.profile, product, seed)?;
        let (mut experiment, unknown) = plain.with_known(&self.overrides)?;
        if let (Some(precision), Some(settings)) = (self.precision, experiment.settings.precision_mut()) {
            *settings = precision;
        }
        if let Some(backbone) = &self.backbone {
            backbone.apply(&mut experiment);
        }
        experiment.validate()?;
        Ok((experiment, unknown))
    }

    /// The experiment's hash, and where images and textures come from.
    fn provenance(&self, experiment: &Experiment) -> Provenance {
        Provenance {
            config_hash: experiment.hash(),
            data: self.data.describe(),
            textures: self.textures.describe(),
        }
    }

    /// All cells with what is finished of them: seeds outermost, so that a first table over every method and category is
    /// there early. Which table asks has no influence on a cell.
    ///
    /// # Errors
    /// When a finished cell was made with other settings, or cannot be read.
    pub fn cells(&self) -> Result<Vec<Planned>> {
        // All settings are checked before the first folder is touched.
        let mut cells = self.experiments()?;
        for cell in &mut cells {
            cell.result = earlier::finished(&self.out, &cell.key, &cell.experiment, &cell.provenance)?;
            cell.simulated = match &cell.set {
                Some(set) if cell.result.is_some() => {
                    simulated::finished(&cell.key.dir(&self.out), &cell.provenance, set)?
                }
                _ => None,
            };
        }
        Ok(cells)
    }

    /// All cells, before anything is known of what is finished.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub(crate) fn experiments(&self) -> Result<Vec<Planned>> {
        let mut unused: BTreeSet<String> = self.overrides.names().into_iter().collect();
        for (name, why) in OF_THE_SWEEP {
            if unused.contains(name) {
                bail!("setting `{name}` cannot be set for a sweep (--config): {why}");
            }
        }
        let mut cells = Vec::new();
        for seed in 0..self.seeds {
            for (index, category) in self.categories.iter().enumerate() {
                for &method in &self.methods {
                    let (experiment, unknown) = self.experiment(method, index, seed)?;
                    unused.retain(|name| unknown.contains(name));
                    cells.push(Planned {
                        key: CellKey {
                            method,
                            category: category.clone(),
                            seed,
                        },
                        category: index,
                        loading: experiment.loading(),
                        provenance: self.provenance(&experiment),
                        experiment,
                        result: None,
                        set: self
                            .on_simulated
                            .contains(&method)
                            .then(|| SetSettings::of_table3(self.products[index].nsa)),
                        simulated: None,
                    });
                }
            }
        }
        if !unused.is_empty() {
            let names: Vec<String> = unused.into_iter().collect();
            bail!(
                "settings that no cell of this sweep has: {} (--config)",
                names.join(", ")
            );
        }
        Ok(cells)
    }
}

/// Settings that a sweep decides itself, and why.
const OF_THE_SWEEP: [(&str, &str); 4] = [
    ("seed", "--seeds counts the seeds"),
    (
        "image_size",
        "all cells of a table are scored at the size of the profile",
    ),
    (
        "evaluation.aupro_limit",
        "the tables print AUPRO up to 30 % false positives",
    ),
    ("evaluation.ground_truth", "the tables print both rules"),
];

/// A cell of the plan, with its results as far as they are there.
pub struct Planned {
    /// Which cell.
    pub key: CellKey,
    /// Place of its category in the plan.
    pub category: usize,
    /// Every setting of the run.
    pub experiment: Experiment,
    /// How the method wants its images.
    pub loading: Loading,
    /// What it is made from.
    pub provenance: Provenance,
    /// The metrics on the test images.
    pub result: Option<CellResult>,
    /// The simulated dataset that it is to be scored on as well.
    pub set: Option<SetSettings>,
    /// The metrics on that dataset.
    pub simulated: Option<SimulatedResult>,
}

impl Planned {
    /// Whether something is left to do.
    pub fn waits(&self) -> bool {
        self.result.is_none() || (self.set.is_some() && self.simulated.is_none())
    }
}

/// Whether what one of the methods learns depends on the category's selection.
fn uses_selection(methods: &[Method], profile: &Profile) -> Result<bool> {
    let with = |method, selection| Experiment::new(method, profile, &Product::new("", selection), 0);
    let one = Selection::only(Kind::Opaque);
    let other = Selection {
        rotate_normals: true,
        texture: true,
        ..Selection::only(Kind::Transparent)
    };
    for &method in methods {
        if with(method, one.clone())? != with(method, other.clone())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn default_profile(data: &Images) -> &'static str {
    match data {
        Images::Demo => "demo",
        _ if flawforge::training::gpu_available() => "gpu",
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
        for (methods, uses) in [
            (&[Method::LinYan][..], true),
            (&[Method::Draem, Method::DraemOurSimulation], true),
            (
                &[
                    Method::Draem,
                    Method::SplitDraemSimulation,
                    Method::DraemNoRotation,
                ],
                false,
            ),
        ] {
            assert_eq!(uses_selection(methods, &profile).unwrap(), uses, "{methods:?}");
        }
    }
}
