//! `reproduce-table1` to `-table4`, `reproduce-figure4`, `reproduce-all`: plan the cells, check everything, train and score
//! what is missing, write what was asked for.

use crate::cell;
use crate::columns::{Columns, beyond_the_paper};
use crate::estimate::Estimate;
use crate::gather::{self, Done, build_table};
use crate::plan::{Plan, Planned, SweepArgs};
use crate::published::Published;
use crate::room;
use crate::simulated;
use crate::sweep::{self, Around, Job};
use crate::tables::PaperTable;
use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::{Category, Loading, counted, note_lines};
use flawforge::fault::in_one_line;
use flawforge::source::Images;
use flawforge::training::Method;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, Mutex};

/// Options of `reproduce-figure4` and `reproduce-all`.
#[derive(Args, Debug, Clone)]
pub struct FigureArgs {
    /// Options of the sweep.
    #[command(flatten)]
    pub sweep: SweepArgs,
    /// Test images in figure 4, for each category
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub hardest: u16,
}

/// Runs `reproduce-tableN`.
///
/// # Errors
/// Bad input before anything is trained; afterwards, the cells that failed (the others are finished and tabled).
pub fn table(table: PaperTable, args: &SweepArgs) -> Result<()> {
    reproduce(args, &[table], None)
}

/// Runs `reproduce-figure4`.
///
/// # Errors
/// As [`table`].
pub fn figure4(args: &FigureArgs) -> Result<()> {
    reproduce(&args.sweep, &[], Some(args.hardest.into()))
}

/// Runs `reproduce-all`: four tables and the figure from one set of cells.
///
/// # Errors
/// As [`table`].
pub fn all(args: &FigureArgs) -> Result<()> {
    reproduce(&args.sweep, &PaperTable::ALL, Some(args.hardest.into()))
}

