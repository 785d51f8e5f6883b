//! From measures to a selection that a person can confirm.

use std::fmt::{self, Write};

use super::{Evidence, Similarity};
use crate::{Answer, Fill, Kind, Photometric, Selection, Source};

/// Where a measure says one thing, and where the other; between the two it says neither.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Up to here the measure says "free", or "silent".
    pub low: f32,
    /// From here on it says "fixed", or "visible".
    pub high: f32,
}

/// Bands of [`Similarity::best`](super::Similarity::best): parts have one layout when images coincide. Proposal; measured at
/// 96 px: connector 0.98, gear 0.96, weave 0.95, bottle (MVTec AD) 0.80; magnetic tile 0.49, leather 0.15.
pub const LIKENESS: Band = Band {
    low: 0.55,
    high: 0.70,
};

/// Of [`Evidence::repetition`]: parts have one layout when it repeats. Proposal; measured at 96 px: weave 0.97, connector
/// 0.51; leather 0.17, gear, bottle and magnetic tile 0.
pub const REPETITION: Band = Band {
    low: 0.25,
    high: 0.40,
};

/// Of [`Similarity::lost`](super::Similarity::lost), for images that coincide: orientation is fixed when turning
/// destroys the likeness. Proposal; measured at 96 px: connector 0.84, weave 0.81; bottle 0.20 (its lamps stay where they
/// are), gear 0.09.
pub const LOST: Band = Band {
    low: 0.30,
    high: 0.50,
};

/// Of [`Direction::grid`](super::Direction::grid), for images that do not coincide: orientation is fixed when gradients keep
/// to directions more sharply than light from one side makes them (which alone gives a grain of up to 0.5, and no grid).
/// Proposal; measured at 96 px: magnetic tile 0.38 (ground in one direction); leather 0.17 (lit from one side).
pub const SHARPNESS: Band = Band {
    low: 0.20,
    high: 0.30,
};

/// Of [`Bending::success`](super::Bending::success): below, near-distribution anomalies are too rare to be of use. Proposal;
/// measured at 96 px: connector 0.95, gear 0.99, weave 1.00, leather 1.00, bottle 0.91; magnetic tile 0.45.
pub const VISIBLE: Band = Band {
    low: 0.40,
    high: 0.60,
};

/// What a measure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// At or below the band.
    Low,
    /// Inside the band.
    Between,
    /// At or above the band.
    High,
}

/// A number, and how it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What was measured, in a few words.
    pub name: &'static str,
    /// The number, usually in [0, 1].
    pub value: f32,
    /// How it is read.
    pub band: Band,
    /// What a low and a high value mean.
    pub means: [&'static str; 2],
    /// Whether the answer rests on it; otherwise it is shown only.
    pub counts: bool,
}

impl Measure {
    /// What the number says.
    pub fn reading(&self) -> Reading {
        if self.value >= self.band.high {
            Reading::High
        } else if self.value > self.band.low {
            Reading::Between
        } else {
            Reading::Low
        }
    }
}

/// What the numbers say to one of the two questions of fig. 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// `Some(true)`: fixed; `Some(false)`: free; `None`: the numbers do not decide, a person must look.
    pub fixed: Option<bool>,
    /// The numbers.
    pub measures: Vec<Measure>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fixed {
            Some(true) => "fixed",
            Some(false) => "free",
            None => "undecided, look at the page",
        })
    }
}

/// A selection with what speaks for it. Made by [`Evidence::propose`]; every rule and number is a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The selection; its reason quotes the numbers.
    pub selection: Selection,
    /// Whether a change of global orientation would be an anomaly.
    pub orientation: Finding,
    /// Whether a change of relative position would be one.
    pub positions: Finding,
    /// Whether bending shows at all.
    pub bending: Measure,
    /// How far light and focus differ among the normal images. It is no part of the selection: a person who expects them to drift
    /// takes it in.
    pub light: Photometric,
}

