//! What is said of one input: a line of JSON, and a row of a table made from it alone.

use std::path::Path;

use anyhow::{Context, Result};
use flawforge::metrics::{Region, RunLengths};
use serde::{Deserialize, Serialize};

use super::super::output::cell;

/// The columns of `scores.csv`.
pub(super) const COLUMNS: [&str; 11] = [
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
    /// Bytes of the file, and the time of its last change in nanoseconds since 1970: whether it is still the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<u64>,
    /// What tells the run and the options that decide a row from others.
    pub(super) settings: String,
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
        ])
    }

    /// What tells this input, as it is now, under these settings from all others.
    pub(super) fn key(&self) -> u64 {
        key(&self.image, self.bytes, self.modified, &self.settings)
    }

    /// The file's own name.
    pub(super) fn short(&self) -> String {
        let name = Path::new(&self.image).file_name();
        name.map_or_else(|| self.image.clone(), |name| name.to_string_lossy().into_owned())
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
            ..Row::default()
        };
        let json = row.json().unwrap();
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
            "\"/parts/=1, \"\"a\"\".png\",40,30,0.3,,0.000000001,,anomalous,'=dark; small,1,\n"
        );
    }
}
