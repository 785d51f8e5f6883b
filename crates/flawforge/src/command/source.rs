//! The options that say where a command takes images, textures and the selection from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::{Kind, Selection, TextureSource};
use flawforge::datasets::{
    Category, CategoryFiles, Limits, Loading, Note, Purpose, RegionOfInterest, Sizing, TestSet, demo,
    note_lines,
};
use flawforge::source::{DEMO_SEED, Images, SourceError, Textures, real_path, selection_lines};
use flawforge::training::Product;
use image::RgbImage;

use super::inventory::{say_normals, with_advice};

/// A category: a folder, or one of the generated ones.
#[derive(Args, Debug, Clone, Default)]
#[group(multiple = false)]
pub(crate) struct CategoryArgs {
    /// Folder of one category: images, folders such as `normal/` or `ok/` and `defective/` or `ng/`, or a published layout (MVTec AD, VisA, ...)
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Use a generated demo category instead of a folder: connector, gear, weave, leather, or sheet (large images with small flaws)
    #[arg(long, value_name = "NAME")]
    demo: Option<String>,
}

/// How a place says that images are generated.
const DEMO: &str = "demo:";

impl CategoryArgs {
    /// Whether neither a folder nor a demo category was named.
    pub(crate) fn is_empty(&self) -> bool {
        self.dir.is_none() && self.demo.is_none()
    }

    /// Refuses a command without images.
    pub(crate) fn given(&self) -> Result<&Self> {
        if self.is_empty() {
            bail!("name the images: a folder DIR, or --demo NAME");
        }
        Ok(self)
    }

    /// The category as a text that [`at`](Self::at) reads back.
    pub(crate) fn place(&self) -> String {
        match (&self.dir, &self.demo) {
            (Some(dir), _) => Images::Single(dir.clone()).describe(),
            (None, name) => format!("{DEMO}{}", name.as_deref().unwrap_or_default()),
        }
    }

    /// The category at a place.
    pub(crate) fn at(place: &str) -> Self {
        match place.strip_prefix(DEMO) {
            Some(name) => Self {
                dir: None,
                demo: Some(name.to_owned()),
            },
            None => Self {
                dir: Some(place.into()),
                demo: None,
            },
        }
    }

    /// The folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Where the images come from.
    pub(crate) fn images(&self) -> Images {
        match &self.dir {
            Some(dir) => Images::Single(dir.clone()),
            None => Images::Demo,
        }
    }

    /// The category's name, before its images are loaded; a demo category is known to exist then.
    pub(crate) fn name(&self) -> Result<String> {
        self.given()?;
        let asked: Vec<String> = self.demo.iter().cloned().collect();
        let names = self.images().categories(&asked, &[])?;
        names.into_iter().next().context("a category has a name")
    }

    /// Where the test images and their masks come from. Generated ones are made at these sizes.
    pub(crate) fn tests(&self, loading: &Loading) -> Result<Tests> {
        let (name, images) = (self.name()?, self.images());
        Ok(match images.files(&name, Purpose::Testing)? {
            Some(files) => Tests::Files(files),
            None => Tests::Drawn(images.load_tests(&name, loading)?),
        })
    }

    /// The normal images to train on alone; test images are not opened. Says in one line what is used. With `skip_bad` files
    /// that cannot be read are left out; the second value says of each what is wrong with it.
    pub(crate) fn load_normals(
        &self,
        loading: &Loading,
        skip_bad: bool,
        limits: &Limits,
    ) -> Result<(Category, Vec<String>)> {
        let (name, images) = (self.name()?, self.images());
        let files = images.files(&name, Purpose::Training)?;
        let (category, skipped) = match &files {
            Some(files) if skip_bad => Category::load_readable_normals(files, loading, limits)?,
            Some(files) => (
                Category::load_normals(files, loading, limits).map_err(with_advice)?,
                Vec::new(),
            ),
            None => (images.load_normals(&name, loading)?, Vec::new()),
        };
        let skipped: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        for fault in &skipped {
            log::warn!("left out: {fault}");
        }
        say_normals(&category, files.as_ref(), &skipped);
        say(&category.notes);
        Ok((category, skipped))
    }

    /// Width and height of the files of the normal images; no pixel is decoded.
    pub(crate) fn file_sizes(&self) -> Result<Vec<(u32, u32)>> {
        Ok(self.images().normal_sizes(&self.name()?)?)
    }

    /// Some of the normal images that were loaded into `shown`, at the size of their files; those that cannot be read are left out.
    pub(crate) fn at_file_size(
        &self,
        count: usize,
        shown: &Category,
        region: Option<RegionOfInterest>,
    ) -> Result<Vec<RgbImage>> {
        let name = self.name()?;
        let Some(mut files) = self.images().files(&name, Purpose::Training)? else {
            return Ok(demo::at_file_size(&name, count, DEMO_SEED));
        };
        let all = std::mem::take(&mut files.train);
        let count = count.min(all.len());
        files.train = (0..count).map(|i| all[i * all.len() / count].clone()).collect();
        let loading = Loading {
            image: Sizing::Scaled(1.0),
            region,
            ..Loading::opencv(1, 1).by(shown.scale)
        };
        let limits = Limits {
            max_held_bytes: u64::MAX,
            ..Limits::default()
        };
        let (category, _) = Category::load_readable_normals(&files, &loading, &limits)?;
        let images = category.train.iter().map(|image| Ok(image.image()?.into_owned()));
        images.collect()
    }

