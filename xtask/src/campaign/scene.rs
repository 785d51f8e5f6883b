//! A command that the campaign tries: where it runs, what was there before, what it leaves when nothing disturbs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::program::{Ended, PATIENCE, Programs, Running};
use super::snapshot::{Snapshot, leftovers};

/// A picture that a training makes for people, in the folder of the run as scenes call it.
const PICTURE: &str = "run/unusual.png";

/// Which program a command is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Flawforge,
    Xtask,
}

/// A command, and what is done before it. All of them are run in the folder that they write into.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) program: Which,
    /// Leaves an older state, where there is one.
    pub(super) before: Option<Vec<String>>,
    pub(super) command: Vec<String>,
    /// Whether it has a folder for itself: a second one is turned away.
    pub(super) occupies: bool,
}

impl Scene {
    fn command(&self, programs: &Programs, arguments: &[String], work: &Path) -> Command {
        let mut command = Command::new(match self.program {
            Which::Flawforge => &programs.flawforge,
            Which::Xtask => &programs.xtask,
        });
        command.args(arguments).current_dir(work).env_remove("RUST_LOG");
        command
    }
}

/// A scene that was played once without a fault.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) scene: Scene,
    /// Where the command runs.
    pub(super) work: PathBuf,
    /// The state before it, as a folder.
    template: PathBuf,
    pub(super) before: Snapshot,
    pub(super) after: Snapshot,
    /// How long the unbroken command took.
    pub(super) took: Duration,
    /// Bytes of the largest file it leaves.
    pub(super) largest: u64,
}

impl Stage {
    /// Plays a scene twice; both must leave the same.
    pub(super) fn set(scene: Scene, programs: &Programs, root: &Path) -> Result<Self> {
        let root = root.join(scene.name);
        let (work, template) = (root.join("work"), root.join("before"));
        fs::create_dir_all(&work)?;
        if let Some(before) = &scene.before {
            let ended = Running::start(&mut scene.command(programs, before, &work))?.end(PATIENCE)?;
            if !ended.is_good() {
                bail!("{}: what comes before it fails: {}", scene.name, ended.last());
            }
        }
        copy_folder(&work, &template)?;
        let mut stage = Self {
            before: Snapshot::of(&work)?,
            after: Snapshot::default(),
            took: Duration::ZERO,
            largest: 0,
            scene,
            work,
            template,
        };
        let mut states = Vec::new();
        for _ in 0..2 {
            stage.reset()?;
            let ended = stage.play(programs)?;
            if !ended.is_good() {
                bail!("{}: fails undisturbed: {}", stage.scene.name, ended.said.trim());
            }
            stage.took = ended.took;
            states.push(Snapshot::of(&stage.work)?);
        }
        stage.after = states.remove(0);
        if let Some(difference) = states[0].difference(&stage.after) {
            bail!("{}: undisturbed, two runs differ: {difference}", stage.scene.name);
        }
        stage.largest = largest(&stage.work);
        Ok(stage)
    }

    /// The command.
    pub(super) fn command(&self, programs: &Programs) -> Command {
        self.scene.command(programs, &self.scene.command, &self.work)
    }

    /// The command, undisturbed.
    pub(super) fn play(&self, programs: &Programs) -> Result<Ended> {
        Running::start(&mut self.command(programs))?.end(PATIENCE)
    }

    /// Puts the state before the command back.
    pub(super) fn reset(&self) -> Result<()> {
        empty(&self.work)?;
        copy_folder(&self.template, &self.work)
    }

    /// What is wrong after a disturbed command, if anything: a half file.
    pub(super) fn torn(&self) -> Result<Option<String>> {
        Ok(Snapshot::of(&self.work)?.half_file(&self.work, &self.before, &self.after))
    }

    /// The picture that a disturbed command gave up with a word, and ended well: a training is not lost for it, and the next
    /// command does not make it anew.
    pub(super) fn given_up(&self, ended: &Ended) -> Option<&'static str> {
        let told = |line: &str| line.contains("[WARN ]") && line.contains(PICTURE);
        (ended.is_good() && ended.said.lines().any(told)).then_some(PICTURE)
    }

    /// Runs the command again, undisturbed; what is wrong then, if anything: it fails, or ends otherwise than an unbroken one, but for
    /// a picture that was [given up](Self::given_up).
    pub(super) fn go_on(&self, programs: &Programs, given_up: Option<&str>) -> Result<Option<String>> {
        let ended = self.play(programs)?;
        let difference = Snapshot::of(&self.work)?
            .without(given_up)
            .difference(&self.after.without(given_up));
        // A command that never replaces its file may find it whole.
        let is_there = ended.said.contains("is there already") && difference.is_none();
        if !ended.is_good() && !is_there {
            return Ok(Some(format!("the second run fails: {}", ended.last())));
        }
        if let Some(difference) = difference {
            return Ok(Some(format!(
                "the second run ends otherwise than an unbroken one: {difference}"
            )));
        }
        // What was begun in a folder of the user's own is hidden and stays: another process may be at it. A folder that the command has
        // for itself is tidied.
        let left = leftovers(&self.work);
        Ok(match left.iter().find(|file| file.parent() != Some(&self.work)) {
            Some(file) if self.scene.occupies => {
                Some(format!("after the second run {} is still there", file.display()))
            }
            _ => None,
        })
    }

    /// Keeps the folder as it is, to look at it.
    pub(super) fn keep(&self, out: &Path, number: usize) -> Result<PathBuf> {
        let kept = out.join(format!("found-{}-{number}", self.scene.name));
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        copy_folder(&self.work, &kept)?;
        Ok(kept)
    }
}

fn largest(folder: &Path) -> u64 {
    let mut most = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let own = match entry.path().is_dir() {
            true => largest(&entry.path()),
            false => entry.metadata().map_or(0, |data| data.len()),
        };
        most = most.max(own);
    }
    most
}

/// Removes what a folder holds, and not the folder: something may be mounted there.
pub(super) fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        }
        .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Copies a folder's files and folders into another, which is made.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => {
                fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
            }
        }
    }
    Ok(())
}
