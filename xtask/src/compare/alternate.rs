//! Measuring two sides alternately.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::process::{Process, agree};
use super::rows::Row;

/// Pause before each iteration: the other side's threads may go on asking for work for a while, and would take that time.
const PAUSE: Duration = Duration::from_millis(50);

/// How a work is measured.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Iterations of each side that are not counted.
    pub warm_up: u32,
    /// Iterations of each side that are.
    pub rounds: u32,
    /// How far the values to compare may be apart, relative to the largest of ours.
    pub tolerance: f64,
}

/// Checks that both sides compute the same and times them in turn: ours, baseline, baseline, ours, ours, … so that neither
/// always follows the other.
///
/// # Errors
/// When a process fails or the values differ.
pub fn alternate(work: &str, ours: &mut Process, peer: &mut Process, settings: Settings) -> Result<Row> {
    let (expected, found) = (ours.check()?, peer.check()?);
    agree(&expected, peer.name(), &found, settings.tolerance)?;
    for _ in 0..settings.warm_up {
        ours.run()?;
        peer.run()?;
    }
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    let rested = |side: &mut Process| {
        sleep(PAUSE);
        side.run()
    };
    for round in 0..settings.rounds {
        if round % 2 == 0 {
            our_times.push(rested(ours)?);
            peer_times.push(rested(peer)?);
        } else {
            peer_times.push(rested(peer)?);
            our_times.push(rested(ours)?);
        }
    }
    let (ours_ms, peer_ms) = (median(our_times), median(peer_times));
    Ok(Row {
        work: work.to_owned(),
        precision: None,
        ours_ms,
        peer: peer.name().to_owned(),
        peer_ms,
        ratio: peer_ms / ours_ms,
        ours_peak_mb: ours.peak_mb(),
        peer_peak_mb: peer.peak_mb(),
    })
}

/// The middle value, or the mean of the two middle ones; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::Started;
    use super::*;
    use std::process::Command;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn two_processes_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let side = |name: &str, value: f64, time: f64| {
            let script =
                format!("echo ready; read a; echo values {value}; while read a; do echo time {time}; done");
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            match Process::start(name, command, &folder.path().join(name)).unwrap() {
                Started::Ready(process) => process,
                Started::Skipped(reason) => panic!("{reason}"),
            }
        };
        let settings = Settings {
            warm_up: 1,
            rounds: 3,
            tolerance: 1e-3,
        };
        let row = alternate(
            "w",
            &mut side("ours", 1.0, 2.0),
            &mut side("peer", 1.0005, 5.0),
            settings,
        )
        .unwrap();
        assert_eq!((row.ours_ms, row.peer_ms, row.ratio), (2.0, 5.0, 2.5));
        assert_eq!((row.work.as_str(), row.peer.as_str()), ("w", "peer"));
        let apart = alternate(
            "w",
            &mut side("ours", 1.0, 2.0),
            &mut side("peer", 1.1, 5.0),
            settings,
        );
        assert!(apart.unwrap_err().to_string().contains("something else"));
    }
}
