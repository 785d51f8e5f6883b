//! `export-maps`: anomaly maps as TIFF files of 32-bit floats, in the layout that MVTec's own evaluation script reads.

use crate::cell::CellKey;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use flawforge::datasets::note_lines;
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::models::AnomalyMap;
use flawforge::source::Images;
use flawforge::training::{Method, Run, default_device};
use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use tiff::encoder::{TiffEncoder, colortype::Gray32Float};

/// Options of `export-maps`.
#[derive(Args, Debug, Clone)]
pub struct ExportMapsArgs {
    /// Folders of runs, separated by commas, one for each category (a cell's folder is a run)
    #[arg(long, value_name = "RUN", value_delimiter = ',', conflicts_with = "cells")]
    pub run: Vec<PathBuf>,
    /// Folder of a sweep, to export its cells of one method and seed
    #[arg(long, value_name = "OUT", required_unless_present = "run")]
    pub cells: Option<PathBuf>,
    /// With --cells: the method
    #[arg(long, default_value_t = Method::LinYan, conflicts_with = "run")]
    pub method: Method,
    /// With --cells: the seed
    #[arg(long, default_value_t = 0, conflicts_with = "run")]
    pub seed: u64,
    /// Data set whose test images are scored [default: the downloaded MVTec AD, else the demo data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder to write: OUT/CATEGORY/test/DEFECT/NAME.tiff
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Size of the maps
    #[arg(long, value_enum, default_value_t = MapSize::Image)]
    pub size: MapSize,
    /// Where the runs compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Folder that `cargo xtask download` fills
    #[arg(long, value_name = "DIR", default_value = crate::DOWNLOADS)]
    pub downloads: PathBuf,
}

/// The size of exported maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MapSize {
    /// Size of the image file, as MVTec's script requires
    Image,
    /// Size of the network's output
    Network,
}

/// Runs `export-maps`.
///
/// # Errors
/// Before anything is computed: a run that is missing, unfinished or of a category that the data set lacks. Afterwards
/// whatever cannot be written.
pub fn export_maps(args: &ExportMapsArgs) -> Result<()> {
    args.device.choose(None)?;
    let images = Images::resolve(args.data.as_deref(), Some(&args.downloads))?;
    let runs = match &args.cells {
        Some(out) => cells(out, args.method, args.seed)?,
        None => args.run.clone(),
    };
    let mut opened = Vec::new();
    let mut categories = BTreeSet::new();
    for dir in runs {
        let run = Run::open_on(&dir, &default_device())?;
        if run.step() < run.total_steps() {
            bail!(
                "{}: is not finished (step {} of {})",
                dir.display(),
                run.step(),
                run.total_steps()
            );
        }
        let category = run.category().to_owned();
        images.categories(std::slice::from_ref(&category), &[])?;
        if !categories.insert(category.clone()) {
            bail!(
                "{}: a second run on {category}; export it to another folder",
                dir.display()
            );
        }
        opened.push((category, run));
    }
    for (name, run) in opened {
        let category = images.load_tests(&name, &run.loading())?;
        for (_, line) in note_lines(&category.notes) {
            eprintln!("note: {line}");
        }
        // Generated images have no files, and no other size.
        let at_file_size = matches!(args.size, MapSize::Image) && images != Images::Demo;
        let detector = run.detector()?;
        for test in &category.test {
            for detection in detector.detect(&[&test.image])? {
                let map = match at_file_size {
                    true => detection.map.resized(test.file_size.0, test.file_size.1),
                    false => detection.map,
                };
                write_map(&map_path(&args.out, &name, &test.name), &map)?;
            }
        }
        println!("{name}: {} maps", category.test.len());
    }
    println!("written: {}", args.out.display());
    Ok(())
}

/// The folders of the cells of one method and seed.
fn cells(out: &Path, method: Method, seed: u64) -> Result<Vec<PathBuf>> {
    let folder = out.join("cells");
    let entries = fs::read_dir(&folder).with_context(|| format!("{}: cannot be opened", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let dir = entry
            .with_context(|| format!("{}: cannot be read", folder.display()))?
            .path();
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
        // The name of a method may begin another's: draem, draem-no-rotation. The cell's own settings decide.
        let candidate = name.is_some_and(|name| {
            let key = CellKey {
                method,
                category: String::new(),
                seed,
            };
            let (start, end) = key.affixes();
            name.starts_with(&start) && name.ends_with(&end)
        });
        if candidate && dir.join("result.json").is_file() && Run::open(&dir)?.experiment().method == method {
            found.push(dir);
        }
    }
    found.sort();
    if found.is_empty() {
        bail!(
            "{}: holds no finished cell of {method} with seed {seed}",
            folder.display()
        );
    }
    Ok(found)
}

/// `OUT/CATEGORY/test/DEFECT/NAME.tiff`; `test` is the test image's name, `DEFECT/NAME`.
pub fn map_path(out: &Path, category: &str, test: &str) -> PathBuf {
    out.join(category).join("test").join(format!("{test}.tiff"))
}

/// Writes a map as TIFF, one channel of 32-bit floats, atomically.
///
/// # Errors
/// When the map's size contradicts its scores, or the file cannot be written.
pub fn write_map(path: &Path, map: &AnomalyMap) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes)
        .and_then(|mut encoder| encoder.write_image::<Gray32Float>(map.width, map.height, &map.scores))
        .with_context(|| format!("{}: cannot be encoded", path.display()))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    }
    Ok(files::write(path, bytes.get_ref())?)
}
