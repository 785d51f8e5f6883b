//! `reproduce-table1` to `-table4`, `reproduce-figure4`, `reproduce-all`: plan the cells, check everything, train and score
//! what is missing, write what was asked for.

use crate::backbone;
use crate::cell::CellResult;
use crate::differences::differences;
use crate::estimate::Estimate;
use crate::figure4;
use crate::plan::{Plan, Planned, SweepArgs};
use crate::published::Published;
use crate::simulated::SimulatedResult;
use crate::sweep::{self, Job, Outcome};
use crate::tables::{self, Finished, PaperTable, Table};
use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::{Category, Loading, counted, note_lines};
use flawforge::fault::in_one_line;
use flawforge::source::Images;
use flawforge::training::{Method, Profile};
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
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
    let failures = run_waiting(args, &plan, &mut cells, &waiting, &|done| {
        for &(table, ref methods) in &columns.tables {
            build_table(table, methods, &plan, &published, done).write(&plan.out)?;
        }
        Ok(())
    })?;
    let done = Done::of(&cells);
    if done.results().is_empty() {
        bail!("no cell finished:\n{}", failures.join("\n"));
    }
    for &(table, ref methods) in &columns.tables {
        show_table(&build_table(table, methods, &plan, &published, &done), &plan)?;
    }
    if let Some(hardest) = hardest.filter(|_| columns.figure) {
        match figure4::draw(&plan, &cells, hardest)? {
            true => eprintln!("written: {0}/figure4.png, {0}/figure4.json", plan.out.display()),
            false => eprintln!(
                "figure 4 was left out: no category has finished cells of both its methods with seed 0"
            ),
        }
    }
    if !failures.is_empty() {
        bail!(
            "{} cell(s) failed; the same command runs them again:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
    Ok(())
}

/// The methods of ours that tables 1 and 2 show beside the paper's: forge, where the weights of its network are.
fn beyond_the_paper(downloads: &Path) -> Result<Vec<Method>> {
    // All profiles take the same network.
    let network = Profile::builtin("paper")?.forge.backbone;
    let found = backbone::file(network, downloads).is_some();
    Ok(found.then_some(Method::Forge).into_iter().collect())
}

/// Which methods each table shows, and whether the figure can be drawn.
struct Columns {
    tables: Vec<(PaperTable, Vec<Method>)>,
    figure: bool,
}

impl Columns {
    /// The columns of the paper's tables, less the methods that were not asked for. A single table shows all that were
    /// asked for, columns of the paper or not. Where none is asked for, tables of the test images show `more` methods too.
    fn new(args: &SweepArgs, wanted: &[PaperTable], figure: bool, more: &[Method]) -> Result<Self> {
        let asked = args.methods_or(&[])?;
        let mut tables = Vec::new();
        for &table in wanted {
            let mut methods = table.methods().to_vec();
            match (asked.is_empty(), wanted) {
                (true, _) if matches!(table, PaperTable::One | PaperTable::Two) => methods.extend(more),
                (true, _) => {}
                (false, [_]) => methods.clone_from(&asked),
                (false, _) => methods.retain(|method| asked.contains(method)),
            }
            if !methods.is_empty() {
                tables.push((table, methods));
            }
        }
        let drawable = asked.is_empty() || figure4::METHODS.iter().all(|method| asked.contains(method));
        if figure && !drawable {
            let [first, second] = figure4::METHODS;
            if wanted.is_empty() {
                bail!("figure 4 needs both {first} and {second} among --methods");
            }
            eprintln!("note: no figure 4, which needs both {first} and {second} among --methods");
        }
        Ok(Self {
            tables,
            figure: figure && drawable,
        })
    }

    /// Every method that is needed, in the order of the first column that needs it.
    fn all(&self) -> Vec<Method> {
        let of_figure = self.figure.then_some(figure4::METHODS).into_iter().flatten();
        let of_tables = self
            .tables
            .iter()
            .flat_map(|(_, methods)| methods.iter().copied());
        let mut all = Vec::new();
        for method in of_tables.chain(of_figure) {
            if !all.contains(&method) {
                all.push(method);
            }
        }
        all
    }

    /// Those that are scored on the simulated dataset.
    fn on_simulated(&self) -> Vec<Method> {
        let third = self.tables.iter().find(|(table, _)| *table == PaperTable::Three);
        third.map_or_else(Vec::new, |(_, methods)| methods.clone())
    }
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

/// The results of the plan's finished cells, each in the place of its cell.
#[derive(Clone)]
struct Done(Vec<(Option<CellResult>, Option<SimulatedResult>)>);

impl Done {
    fn of(cells: &[Planned]) -> Self {
        let of_cell = |cell: &Planned| (cell.result.clone(), cell.simulated.clone());
        Self(cells.iter().map(of_cell).collect())
    }

    /// Takes in what a cell has brought.
    fn add(&mut self, place: usize, outcome: &Outcome) {
        if let Some((result, simulated)) = self.0.get_mut(place) {
            *result = outcome.result.clone().or_else(|| result.take());
            *simulated = outcome.simulated.clone().or_else(|| simulated.take());
        }
    }

    fn results(&self) -> Vec<CellResult> {
        self.0.iter().filter_map(|(result, _)| result.clone()).collect()
    }

    fn simulated(&self) -> Vec<SimulatedResult> {
        self.0
            .iter()
            .filter_map(|(_, simulated)| simulated.clone())
            .collect()
    }
}

fn build_table(
    table: PaperTable,
    methods: &[Method],
    plan: &Plan,
    published: &Published,
    done: &Done,
) -> Table {
    let bendable: Vec<String> = plan
        .categories
        .iter()
        .zip(&plan.products)
        .filter(|(_, product)| {
            product
                .selection
                .enables(flawforge::augment::Kind::NearDistribution)
        })
        .map(|(category, _)| category.clone())
        .collect();
    let of_paper: Vec<String> = plan
        .categories
        .iter()
        .filter(|category| plan.data.is_mvtec(category))
        .cloned()
        .collect();
    // Settings that were good enough for the cells are good enough here.
    let column = |&method: &Method| match plan.experiment(method, 0, 0) {
        Ok((experiment, _)) => experiment.column(),
        Err(_) => method.to_string(),
    };
    let columns: Vec<String> = methods.iter().map(column).collect();
    let (results, simulated) = (done.results(), done.simulated());
    let finished = Finished {
        methods,
        columns: &columns,
        categories: &plan.categories,
        seeds: plan.seeds,
        bendable: &bendable,
        of_paper: &of_paper,
        cells: &results,
        simulated: &simulated,
        differences: differences(table, plan, &results),
    };
    tables::build(table, published, finished)
}

/// Writes a table, prints it, and says where it is.
fn show_table(table: &Table, plan: &Plan) -> Result<()> {
    table.write(&plan.out)?;
    // A closed pipe behind this command is not an error.
    let _ = std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{}\n", table.markdown()).as_bytes(),
    );
    let name = table.name;
    eprintln!(
        "written: {0}/{name}.md, {0}/{name}.csv, {0}/{name}.json",
        plan.out.display()
    );
    Ok(())
}

/// Loads what the waiting cells need, then trains and scores them; returns one line per failure. After each cell `tabulate`
/// gets all results so far.
fn run_waiting(
    args: &SweepArgs,
    plan: &Plan,
    cells: &mut [Planned],
    waiting: &[usize],
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
        });
    }
    let parallel = usize::from(args.jobs);
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
        if let Some(result) = outcome.result {
            cells[place].result = Some(result);
        }
        if let Some(simulated) = outcome.simulated {
            cells[place].simulated = Some(simulated);
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SweepArgs,
    }

    fn columns(line: &[&str], wanted: &[PaperTable], figure: bool) -> Result<Columns> {
        let args = Line::parse_from([&["test"], line].concat()).args;
        Columns::new(&args, wanted, figure, &[])
    }

    #[test]
    fn what_the_paper_does_not_have_stands_beside_it() {
        let args = Line::parse_from(["test"]).args;
        let columns = Columns::new(&args, &PaperTable::ALL, true, &[Method::Forge]).unwrap();
        let has = |table: PaperTable| {
            let (_, methods) = columns.tables.iter().find(|(known, _)| *known == table).unwrap();
            methods.contains(&Method::Forge)
        };
        assert_eq!(PaperTable::ALL.map(has), [true, true, false, false]);
        assert!(!columns.on_simulated().contains(&Method::Forge));
    }

    #[test]
    fn every_method_is_trained_once_for_all_tables() {
        let all = columns(&[], &PaperTable::ALL, true).unwrap();
        let mut methods = all.all();
        assert!(
            PaperTable::ALL
                .iter()
                .all(|t| t.methods().iter().all(|m| methods.contains(m)))
        );
        let count = methods.len();
        methods.sort();
        methods.dedup();
        assert_eq!(methods.len(), count);
        assert_eq!(all.on_simulated(), PaperTable::Three.methods());
        assert!(
            columns(&[], &[PaperTable::Two], false)
                .unwrap()
                .on_simulated()
                .is_empty()
        );
    }

    #[test]
    fn methods_asked_for_narrow_all_and_decide_one() {
        let some = columns(&["--methods", "draem"], &PaperTable::ALL, true).unwrap();
        let names: Vec<&str> = some.tables.iter().map(|(table, _)| table.name()).collect();
        assert_eq!(
            names,
            ["table1", "table2", "table3"],
            "DRAEM itself is no column of table 4"
        );
        assert!(!some.figure);
        let one = columns(
            &["--methods", "draem-no-rotation,draem"],
            &[PaperTable::Two],
            false,
        )
        .unwrap();
        assert_eq!(one.all(), [Method::DraemNoRotation, Method::Draem]);
        let fault = columns(&["--methods", "draem"], &[], true)
            .err()
            .unwrap()
            .to_string();
        assert!(fault.contains("lin-yan"), "{fault}");
        assert!(columns(&["--methods", "dream"], &[PaperTable::Two], false).is_err());
    }
}
