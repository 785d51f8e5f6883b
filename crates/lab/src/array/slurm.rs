//! `sweep slurm`: a job array, one index a cell, and a job that writes the tables after it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::counted;
use flawforge::files;
use flawforge::training::spoken;

use super::OutArgs;
use super::manifest::{Sweep, folder};
use super::planning::{dearest, memory};
use super::progress::{Progress, ranges};
use crate::stopping::TRY_AGAIN;

/// Options of `sweep slurm`.
#[derive(Args, Debug, Clone)]
pub struct SlurmArgs {
    /// Which sweep.
    #[command(flatten)]
    pub sweep: OutArgs,
    /// Submit what is written: the array, and behind it the job that writes the tables
    #[arg(long)]
    pub submit: bool,
    /// Cells, as `sweep status` prints them [default: all that are neither done nor running]
    #[arg(long, value_name = "LIST")]
    pub array: Option<String>,
    /// Cells that run at the same time, at most [default: as many as Slurm lets]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub throttle: Option<u32>,
    /// Partition
    #[arg(long, value_name = "P")]
    pub partition: Option<String>,
    /// GPUs of a cell
    #[arg(long, value_name = "N")]
    pub gpus_per_task: Option<u32>,
    /// Processors of a cell
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus_per_task: Option<u32>,
    /// Time limit of a cell, as sbatch takes it. A cell that reaches it saves a checkpoint and is put into the queue again
    #[arg(long, value_name = "T")]
    pub time: Option<String>,
    /// Memory of a cell, as sbatch takes it
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<String>,
    /// Account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Quality of service
    #[arg(long, value_name = "NAME")]
    pub qos: Option<String>,
    /// Any other option of sbatch for the cells, such as `--sbatch=--constraint=a100`; may be repeated
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub more: Vec<String>,
    /// The program on the nodes [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

/// Seconds before the time limit at which a cell is told to save (proposal). Slurm may be a minute early or late.
const NOTICE: u32 = 120;

/// The shortest time limit, seconds: below it a cell would hear of its end before it has begun, and never get on.
const SHORTEST: u64 = 300;

/// Seconds of a time limit as sbatch takes it (`M`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`); `None` for another word.
fn seconds(limit: &str) -> Option<u64> {
    let numbers =
        |text: &str| -> Option<Vec<u64>> { text.split(':').map(|part| part.parse().ok()).collect() };
    let (days, rest) = match limit.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), numbers(rest)?),
        None => (None, numbers(limit)?),
    };
    let hours = |parts: &[u64]| match parts {
        [hours] => Some(3600 * hours),
        [hours, minutes] => Some(3600 * hours + 60 * minutes),
        [hours, minutes, seconds] => Some(3600 * hours + 60 * minutes + seconds),
        _ => None,
    };
    match (days, &rest[..]) {
        (Some(days), rest) => Some(24 * 3600 * days + hours(rest)?),
        (None, [minutes]) => Some(60 * minutes),
        (None, [minutes, seconds]) => Some(60 * minutes + seconds),
        (None, rest) => hours(rest),
    }
}

