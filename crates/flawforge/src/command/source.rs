//! Where a command takes images, textures and the selection from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use flawforge::augment::{ProceduralTextures, Selection, Selections, TextureBank, TextureSource};
use flawforge::datasets::{Category, CategoryFiles, Limits, Loading, demo, load_textures};

/// Seed of the generated demo images: fixed, so that every run sees the same ones.
const DEMO_SEED: u64 = 0;

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
    /// The images, as a method wants them.
    pub(crate) fn load(&self, loading: &Loading) -> Result<Category> {
        match &self.dir {
            Some(dir) => load_files(&CategoryFiles::discover(dir)?, loading),
            None => self.demo(loading),
        }
    }

    /// The category's name, before its images are loaded.
    pub(crate) fn name(&self) -> Result<String> {
        match &self.dir {
            Some(dir) => Ok(CategoryFiles::discover(dir)?.name),
            None => Ok(self.demo.clone().unwrap_or_default()),
        }
    }

    /// The normal images to train on alone; test images are not even opened.
    pub(crate) fn load_normals(&self, side: u32) -> Result<Category> {
        let loading = Loading::opencv(side, side);
        let Some(dir) = &self.dir else {
            return self.demo(&loading);
        };
        let mut files = CategoryFiles::discover(dir)?;
        files.test.clear();
        load_files(&files, &loading)
    }

    fn demo(&self, loading: &Loading) -> Result<Category> {
        let name = self.demo.as_deref().unwrap_or_default();
        if !demo::CATEGORIES.contains(&name) {
            bail!(
                "unknown demo category `{name}` (known: {})",
                demo::CATEGORIES.join(", ")
            );
        }
        Ok(demo::category(name, loading, DEMO_SEED)?)
    }
}

fn load_files(files: &CategoryFiles, loading: &Loading) -> Result<Category> {
    Ok(Category::load(files, loading, &Limits::default())?)
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
        match &self.textures {
            None => Ok(Arc::new(ProceduralTextures::default())),
            Some(dir) => {
                let images = load_textures(dir, side, side, &Limits::default())?;
                let bank = TextureBank::new(images).with_context(|| dir.display().to_string())?;
                Ok(Arc::new(bank))
            }
        }
    }
}

/// What anomalies are made of, and which are made.
#[derive(Args, Debug)]
pub(crate) struct AnomalyArgs {
    /// Selection file (TOML): which kinds of anomaly make sense for the category [default: the built-in selections]
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

    /// The selection of a category: from the file given, the demo's own, the built-in ones, or the default.
    pub(crate) fn selection(&self, category: &str) -> Result<Selection> {
        let given = match &self.selection {
            Some(path) => vec![read_selections(path)?],
            None => Vec::new(),
        };
        let demo = Selections::from_toml(demo::selections_toml()).context("the demo's selection")?;
        let known = [given, vec![demo, Selections::builtin()]].concat();
        if let Some(found) = known.iter().find_map(|selections| selections.get(category)) {
            return Ok(found.clone());
        }
        // The file's own default, if a file was given.
        let default = known[0].get_or_default(category).clone();
        log::info!(
            "no selection is known for category `{category}`; using the default ({}); `flawforge simulate` shows what \
             it makes, `flawforge select` proposes another, --selection FILE replaces it",
            describe(&default)
        );
        Ok(default)
    }
}

/// One phrase about a selection.
pub(crate) fn describe(selection: &Selection) -> String {
    let on = |name: &str, enabled: bool| format!("{name} {}", if enabled { "on" } else { "off" });
    [
        on("transparent", selection.transparent),
        on("opaque", selection.opaque),
        on("near-distribution", selection.near_distribution),
        on("rotation of normals", selection.rotate_normals),
    ]
    .into_iter()
    .chain(selection.grey.then(|| "textures without colours".to_owned()))
    .collect::<Vec<_>>()
    .join(", ")
}

fn read_selections(path: &Path) -> Result<Selections> {
    let text = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Selections::from_toml(&text).map_err(|fault| {
        // The parser draws the place of the fault over several lines.
        let fault = fault.to_string();
        let line: Vec<&str> = fault
            .lines()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        anyhow!("{}: {}", path.display(), line.join(" "))
    })
}

/// Makes the folder that a command writes into.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{}: cannot be made", path.display()))
}
