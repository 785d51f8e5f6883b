//! `sweep plan`: which cells there are, and what each will cost.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::{Loading, Purpose, counted};
use flawforge::training::estimate::{Speeds, estimate, middle};
use flawforge::training::{Method, spoken};

use super::manifest::{Line, Options, Reproduce, Sweep};
use crate::columns::{Columns, beyond_the_paper};
use crate::plan::{Plan, Planned};
use crate::published::Published;
use crate::reproduce::FigureArgs;

/// Options of `sweep plan`.
#[derive(Args, Debug, Clone)]
pub struct PlanArgs {
    /// Whose cells: those of `reproduce-table1` to `-table4`, of `reproduce-figure4`, or of `reproduce-all`
    #[arg(long, value_enum, value_name = "WHAT", default_value = "all")]
    pub reproduce: Reproduce,
    /// Measure nothing here: the manifest tells no times and no memory
    #[arg(long)]
    pub no_estimate: bool,
    /// The options of that command.
    #[command(flatten)]
    pub figure: FigureArgs,
}

/// Runs the command.
///
/// # Errors
/// Those of the `reproduce` command before its first training; a folder that cannot be written to.
pub fn run(args: &PlanArgs) -> Result<()> {
    let asked = &args.figure.sweep;
    if asked.shard.is_some() || asked.jobs != 1 {
        bail!("--shard and --jobs are for the reproduce commands: here each cell has an index of its own");
    }
    let published = Published::load()?;
    let beyond = beyond_the_paper(&asked.downloads)?;
    let columns = Columns::new(asked, args.reproduce.tables(), args.reproduce.figure(), &beyond)?;
    let plan = Plan::new(asked, columns.all(), columns.on_simulated(), &published)?;
    fs::create_dir_all(&plan.out)
        .and_then(|()| tempfile::tempfile_in(&plan.out).map(drop))
        .with_context(|| format!("{}: cannot be written to", plan.out.display()))?;
    let cells = plan.cells()?;
    let mut options = asked.clone();
    // Another machine may have a GPU, and another default.
    options.profile = Some(plan.profile.name.clone());
    let mut sweep = Sweep {
        out: plan.out.clone(),
        options: Options {
            reproduce: args.reproduce,
            hardest: args.figure.hardest,
            options,
            beyond,
            manifest: String::new(),
        },
        lines: lines(&plan, &cells, !args.no_estimate)?,
    };
    sweep.write()?;
    tell(&sweep, cells.iter().filter(|cell| !cell.waits()).count());
    Ok(())
}

/// What the cost of a cell follows from: its method, and number and size of its normal images.
type Work = (Method, usize, (u32, u32));

/// The lines of the manifest.
fn lines(plan: &Plan, cells: &[Planned], estimates: bool) -> Result<Vec<Line>> {
    let mut images = Vec::new();
    for category in &plan.categories {
        images.push(normal_images(plan, category)?);
        if let Some(line) = plan.data.passed_over(category)? {
            eprintln!("{category}: {line}");
        }
    }
    if estimates {
        eprintln!("measuring what a cell costs on this machine (--no-estimate leaves it out)");
    }
    let mut speeds = Speeds::default();
    // Of categories the number and the size of the images matter, seeds change nothing about what a step costs.
    let mut known: BTreeMap<Work, (f64, u64)> = BTreeMap::new();
    let mut sizes: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
    let mut lines = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let count = images.get(cell.category).copied().unwrap_or_default();
        let size = match sizes.get(&cell.category) {
            Some(&size) => size,
            None => {
                let size = file_size(plan, cell, estimates)?;
                sizes.insert(cell.category, size);
                size
            }
        };
        let cost = match (estimates, known.get(&(cell.key.method, count, size))) {
            (false, _) => None,
            (true, Some(&cost)) => Some(cost),
            (true, None) => {
                let found = estimate(&cell.experiment, count, size, &mut speeds)
                    .with_context(|| format!("{} would not start", cell.key.name()))?;
                known.insert((cell.key.method, count, size), (found.seconds, found.bytes));
                Some((found.seconds, found.bytes))
            }
        };
        lines.push(Line {
            index,
            cell: cell.key.name(),
            method: cell.key.method,
            category: cell.key.category.clone(),
            seed: cell.key.seed,
            hash: cell.provenance.config_hash.clone(),
            data: cell.provenance.data.clone(),
            textures: cell.provenance.textures.clone(),
            simulated: cell.set.as_ref().map(|set| set.hash()),
            images: count,
            steps: cell.experiment.steps(count),
            seconds: cost.map(|(seconds, _)| seconds),
            bytes: cost.map(|(_, bytes)| bytes),
        });
    }
    Ok(lines)
}

/// Width and height of the files of a cell's normal images, the size in the middle of all. They are looked at where the view has more
/// windows over larger images; under the papers' square all are of one size.
fn file_size(plan: &Plan, cell: &Planned, estimates: bool) -> Result<(u32, u32)> {
    let side = cell.experiment.image_size;
    if !estimates || cell.experiment.view.is_stretch() {
        return Ok((side, side));
    }
    Ok(middle(&plan.data.normal_sizes(&cell.key.category)?))
}

/// How many normal images a category is trained on.
fn normal_images(plan: &Plan, category: &str) -> Result<usize> {
    Ok(match plan.data.files(category, Purpose::Training)? {
        Some(files) => files.train.len(),
        // Generated ones are counted at a size that is quickly drawn.
        None => plan
            .data
            .load_normals(category, &Loading::opencv(32, 32))?
            .train
            .len(),
    })
}

/// What was planned, and how to go on.
fn tell(sweep: &Sweep, finished: usize) {
    let out = sweep.out.display();
    eprintln!(
        "planned: {} ({finished} finished) in {out}/sweep/manifest.jsonl, plan {}",
        counted(sweep.lines.len(), "cell"),
        sweep.number()
    );
    if let Some((seconds, bytes)) = dearest(&sweep.lines) {
        let total: f64 = sweep.lines.iter().filter_map(|line| line.seconds).sum();
        eprintln!(
            "by this machine, training alone: the longest cell {}, all one after the other {}, at most {} beside the program",
            spoken(seconds),
            spoken(total),
            memory(bytes)
        );
    }
    eprintln!(
        "go on with `sweep slurm --out {out}`, `sweep kubernetes --out {out}`, or `sweep cell --out {out} --index I`"
    );
}

/// Bytes in words.
pub(crate) fn memory(bytes: u64) -> String {
    match bytes as f64 / 1e9 {
        large if large >= 1.0 => format!("{large:.1} GB"),
        small => format!("{:.0} MB", small * 1e3),
    }
}

/// The longest time and the most memory of a cell, if they are known.
pub(crate) fn dearest(lines: &[Line]) -> Option<(f64, u64)> {
    let seconds = lines.iter().filter_map(|line| line.seconds).reduce(f64::max)?;
    let bytes = lines.iter().filter_map(|line| line.bytes).max()?;
    Some((seconds, bytes))
}