    /// The files of the normal images, by the names that images have; none where they are generated or cannot be found any more.
    pub(crate) fn normal_files(&self) -> HashMap<String, PathBuf> {
        let files = self
            .name()
            .ok()
            .and_then(|name| self.images().files(&name, Purpose::Training).ok().flatten());
        let train = files.map(|files| files.train).unwrap_or_default();
        train.into_iter().map(|file| (file.name, file.path)).collect()
    }

    /// Refuses an output that lies where images of the category are read.
    pub(crate) fn check_output(&self, output: &Path) -> Result<()> {
        Ok(self.images().check_output(&self.name()?, output)?)
    }
}

/// Where test images come from.
pub(crate) enum Tests {
    /// Files.
    Files(CategoryFiles),
    /// Memory: they are generated.
    Drawn(Category),
}

impl Tests {
    /// The test images, all of them read once.
    pub(crate) fn read(&self, loading: &Loading) -> Result<TestSet<'_>> {
        Ok(match self {
            Self::Files(files) => TestSet::read(files, loading, &Limits::default())?,
            Self::Drawn(category) => TestSet::held(category),
        })
    }
}

/// A category of which the normal images are read.
#[derive(Args, Debug)]
pub(crate) struct NormalArgs {
    #[command(flatten)]
    pub(crate) category: CategoryArgs,
    /// Leave out normal images that cannot be read, and say which
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

impl NormalArgs {
    /// The normal images at `side`×`side` pixels, a region of them if there is one.
    pub(crate) fn load(&self, side: u32, region: Option<RegionOfInterest>) -> Result<Category> {
        let loading = Loading {
            region,
            ..Loading::opencv(side, side)
        };
        // All are looked at together, so all are held.
        let limits = Limits {
            max_held_bytes: u64::MAX,
            ..Limits::default()
        };
        Ok(self.category.load_normals(&loading, self.skip_bad, &limits)?.0)
    }
}

/// What anomalies are made of.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct TextureArgs {
    /// Folder of texture images [default: procedural textures]
    #[arg(long, value_name = "DIR")]
    textures: Option<PathBuf>,
}

/// How a place says that textures are noise.
const PROCEDURAL: &str = "procedural";

impl TextureArgs {
    /// Whether no folder was named.
    pub(crate) fn is_empty(&self) -> bool {
        self.textures.is_none()
    }

    /// The textures as a text that [`at`](Self::at) reads back.
    pub(crate) fn place(&self) -> Result<String> {
        Ok(Textures::resolve(self.textures.as_deref(), None)?.describe())
    }

    /// The textures at a place.
    pub(crate) fn at(place: &str) -> Self {
        Self {
            textures: (place != PROCEDURAL).then(|| place.into()),
        }
    }

    /// Refuses an output that lies among the textures.
    pub(crate) fn check_output(&self, output: &Path) -> Result<()> {
        match &self.textures {
            Some(folder) if real_path(output).starts_with(real_path(folder)) => {
                Err(SourceError::OutputInInput {
                    output: output.into(),
                    folder: folder.clone(),
                }
                .into())
            }
            _ => Ok(()),
        }
    }

    /// The textures, at `side`×`side` pixels.
    pub(crate) fn load(&self, side: u32) -> Result<Arc<dyn TextureSource>> {
        Ok(Textures::resolve(self.textures.as_deref(), None)?.load(side)?)
    }
}

/// What anomalies are made of, and which are made.
#[derive(Args, Debug)]
pub(crate) struct AnomalyArgs {
    /// Selection file (TOML) that `flawforge select` writes: which kinds of anomaly to simulate [default: the paper's three kinds, no rotation; built-in for MVTec AD and the demo data]
    #[arg(long, value_name = "FILE")]
    pub(crate) selection: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) textures: TextureArgs,
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
        Ok(self.product(category)?.selection)
    }

    /// What is known of a category. Says in one line where its selection was found.
    pub(crate) fn product(&self, category: &CategoryArgs) -> Result<Product> {
        let name = category.name()?;
        let images = category.images();
        let found = images.selection(&name, self.selection.as_deref())?;
        for line in selection_lines([(name.as_str(), &found.origin)]) {
            log::info!("{line}");
        }
        Ok(images.product(&name, found.selection))
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
        .chain(selection.grey.then(|| "textures without colors".to_owned()))
        .chain(selection.texture.then(|| "an irregular texture".to_owned()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Says once what is doubtful, assumed or passed over in the files that were read.
pub(crate) fn say(notes: &[Note]) {
    for (is_doubt, line) in note_lines(notes) {
        match is_doubt {
            true => log::warn!("{line}"),
            false => log::info!("{line}"),
        }
    }
}

/// Makes the folder that a command writes into.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if let Some(file) = path.ancestors().find(|part| part.is_file()) {
        bail!("{}: is a file; name a folder", file.display());
    }
    fs::create_dir_all(path).with_context(|| format!("{}: cannot be made", path.display()))
}
