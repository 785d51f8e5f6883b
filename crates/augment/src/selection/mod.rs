//! Which kinds of anomaly suit which category.

pub mod evidence;
mod selections;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use selections::{SelectionError, Selections};

use crate::{Fill, Kind, Photometric};

/// Which kinds of simulated anomaly count as defects in a category, and whether its normal images may be rotated:
/// the outcome of Lin & Yan's selection strategy (fig. 1).
///
/// Covering kinds (transparent, opaque) are always anomalies. NDAA is on when a change of relative position is
/// an anomaly. Rotation of normals is on when a change of global orientation is *not* one. The kinds of other methods
/// can be chosen as well (proposal).
///
/// TOML form. Every key may be left out: a kind that is not named is off, and a bare `true` or `false` has no source. Each
/// kind of [`Kind::ALL`] has its key.
///
/// ```toml
/// ["my parts"]
/// transparent = true
/// opaque = true
/// near_distribution = { on = true, source = "proposal" }
/// cut_paste = true
/// rotate_normals = false
/// fill = "edge"
/// light = { brightness = [0.95, 1.05], blur = 0.5 }
/// weights = { near_distribution = 2.0 }
/// reason = "fixed pose; bent pins are defects"
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The answer for each kind. A kind without one is off, so an answer equal to [`Answer::default`] is redundant: reading
    /// and [`with`](Self::with) leave it out, and other code should not insert it. An answer "off" that has a source or a
    /// weight is kept. Only kinds of [`Kind::ALL`] count; others are neither drawn nor written.
    pub kinds: BTreeMap<Kind, Answer>,
    /// Whether normal images are rotated, as normal images.
    pub rotate_normals: bool,
    /// Where the answer on rotation comes from; `None` if that is unknown.
    pub rotate_source: Option<Source>,
    /// What the corners of rotated normal images show; black, as DRAEM.
    pub fill: Fill,
    /// Whether anomalies lose their colors, because normal images have none; not by default, as in both papers.
    pub grey: bool,
    /// An irregular surface: any part of the image is as good as another, whatever its orientation. NSA prepares the images
    /// of such a category in another way ([`Preparation::Texture`](crate::Preparation::Texture)).
    pub texture: bool,
    /// How light and focus of normal images may vary, as normal ones; not at all by default, as in both papers.
    pub light: Option<Photometric>,
    /// Why, for people.
    pub reason: String,
}

/// Whether a kind of anomaly is one in a category, and how often it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Whether it is one.
    pub on: bool,
    /// How often it is drawn, relative to the other enabled kinds; finite, at least 0.
    pub weight: f64,
    /// Where the answer comes from; `None` if that is unknown.
    pub source: Option<Source>,
}

/// What holds for a kind that is not named: off, weight 1.
impl Default for Answer {
    fn default() -> Self {
        Self {
            on: false,
            weight: 1.0,
            source: None,
        }
    }
}

/// Where an answer of a selection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Follows from the metrics that Lin & Yan print.
    PaperInferred,
    /// This project's judgement; the paper does not print its selection.
    Proposal,
}

/// The paper's three kinds are on, rotation is off. Covering kinds are defects in every category. Most manufactured parts have a
/// fixed layout, so a local distortion is a defect too (proposal).
impl Default for Selection {
    fn default() -> Self {
        Kind::PAPER
            .into_iter()
            .fold(Self::nothing(), |selection, kind| selection.with(kind, true))
    }
}

impl Selection {
    fn nothing() -> Self {
        Self {
            kinds: BTreeMap::new(),
            rotate_normals: false,
            rotate_source: None,
            fill: Fill::Black,
            grey: false,
            texture: false,
            light: None,
            reason: String::new(),
        }
    }

    /// A single kind, and nothing is rotated. Without any for a kind that cannot be selected.
    pub fn only(kind: Kind) -> Self {
        Self::nothing().with(kind, true)
    }

    /// The same with a kind switched on or off. The weight stays; the source goes when the answer is another one. Kinds that
    /// cannot be selected change nothing.
    #[must_use]
    pub fn with(mut self, kind: Kind, on: bool) -> Self {
        let answer = self.answer(kind);
        let source = answer.source.filter(|_| answer.on == on);
        self.set(kind, Answer { on, source, ..answer });
        self
    }

    /// Whether a kind is enabled.
    pub fn enables(&self, kind: Kind) -> bool {
        kind.is_selectable() && self.answer(kind).on
    }

    /// How often a kind is drawn when it is on, relative to the other enabled ones; 1 by default.
    pub fn weight(&self, kind: Kind) -> f64 {
        self.answer(kind).weight
    }

    /// The kinds that are drawn, those that are on and have a weight greater than 0, with their weights, in the order of
    /// [`Kind::ALL`].
    pub fn enabled(&self) -> impl Iterator<Item = (Kind, f64)> + '_ {
        self.kinds
            .iter()
            .filter(|(kind, answer)| kind.is_selectable() && answer.on && answer.weight > 0.0)
            .map(|(&kind, answer)| (kind, answer.weight))
    }

    /// What is said about a kind, or what holds when nothing is said.
    fn answer(&self, kind: Kind) -> Answer {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// Notes an answer unless it says nothing.
    fn set(&mut self, kind: Kind, answer: Answer) {
        if answer == Answer::default() {
            self.kinds.remove(&kind);
        } else if kind.is_selectable() {
            self.kinds.insert(kind, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_papers() {
        let selection = Selection::default();
        let enabled: Vec<(Kind, f64)> = selection.enabled().collect();
        assert_eq!(enabled, Kind::PAPER.map(|kind| (kind, 1.0)));
        for kind in Kind::ALL {
            assert_eq!(selection.enables(kind), Kind::PAPER.contains(&kind), "{kind}");
        }
    }

    #[test]
    fn switching_leaves_no_answers_that_say_nothing() {
        for kind in Kind::ALL {
            let only = Selection::only(kind);
            assert_eq!(only.enabled().collect::<Vec<_>>(), [(kind, 1.0)]);
            assert!(only.with(kind, false).kinds.is_empty());
        }
        for kind in [Kind::Other, Kind::Custom("burn-mark")] {
            let selection = Selection::only(kind);
            assert!(selection.kinds.is_empty() && !selection.enables(kind));
        }
    }

    #[test]
    fn another_answer_has_another_source() {
        let source = Some(Source::PaperInferred);
        let mut selection = Selection::default();
        selection.kinds.insert(
            Kind::Opaque,
            Answer {
                on: true,
                weight: 2.0,
                source,
            },
        );
        let same = selection.clone().with(Kind::Opaque, true);
        assert_eq!(same, selection);
        let off = selection.with(Kind::Opaque, false);
        assert_eq!(
            off.kinds[&Kind::Opaque],
            Answer {
                on: false,
                weight: 2.0,
                source: None
            }
        );
        assert!(off.enabled().all(|(kind, _)| kind != Kind::Opaque));
    }
}
