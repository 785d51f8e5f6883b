//! Our side of a comparison: answers the requests of [`process`](super::process), in a process of its own.

use anyhow::{Result, bail};
use std::io::{BufRead, Write};
use std::time::Instant;

/// What a side can do.
pub trait Work {
    /// The values that both sides must agree on.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn check(&mut self) -> Result<Vec<f64>>;

    /// One iteration, which is timed.
    ///
    /// # Errors
    /// Whatever goes wrong.
    fn run(&mut self) -> Result<()>;
}

/// The Python side of the protocol, a module named `serve`; its `serve(run, check)` answers until its input ends.
pub const PYTHON: &str = include_str!("serve.py");

/// Answers requests on standard input until it ends.
///
/// # Errors
/// When the work fails, or something else is asked.
pub fn serve(work: &mut dyn Work) -> Result<()> {
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "check" => {
                let values: Vec<String> = work.check()?.iter().map(|value| format!("{value:e}")).collect();
                say(&format!("values {}", values.join(" ")))?;
            }
            "run" => {
                let begun = Instant::now();
                work.run()?;
                say(&format!("time {}", begun.elapsed().as_secs_f64() * 1e3))?;
            }
            other => bail!("unknown request {other:?}"),
        }
    }
    Ok(())
}

fn say(answer: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}
