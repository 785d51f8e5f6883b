//! What a comparison found: rows, printed as a table and written as JSON.

use anyhow::Result;
use flawforge::files;
use serde::Serialize;
use std::path::Path;

/// One work beside one baseline. Times are medians.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was computed.
    pub work: String,
    /// Precision of our convolutions, if it can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Our milliseconds for one iteration.
    pub ours_ms: f64,
    /// Name of the baseline.
    pub peer: String,
    /// The baseline's milliseconds for one iteration.
    pub peer_ms: f64,
    /// The baseline's time divided by ours: how many times faster we are.
    pub ratio: f64,
    /// The most memory that our process held, MB; left out where it is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours_peak_mb: Option<f64>,
    /// The most memory that the baseline's process held, MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_peak_mb: Option<f64>,
}

/// Prints rows as a table.
pub fn print(rows: &[Row]) {
    print!("{}", table(rows));
}

/// Writes rows as a JSON array, replacing the file at once.
///
/// # Errors
/// When the file cannot be written.
pub fn write(rows: &[Row], path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(rows)?;
    Ok(files::write(path, format!("{text}\n").as_bytes())?)
}

fn table(rows: &[Row]) -> String {
    let mut cells = vec![
        [
            "work", "peer", "ours in", "ours ms", "peer ms", "ratio", "ours MB", "peer MB",
        ]
        .map(str::to_owned),
    ];
    let memory = |mb: Option<f64>| mb.map_or_else(|| "-".to_owned(), |mb| format!("{mb:.0}"));
    for row in rows {
        cells.push([
            row.work.clone(),
            row.peer.clone(),
            row.precision.clone().unwrap_or_else(|| "-".to_owned()),
            significant(row.ours_ms),
            significant(row.peer_ms),
            format!("{:.2}", row.ratio),
            memory(row.ours_peak_mb),
            memory(row.peer_peak_mb),
        ]);
    }
    let width = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for row in &cells {
        let line: Vec<String> = (0..row.len())
            .map(|column| match column {
                0..=2 => format!("{:<1$}", row[column], width(column)),
                _ => format!("{:>1$}", row[column], width(column)),
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Three digits, or all before the point.
fn significant(ms: f64) -> String {
    let digits = if ms < 1.0 {
        4
    } else if ms < 10.0 {
        2
    } else if ms < 100.0 {
        1
    } else {
        0
    };
    format!("{ms:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_table_and_json() {
        let row = Row {
            work: "step".into(),
            precision: Some("f32".into()),
            ours_ms: 12.34,
            peer: "torch f32".into(),
            peer_ms: 24.68,
            ratio: 2.0,
            ours_peak_mb: Some(100.4),
            peer_peak_mb: None,
        };
        let text = table(std::slice::from_ref(&row));
        assert_eq!(
            text,
            "work  peer       ours in  ours ms  peer ms  ratio  ours MB  peer MB\nstep  torch f32  f32         12.3     24.7   2.00      100        -\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.json");
        write(&[row], &path).unwrap();
        let read: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read[0]["ours_peak_mb"], 100.4);
        assert!(read[0].get("peer_peak_mb").is_none());
    }
}
