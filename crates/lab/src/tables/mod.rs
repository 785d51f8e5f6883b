//! The paper's four tables: their columns, and how finished cells become one of them.

mod document;
mod grid;
mod observation;
mod spread;

pub use document::Table;
pub use grid::{Entry, Grid};
pub use observation::{Observation, Quantity};
pub use spread::Spread;

use crate::cell::CellResult;
use crate::published::Published;
use crate::simulated::{KINDS, SimulatedResult};
use flawforge::augment::Kind;
use flawforge::metrics::Metric;
use flawforge::training::Method;
use grid::Rows;

/// One of the paper's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaperTable {
    /// Detection: image AUROC and AP.
    One,
    /// Localisation: pixel AUROC and AP.
    Two,
    /// Localisation on the simulated dataset, a row for each kind of anomaly.
    Three,
    /// The ablation: localisation with rotation, simulation and split training parted.
    Four,
}

impl PaperTable {
    /// All tables, in order.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Three, Self::Four];

    /// `table1` to `table4`: the name of its files, and its key among the published numbers.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "table1",
            Self::Two => "table2",
            Self::Three => "table3",
            Self::Four => "table4",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::One => "Table 1: detection, image AUROC / AP in percent",
            Self::Two => "Table 2: localisation, pixel AUROC / AP in percent",
            Self::Three => "Table 3: localisation on the simulated dataset, pixel AUROC / AP in percent",
            Self::Four => "Table 4: ablation, pixel AUROC / AP in percent",
        }
    }

    /// The paper's columns.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::One | Self::Two | Self::Three => {
                &[Method::Draem, Method::Nsa, Method::PatchCore, Method::LinYan]
            }
            Self::Four => &[
                Method::DraemNoRotation,
                Method::DraemOurSimulation,
                Method::SplitDraemSimulation,
                Method::LinYan,
            ],
        }
    }
}

/// What a sweep left behind, and over what it went.
pub struct Finished<'a> {
    /// The methods to show, in the order of the columns.
    pub methods: &'a [Method],
    /// What stands over their columns: the names of the methods, with settings that make other methods of them; empty for the
    /// names alone.
    pub columns: &'a [String],
    /// The categories, in the order of the rows.
    pub categories: &'a [String],
    /// Of them, those whose selection has near-distribution anomalies.
    pub bendable: &'a [String],
    /// As many seeds were planned.
    pub seeds: u64,
    /// Of the categories, those that are the paper's of that name. The demo data's `leather` is not.
    pub of_paper: &'a [String],
    /// The metrics on the test images.
    pub cells: &'a [CellResult],
    /// The metrics on the simulated dataset.
    pub simulated: &'a [SimulatedResult],
    /// Where the setting differs from the paper's, one sentence each.
    pub differences: Vec<String>,
}

/// Builds one of the paper's tables from finished cells. Methods without a cell are left out.
pub fn build(table: PaperTable, published: &Published, finished: Finished<'_>) -> Table {
    let shown = |method: Method| finished.methods.contains(&method);
    let cells: Vec<CellResult> = finished
        .cells
        .iter()
        .filter(|c| shown(c.method))
        .cloned()
        .collect();
    let simulated: Vec<SimulatedResult> = finished
        .simulated
        .iter()
        .filter(|c| shown(c.method))
        .cloned()
        .collect();
    let planned = finished.methods.len() * finished.categories.len() * finished.seeds as usize;
    let (mut grids, there) = match table {
        PaperTable::Three => (on_simulated(published, &finished, &simulated), simulated.len()),
        PaperTable::One | PaperTable::Two | PaperTable::Four => {
            (on_test_images(table, published, &finished, &cells), cells.len())
        }
    };
    if finished.columns.len() == finished.methods.len() {
        for grid in &mut grids {
            grid.columns = finished.columns.to_vec();
        }
    }
    Table {
        name: table.name(),
        title: table.title(),
        corrections: published.reasons(table, finished.methods),
        methods: finished.methods.to_vec(),
        categories: finished.categories.to_vec(),
        planned,
        missing: planned.saturating_sub(there),
        grids,
        differences: finished.differences,
        cells,
        times: true,
        simulated: match table {
            PaperTable::Three => simulated,
            PaperTable::One | PaperTable::Two | PaperTable::Four => Vec::new(),
        },
    }
}

