//! `simulate-dataset`: the simulated dataset as image files in MVTec AD's layout.

use super::set::{KINDS, SetSettings, SimulatedSet, base_name};
use crate::plan::distinct;
use crate::published::Published;
use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::Selection;
use flawforge::datasets::{Category, GOOD, Loading, note_lines};
use flawforge::files;
use flawforge::source::{Images, Textures};
use image::{DynamicImage, ImageFormat};
use rayon::prelude::*;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Options of `simulate-dataset`.
#[derive(Args, Debug, Clone)]
pub struct SimulateDatasetArgs {
    /// Data set in MVTec layout, or one category's folder [default: the downloaded MVTec AD, else the demo data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder to write: empty or new
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Categories, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub categories: Vec<String>,
    /// Side of the images in pixels (table 3 uses its profile's)
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=2048))]
    pub size: u32,
    /// Folder of texture images [default: the downloaded DTD, else procedural textures]
    #[arg(long, value_name = "DIR")]
    pub textures: Option<PathBuf>,
    /// Anomalous versions of each normal test image, for each kind
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub draws: u64,
    /// Seed of all images; table 3 uses 0
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder that `cargo xtask download` fills
    #[arg(long, value_name = "DIR", default_value = crate::DOWNLOADS)]
    pub downloads: PathBuf,
}

/// What the data set's `simulated.json` says of it.
#[derive(Serialize)]
struct Description<'a> {
    made_of: String,
    textures: String,
    size: u32,
    draws: u64,
    seed: u64,
    kinds: Vec<&'static str>,
    categories: &'a [Made],
    licence: &'static str,
}

#[derive(Serialize)]
struct Made {
    category: String,
    set_hash: String,
    normal: usize,
    anomalous: Vec<(String, usize)>,
}

const LICENCE: &str = "These pictures are derived from the images named in made_of and come under their licence. MVTec AD \
    is CC BY-NC-SA 4.0: not for commercial use, share alike.";

/// Writes the simulated dataset:
///
/// ```text
/// OUT/bottle/train/good/000.png                   the normal training images, at the same size
/// OUT/bottle/test/good/000.png                    the normal test images
/// OUT/bottle/test/cut-paste/000_1.png             a simulated version of one of them
/// OUT/bottle/ground_truth/cut-paste/000_1_mask.png
/// OUT/simulated.json                              seed, settings, counts, licence
/// ```
///
/// # Errors
/// Bad input before anything is written, an `OUT` that holds something, and whatever cannot be written.
pub fn simulate_dataset(args: &SimulateDatasetArgs) -> Result<()> {
    refuse_to_overwrite(&args.out)?;
    let images = Images::resolve(args.data.as_deref(), Some(&args.downloads))?;
    if images == Images::Demo && args.size > *flawforge::datasets::demo::SIZES.end() {
        bail!(
            "--size {}: the demo data ends at {}",
            args.size,
            flawforge::datasets::demo::SIZES.end()
        );
    }
    let textures = Textures::resolve(args.textures.as_deref(), Some(&args.downloads))?;
    let names = images.categories(&distinct(&args.categories), Published::load()?.order())?;
    let loaded = textures.load(args.size)?;
    let staging = Staging::beside(&args.out)?;
    let mut categories = Vec::new();
    for name in names {
        let category = images.load(&name, &Loading::opencv(args.size, args.size))?;
        for (_, line) in note_lines(&category.notes) {
            eprintln!("note: {line}");
        }
        let published = images.product(&name, Selection::default()).nsa;
        let settings = SetSettings::new(published, args.draws, args.seed);
        let set_hash = settings.hash();
        let set = SimulatedSet::new(&category, loaded.clone(), settings);
        if set.normals().is_empty() {
            bail!("category {name}: has no normal test images (test/good) to simulate anomalies on");
        }
        let anomalous = write_category(&staging.path().join(&name), &category, &set)?;
        let counts: Vec<String> = anomalous
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        println!("{name}: {} normal, {}", set.normals().len(), counts.join(", "));
        categories.push(Made {
            category: name,
            set_hash,
            normal: set.normals().len(),
            anomalous,
        });
    }
    let description = Description {
        made_of: images.describe(),
        textures: textures.describe(),
        size: args.size,
        draws: args.draws,
        seed: args.seed,
        kinds: KINDS.iter().map(|kind| kind.name()).collect(),
        categories: &categories,
        licence: LICENCE,
    };
    let text = serde_json::to_string_pretty(&description)?;
    files::write(&staging.path().join("simulated.json"), text.as_bytes())?;
    staging.publish(&args.out)?;
    println!("written: {}", args.out.display());
    Ok(())
}