impl Evidence {
    /// The selection that the measures speak for.
    ///
    /// * Positions are fixed when images coincide (after the best shift and turn) or their structure repeats; then
    ///   near-distribution anomalies are on, if bending shows. Undecided counts as fixed, as for an unknown category.
    /// * Orientation, where images coincide, is fixed when turning destroys that; where they do not, when gradients keep
    ///   to common directions. If it is free, normal images are rotated. Undecided counts as fixed: rotation would teach that
    ///   a turned part is normal.
    /// * Where neither positions nor orientation are fixed, the surface is an irregular texture.
    /// * Where no image has colours, textures lose theirs.
    pub fn propose(&self) -> Proposal {
        let measure = |name, value, band, means, counts| Measure {
            name,
            value,
            band,
            means,
            counts,
        };
        let layout = ["no common layout", "one layout"];
        let likeness = measure(
            "likeness at the best angle",
            self.similarity.best,
            LIKENESS,
            layout,
            true,
        );
        let repeats = ["nothing repeats", "a regular pattern"];
        let repetition = measure("repetition", self.repetition, REPETITION, repeats, true);
        let fixed = match (likeness.reading(), repetition.reading()) {
            (Reading::High, _) | (_, Reading::High) => Some(true),
            (Reading::Low, Reading::Low) => Some(false),
            _ => None,
        };
        let coincide = likeness.reading() == Reading::High;
        let positions = Finding {
            fixed,
            measures: vec![likeness, repetition],
        };

        let turning = ["any pose, or symmetric", "one pose"];
        let lost = measure(
            "share of the likeness lost by turning",
            self.similarity.lost(),
            LOST,
            turning,
            coincide,
        );
        let directions = ["no sharp direction", "one direction, or a grid"];
        let sharp = measure(
            "sharpness of common directions",
            self.direction.grid,
            SHARPNESS,
            directions,
            !coincide,
        );
        let fixed = match if coincide { lost.reading() } else { sharp.reading() } {
            Reading::High => Some(true),
            Reading::Low => Some(false),
            Reading::Between => None,
        };
        let orientation = Finding {
            fixed,
            measures: vec![lost, sharp],
        };

        let shows = ["bending hardly shows", "bending shows"];
        let bending = measure(
            "share of near-distribution tries that show",
            self.bending.success,
            VISIBLE,
            shows,
            true,
        );
        let object = coincide && self.repetition < REPETITION.high;
        let rotate_normals = orientation.fixed == Some(false);
        let source = Some(Source::Proposal);
        let bend = positions.fixed != Some(false) && bending.reading() != Reading::Low;
        let answers = [
            (Kind::Transparent, true),
            (Kind::Opaque, true),
            (Kind::NearDistribution, bend),
        ];
        let selection = Selection {
            kinds: answers
                .map(|(kind, on)| {
                    let weight = Answer::default().weight;
                    (kind, Answer { on, weight, source })
                })
                .into(),
            rotate_normals,
            rotate_source: source,
            // Rotated corners: the ground goes on beside an object, the texture everywhere else.
            fill: match (rotate_normals, object) {
                (false, _) => Fill::Black,
                (true, true) => Fill::Edge,
                (true, false) => Fill::Reflect,
            },
            grey: self.grey,
            // Neither places nor directions are fixed: no part of the image differs from another.
            texture: positions.fixed == Some(false) && rotate_normals,
            light: None,
            reason: self.reason(&orientation, &positions),
        };
        Proposal {
            selection,
            orientation,
            positions,
            bending,
            light: self.light,
        }
    }

    fn reason(&self, orientation: &Finding, positions: &Finding) -> String {
        let Similarity {
            upright,
            turned,
            best,
            ..
        } = self.similarity;
        format!(
            "measured on {} normal images: orientation {orientation} (likeness {upright:.2} upright, {turned:.2} turned; common \
             directions {:.2}); relative positions {positions} (likeness {best:.2} at the best angle; repetition {:.2}); {:.0} % \
             of near-distribution tries show, on {:.1} % of the image; {}",
            self.images,
            self.direction.grid,
            self.repetition,
            100.0 * self.bending.success,
            100.0 * self.bending.coverage,
            if self.grey { "all grey" } else { "in color" },
        )
    }
}