fn on_test_images(
    table: PaperTable,
    published: &Published,
    finished: &Finished<'_>,
    cells: &[CellResult],
) -> Vec<Grid> {
    use Metric::{Aupro, ImageAp, ImageAuroc, PixelAp, PixelApHalf, PixelAuroc, PixelAurocHalf};
    use Quantity::{InView, TrainSeconds, Whole};
    let observations: Vec<Observation> = cells.iter().map(Observation::of_cell).collect();
    let grid = |heading: &str, quantities: &[Quantity], paper: Option<PaperTable>| {
        let rows = Rows {
            heading: "category",
            names: finished.categories,
            extra: &[],
            of_paper: finished.of_paper,
        };
        Grid::new(
            heading,
            quantities,
            finished.methods,
            &rows,
            &observations,
            published,
            paper,
        )
    };
    let detection = |heading: &str, paper| grid(heading, &[Whole(ImageAuroc), Whole(ImageAp)], paper);
    let localisation = || grid("", &[Whole(PixelAuroc), Whole(PixelAp)], Some(table));
    let mut grids = match table {
        PaperTable::One => vec![detection("", Some(table))],
        PaperTable::Two => vec![
            localisation(),
            detection("Detection: image AUROC / AP in percent", Some(PaperTable::One)),
        ],
        PaperTable::Four => vec![
            localisation(),
            detection("Beyond the paper: image AUROC / AP in percent", None),
        ],
        // Its rows are kinds of anomaly, of simulated images.
        PaperTable::Three => Vec::new(),
    };
    if table != PaperTable::One {
        let heading = "Beyond the paper: AUPRO up to 30 % false positives; pixel AUROC / AP when half-covered pixels count";
        grids.push(grid(
            heading,
            &[Aupro, PixelAurocHalf, PixelApHalf].map(Whole),
            None,
        ));
        let heading = "Each method by its own protocol, where it differs: pixel AUROC / AP / AUPRO in the part of the images \
                       that it looks at";
        grids.push(grid(heading, &[PixelAuroc, PixelAp, Aupro].map(InView), None));
    }
    grids.push(grid("Training of one cell, seconds", &[TrainSeconds], None));
    grids.retain(|grid| !grid.entries.is_empty());
    grids
}

