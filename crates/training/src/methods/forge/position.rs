//! How much a patch's place in its image counts: a setting, or a choice that normal images make.

use std::fmt;

use flawforge_models::Place;
use flawforge_models::forge::{FeatureMap, Weights, compared};
use flawforge_ops::vectors::{Among, Bank};
use rayon::prelude::*;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::collected::Candidates;
use super::left_out::{Kept, KeptImage};
use crate::error::Result;

/// What [`Position::Auto`] chooses beside 0 (proposal).
const CANDIDATE: f32 = 2.0;
/// Normal images, at most and about, that choose (proposal).
const VOTERS: usize = 64;
/// Normal vectors that they are compared with (proposal).
const VECTORS: usize = 4000;
/// Blocks of an image in a row and in a column: nearly the same place are a block and those around it (proposal).
const BLOCKS: usize = 8;
/// How much farther patches of nearly the same place may be than those of any, on average (proposal).
const MOST: f64 = 0.003;

/// How much a patch's place counts beside each of its maps, where it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// 2 where patches of normal images are found at their own place, else 0; 0 where images are seen in windows.
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

/// The share that normal images choose. Each is compared with patches of the others: with all of them, and with those of nearly
/// the same place alone. Where every part has its place, the nearest patch lies there by itself and nothing is lost; elsewhere
/// patches that would explain an image are missed, and distances grow.
pub(super) fn chosen(candidates: &Candidates, normal: &[(usize, Kept)], seed: u64) -> Result<f32> {
    let sample = candidates.sample(VECTORS, seed)?;
    let voters: Vec<&(usize, Kept)> = normal
        .iter()
        .step_by(normal.len().div_ceil(VOTERS).max(1))
        .collect();
    let sums = voters.par_iter().map(|(number, kept)| match &kept.image {
        KeptImage::Seen(sizes) => match sizes.first() {
            Some(maps) => sample.distances(*number as u32, compared(maps)),
            None => Ok((0.0, 0.0)),
        },
        KeptImage::Shown(_) => Ok((0.0, 0.0)),
    });
    let sums: Vec<(f64, f64)> = sums.collect::<Result<_>>()?;
    let (near, any) = sums
        .iter()
        .fold((0.0, 0.0), |(near, any), sums| (near + sums.0, any + sums.1));
    let more = near / any - 1.0;
    // NaN, of no distances, keeps it off.
    if more < MOST {
        log::info!(
            "forge: a patch's place counts (forge.position {CANDIDATE}): patches of nearly the same place are only {:.2} % farther",
            100.0 * more
        );
        return Ok(CANDIDATE);
    }
    Ok(0.0)
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
    /// Sums of distances of the patches of normal image `number` to the nearest patch of another image: of those of nearly the same
    /// place, and of all.
    fn distances(&self, number: u32, maps: &[FeatureMap]) -> Result<(f64, f64)> {
        let patches = self.weights.patches(maps, Place::WHOLE)?;
        let length = self.vectors.vectors().length();
        let (mut near, mut any) = (0.0, 0.0);
        let Some(others) = self.vectors.among(|index| self.origins[index] != number) else {
            return Ok((near, any));
        };
        for (row, column) in (0..BLOCKS).flat_map(|row| (0..BLOCKS).map(move |column| (row, column))) {
            let center = [column, row].map(|block| (block as f32 + 0.5) / BLOCKS as f32);
            let around = self.vectors.among(|index| {
                let place = self.places[index];
                let is_near = |axis: usize| (place[axis] - center[axis]).abs() <= 1.5 / BLOCKS as f32;
                others.has(index) && is_near(0) && is_near(1)
            });
            let of = |block: usize, count: usize| block * count / BLOCKS..(block + 1) * count / BLOCKS;
            let mut queries = Vec::new();
            for y in of(row, patches.height) {
                let columns = of(column, patches.width);
                let from = y * patches.width;
                queries.extend_from_slice(
                    &patches.vectors[(from + columns.start) * length..(from + columns.end) * length],
                );
            }
            let (Some(around), false) = (around, queries.is_empty()) else {
                continue;
            };
            let sum = |among: &Among| -> Result<f64> {
                let nearest = self.vectors.nearest_among(among, &queries)?;
                let distances = nearest.iter().map(|one| f64::from(one.squared.max(0.0)).sqrt());
                Ok(distances.sum())
            };
            near += sum(&around)?;
            any += sum(&others)?;
        }
        Ok((near, any))
    }
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
