//! The options that say where a command takes images, textures and the selection from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use flawforge::augment::{Kind, Selection, TextureSource};
use flawforge::datasets::{Category, Loading};
use flawforge::source::{Images, Textures, selection_lines};

/// A category: a folder, or one of the generated ones.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct CategoryArgs {
    /// Folder of one category: MVTec AD layout, or a plain folder with images in `normal/`
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Generated demo category instead of a folder: connector, gear, weave or leather
    #[arg(long, value_name = "NAME")]
    demo: Option<String>,
}

impl CategoryArgs {
    /// Where the images come from.
    pub(crate) fn images(&self) -> Images {
        match &self.dir {
            Some(dir) => Images::Single(dir.clone()),
            None => Images::Demo,
        }
    }

    /// The category's name, before its images are loaded; a demo category is known to exist then.
    pub(crate) fn name(&self) -> Result<String> {
        let asked: Vec<String> = self.demo.iter().cloned().collect();
        let names = self.images().categories(&asked, &[])?;
        names.into_iter().next().context("a category has a name")
    }

    /// The images, as a method wants them.
    pub(crate) fn load(&self, loading: &Loading) -> Result<Category> {
        Ok(self.images().load(&self.name()?, loading)?)
    }

    /// The normal images to train on alone; test images are not opened.
    pub(crate) fn load_normals(&self, side: u32) -> Result<Category> {
        let loading = Loading::opencv(side, side);
        Ok(self.images().load_normals(&self.name()?, &loading)?)
    }
}

/// What anomalies are made of.
#[derive(Args, Debug)]
pub(crate) struct TextureArgs {
    /// Folder of texture images [default: procedural textures]
    #[arg(long, value_name = "DIR")]
    textures: Option<PathBuf>,
}

impl TextureArgs {
    /// The textures, at `side`×`side` pixels.
    pub(crate) fn load(&self, side: u32) -> Result<Arc<dyn TextureSource>> {
        Ok(Textures::resolve(self.textures.as_deref(), None)?.load(side)?)
    }
}

/// What anomalies are made of, and which are made.
#[derive(Args, Debug)]
pub(crate) struct AnomalyArgs {
    /// Selection file (TOML): which kinds of anomaly suit the category [default: the demo data's own, or the built-in ones for MVTec AD]
    #[arg(long, value_name = "FILE")]
    selection: Option<PathBuf>,
    #[command(flatten)]
    textures: TextureArgs,
}

impl AnomalyArgs {
    /// The folder of textures, if one was given.
    pub(crate) fn texture_folder(&self) -> Option<&Path> {
        self.textures.textures.as_deref()
    }

    /// The textures, at `side`×`side` pixels.
    pub(crate) fn textures(&self, side: u32) -> Result<Arc<dyn TextureSource>> {
        self.textures.load(side)
    }

    /// The selection of a category. Says in one line where it was found.
    pub(crate) fn selection(&self, category: &CategoryArgs) -> Result<Selection> {
        let name = category.name()?;
        let found = category.images().selection(&name, self.selection.as_deref())?;
        for line in selection_lines([(name.as_str(), &found.origin)]) {
            log::info!("{line}");
        }
        Ok(found.selection)
    }
}

/// The kinds to show for a selection: those of the paper, and the others that it enables.
pub(crate) fn shown_kinds(selection: &Selection) -> impl Iterator<Item = Kind> + '_ {
    Kind::ALL
        .into_iter()
        .filter(|kind| Kind::PAPER.contains(kind) || selection.enables(*kind))
}

/// One phrase about a selection.
pub(crate) fn describe(selection: &Selection) -> String {
    let on = |name: &str, enabled: bool| format!("{name} {}", if enabled { "on" } else { "off" });
    shown_kinds(selection)
        .map(|kind| on(kind.name(), selection.enables(kind)))
        .chain([on("rotation of normals", selection.rotate_normals)])
        .chain(selection.grey.then(|| "textures without colours".to_owned()))
        .chain(selection.texture.then(|| "an irregular texture".to_owned()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Makes the folder that a command writes into.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{}: cannot be made", path.display()))
}