/// An error when the folder holds anything.
fn refuse_to_overwrite(out: &Path) -> Result<()> {
    let entries = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(e).with_context(|| format!("{}: cannot be opened", out.display())),
    };
    if entries {
        bail!(
            "{}: is not empty; choose another --out or delete it",
            out.display()
        );
    }
    Ok(())
}

/// A folder that becomes `OUT` when it is complete.
struct Staging(tempfile::TempDir);

impl Staging {
    fn beside(out: &Path) -> Result<Self> {
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).with_context(|| format!("{}: cannot be made", parent.display()))?;
        let dir = tempfile::Builder::new()
            .prefix(".unfinished-")
            .tempdir_in(parent)
            .with_context(|| format!("{}: cannot be written", parent.display()))?;
        fs::create_dir(dir.path().join("set")).context("the unfinished data set")?;
        Ok(Self(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("set")
    }

    fn publish(self, out: &Path) -> Result<()> {
        // An empty folder of that name makes room.
        match fs::remove_dir(out) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("{}: cannot be replaced", out.display()));
            }
            _ => {}
        }
        fs::rename(self.path(), out).with_context(|| format!("{}: cannot be made", out.display()))
    }
}

/// Writes one category; returns how many anomalous pictures of each kind there are.
fn write_category(dir: &Path, category: &Category, set: &SimulatedSet<'_>) -> Result<Vec<(String, usize)>> {
    let train = folder(dir, "train", GOOD)?;
    category.train.par_iter().try_for_each(|image| {
        let picture = DynamicImage::ImageRgb8(image.image()?.into_owned());
        save(&train, &image.name, picture)
    })?;
    let normal = folder(dir, "test", GOOD)?;
    set.normals().par_iter().try_for_each(|image| {
        let picture = DynamicImage::ImageRgb8(image.image.clone());
        save(&normal, base_name(&image.name), picture)
    })?;
    let mut counts = Vec::new();
    for kind in KINDS {
        let mut count = 0;
        for index in 0..set.normals().len() {
            let made = set.anomalous(kind, index);
            if made.is_empty() {
                continue;
            }
            let (test, truth) = (
                folder(dir, "test", kind.name())?,
                folder(dir, "ground_truth", kind.name())?,
            );
            count += made.len();
            made.into_par_iter().try_for_each(|image| {
                let name = base_name(&image.name).to_owned();
                save(
                    &truth,
                    &format!("{name}_mask"),
                    DynamicImage::ImageLuma8(image.mask.to_luma8()),
                )?;
                save(&test, &name, DynamicImage::ImageRgb8(image.image))
            })?;
        }
        counts.push((kind.name().to_owned(), count));
    }
    Ok(counts)
}

fn folder(dir: &Path, part: &str, defect: &str) -> Result<PathBuf> {
    let folder = dir.join(part).join(defect);
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    Ok(folder)
}

fn save(folder: &Path, name: &str, picture: DynamicImage) -> Result<()> {
    let path = folder.join(format!("{name}.png"));
    picture
        .save_with_format(&path, ImageFormat::Png)
        .with_context(|| format!("{}: cannot be written", path.display()))
}
