//! What is known of a product before anything is trained.

use flawforge_augment::{NsaSettings, Selection, Selections};

/// A category and what is known of it: its name, which simulated anomalies suit it, and published constants where there are any.
///
/// A name alone says nothing: a folder of yours called `bottle` shows other bottles than MVTec AD's. Published facts are used
/// where the images are known to be published ones, by [`Product::mvtec`].
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The category's name.
    pub name: String,
    /// Which simulated anomalies suit it, and whether its normal images may be rotated.
    pub selection: Selection,
    /// NSA's constants for it, where its authors give any.
    pub nsa: Option<NsaSettings>,
}

impl Product {
    /// A product of yours.
    pub fn new(name: impl Into<String>, selection: Selection) -> Self {
        Self {
            name: name.into(),
            selection,
            nsa: None,
        }
    }

    /// A category of MVTec AD with the facts that are published of it; `None` for any other name.
    pub fn mvtec(name: &str) -> Option<Self> {
        let selection = Selections::builtin().get(name)?.clone();
        Some(Self {
            nsa: NsaSettings::builtin().remove(name),
            ..Self::new(name, selection)
        })
    }
}
