//! How much a patch's place in its image counts: a setting, or a choice that normal images make.

use std::fmt;

use flawforge_models::Place;
use flawforge_models::forge::{FeatureMap, Weights, compared};
use flawforge_ops::vectors::Bank;
use rayon::prelude::*;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::collected::Candidates;
use super::left_out::{Kept, See};
use crate::error::Result;
use crate::windowing::Windowing;

/// What [`Position::Auto`] chooses beside 0 (proposal).
const CANDIDATE: f32 = 2.0;
/// Normal images, at most and about, that choose (proposal).
const VOTERS: usize = 64;
/// With fewer, places do not count (proposal).
const FEWEST: usize = 12;
/// Normal vectors that they are compared with (proposal).
const VECTORS: usize = 4000;
/// Blocks of an image in a row and in a column: nearly the same place are a block and those around it (proposal).
const BLOCKS: usize = 8;
/// How much farther patches of nearly the same place may be than those of any, on average (proposal): where whole images are seen,
/// and where windows are. A network that sees a whole image knows places by its borders, and has less to gain.
const MOST: f64 = 0.003;
const MOST_IN_WINDOWS: f64 = 0.012;

/// How much a patch's place counts beside each of its maps, where it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// 2 where patches of normal images are found at their own place, else 0.
    Auto,
    /// So much; 0: not at all.
    Share(f32),
}

impl Position {
    /// Not at all: what settings mean that do not name it.
    pub(super) fn none() -> Self {
        Self::Share(0.0)
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::none()
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Share(share) => serializer.serialize_f32(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Said)
    }
}

struct Said;

impl Visitor<'_> for Said {
    type Value = Position;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"auto\" or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Position, E> {
        match text {
            "auto" => Ok(Position::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> std::result::Result<Position, E> {
        Ok(Position::Share(share as f32))
    }

    fn visit_i64<E: de::Error>(self, share: i64) -> std::result::Result<Position, E> {
        Ok(Position::Share(share as f32))
    }

    fn visit_u64<E: de::Error>(self, share: u64) -> std::result::Result<Position, E> {
        Ok(Position::Share(share as f32))
    }
}

/// Normal images, and how parts of them are seen.
pub(super) struct Voters<'a> {
    pub(super) normal: &'a [(usize, Kept)],
    pub(super) windowing: Option<&'a Windowing>,
    pub(super) see: &'a See<'a>,
}

impl Voters<'_> {
    /// The share that normal images choose. What is seen of each at once is compared with patches of the others: with all of them,
    /// and with those of nearly the same place alone. Where every part has its place, the nearest patch lies there by itself and
    /// nothing is lost; elsewhere patches that would explain an image are missed, and distances grow.
    pub(super) fn choose(&self, candidates: &Candidates, seed: u64) -> Result<f32> {
        if self.normal.len() < FEWEST {
            return Ok(0.0);
        }
        let sample = candidates.sample(VECTORS, seed)?;
        let step = self.normal.len().div_ceil(VOTERS).max(1);
        let voters: Vec<&(usize, Kept)> = self.normal.iter().step_by(step).collect();
        let sums = voters.par_iter().map(|(number, kept)| {
            let (sizes, place) = kept.image.part(*number, self.windowing, self.see)?;
            match sizes.first() {
                Some(maps) => sample.distances(*number as u32, compared(maps), place),
                None => Ok([0.0; 2]),
            }
        });
        let sums: Vec<[f64; 2]> = sums.collect::<Result<_>>()?;
        let [near, any] = [0, 1].map(|which| sums.iter().map(|sums| sums[which]).sum::<f64>());
        let more = near / any - 1.0;
        let most = match self.windowing {
            None => MOST,
            Some(_) => MOST_IN_WINDOWS,
        };
        log::debug!(
            "forge: patches of nearly the same place are {:.2} % farther",
            100.0 * more
        );
        // NaN, of no distances, keeps it off.
        if more < most {
            log::info!(
                "forge: a patch's place counts (forge.position {CANDIDATE}): patches of nearly the same place are only {:.2} % farther",
                100.0 * more
            );
            return Ok(CANDIDATE);
        }
        Ok(0.0)
    }
}

/// Random normal patches that know their places.
pub(super) struct Sample {
    pub(super) vectors: Bank,
    pub(super) weights: Weights,
    /// Of each its normal image.
    pub(super) origins: Vec<u32>,
    /// Of each where it lies in its image, from 0 to 1 across and down.
    pub(super) places: Vec<[f32; 2]>,
}

impl Sample {
    /// Sums of distances of a part's patches, of normal image `number`, to the nearest patch of another image: of those of nearly the
    /// same place, and of all.
    fn distances(&self, number: u32, maps: &[FeatureMap], place: Place) -> Result<[f64; 2]> {
        let Some(others) = self.vectors.among(|index| self.origins[index] != number) else {
            return Ok([0.0; 2]);
        };
        let placed = Weights {
            position: Some(1.0),
            ..self.weights.clone()
        };
        let length = self.vectors.vectors().length();
        let mut blocks = vec![Vec::new(); BLOCKS * BLOCKS];
        for vector in placed.patches(maps, place)?.vectors.chunks_exact(length + 2) {
            let [column, row] = [vector[length], vector[length + 1]].map(block);
            blocks[row * BLOCKS + column].extend_from_slice(&vector[..length]);
        }
        let mut sums = [0.0; 2];
        for (index, queries) in blocks
            .iter()
            .enumerate()
            .filter(|(_, queries)| !queries.is_empty())
        {
            let (row, column) = (index / BLOCKS, index % BLOCKS);
            let near = self.vectors.among(|index| {
                let [x, y] = self.places[index].map(block);
                others.has(index) && x.abs_diff(column) <= 1 && y.abs_diff(row) <= 1
            });
            let Some(near) = near else {
                continue;
            };
            for (sum, among) in sums.iter_mut().zip([&near, &others]) {
                let nearest = self.vectors.nearest_among(among, queries)?;
                *sum += nearest
                    .iter()
                    .map(|one| f64::from(one.squared.max(0.0)).sqrt())
                    .sum::<f64>();
            }
        }
        Ok(sums)
    }
}

/// Which block of a row or a column a place lies in; beyond the border the outermost one.
fn block(place: f32) -> usize {
    ((place * BLOCKS as f32) as usize).min(BLOCKS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        position: Position,
    }

    #[test]
    fn a_word_or_a_number_says_it() {
        for (text, position) in [
            ("position = \"auto\"\n", Position::Auto),
            ("position = 2.5\n", Position::Share(2.5)),
        ] {
            let holder: Holder = toml::from_str(text).unwrap();
            assert_eq!(holder, Holder { position });
            assert_eq!(toml::to_string(&holder).unwrap(), text);
        }
        let whole: Holder = toml::from_str("position = 0").unwrap();
        assert!(whole.position.is_none());
        for text in ["position = \"on\"", "position = true"] {
            let fault = toml::from_str::<Holder>(text).unwrap_err().to_string();
            assert!(fault.contains("\"auto\" or a number"), "{fault}");
        }
    }
}
