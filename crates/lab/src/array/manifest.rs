//! What the commands of a sweep agree on: the options it was planned with, and its cells, a line each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use flawforge::files;
use flawforge::training::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::OutArgs;
use crate::cell::{CellKey, Provenance};
use crate::columns::Columns;
use crate::plan::{Plan, Planned, SweepArgs};
use crate::published::Published;
use crate::tables::PaperTable;

/// What a sweep is for: the `reproduce` command whose cells it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reproduce {
    /// Table 1
    Table1,
    /// Table 2
    Table2,
    /// Table 3
    Table3,
    /// Table 4
    Table4,
    /// Figure 4
    Figure4,
    /// All four tables and the figure
    All,
}

impl Reproduce {
    /// The tables.
    pub fn tables(self) -> &'static [PaperTable] {
        match self {
            Self::Table1 => &[PaperTable::One],
            Self::Table2 => &[PaperTable::Two],
            Self::Table3 => &[PaperTable::Three],
            Self::Table4 => &[PaperTable::Four],
            Self::Figure4 => &[],
            Self::All => &PaperTable::ALL,
        }
    }

    /// Whether the figure is wanted too.
    pub fn figure(self) -> bool {
        matches!(self, Self::Figure4 | Self::All)
    }
}

/// `plan.json`: how the cells come about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What for.
    pub reproduce: Reproduce,
    /// Test images of each category in the figure.
    pub hardest: u16,
    /// The options of the `reproduce` command; what it would take by default, and another machine otherwise, is filled in.
    pub options: SweepArgs,
    /// Methods of ours that tables show beside the paper's; they are found by files that another machine may lack.
    pub beyond: Vec<Method>,
    /// SHA-256 of the manifest.
    pub manifest: String,
}

/// A line of `manifest.jsonl`: a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 0 on; lines stand in this order.
    pub index: usize,
    /// The name of its folder below `OUT/cells`.
    pub cell: String,
    /// The method.
    pub method: Method,
    /// The category's folder name.
    pub category: String,
    /// Seed of the run.
    pub seed: u64,
    /// SHA-256 of all settings that decide the metrics.
    pub hash: String,
    /// Where images come from.
    pub data: String,
    /// Where textures come from.
    pub textures: String,
    /// The hash of the simulated dataset that it is scored on too.
    pub simulated: Option<String>,
    /// Normal images to train on.
    pub images: usize,
    /// Steps of the training.
    pub steps: u64,
    /// Seconds of the training, about, measured where the sweep was planned; nothing if that was not wanted.
    pub seconds: Option<f64>,
    /// Bytes of memory beside the program, about.
    pub bytes: Option<u64>,
}

impl Line {
    /// The cell's folder.
    pub fn dir(&self, out: &Path) -> PathBuf {
        self.key().dir(out)
    }

    fn key(&self) -> CellKey {
        CellKey {
            method: self.method,
            category: self.category.clone(),
            seed: self.seed,
        }
    }

    /// What a result must have been made from to be this cell's.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            config_hash: self.hash.clone(),
            data: self.data.clone(),
            textures: self.textures.clone(),
        }
    }

    /// In what a cell of today is another than the one of this line, in words.
    fn difference(&self, cell: &Planned) -> Option<String> {
        let made = &cell.provenance;
        let set = cell.set.as_ref().map(|set| set.hash());
        if self.key() != cell.key {
            return Some(format!("it is {} now", cell.key.name()));
        }
        for (what, planned, now) in [
            ("the data", &self.data, &made.data),
            ("the textures", &self.textures, &made.textures),
            ("the hash of its settings", &self.hash, &made.config_hash),
        ] {
            if planned != now {
                return Some(format!("{what}: {planned} when it was planned, {now} now"));
            }
        }
        (self.simulated != set).then(|| "the simulated dataset is another now".to_owned())
    }
}

/// A sweep that was planned.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its folder.
    pub out: PathBuf,
    /// How its cells come about.
    pub options: Options,
    /// Its cells.
    pub lines: Vec<Line>,
}

/// The folder of a sweep's own files.
pub(crate) fn folder(out: &Path) -> PathBuf {
    out.join("sweep")
}

const PLAN: &str = "plan.json";
const MANIFEST: &str = "manifest.jsonl";

