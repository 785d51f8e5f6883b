//! What is said of one input: a line of JSON, and a row of a table made from it alone.

use anyhow::{Context, Result};
use flawforge::metrics::{Region, RunLengths};
use serde::{Deserialize, Serialize};

use super::super::output::cell;

/// The columns of `scores.csv`.
pub(super) const COLUMNS: [&str; 12] = [
    "image",
    "width",
    "height",
    "score",
    "protocol_score",
    "threshold",
    "look_from",
    "verdict",
    "warning",
    "regions",
    "error",
    "settings",
];

/// A region with its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    #[serde(flatten)]
    pub(super) region: Region,
    /// Its pixels in the image, in COCO's compressed run lengths; empty in rows of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) rle: String,
}

impl Found {
    pub(super) fn new(region: Region, shape: &RunLengths) -> Self {
        Self {
            region,
            rle: shape.compressed(),
        }
    }
}

/// What is said of one input. Fields that say nothing are left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    /// The file: absolute, whatever was typed.
    pub(super) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<u32>,
    /// The score that verdicts are made on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<f32>,
    /// The score of the published protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol_score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) look_from: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pixel_threshold: Option<f32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) verdict: String,
    /// What is doubtful about the image or the threshold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    /// How many regions reach the pixel threshold; without one nothing is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) regions_found: Option<usize>,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) regions: Vec<Found>,
    /// Why there is no score.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) error: String,
    /// What its pictures are called below the folder of results.
    pub(super) name: String,
    /// Bytes of the file, and the time of its last change in nanoseconds since 1970, written as a date: whether it is still the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time")]
    pub(super) modified: Option<u64>,
    /// Whether the run was trained on it.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) trained_on: bool,
    /// What tells the run and the options that decide a row from others.
    pub(super) settings: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Nanoseconds since 1970 as a date, `2026-11-27T19:00:44.25Z`. Earlier versions wrote the number.
mod time {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Nanoseconds(u64),
        Date(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        let written = value.map(
            |nanoseconds| match Timestamp::from_nanosecond(nanoseconds.into()) {
                Ok(date) => Written::Date(date.to_string()),
                // Beyond the year 9999.
                Err(_) => Written::Nanoseconds(nanoseconds),
            },
        );
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        match Option::deserialize(deserializer)? {
            None => Ok(None),
            Some(Written::Nanoseconds(nanoseconds)) => Ok(Some(nanoseconds)),
            Some(Written::Date(date)) => {
                let date: Timestamp = date.parse().map_err(Error::custom)?;
                u64::try_from(date.as_nanosecond())
                    .map(Some)
                    .map_err(Error::custom)
            }
        }
    }
}

impl Row {
    /// The line of `scores.jsonl`, with its end.
    ///
    /// # Errors
    /// None that is known; a row that cannot be JSON.
    pub(super) fn json(&self) -> Result<String> {
        let mut line = serde_json::to_string(self).with_context(|| self.image.clone())?;
        line.push('\n');
        Ok(line)
    }

    /// The line of `scores.csv`, with its end.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub(super) fn csv(&self) -> Result<Vec<u8>> {
        let number = |value: Option<f32>| value.map_or_else(String::new, |value| value.to_string());
        let count = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
        let warnings = self.warnings.join("; ");
        let regions = self
            .regions_found
            .map_or_else(String::new, |found| found.to_string());
        line([
            cell(&self.image).as_ref(),
            &count(self.width),
            &count(self.height),
            &number(self.score),
            &number(self.protocol_score),
            &number(self.threshold),
            &number(self.look_from),
            &self.verdict,
            cell(&warnings).as_ref(),
            &regions,
            cell(&self.error).as_ref(),
            &self.settings,
        ])
    }

    /// What tells this input, as it is now, under these settings from all others.
    pub(super) fn key(&self) -> u64 {
        key(&self.image, self.bytes, self.modified, &self.settings)
    }
}

/// The first line of `scores.csv`.
pub(super) fn header() -> Result<Vec<u8>> {
    line(COLUMNS)
}

fn line<const N: usize>(cells: [&str; N]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).context("scores.csv")?;
    writer.into_inner().context("scores.csv")
}

/// See [`Row::key`].
pub(super) fn key(image: &str, bytes: Option<u64>, modified: Option<u64>, settings: &str) -> u64 {
    hash(&(image, bytes, modified, settings))
}

/// A number for a value, the same in the whole process.
pub(super) fn hash(value: &impl std::hash::Hash) -> u64 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_from_json_with_the_same_line_of_the_table() {
        let row = Row {
            image: "/parts/=1, \"a\".png".to_owned(),
            width: Some(40),
            height: Some(30),
            score: Some(0.1 + 0.2),
            threshold: Some(1.0e-9),
            verdict: "anomalous".to_owned(),
            warnings: vec!["=dark".to_owned(), "small".to_owned()],
            regions_found: Some(1),
            regions: vec![Found {
                region: Region {
                    bounds: [1, 2, 3, 4],
                    area: 7,
                    peak: 0.75,
                    mean: 0.5,
                },
                rle: "91".to_owned(),
            }],
            name: "a".to_owned(),
            modified: Some(1_764_270_044_123_456_789),
            settings: "0123".to_owned(),
            ..Row::default()
        };
        let json = row.json().unwrap();
        assert!(
            json.contains("\"modified\":\"2025-11-27T19:00:44.123456789Z\""),
            "{json}"
        );
        let date = "\"2025-11-27T19:00:44.123456789Z\"";
        let earlier = json.replace(date, "1764270044123456789");
        assert_eq!(serde_json::from_str::<Row>(&earlier).unwrap(), row);
        assert!(
            json.contains(
                "\"regions\":[{\"box\":[1,2,3,4],\"area\":7,\"peak\":0.75,\"mean\":0.5,\"rle\":\"91\"}]"
            ),
            "{json}"
        );
        let back: Row = serde_json::from_str(&json).unwrap();
        assert_eq!(back, row);
        assert_eq!(back.csv().unwrap(), row.csv().unwrap());
        let text = String::from_utf8(row.csv().unwrap()).unwrap();
        assert_eq!(
            text,
            "\"/parts/=1, \"\"a\"\".png\",40,30,0.3,,0.000000001,,anomalous,'=dark; small,1,,0123\n"
        );
    }
}
