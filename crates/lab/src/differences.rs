//! Where a sweep's setting differs from the paper's, in sentences.

use crate::cell::CellResult;
use crate::plan::Plan;
use crate::tables::PaperTable;
use flawforge::source::{Images, Textures};

/// One sentence for each difference that matters in `table`.
pub(crate) fn differences(table: PaperTable, plan: &Plan, cells: &[CellResult]) -> Vec<String> {
    let profile = &plan.profile;
    let mut lines = Vec::new();
    match &plan.data {
        Images::Demo => {
            lines.push("images: the generated demo data, not MVTec AD; the paper has no value for it".into())
        }
        data => lines.push(format!("images: {}", data.describe())),
    }
    lines.push(match &plan.textures {
        Textures::Procedural => "textures: procedural noise (the paper: 5640 images of DTD)".into(),
        Textures::Folder(dir) => format!("textures: {} (the paper: 5640 images of DTD)", dir.display()),
    });
    lines.extend(deviations(plan, cells));
    if !plan.overrides.names().is_empty() {
        lines.push(format!(
            "settings of --config in every cell that has them: {}",
            plan.overrides.describe()
        ));
    }
    let grey: Vec<&str> = (plan.products.iter())
        .filter(|product| product.selection.grey)
        .map(|product| product.name.as_str())
        .collect();
    if !grey.is_empty() {
        lines.push(format!(
            "textures of selected anomalies have lost their colors for {}, whose normal images have none (the paper: in color)",
            grey.join(", ")
        ));
    }
    lines.push(format!(
        "seeds: {} (the paper: one run, no spread given)",
        plan.seeds
    ));
    lines.push(
        "selection per category, constants of the near-distribution simulation, mixing of kinds and details of split \
         training are not given in the paper; ours are in crates/augment/data/selection.toml and the run's config.toml"
            .into(),
    );
    match table {
        PaperTable::Three => lines.extend(simulated(plan)),
        PaperTable::Four => lines.push(
            "columns: draem-no-rotation is the paper's D.NoRot, draem-our-simulation its D.Our (selected anomalies, no rotation, \
             joint training), split-draem-simulation its Our.D (DRAEM's anomalies and rotation, split training)"
                .into(),
        ),
        PaperTable::One | PaperTable::Two => {}
    }
    if table == PaperTable::One {
        lines.push(
            "image scores are each method's own: DRAEM and its relatives the largest mean of the map over 21 × 21 pixels, NSA the \
             mean of the map, PatchCore the largest distance of a patch"
                .into(),
        );
    }
    lines.push(format!(
        "masks: every method is scored on the same ones, resized to {} px, a pixel being anomalous where it is fully covered \
         (DRAEM's rule); the paper does not say which protocol its baselines used",
        profile.image_size
    ));
    lines.push("no test image chooses anything: the last checkpoint is scored".into());
    lines
}

/// In which settings each method differs from its publication, every sentence once.
fn deviations(plan: &Plan, cells: &[CellResult]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for &method in &plan.methods {
        let steps = cells
            .iter()
            .find(|cell| cell.method == method)
            .map(|cell| cell.steps);
        // Settings that were good enough for the cells are good enough here.
        let Ok((experiment, _)) = plan.experiment(method, 0, 0) else {
            continue;
        };
        for line in experiment.deviations(steps.unwrap_or_default()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// What the paper leaves open about its simulated dataset.
fn simulated(plan: &Plan) -> Vec<String> {
    let unknown: Vec<&str> = (plan.products.iter())
        .filter(|product| product.nsa.is_none())
        .map(|product| product.name.as_str())
        .collect();
    let mut lines = vec![
        "the simulated dataset: every normal test image once clean and 3 times with an anomaly of each kind, seed 0; the paper \
         gives no number of images, no constants and no seed"
            .to_owned(),
        "the near-distribution row is not printed in the paper: its averages are those of five rows, and its values here are \
         what they imply (± 0.45)"
            .to_owned(),
        "a kind is averaged over the categories; near-distribution anomalies are made in all of them, and once more averaged \
         over those whose selection has them"
            .to_owned(),
        "opaque and transparent anomalies come from the textures that the methods were trained with".to_owned(),
    ];
    if !unknown.is_empty() {
        lines.push(format!(
            "NSA's code has no constants for {}; those of an object without a background model are used",
            unknown.join(", ")
        ));
    }
    lines
}
