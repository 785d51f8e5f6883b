//! Where a sweep's setting differs from the paper's, in sentences.

use crate::backbone::SweepBackbone;
use crate::cell::CellResult;
use crate::plan::Plan;
use crate::tables::PaperTable;
use flawforge::augment::NsaSettings;
use flawforge::ops::Precision;
use flawforge::source::{Images, Textures};
use flawforge::training::Method;

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
    if profile.name != "paper" {
        let two_networks = |cell: &&CellResult| cell.method.contains("draem") || cell.method == "lin-yan";
        let steps = cells.iter().find(two_networks).map_or(0, |cell| cell.steps);
        lines.push(format!(
            "budget of DRAEM and its relatives: profile {}, {} steps of {} images at learning rate {} (DRAEM: 700 epochs, \
             18,900 steps for bottle, at 0.0001)",
            profile.name, steps, profile.batch, profile.learning_rate
        ));
        lines.push(format!(
            "their networks: widths {} and {} at {} px (DRAEM: 128 and 64 at 256 px)",
            profile.reconstructive_width, profile.discriminative_width, profile.image_size
        ));
    }
    if plan.precision == Precision::Bf16 {
        lines.push("their convolutions multiply in bfloat16; sums and weights are single precision".into());
    }
    let grey: Vec<&str> = (plan.categories.iter().zip(&plan.selections))
        .filter(|(_, selection)| selection.grey)
        .map(|(name, _)| name.as_str())
        .collect();
    if !grey.is_empty() {
        lines.push(format!(
            "textures of selected anomalies have lost their colours for {}, whose normal images have none (the paper: in colour)",
            grey.join(", ")
        ));
    }
    if plan.methods.contains(&Method::Nsa) {
        if profile.name != "paper" {
            let nsa = &profile.nsa;
            lines.push(format!(
                "NSA: width {}, {} of {} images at learning rate {} (its code: width 64, 320 or 560 epochs of 64 images)",
                nsa.width, nsa.length, nsa.batch, nsa.learning_rate
            ));
        }
        lines.push(
            "NSA looks at the central part of its images; its maps are scored on whole images (0 around that part), and in a \
             grid of their own on the part alone"
                .into(),
        );
    }
    lines.extend(plan.backbone.as_ref().and_then(SweepBackbone::difference));
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

/// What the paper leaves open about its simulated dataset.
fn simulated(plan: &Plan) -> Vec<String> {
    let known = NsaSettings::builtin();
    let unknown: Vec<&str> = plan
        .categories
        .iter()
        .filter(|name| !known.contains_key(*name))
        .map(String::as_str)
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