fn on_simulated(published: &Published, finished: &Finished<'_>, results: &[SimulatedResult]) -> Vec<Grid> {
    let names: Vec<String> = KINDS.iter().map(|kind| kind.name().to_owned()).collect();
    let bent = Kind::NearDistribution;
    let selected = format!("{bent}, selected categories");
    let mut observations = Vec::new();
    for &method in finished.methods {
        for kind in KINDS {
            observations.extend(Observation::of_kind(
                results,
                method,
                kind,
                kind.name(),
                finished.categories,
            ));
        }
        observations.extend(Observation::of_kind(
            results,
            method,
            bent,
            &selected,
            finished.bendable,
        ));
    }
    // The same average with near-distribution anomalies only where the selection has them.
    let mut second = names.clone();
    second.retain(|name| name != bent.name());
    second.push(selected.clone());
    let extra = [(selected, None), ("average with it".to_owned(), Some(second))];
    let rows = Rows {
        heading: "kind",
        names: &names,
        extra: if finished.bendable.is_empty() { &[] } else { &extra },
        of_paper: &names,
    };
    let grid = |heading: &str, quantities: &[Quantity], paper: Option<PaperTable>| {
        Grid::new(
            heading,
            quantities,
            finished.methods,
            &rows,
            &observations,
            published,
            paper,
        )
    };
    let mut grids = vec![
        grid(
            "",
            &[Metric::PixelAuroc, Metric::PixelAp].map(Quantity::Whole),
            Some(PaperTable::Three),
        ),
        grid(
            "Beyond the paper: image AUROC / AP; AUPRO up to 30 % false positives",
            &[Metric::ImageAuroc, Metric::ImageAp, Metric::Aupro].map(Quantity::Whole),
            None,
        ),
    ];
    grids.retain(|grid| !grid.entries.is_empty());
    grids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::tests::result;
    use crate::simulated::KindScores;
    use flawforge::metrics::Scores;

    fn finished<'a>(
        methods: &'a [Method],
        categories: &'a [String],
        cells: &'a [CellResult],
    ) -> Finished<'a> {
        Finished {
            methods,
            columns: &[],
            categories,
            seeds: 2,
            bendable: &[],
            of_paper: categories,
            cells,
            simulated: &[],
            differences: vec!["only a test".into()],
        }
    }

    fn table(methods: &[Method], paper_categories: bool) -> Table {
        let cells = [
            result(Method::Draem, "leather", 0, 0.5),
            result(Method::Draem, "leather", 1, 0.7),
            result(Method::Draem, "bottle", 0, 0.9),
            result(Method::LinYan, "bottle", 0, 0.25),
        ];
        let categories = ["bottle".to_string(), "leather".into()];
        let mut finished = finished(methods, &categories, &cells);
        if !paper_categories {
            finished.of_paper = &[];
        }
        build(PaperTable::Two, &Published::load().unwrap(), finished)
    }

    const BOTH: [Method; 2] = [Method::Draem, Method::LinYan];

    #[test]
    fn means_spreads_and_averages() {
        let table = table(&BOTH, true);
        let leather = table.grids[0].entry(Method::Draem, "leather").unwrap();
        assert!((leather.ours[1].mean - 60.0).abs() < 1e-9);
        assert!((leather.ours[1].deviation.unwrap() - 200f64.sqrt()).abs() < 1e-9);
        // Only seed 0 has every category, so the average is that of one run.
        let average = table.grids[0].entry(Method::Draem, "average").unwrap();
        assert_eq!((average.seeds, average.ours[1].deviation), (1, None));
        assert!((average.ours[1].mean - 70.0).abs() < 1e-9);
        let paper = average.paper.unwrap();
        assert!(
            (paper.auroc - 98.85).abs() < 1e-9,
            "the mean of the paper's values in the rows shown"
        );
        assert!(
            table.grids[0].entry(Method::LinYan, "average").is_none(),
            "leather is missing for this method"
        );
    }

    #[test]
    fn ours_stands_beside_the_paper() {
        let table = table(&BOTH, true);
        let markdown = table.markdown();
        for line in [
            "| category | draem | paper | lin-yan | paper |",
            "| leather | 60.0±14.1 / 60.0±14.1 | 98.6 / 75.3 ‡ | – | – |",
            "| bottle | 90.0 / 90.0 | 99.1 / 86.5 | 25.0 / 25.0 | 98.7 / 86.2 |",
            "| average | 70.0 / 70.0 | 98.85 / 80.90 | – | – |",
            "| average printed in the paper | | 97.3 / 68.4 | | 98.1 / 70.9 ‡ |",
            "only a test",
        ] {
            assert!(markdown.contains(line), "{line}\n{markdown}");
        }
        let csv = table.csv().unwrap();
        let mut lines = csv.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 4);
        let at = |name: &str| header.iter().position(|found| *found == name).unwrap();
        assert_eq!(rows[1][..3], ["draem", "leather", "2"]);
        assert_eq!(rows[1][at("pixel_ap_sd")], "14.1421");
        assert_eq!(rows[1][at("paper_pixel_auroc")], "98.60");
        assert_eq!(rows[1][at("paper_pixel_auroc_mark")], "corrected");
        assert!(rows.iter().all(|row| row.len() == header.len()));
    }

    #[test]
    fn a_column_says_which_network_it_is_of() {
        let cells = [result(Method::PatchCore, "bottle", 0, 0.5)];
        let (methods, categories) = ([Method::PatchCore], ["bottle".to_string()]);
        let columns = ["patchcore (resnet18; strides 4, 8)".to_string()];
        let named = Finished {
            columns: &columns,
            ..finished(&methods, &categories, &cells)
        };
        let markdown = build(PaperTable::Two, &Published::load().unwrap(), named).markdown();
        let head = "| category | patchcore (resnet18; strides 4, 8) | paper |";
        assert!(markdown.contains(head), "{markdown}");
        assert!(markdown.contains("| bottle | 50.0 / 50.0 | 9"), "{markdown}");
    }

    #[test]
    fn a_table_says_what_is_missing() {
        let partial = table(&BOTH, true);
        assert_eq!((partial.planned, partial.missing), (8, 4));
        let markdown = partial.markdown();
        assert!(markdown.contains("**4 of 8 cells are missing.**"), "{markdown}");
        let cells = [result(Method::Draem, "bottle", 0, 0.5)];
        let categories = ["bottle".to_string()];
        let mut whole = finished(&BOTH[..1], &categories, &cells);
        whole.seeds = 1;
        let whole = build(PaperTable::Two, &Published::load().unwrap(), whole);
        assert!(whole.missing == 0 && !whole.markdown().contains("missing"));
        let json = serde_json::to_value(&whole).unwrap();
        assert!(json.get("missing").is_none() && json.get("planned").is_none());
    }

    #[test]
    fn a_category_of_the_same_name_is_not_the_papers() {
        let table = table(&BOTH, false);
        let markdown = table.markdown();
        assert!(
            markdown.contains("| leather | 60.0±14.1 / 60.0±14.1 | – | – | – |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("97.3 / 68.4"),
            "the printed average stays: {markdown}"
        );
    }

    #[test]
    fn metrics_in_view_are_shown_where_they_are() {
        let mut cells = [
            result(Method::Draem, "bottle", 0, 0.5),
            result(Method::LinYan, "bottle", 0, 0.5),
        ];
        let categories = ["bottle".to_string()];
        let build_one = |cells: &[CellResult]| {
            let published = Published::load().unwrap();
            build(PaperTable::Two, &published, finished(&BOTH, &categories, cells)).markdown()
        };
        assert!(!build_one(&cells).contains("own protocol"));
        cells[1].scores_in_view = Some(Scores::from([
            (Metric::PixelAuroc, 0.75),
            (Metric::PixelAp, 0.5),
            (Metric::Aupro, 0.25),
        ]));
        let markdown = build_one(&cells);
        assert!(
            markdown.contains("own protocol") && markdown.contains("| bottle | – | 75.0 / 50.0 / 25.0 |"),
            "{markdown}"
        );
    }

    fn simulated(method: Method, category: &str, score: impl Fn(Kind) -> Option<f64>) -> SimulatedResult {
        let kinds = KINDS.map(|kind| KindScores {
            kind,
            normal: 2,
            anomalous: 6,
            scores: Metric::ALL
                .iter()
                .filter_map(|&metric| Some((metric, score(kind)?)))
                .collect(),
        });
        SimulatedResult {
            method,
            category: category.into(),
            seed: 0,
            config_hash: "h".into(),
            set_hash: "s".into(),
            data: "test".into(),
            textures: "test".into(),
            draws: 3,
            set_seed: 0,
            kinds: kinds.to_vec(),
        }
    }

    #[test]
    fn table_3_averages_categories_and_then_kinds() {
        let bent = Kind::NearDistribution;
        let results = [
            simulated(Method::Draem, "grid", |kind| {
                Some(if kind == bent { 0.5 } else { 1.0 })
            }),
            simulated(Method::Draem, "tile", |kind| {
                (kind != Kind::Nsa).then_some(if kind == bent { 0.0 } else { 0.5 })
            }),
            simulated(Method::LinYan, "grid", |_| Some(0.25)),
        ];
        let categories = ["grid".to_string(), "tile".into()];
        let finished = Finished {
            simulated: &results,
            bendable: &categories[..1],
            ..finished(&BOTH, &categories, &[])
        };
        let table = build(PaperTable::Three, &Published::load().unwrap(), finished);
        let markdown = table.markdown();
        for line in [
            "| cut-paste | 75.0 / 75.0 | 86.8 / 58.1 | – | – |",
            "| nsa | 100.0 / 100.0 | 97.9 / 82.6 | – | – |",
            "| near-distribution | 25.0 / 25.0 | 96.3 / 66.9 ◊ | – | – |",
            "| average | 70.0 / 70.0 | 96.20 / 81.40 ◊ | – | – |",
            "| near-distribution, selected categories | 50.0 / 50.0 | – | 25.0 / 25.0 | – |",
            "| average with it | 75.0 / 75.0 | – | – | – |",
            "| average printed in the paper | | 96.2 / 81.4 | | 96.5 / 82.7 |",
        ] {
            assert!(markdown.contains(line), "{line}\n{markdown}");
        }
        assert_eq!(table.csv().unwrap().lines().count(), 1 + 8 + 1);
    }
}
