//! The commands that the campaign tries, small enough for many tries.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use flawforge::training::Method;
use flawforge::{datasets::counted, defaults};

use super::doors::seeds;
use super::program::{PATIENCE, Programs, Running};
use super::scene::{Scene, Which};
use crate::demo_data;
use crate::download::sha256_hex;

/// Images that are kept of each folder of the demo's gears.
const KEPT: usize = 3;
/// Normal images that are kept.
const NORMALS: usize = 12;
/// A training of few steps, with a checkpoint and a panel now and then.
const SHORT: &str = "[schedule]\nlength = \"8 steps\"\n[every]\ncheckpoint = 3\npanel = 5\n";

/// Files that the scenes read.
pub(super) struct Inputs {
    data: String,
    run: String,
    short: String,
    catalogue: String,
    archive: String,
}

impl Inputs {
    /// Makes them below a folder: images, a run of few steps, an archive.
    pub(super) fn make(programs: &Programs, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let text = |name: &str| folder.join(name).display().to_string();
        demo_data(folder, &["gear".to_owned()], 64)?;
        let data = folder.join("gear");
        thin(&data.join("train/good"), NORMALS)?;
        for entry in fs::read_dir(data.join("test"))?.flatten() {
            thin(&entry.path(), KEPT)?;
        }
        for entry in fs::read_dir(data.join("ground_truth"))?.flatten() {
            thin(&entry.path(), KEPT)?;
        }
        fs::write(folder.join("short.toml"), SHORT)?;
        let archive = seeds::sound_archive();
        fs::write(folder.join("things.tar.gz"), &archive)?;
        let catalogue = format!(
            "[dtd]\ntitle = \"Things\"\narchive = \"things.tar.gz\"\nsha256 = \"{}\"\nbytes = {}\nroot = \"things\"\n\
             contains = [\"images/a\"]\nunpacked = {{ files = 100, bytes = 1_000_000 }}\naddresses = []\n\
             page = \"https://example.org\"\nlicence = \"None.\"\n",
            sha256_hex(&archive),
            archive.len()
        );
        fs::write(folder.join("catalogue.toml"), catalogue)?;
        let inputs = Self {
            data: text("gear"),
            run: text("run"),
            short: text("short.toml"),
            catalogue: text("catalogue.toml"),
            archive: text("things.tar.gz"),
        };
        let mut command = std::process::Command::new(&programs.flawforge);
        command.args(inputs.train("lin-yan", &inputs.run));
        let ended = Running::start(&mut command)?.end(PATIENCE)?;
        match ended.is_good() {
            true => Ok(inputs),
            false => bail!(
                "a training of {} fails: {}",
                counted(8, "step"),
                ended.said.trim()
            ),
        }
    }

    fn train(&self, method: &str, out: &str) -> Vec<String> {
        words(&[
            "train",
            &self.data,
            "--profile",
            "smoke",
            "--method",
            method,
            "--config",
            &self.short,
            "--held-out",
            "0.25",
            "--resume",
            "--out",
            out,
        ])
    }

    /// The commands of these names, or all.
    pub(super) fn scenes(&self, only: &[String]) -> Result<Vec<Scene>> {
        let mut scenes = self.all();
        if let Some(unknown) = only
            .iter()
            .find(|name| scenes.iter().all(|scene| scene.name != **name))
        {
            let known: Vec<&str> = scenes.iter().map(|scene| scene.name).collect();
            bail!("no scene `{unknown}` here (known: {})", known.join(", "));
        }
        scenes.retain(|scene| only.is_empty() || only.iter().any(|name| name == scene.name));
        Ok(scenes)
    }

    /// All commands that write something that is to last.
    fn all(&self) -> Vec<Scene> {
        let flawforge = |name, before: Option<&[&str]>, command: &[&str], occupies| Scene {
            name,
            program: Which::Flawforge,
            before: before.map(words),
            command: words(command),
            occupies,
        };
        let (run, data) = (self.run.as_str(), self.data.as_str());
        let test = format!("{data}/test");
        let few = format!("{data}/test/good");
        let mut scenes = vec![
            Scene {
                name: "train",
                program: Which::Flawforge,
                before: None,
                command: self.train("lin-yan", "run"),
                occupies: true,
            },
            flawforge(
                "evaluate",
                Some(&[
                    "evaluate",
                    data,
                    "--run",
                    run,
                    "--out",
                    "evaluation",
                    "--threshold",
                    "0.9",
                ]),
                &["evaluate", data, "--run", run, "--out", "evaluation"],
                true,
            ),
            flawforge(
                "predict",
                Some(&["predict", &few, "--run", run, "--out", "out"]),
                &[
                    "predict",
                    &test,
                    "--run",
                    run,
                    "--out",
                    "out",
                    "--coco",
                    "regions.json",
                ],
                true,
            ),
            flawforge(
                "report",
                Some(&["report", run, "--out", "page.html", "--threshold", "0.9"]),
                &["report", run, data, "--out", "page.html"],
                false,
            ),
            flawforge(
                "export-run",
                None,
                &["export-run", run, "--out", "one.safetensors"],
                false,
            ),
            flawforge("export", None, &["export", run, "--out", "one.onnx"], false),
            flawforge(
                "select",
                None,
                &[
                    "select",
                    data,
                    "--size",
                    "64",
                    "--count",
                    "1",
                    "--out",
                    "kinds.toml",
                ],
                false,
            ),
            flawforge(
                "check",
                Some(&[
                    "check",
                    &few,
                    "--no-cost",
                    "--html",
                    "page.html",
                    "--json",
                    "facts.json",
                ]),
                &[
                    "check",
                    data,
                    "--no-cost",
                    "--html",
                    "page.html",
                    "--json",
                    "facts.json",
                ],
                false,
            ),
            Scene {
                name: "table",
                program: Which::Xtask,
                before: None,
                command: words(&[
                    "reproduce-table2",
                    "--profile",
                    "smoke",
                    "--data",
                    data,
                    "--methods",
                    "draem,lin-yan",
                    "--config",
                    &self.short,
                    "--no-times",
                    "--out",
                    "sweep",
                    "--downloads",
                    "none",
                ]),
                occupies: true,
            },
            Scene {
                name: "download",
                program: Which::Xtask,
                before: None,
                command: words(&[
                    "download",
                    "dtd",
                    "--catalogue",
                    &self.catalogue,
                    "--archive",
                    &self.archive,
                    "--dir",
                    "data",
                    "--accept-licence",
                ]),
                occupies: true,
            },
        ];
        if defaults::method() == Method::Forge {
            scenes.push(Scene {
                name: "forge",
                program: Which::Flawforge,
                before: None,
                command: words(&[
                    "train",
                    data,
                    "--profile",
                    "smoke",
                    "--method",
                    "forge",
                    "--resume",
                    "--out",
                    "run",
                ]),
                occupies: true,
            });
        }
        scenes
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Leaves the first files of a folder.
fn thin(folder: &Path, kept: usize) -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for file in files.iter().skip(kept) {
        fs::remove_file(file)?;
    }
    Ok(())
}
