//! Which methods each table shows: those of the paper, those that were asked for, and ours beside them.

use crate::backbone;
use crate::figure4;
use crate::plan::SweepArgs;
use crate::tables::PaperTable;
use anyhow::{Result, bail};
use flawforge::training::{Method, Profile};
use std::path::Path;

/// The methods of ours that tables 1 and 2 show beside the paper's: forge, where the weights of its network are.
pub(crate) fn beyond_the_paper(downloads: &Path) -> Result<Vec<Method>> {
    // All profiles take the same network.
    let network = Profile::builtin("paper")?.forge.backbone;
    let found = backbone::file(network, downloads).is_some();
    Ok(found.then_some(Method::Forge).into_iter().collect())
}

/// Which methods each table shows, and whether the figure can be drawn.
pub(crate) struct Columns {
    pub(crate) tables: Vec<(PaperTable, Vec<Method>)>,
    pub(crate) figure: bool,
}

impl Columns {
    /// The columns of the paper's tables, less the methods that were not asked for. A single table shows all that were
    /// asked for, columns of the paper or not. Where none is asked for, tables of the test images show `more` methods too.
    pub(crate) fn new(
        args: &SweepArgs,
        wanted: &[PaperTable],
        figure: bool,
        more: &[Method],
    ) -> Result<Self> {
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
    pub(crate) fn all(&self) -> Vec<Method> {
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
    pub(crate) fn on_simulated(&self) -> Vec<Method> {
        let third = self.tables.iter().find(|(table, _)| *table == PaperTable::Three);
        third.map_or_else(Vec::new, |(_, methods)| methods.clone())
    }
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
