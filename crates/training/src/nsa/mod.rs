//! NSA (Schlüter et al. 2022): how its images are prepared, its batches, its recipe.
//!
//! ```text
//! category ── Preparation ── rotation, crops ──┐
//!          └─ constants (nsa.toml) ────────────┴─> patches blended in ── soft labels ──> NsaNetwork, cross-entropy
//! ```

mod batches;
mod preparation;
mod recipe;

use flawforge_augment::{LabelKind, Nsa, NsaSettings};

pub(crate) use batches::NsaBatches;
pub(crate) use preparation::Preparation;
pub use recipe::NsaRecipe;

use crate::assembly::Subject;
use crate::config::Config;

/// What NSA's constants are for a category: those of `nsa.toml` of `flawforge-augment` for MVTec AD's. For others, by its selection (proposal):
/// for an object the defaults, which are the transistor's (no background model), for a texture those of tile.
pub(crate) fn constants(subject: Subject<'_>) -> NsaSettings {
    let mut known = NsaSettings::builtin();
    known.remove(subject.category).unwrap_or_else(|| {
        match Preparation::of(subject) {
            Preparation::Texture => known.remove("tile"),
            _ => None,
        }
        .unwrap_or_default()
    })
}

/// The simulator of a run.
pub(crate) fn simulator(config: &Config, subject: Subject<'_>) -> Nsa {
    Nsa {
        label: label_kind(config),
        ..Nsa::new(constants(subject))
    }
}

/// The kind of the labels: a setting, with NSA's main variant where a run of another method is asked.
pub(crate) fn label_kind(config: &Config) -> LabelKind {
    config
        .nsa
        .as_ref()
        .map_or_else(LabelKind::default, |nsa| nsa.label)
}