/// Tables and figure from one plan. `hardest` asks for the figure, with so many images of each category.
fn reproduce(args: &SweepArgs, wanted: &[PaperTable], hardest: Option<usize>) -> Result<()> {
    let published = Published::load()?;
    let more = beyond_the_paper(&args.downloads)?;
    let columns = Columns::new(args, wanted, hardest.is_some(), &more)?;
    let plan = Plan::new(args, columns.all(), columns.on_simulated(), &published)?;
    if plan.data == Images::Demo {
        eprintln!(
            "Using the generated demo data: MVTec AD is not downloaded, and --data is not given.\n\
             For real images: `cargo xtask download mvtec-ad dtd`, or --data DIR with your own images."
        );
    }
    let mut cells = plan.cells()?;
    let waiting: Vec<usize> = (0..cells.len())
        .filter(|&place| args.shard.is_none_or(|shard| shard.has(place)) && cells[place].waits())
        .collect();
    announce(&plan, &cells, waiting.len());
    let failures = run_waiting(
        usize::from(args.jobs),
        &plan,
        &mut cells,
        &waiting,
        &Around::default(),
        &|done| {
            for &(table, ref methods) in &columns.tables {
                build_table(table, methods, &plan, &published, done).write(&plan.out)?;
            }
            Ok(())
        },
    )?;
    if Done::of(&cells).results().is_empty() {
        bail!("no cell finished:\n{}", failures.join("\n"));
    }
    gather::write(&plan, &cells, &columns, &published, hardest)?;
    if !failures.is_empty() {
        bail!(
            "{} cell(s) failed; the same command runs them again:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
    Ok(())
}

fn announce(plan: &Plan, cells: &[Planned], waiting: usize) {
    let methods: Vec<&str> = plan.methods.iter().map(|method| method.name()).collect();
    eprintln!(
        "{} ({} finished, {} to run): {} × {} × {}, profile {}, {} px, textures {} -> {}",
        counted(cells.len(), "cell"),
        cells.iter().filter(|cell| !cell.waits()).count(),
        waiting,
        methods.join("+"),
        plan.categories.join("+"),
        counted(plan.seeds as usize, "seed"),
        plan.profile.name,
        plan.profile.image_size,
        plan.textures.describe(),
        plan.out.display(),
    );
}

/// Loads what the waiting cells need, then trains and scores them; returns one line per failure. After each cell `tabulate`
/// gets all results so far.
pub(crate) fn run_waiting(
    parallel: usize,
    plan: &Plan,
    cells: &mut [Planned],
    waiting: &[usize],
    around: &Around,
    tabulate: &(dyn Fn(&Done) -> Result<()> + Sync),
) -> Result<Vec<String>> {
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    // A folder that cannot be written to is found now, not after the first training.
    fs::create_dir_all(&plan.out)
        .and_then(|()| tempfile::tempfile_in(&plan.out).map(drop))
        .with_context(|| format!("{}: cannot be written to", plan.out.display()))?;
    let textures = plan.textures.load(plan.profile.image_size)?;
    // All images are decoded before the first step: a corrupt file is found now, not in the tenth cell.
    // Methods that want a category alike share it.
    let mut images: HashMap<(usize, Loading), Category> = HashMap::new();
    let used: BTreeSet<usize> = waiting.iter().map(|&place| cells[place].category).collect();
    for category in used {
        let category = &plan.categories[category];
        if let Some(line) = plan.data.passed_over(category)? {
            eprintln!("{category}: {line}");
        }
    }
    let mut said = BTreeSet::new();
    for &place in waiting {
        let cell = &cells[place];
        let common = cell.set.as_ref().map(|_| plan.common_loading());
        for loading in [Some(cell.loading.clone()), common].into_iter().flatten() {
            if let Entry::Vacant(entry) = images.entry((cell.category, loading)) {
                let loading = &entry.key().1;
                let loaded = plan
                    .data
                    .load_to_score(&plan.categories[cell.category], loading)?;
                for (_, line) in note_lines(&loaded.notes) {
                    if said.insert(line.clone()) {
                        eprintln!("note: {line}");
                    }
                }
                entry.insert(loaded);
            }
        }
    }
    let mut jobs = Vec::new();
    for &place in waiting {
        let planned = &cells[place];
        jobs.push(Job {
            place,
            of: cells.len(),
            planned,
            dir: planned.key.dir(&plan.out),
            category: images
                .get(&(planned.category, planned.loading.clone()))
                .context("images of a waiting cell")?,
            common: images.get(&(planned.category, plan.common_loading())),
            textures: textures.clone(),
            around,
        });
    }
    let parallel = room::parallel(parallel, &jobs)?;
    let of_method = |place: usize| (place, cells[place].experiment.method);
    let to_run: Vec<(usize, Method)> = waiting.iter().map(|&place| of_method(place)).collect();
    let known = cells
        .iter()
        .filter_map(|cell| Some((cell.experiment.method, cell.result.as_ref()?.train_seconds)))
        .collect();
    let estimate = Arc::new(Estimate::new(parallel, &to_run, known));
    let done = Mutex::new(Done::of(cells));
    let outcomes = sweep::run(&jobs, parallel, &estimate, &|index, outcome| {
        let Ok(mut done) = done.lock() else { return };
        done.add(waiting[index], outcome);
        // The last table is written again, and then it counts whether that works.
        if outcome.fault.is_none()
            && let Err(error) = tabulate(&done)
        {
            eprintln!("no table for now: {}", in_one_line(error.as_ref()));
        }
    });
    let mut failures = Vec::new();
    for (&place, outcome) in waiting.iter().zip(outcomes) {
        let cell = &mut cells[place];
        if let Some(result) = outcome.result {
            cell.result = Some(result);
        }
        if let Some(simulated) = outcome.simulated {
            cell.simulated = Some(simulated);
        }
        if !plan.times && outcome.fault.is_none() {
            read_back(plan, cell)?;
        }
        if let Some(fault) = outcome.fault {
            failures.push(format!(
                "{}: {}",
                cells[place].key.name(),
                in_one_line(fault.as_ref())
            ));
        }
    }
    Ok(failures)
}

/// Takes the results as the files of the cell have them. A number may lose its last bit on the way through JSON, and tables that are to
/// have the same bytes must not tell whether they were made of files.
fn read_back(plan: &Plan, cell: &mut Planned) -> Result<()> {
    let dir = cell.key.dir(&plan.out);
    if let cell::State::Finished(result) = cell::finished(&dir, &cell.provenance)? {
        cell.result = Some(*result);
    }
    if let (Some(set), Some(_)) = (&cell.set, &cell.simulated) {
        cell.simulated = simulated::finished(&dir, &cell.provenance, set)?;
    }
    Ok(())
}
