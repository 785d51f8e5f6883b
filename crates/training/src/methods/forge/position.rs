//! How much a patch's place in its image counts: a setting, or a choice that normal images make.

use std::fmt;

use flawforge_models::Place;
use flawforge_models::forge::compared;
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
const VECTORS: usize = 2000;

/// How much a patch's place counts beside each of its maps, where it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// 2 where that makes the scores of normal images more alike, else 0; 0 where images are seen in windows.
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

/// The share that normal images choose. Each is compared with patches of the others, with and without their places. Where every
/// part has its place in the image, patches of other places only hide what differs, and scores become more alike when these count
/// less; where nothing has one, patches are missed that would explain an image.
pub(super) fn chosen(candidates: &Candidates, normal: &[(usize, Kept)], seed: u64) -> Result<f32> {
    let voters: Vec<&(usize, Kept)> = normal
        .iter()
        .step_by(normal.len().div_ceil(VOTERS).max(1))
        .collect();
    let mut spreads = [0.0f64; 2];
    for (spread, share) in spreads.iter_mut().zip([0.0, CANDIDATE]) {
        let bank = candidates.sample(VECTORS, share, seed)?;
        let scores = voters.par_iter().map(|(number, kept)| {
            let KeptImage::Seen(sizes) = &kept.image else {
                return Ok(None);
            };
            let Some(maps) = sizes.first() else {
                return Ok(None);
            };
            let map = bank.distances_without(*number as u32, compared(maps), Place::WHOLE)?;
            Ok(map.map(|map| {
                let largest = map.scores.iter().copied().fold(0.0, f32::max);
                let sum: f64 = map.scores.iter().copied().map(f64::from).sum();
                f64::from(largest) - sum / map.scores.len().max(1) as f64
            }))
        });
        let scores: Vec<Option<f64>> = scores.collect::<Result<_>>()?;
        *spread = relative_spread(&scores.into_iter().flatten().collect::<Vec<f64>>());
    }
    let [without, with] = spreads;
    // NaN, of no scores, keeps it off.
    if with < without {
        log::info!(
            "forge: a patch's place counts (forge.position {CANDIDATE}): scores of normal images differ by {:.1} % of their mean, by \
             {:.1} % without",
            100.0 * with,
            100.0 * without
        );
        return Ok(CANDIDATE);
    }
    Ok(0.0)
}

/// The standard deviation of these scores as a share of their mean.
fn relative_spread(scores: &[f64]) -> f64 {
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() / mean
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

    #[test]
    fn a_spread_is_relative() {
        assert_eq!(relative_spread(&[1.0, 3.0]), 0.5);
        assert_eq!(relative_spread(&[10.0, 30.0]), 0.5);
        assert!(relative_spread(&[]).is_nan());
    }
}