impl Proposal {
    /// The file form: one table of the form that [`Selections::from_toml`](crate::Selections::from_toml) reads.
    pub fn to_toml(&self, category: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let plain = !category.is_empty() && category.chars().all(bare);
        let name = if plain {
            category.to_owned()
        } else {
            quoted(category)
        };
        let chosen = &self.selection;
        let mut text = format!("[{name}]\n");
        let kinds = chosen
            .kinds
            .iter()
            .map(|(kind, answer)| (kind.name().replace('-', "_"), answer.on));
        for (key, on) in kinds.chain([("rotate_normals".to_owned(), chosen.rotate_normals)]) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {{ on = {on}, source = \"proposal\" }}");
        }
        let fill = match chosen.fill {
            Fill::Black => None,
            Fill::Edge => Some("edge"),
            Fill::Reflect => Some("reflect"),
        };
        if let Some(fill) = fill {
            let _ = writeln!(text, "fill = \"{fill}\"");
        }
        for (key, on) in [("grey", chosen.grey), ("texture", chosen.texture)] {
            if on {
                let _ = writeln!(text, "{key} = true");
            }
        }
        let light = toml::Value::try_from(chosen.light.unwrap_or(self.light));
        if let Ok(light) = light {
            let off = if chosen.light.is_some() { "" } else { "# " };
            let _ = writeln!(text, "{off}light = {light}");
        }
        let _ = writeln!(text, "reason = {}", quoted(&chosen.reason));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bending, Direction};
    use super::*;
    use crate::Selections;

    fn evidence(upright: f32, turned: f32, best: f32, grid: f32, repetition: f32, success: f32) -> Evidence {
        let similarity = Similarity {
            upright,
            turned,
            best,
            pairs: 36,
        };
        let direction = Direction {
            grain: 0.4,
            grid,
            own_grain: 0.4,
            own_grid: grid,
        };
        let bending = Bending {
            success,
            coverage: 0.02,
            tries: 240,
        };
        Evidence {
            images: 24,
            similarity,
            direction,
            repetition,
            bending,
            grey: false,
            light: Photometric::default(),
        }
    }

    #[test]
    fn answers_follow_the_measures() {
        let chosen = |e: Evidence| {
            let s = e.propose().selection;
            assert_eq!(s.texture, s.rotate_normals && !s.enables(Kind::NearDistribution));
            (s.enables(Kind::NearDistribution), s.rotate_normals, s.fill)
        };
        assert_eq!(
            chosen(evidence(0.9, 0.2, 0.9, 0.7, 0.5, 0.9)),
            (true, false, Fill::Black),
            "one pose"
        );
        assert_eq!(
            chosen(evidence(0.5, 0.5, 0.9, 0.1, 0.0, 0.9)),
            (true, true, Fill::Edge),
            "any pose"
        );
        assert_eq!(
            chosen(evidence(0.1, 0.1, 0.1, 0.1, 0.1, 0.9)),
            (false, true, Fill::Reflect),
            "irregular"
        );
        assert_eq!(
            chosen(evidence(0.3, 0.2, 0.4, 0.5, 0.1, 0.9)),
            (false, false, Fill::Black),
            "grain"
        );
        assert_eq!(
            chosen(evidence(0.2, 0.1, 0.2, 0.1, 0.9, 0.9)),
            (true, true, Fill::Reflect),
            "turned cloth"
        );
        assert_eq!(
            chosen(evidence(0.9, 0.2, 0.9, 0.7, 0.5, 0.1)),
            (false, false, Fill::Black),
            "silent"
        );
    }

    #[test]
    fn what_is_undecided_is_said_and_stays_as_for_an_unknown_category() {
        let proposal = evidence(0.6, 0.36, 0.6, 0.25, 0.1, 0.9).propose();
        assert_eq!(
            (proposal.orientation.fixed, proposal.positions.fixed),
            (None, None)
        );
        let selection = &proposal.selection;
        assert!(selection.enables(Kind::NearDistribution) && !selection.rotate_normals);
        assert_eq!(
            selection.reason.matches("undecided").count(),
            2,
            "{}",
            selection.reason
        );
    }

    #[test]
    fn the_file_form_is_read_back() {
        let found = Evidence {
            grey: true,
            ..evidence(0.5, 0.5, 0.9, 0.1, 0.0, 0.9)
        };
        let proposal = found.propose();
        assert!(proposal.selection.grey);
        for name in ["bracket", "my \"new\" parts", "größe.2"] {
            let read = Selections::from_toml(&proposal.to_toml(name)).unwrap();
            assert_eq!(read.get(name), Some(&proposal.selection));
            // A person who takes the measured light in.
            let taken = proposal.to_toml(name).replace("# light", "light");
            let read = Selections::from_toml(&taken).unwrap();
            assert_eq!(read.get(name).and_then(|one| one.light), Some(proposal.light));
        }
    }
}