/// Runs the command.
///
/// # Errors
/// A plan that is missing, a time limit that is too short, words that a batch script cannot hold, an `sbatch` that refuses.
pub fn run(args: &SlurmArgs) -> Result<()> {
    let sweep = Sweep::read(&args.sweep)?;
    let progress = Progress::of(&sweep);
    let array = match &args.array {
        Some(list) => list.clone(),
        None if progress.again().is_empty() => bail!(
            "{}: no cell is missing or failed ({} done, {} running); `sweep tables` writes the tables",
            sweep.out.display(),
            progress.done.len(),
            progress.running.len()
        ),
        None => ranges(&progress.again()),
    };
    let out = full(&sweep.out)?;
    let program = match &args.program {
        Some(program) => full(program)?,
        None => std::env::current_exe().context("the path of this program")?,
    };
    let script = Script {
        number: sweep.number(),
        out: word(&out)?,
        program: word(&program)?,
        here: word(&std::env::current_dir().context("the working directory")?)?,
    };
    let folder = folder(&out);
    let logs = folder.join("logs");
    fs::create_dir_all(&logs).with_context(|| format!("{}: cannot be made", logs.display()))?;
    let (cells, tables) = (folder.join("cells.sbatch"), folder.join("tables.sbatch"));
    let costs = dearest(&sweep.lines);
    files::write(&cells, script.cells(args, &array, costs)?.as_bytes())?;
    files::write(&tables, script.tables(args)?.as_bytes())?;
    eprintln!("written: {}, {}", cells.display(), tables.display());
    if let Some((seconds, bytes)) = costs {
        eprintln!(
            "by the machine that planned, a cell takes at most {} and {} beside the program: choose --time and --mem by it",
            spoken(seconds),
            memory(bytes)
        );
    }
    if !args.submit {
        eprintln!("submit with --submit, or by hand: sbatch {}", cells.display());
        return Ok(());
    }
    let job = sbatch(&[], &cells)?;
    let after = sbatch(&[&format!("--dependency=afterany:{job}")], &tables)?;
    eprintln!(
        "submitted: job {job} (--array={array}), and job {after}, which writes the tables when it has ended; logs of {} in {}",
        counted(sweep.lines.len(), "cell"),
        logs.display()
    );
    println!("{job} {after}");
    Ok(())
}