impl Sweep {
    /// Reads the sweep in a folder.
    ///
    /// # Errors
    /// Files that are missing, damaged or of two plans; another plan than the one that was named.
    pub fn read(args: &OutArgs) -> Result<Self> {
        let out = args.out.clone();
        let (plan, manifest) = (folder(&out).join(PLAN), folder(&out).join(MANIFEST));
        let read = |path: &Path| match fs::read_to_string(path) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                bail!(
                    "{}: no such file; `sweep plan --out {}` writes it",
                    path.display(),
                    out.display()
                )
            }
            other => other.with_context(|| format!("{}: cannot be read", path.display())),
        };
        let damaged = |path: &Path| format!("{}: damaged, or of another version; plan again", path.display());
        let mut options: Options = serde_json::from_str(&read(&plan)?).with_context(|| damaged(&plan))?;
        options.options.out = Some(out.clone());
        let text = read(&manifest)?;
        if digest(&text) != options.manifest {
            bail!(
                "{}: not the manifest that {PLAN} is about; plan again",
                manifest.display()
            );
        }
        let mut lines = Vec::new();
        for line in text.lines() {
            lines.push(serde_json::from_str(line).with_context(|| damaged(&manifest))?);
        }
        let sweep = Self { out, options, lines };
        if let Some(named) = args.plan.as_ref().filter(|named| **named != sweep.number()) {
            bail!(
                "{}: plan {} was asked for, but it was planned again since, as {}",
                sweep.out.display(),
                named,
                sweep.number()
            );
        }
        Ok(sweep)
    }

    /// Writes it, the plan last.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&mut self) -> Result<()> {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        self.options.manifest = digest(&text);
        let folder = folder(&self.out);
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        files::write(&folder.join(MANIFEST), text.as_bytes())?;
        let plan = serde_json::to_string_pretty(&self.options)? + "\n";
        files::write(&folder.join(PLAN), plan.as_bytes())?;
        Ok(())
    }

    /// The number of the plan: 12 digits that no other plan has. What cells cost is measured anew each time, and no part of it.
    pub fn number(&self) -> String {
        let mut options = self.options.clone();
        options.manifest.clear();
        let mut text = serde_json::to_string(&options).unwrap_or_default();
        for line in &self.lines {
            let (seconds, bytes) = (None, None);
            let line = Line {
                seconds,
                bytes,
                ..line.clone()
            };
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        }
        digest(&text).chars().take(12).collect()
    }

    /// Test images in the figure, if one is wanted.
    pub fn hardest(&self) -> Option<usize> {
        let Options {
            reproduce, hardest, ..
        } = &self.options;
        reproduce.figure().then_some(usize::from(*hardest))
    }

    /// The plan, made again here.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub(crate) fn settled(&self, published: &Published) -> Result<(Plan, Columns)> {
        let Options {
            reproduce,
            options,
            beyond,
            ..
        } = &self.options;
        let columns = Columns::new(options, reproduce.tables(), reproduce.figure(), beyond)?;
        let plan = Plan::new(options, columns.all(), columns.on_simulated(), published)?;
        Ok((plan, columns))
    }

    /// Whether the cells of today are those of the manifest.
    ///
    /// # Errors
    /// The first one that is another, and in what.
    pub(crate) fn check(&self, cells: &[Planned]) -> Result<()> {
        if cells.len() != self.lines.len() {
            bail!(
                "{}: {} cells were planned, and there would be {} now; plan again",
                self.out.display(),
                self.lines.len(),
                cells.len()
            );
        }
        for (line, cell) in self.lines.iter().zip(cells) {
            if let Some(difference) = line.difference(cell) {
                bail!(
                    "{}: not the cell that was planned: {difference}; plan again",
                    line.cell
                );
            }
        }
        Ok(())
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: SweepArgs,
    }

    /// A sweep of so many cells of one method.
    pub(crate) fn sweep(out: &Path, cells: u64) -> Sweep {
        let line = |seed: u64| Line {
            index: seed as usize,
            cell: format!("draem-gear-s{seed}"),
            method: Method::Draem,
            category: "gear".into(),
            seed,
            hash: "h".into(),
            data: "test".into(),
            textures: "test".into(),
            simulated: None,
            images: 60,
            steps: 20,
            seconds: Some(90.0),
            bytes: Some(250_000_000),
        };
        Sweep {
            out: out.to_owned(),
            options: Options {
                reproduce: Reproduce::Table2,
                hardest: 2,
                options: CommandLine::parse_from(["test", "--precision", "f32", "--methods", "draem"]).args,
                beyond: vec![Method::Forge],
                manifest: String::new(),
            },
            lines: (0..cells).map(line).collect(),
        }
    }

    fn args(out: &Path, plan: Option<&str>) -> OutArgs {
        OutArgs {
            out: out.to_owned(),
            plan: plan.map(str::to_owned),
        }
    }

    #[test]
    fn a_sweep_is_read_back_and_guards_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Sweep::read(&args(dir.path(), None)).unwrap_err().to_string();
        assert!(
            missing.contains("plan.json") && missing.contains("sweep plan"),
            "{missing}"
        );
        let mut written = sweep(dir.path(), 3);
        written.write().unwrap();
        let read = Sweep::read(&args(dir.path(), Some(&written.number()))).unwrap();
        assert_eq!(read.lines, written.lines);
        assert_eq!(read.options.options.methods, ["draem"]);
        assert_eq!(read.options.options.out.as_deref(), Some(dir.path()));
        let old = written.number();
        written.lines[2].seconds = Some(80.0);
        assert_eq!(written.number(), old);
        written.lines[2].hash = "g".into();
        written.write().unwrap();
        let other = Sweep::read(&args(dir.path(), Some(&old)))
            .unwrap_err()
            .to_string();
        assert!(
            other.contains(&old) && other.contains(&written.number()),
            "{other}"
        );
        let manifest = folder(dir.path()).join(MANIFEST);
        let text = fs::read_to_string(&manifest).unwrap();
        assert_eq!(text.lines().count(), 3);
        fs::write(&manifest, text.replace("gear", "rear")).unwrap();
        let changed = Sweep::read(&args(dir.path(), None)).unwrap_err().to_string();
        assert!(changed.contains("manifest.jsonl: not the manifest"), "{changed}");
    }
}
