//! A process that computes and times on request.
//!
//! The protocol is one line each way over its standard input and output, spoken on the other side by [`serve`](super::serve)
//! in Rust and by `serve.py` in Python:
//!
//! | we write | it answers |
//! |---|---|
//! | nothing yet | `ready`, or `skip REASON` when it cannot run here |
//! | `check` | `values V V …`: what both sides must agree on |
//! | `run` | `time MILLISECONDS` of one iteration |
//!
//! It ends when its input does. What it complains of goes to a log file, whose end is shown when it fails.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running process, waiting for requests.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    log: PathBuf,
}

/// How a process began.
#[derive(Debug)]
pub enum Started {
    /// It waits for requests.
    Ready(Process),
    /// It cannot run here, and says why.
    Skipped(String),
}

impl Process {
    /// Starts `command` and waits until it is ready. `name` names it in messages; `log` is overwritten.
    ///
    /// # Errors
    /// When it cannot be started, or fails before it is ready.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Started> {
        let complaints =
            File::create(log).with_context(|| format!("{}: cannot be written", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .spawn()
            .with_context(|| format!("{name}: cannot be started"))?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = BufReader::new(from.context("a started process has no output")?);
        let mut process = Self {
            name: name.to_owned(),
            child,
            to,
            from,
            log: log.to_owned(),
        };
        let answer = process.answer()?;
        match answer.split_once(' ') {
            None if answer == "ready" => Ok(Started::Ready(process)),
            Some(("skip", reason)) => Ok(Started::Skipped(reason.to_owned())),
            _ => Err(process.unexpected(&answer)),
        }
    }

    /// The values that both sides must agree on.
    ///
    /// # Errors
    /// When the process fails or answers something else.
    pub fn check(&mut self) -> Result<Vec<f64>> {
        let answer = self.ask("check")?;
        let values = answer
            .strip_prefix("values")
            .ok_or_else(|| self.unexpected(&answer))?;
        let values: Result<Vec<f64>, _> = values.split_whitespace().map(str::parse).collect();
        values.map_err(|_| self.unexpected(&answer))
    }

    /// Milliseconds that one iteration takes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn run(&mut self) -> Result<f64> {
        let answer = self.ask("run")?;
        let time = answer.strip_prefix("time ").and_then(|time| time.parse().ok());
        time.ok_or_else(|| self.unexpected(&answer))
    }

    /// The most memory that the process has held so far, in MB (10⁶ bytes); `None` where the system does not say.
    pub fn peak_mb(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        peak_in(&status)
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        let sent = match &mut self.to {
            Some(to) => writeln!(to, "{request}").and_then(|()| to.flush()),
            None => Ok(()),
        };
        // When it has died, its log says more than a broken pipe does.
        if sent.is_err() {
            return Err(self.ended());
        }
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(self.ended());
        }
        Ok(line.trim_end().to_owned())
    }

    fn ended(&self) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.trim().lines().last().unwrap_or("it left no message");
        anyhow::anyhow!(
            "{} ended unexpectedly: {last} (more in {})",
            self.name,
            self.log.display()
        )
    }

    fn unexpected(&self, answer: &str) -> anyhow::Error {
        anyhow::anyhow!("{} answered {answer:?}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input asks it to leave; one that is stuck must not hold its memory any longer.
        self.to = None;
        for _ in 0..50 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `VmHWM` of a `/proc/PID/status`, in MB.
fn peak_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Fails unless both sides' values agree to `tolerance`, relative to the largest of ours.
///
/// # Errors
/// Values of different number, not finite, or too far apart.
pub fn agree(ours: &[f64], peer: &str, theirs: &[f64], tolerance: f64) -> Result<()> {
    if ours.len() != theirs.len() {
        bail!(
            "{peer} gave {} values to compare, we {}",
            theirs.len(),
            ours.len()
        );
    }
    let scale = ours.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        // Written so that a value that is not a number fails.
        let near = (ours - theirs).abs() <= tolerance * scale;
        if !near {
            bail!(
                "{peer} computes something else: value {index} is {theirs}, ours is {ours} (tolerance {tolerance})"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Result<Started>) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let started = Process::start("peer", command, &folder.path().join("log"));
        (folder, started)
    }

    #[test]
    fn a_process_is_asked_line_by_line() {
        let (_folder, started) =
            shell("echo ready; read a; echo values 1 2.5; read b; echo time 7.25; read c");
        let Started::Ready(mut process) = started.unwrap() else {
            panic!("skipped")
        };
        assert_eq!(process.check().unwrap(), [1.0, 2.5]);
        assert_eq!(process.run().unwrap(), 7.25);
        #[cfg(target_os = "linux")]
        assert!(process.peak_mb().unwrap() > 0.1);
    }

    #[test]
    fn a_process_may_decline_or_die_and_says_why() {
        let (_folder, started) = shell("echo skip no compiler");
        assert!(matches!(started.unwrap(), Started::Skipped(reason) if reason == "no compiler"));
        let (_folder, started) = shell("echo first >&2; echo out of memory >&2; exit 1");
        let fault = started.unwrap_err().to_string();
        assert!(fault.contains("out of memory"), "{fault}");
        let (_folder, started) = shell("echo ready; read a; echo nonsense");
        let Started::Ready(mut process) = started.unwrap() else {
            panic!("skipped")
        };
        assert!(process.run().unwrap_err().to_string().contains("nonsense"));
    }

    #[test]
    fn disagreement_is_noticed() {
        assert!(agree(&[1.0, 0.001], "peer", &[1.0, 0.0011], 1e-3).is_ok());
        for theirs in [&[1.0, 0.01][..], &[1.0, f64::NAN], &[1.0]] {
            assert!(agree(&[1.0, 0.001], "peer", theirs, 1e-3).is_err());
        }
    }

    #[test]
    fn the_peak_is_read_in_megabytes() {
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   15625 kB\n";
        assert_eq!(peak_in(status), Some(16.0));
        assert_eq!(peak_in("Name:\tx\n"), None);
    }
}
