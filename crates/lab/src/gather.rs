//! From the results of finished cells to what was asked for: tables and the figure. Cells are only read.

use crate::cell::CellResult;
use crate::columns::Columns;
use crate::differences::differences;
use crate::figure4;
use crate::plan::{Plan, Planned};
use crate::published::Published;
use crate::simulated::SimulatedResult;
use crate::sweep::Outcome;
use crate::tables::{self, Finished, PaperTable, Table};
use anyhow::Result;
use flawforge::training::Method;

/// Writes and prints the tables, and draws the figure with `hardest` images of each category, if it was asked for.
pub(crate) fn write(
    plan: &Plan,
    cells: &[Planned],
    columns: &Columns,
    published: &Published,
    hardest: Option<usize>,
) -> Result<()> {
    let done = Done::of(cells);
    for &(table, ref methods) in &columns.tables {
        show_table(&build_table(table, methods, plan, published, &done), plan)?;
    }
    if let Some(hardest) = hardest.filter(|_| columns.figure) {
        match figure4::draw(plan, cells, hardest)? {
            true => eprintln!("written: {0}/figure4.png, {0}/figure4.json", plan.out.display()),
            false => eprintln!(
                "figure 4 was left out: no category has finished cells of both its methods with seed 0"
            ),
        }
    }
    Ok(())
}

/// The results of the plan's finished cells, each in the place of its cell.
#[derive(Clone)]
pub(crate) struct Done(Vec<(Option<CellResult>, Option<SimulatedResult>)>);

impl Done {
    pub(crate) fn of(cells: &[Planned]) -> Self {
        let of_cell = |cell: &Planned| (cell.result.clone(), cell.simulated.clone());
        Self(cells.iter().map(of_cell).collect())
    }

    /// Takes in what a cell has brought.
    pub(crate) fn add(&mut self, place: usize, outcome: &Outcome) {
        if let Some((result, simulated)) = self.0.get_mut(place) {
            *result = outcome.result.clone().or_else(|| result.take());
            *simulated = outcome.simulated.clone().or_else(|| simulated.take());
        }
    }

    pub(crate) fn results(&self) -> Vec<CellResult> {
        self.0.iter().filter_map(|(result, _)| result.clone()).collect()
    }

    fn simulated(&self) -> Vec<SimulatedResult> {
        self.0
            .iter()
            .filter_map(|(_, simulated)| simulated.clone())
            .collect()
    }
}

pub(crate) fn build_table(
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
    let built = tables::build(table, published, finished);
    match plan.times {
        true => built,
        false => built.without_times(),
    }
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