/// Submits a script; the number of its job.
fn sbatch(options: &[&str], script: &Path) -> Result<String> {
    let output = Command::new("sbatch")
        .arg("--parsable")
        .args(options)
        .arg(script)
        .output()
        .context("sbatch cannot be run")?;
    if !output.status.success() {
        bail!(
            "sbatch refused {}: {}",
            script.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // NUMBER or NUMBER;CLUSTER
    let number = said.trim().split(';').next().unwrap_or_default();
    if number.is_empty() || !number.chars().all(|digit| digit.is_ascii_digit()) {
        bail!("sbatch told no job for {}: {said:?}", script.display());
    }
    Ok(number.to_owned())
}

fn full(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{}: cannot be found", path.display()))
}

/// A path that both a line `#SBATCH` and a shell take, between quotes.
fn word(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("{}: not text, which a batch script needs", path.display()))?;
    checked(text)?;
    Ok(text.to_owned())
}

/// Refuses what a line `#SBATCH` cannot hold, or would take for something else.
fn checked(text: &str) -> Result<&str> {
    match text.chars().find(|c| c.is_control() || "\"'\\%`$".contains(*c)) {
        Some(wrong) => bail!("{text}: {wrong:?} cannot stand in a batch script"),
        None => Ok(text),
    }
}

/// What both scripts say.
struct Script {
    number: String,
    out: String,
    program: String,
    here: String,
}

impl Script {
    fn head(&self, name: &str, log: &str, args: &SlurmArgs) -> Result<String> {
        let mut text = format!(
            "#!/usr/bin/env bash\n\
             # Written by `sweep slurm` for plan {} in {}.\n\
             #SBATCH --job-name=flawforge-{name}\n\
             #SBATCH --output=\"{}/sweep/logs/{log}\"\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --chdir=\"{}\"\n\
             #SBATCH --ntasks=1\n\
             #SBATCH --requeue\n",
            self.number, self.out, self.out, self.here
        );
        let shared = [
            ("partition", &args.partition),
            ("account", &args.account),
            ("qos", &args.qos),
        ];
        for (option, value) in shared {
            if let Some(value) = value {
                let _ = writeln!(text, "#SBATCH --{option}=\"{}\"", checked(value)?);
            }
        }
        Ok(text)
    }

    /// The array. The cell runs beside the shell, which hands signals on to it: Slurm tells the shell alone of the time limit.
    fn cells(&self, args: &SlurmArgs, array: &str, costs: Option<(f64, u64)>) -> Result<String> {
        let mut text = self.head("cells", "%a.log", args)?;
        let throttle = args.throttle.map_or(String::new(), |most| format!("%{most}"));
        if array.is_empty() || !array.chars().all(|c| c.is_ascii_digit() || "-,:".contains(c)) {
            bail!("--array: {array:?} is no list such as 0-3,7");
        }
        let _ = writeln!(text, "#SBATCH --array={array}{throttle}");
        let _ = writeln!(text, "#SBATCH --signal=B:USR1@{NOTICE}");
        let numbers = [
            ("gpus-per-task", args.gpus_per_task),
            ("cpus-per-task", args.cpus_per_task),
        ];
        for (option, value) in numbers {
            if let Some(value) = value {
                let _ = writeln!(text, "#SBATCH --{option}={value}");
            }
        }
        if let Some(limit) = &args.time
            && seconds(limit).is_some_and(|seconds| seconds < SHORTEST)
        {
            bail!(
                "--time: {limit:?} is less than {} minutes; a cell is told {NOTICE} s before the limit, and would not get on",
                SHORTEST / 60
            );
        }
        for (option, value) in [("time", &args.time), ("mem", &args.mem)] {
            if let Some(value) = value {
                let _ = writeln!(text, "#SBATCH --{option}=\"{}\"", checked(value)?);
            }
        }
        for option in &args.more {
            if !option.starts_with('-') || option.chars().any(char::is_control) {
                bail!("--sbatch: {option:?} is no option of sbatch");
            }
            let _ = writeln!(text, "#SBATCH {option}");
        }
        if let Some((seconds, bytes)) = costs {
            let _ = writeln!(
                text,
                "# Expected of the dearest cell, by the machine that planned: {seconds:.0} s of training, {} beside the program.",
                memory(bytes)
            );
        }
        text.push_str(
            &CELL
                .replace("PROGRAM", &self.program)
                .replace("OUT", &self.out)
                .replace("NUMBER", &self.number)
                .replace("TRY_AGAIN", &TRY_AGAIN.to_string()),
        );
        Ok(text)
    }

    fn tables(&self, args: &SlurmArgs) -> Result<String> {
        let mut text = self.head("tables", "tables.log", args)?;
        let _ = write!(
            text,
            "\nexec '{}' sweep tables --out '{}' --plan {}\n",
            self.program, self.out, self.number
        );
        Ok(text)
    }
}

const CELL: &str = r#"
echo "--- job $SLURM_ARRAY_JOB_ID, index $SLURM_ARRAY_TASK_ID, on ${SLURMD_NODENAME:-?}, restart ${SLURM_RESTART_COUNT:-0}"
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export RAYON_NUM_THREADS=$SLURM_CPUS_PER_TASK
# Of another task, where jobs start jobs.
unset JOB_COMPLETION_INDEX

cell=
limit=
# The time limit is near: the cell saves, and the job is put into the queue again. Preempted jobs and those of a node that went are put
# there by Slurm; a job that was cancelled is not.
trap 'limit=yes; [ -z "$cell" ] || kill -USR1 "$cell"' USR1
trap '[ -z "$cell" ] || kill -TERM "$cell"' TERM
'PROGRAM' sweep cell --out 'OUT' --plan NUMBER &
cell=$!
until wait "$cell"; code=$?; [ "$code" -le 128 ] || ! kill -0 "$cell" 2>/dev/null; do :; done
# A signal may have cut the waiting short.
wait "$cell" 2>/dev/null
last=$?
[ "$last" = 127 ] || code=$last

# TRY_AGAIN: stopped in order. Above 128: a signal that came before the program listened.
if [ -n "$limit" ] && { [ "$code" = TRY_AGAIN ] || [ "$code" -gt 128 ]; }; then
    echo "--- the time limit is near: into the queue again"
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
echo "--- exit code $code"
exit "$code"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: SlurmArgs,
    }

    fn script() -> Script {
        Script {
            number: "0123456789ab".into(),
            out: "/data/a sweep".into(),
            program: "/opt/xtask".into(),
            here: "/data".into(),
        }
    }

    fn args(more: &[&str]) -> SlurmArgs {
        CommandLine::parse_from([&["test", "--out", "x"], more].concat()).args
    }

    #[test]
    fn a_script_holds_what_was_asked_for() {
        let asked = args(&[
            "--partition=gpu",
            "--gpus-per-task=1",
            "--time=1:00:00",
            "--throttle=4",
            "--sbatch=--constraint=a100",
        ]);
        let text = script()
            .cells(&asked, "0-3,7", Some((90.0, 250_000_000)))
            .unwrap();
        for line in [
            "#SBATCH --array=0-3,7%4",
            "#SBATCH --partition=\"gpu\"",
            "#SBATCH --gpus-per-task=1",
            "#SBATCH --time=\"1:00:00\"",
            "#SBATCH --constraint=a100",
            "#SBATCH --requeue",
            "#SBATCH --signal=B:USR1@120",
            "#SBATCH --output=\"/data/a sweep/sweep/logs/%a.log\"",
            "'/opt/xtask' sweep cell --out '/data/a sweep' --plan 0123456789ab &",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(
            text.contains("90 s of training, 250 MB beside the program."),
            "{text}"
        );
        let tables = script().tables(&asked).unwrap();
        assert!(tables.contains("exec '/opt/xtask' sweep tables --out '/data/a sweep' --plan 0123456789ab"));
        assert!(!tables.contains("array") && !tables.contains("gpus"));
    }

    #[test]
    fn what_a_script_cannot_hold_is_refused() {
        for wrong in ["a\nb", "50%", "a\"b", "it's", "$HOME"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
        assert!(script().cells(&args(&[]), "0; rm", None).is_err());
        assert!(script().cells(&args(&["--sbatch=plain"]), "0", None).is_err());
        for (limit, seconds) in [
            ("4", 240),
            ("4:59", 299),
            ("1:00:00", 3600),
            ("1-2", 93_600),
            ("1-0:30", 88_200),
        ] {
            assert_eq!(super::seconds(limit), Some(seconds), "{limit}");
            let short = script().cells(&args(&["--time", limit]), "0", None);
            assert_eq!(short.is_err(), seconds < SHORTEST, "{limit}");
        }
        assert_eq!(super::seconds("UNLIMITED"), None);
        assert!(script().cells(&args(&["--partition=a\nb"]), "0", None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_shell_hands_signals_on_and_tells_the_cells_code() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let program = |name: &str, text: &str| {
            fs::write(at(name), format!("#!/usr/bin/env bash\n{text}")).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        // A cell that ends with 75 at the first signal, and a queue that only notes what is put into it.
        program(
            "cell",
            &format!(
                "trap 'exit 75' USR1 TERM\ntouch {}\nwhile :; do sleep 0.1; done\n",
                at("begun")
            ),
        );
        program("scontrol", &format!("echo \"$*\" >> {}\n", at("queue")));
        let of = Script {
            program: at("cell"),
            out: at(""),
            ..script()
        };
        fs::write(at("job"), of.cells(&args(&[]), "0-3", None).unwrap()).unwrap();
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        for (signal, queue) in [("USR1", "requeue 5_3\n"), ("TERM", "")] {
            let _ = fs::remove_file(at("queue"));
            let _ = fs::remove_file(at("begun"));
            let mut job = Command::new("bash")
                .arg(at("job"))
                .env("PATH", &path)
                .env("SLURM_ARRAY_JOB_ID", "5")
                .env("SLURM_ARRAY_TASK_ID", "3")
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            while !Path::new(&at("begun")).exists() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let sent = Command::new("kill")
                .args(["-s", signal, &job.id().to_string()])
                .status();
            assert!(sent.unwrap().success());
            assert_eq!(job.wait().unwrap().code(), Some(75), "{signal}");
            let queued = fs::read_to_string(at("queue")).unwrap_or_default();
            assert_eq!(queued, queue, "{signal}");
        }
    }
}
