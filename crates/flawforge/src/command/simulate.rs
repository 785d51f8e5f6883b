//! `flawforge simulate`: a labelled sheet of normal images, simulated anomalies and their masks.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::{
    Kind, Materials, RotateNormals, Sample, Selection, Simulation, SimulationSettings, Stream, TextureSource,
    to_bytes,
};
use flawforge::datasets::{Category, counted};
use flawforge::pictures::{Cell, ContactSheet, mask_image, write_png};
use flawforge::training::methods::NormalImages;
use flawforge::training::settings::View;
use image::RgbImage;
use rayon::prelude::*;

use super::region::RegionArgs;
use super::source::{AnomalyArgs, NormalArgs, describe, make_folder, shown_kinds};

/// Draws until something is visible, at most.
const TRIES: u64 = 10;

/// Options of `simulate`.
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    normals: NormalArgs,
    #[command(flatten)]
    anomalies: AnomalyArgs,
    #[command(flatten)]
    region: RegionArgs,
    /// Samples for each kind
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=64))]
    count: u32,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=1024))]
    size: u32,
    /// Seed of the simulation
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// PNG file to write
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &SimulateArgs) -> Result<()> {
    if !args
        .out
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    {
        bail!(
            "{}: the sheet is a PNG picture; end its name with .png",
            args.out.display()
        );
    }
    args.normals.category.check_output(&args.out)?;
    args.anomalies.textures.check_output(&args.out)?;
    let selection = args.anomalies.selection(&args.normals.category)?;
    let region = args.region.of(&args.normals.category)?;
    let inside = region.is_some();
    let category = args.normals.load(args.size, region)?;
    let (materials, patches) = materials(&category, args.anomalies.textures(args.size)?);
    let columns: Vec<String> = (1..=args.count).map(|number| number.to_string()).collect();
    let mut sheet = ContactSheet::new(&columns);
    sheet.title(format!("{}: {}", category.name, describe(&selection)));

    let count = args.count as usize;
    let normals = spaced(&category, count)?;
    for kind in shown_kinds(&selection) {
        let simulation = Simulation {
            inside,
            ..only(kind, &selection, &materials)
        };
        rows(
            &mut sheet,
            &simulation,
            &normals,
            args.seed,
            &label(kind, &selection),
        );
    }
    if selection.rotate_normals {
        let rotate = RotateNormals {
            probability: 1.0,
            fill: selection.fill,
            ..RotateNormals::default()
        };
        let rotated = normals.iter().enumerate().map(|(index, normal)| {
            let mut rng = Stream {
                seed: args.seed,
                step: 0,
                index: index as u64,
            }
            .rng("shown rotation");
            rotate
                .apply(&normal.image, &mut rng)
                .unwrap_or_else(|| normal.image.clone().into_owned())
        });
        sheet.row("normal, rotated (on)", rotated);
    }
    patches.map_or(Ok(()), |patches| patches.check())?;
    if let Some(folder) = args.out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    write_png(&args.out, &sheet.render()).context("cannot write the sheet")?;
    log::info!(
        "{}: {} a kind, {}",
        args.out.display(),
        counted(count, "sample"),
        describe(&selection)
    );
    Ok(())
}

/// A normal image as it is shown.
pub(crate) struct Shown<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: Cow<'a, RgbImage>,
}

/// So many normal images, evenly spaced, because neighbouring files are near-duplicates.
pub(crate) fn spaced(category: &Category, count: usize) -> Result<Vec<Shown<'_>>> {
    let all = &category.train;
    (0..count)
        .map(|i| {
            let normal = &all[i * all.len() / count];
            Ok(Shown {
                name: &normal.name,
                image: normal.image()?,
            })
        })
        .collect()
}

/// Textures, and the normal images of a category to cut patches from, which tell whether all of them could be read.
pub(crate) fn materials(
    category: &Category,
    textures: Arc<dyn TextureSource>,
) -> (Materials, Option<Arc<NormalImages>>) {
    let patches = NormalImages::new(&category.train, View::Stretch).map(Arc::new);
    let normals = patches.clone().map(|patches| patches as Arc<dyn TextureSource>);
    (Materials { textures, normals }, patches)
}

/// A simulation that makes this kind of anomaly on every image, without colours where the selection says so.
pub(crate) fn only(kind: Kind, selection: &Selection, materials: &Materials) -> Simulation {
    let settings = SimulationSettings::selected(&Selection {
        grey: selection.grey,
        ..Selection::only(kind)
    });
    SimulationSettings {
        clean_probability: 0.0,
        ..settings
    }
    .simulation(materials)
}

fn label(kind: Kind, selection: &Selection) -> String {
    let enabled = selection.enables(kind);
    format!("{kind} ({})", if enabled { "on" } else { "off" })
}

/// A sample of each normal image, with an anomaly if ten draws make one.
pub(crate) fn visible(simulation: &Simulation, normals: &[Shown<'_>], seed: u64) -> Vec<Sample> {
    normals
        .par_iter()
        .enumerate()
        .map(|(index, normal)| {
            let drawn = |step| {
                let index = index as u64;
                simulation.sample(&normal.image, Stream { seed, step, index })
            };
            // An empty mask is part of training, but shows nothing: draw again.
            (0..TRIES)
                .map(drawn)
                .find(|sample| sample.kind.is_some())
                .unwrap_or_else(|| drawn(0))
        })
        .collect()
}

/// Three rows: normal images, the same with an anomaly, the masks.
fn rows(sheet: &mut ContactSheet, simulation: &Simulation, normals: &[Shown<'_>], seed: u64, label: &str) {
    let samples = visible(simulation, normals, seed);
    sheet.row(
        format!("{label}: normal"),
        normals
            .iter()
            .map(|n| Cell::new(n.image.clone().into_owned(), n.name)),
    );
    sheet.row(
        format!("{label}: simulated"),
        samples.iter().map(|sample| Cell::from(to_bytes(&sample.image))),
    );
    let masks = samples.iter().map(|sample| {
        let caption = match sample.kind {
            Some(_) => format!("{:.1} %", 100.0 * sample.mask.coverage()),
            None => "nothing visible".to_owned(),
        };
        Cell::new(mask_image(&sample.mask.to_luma8()), caption)
    });
    sheet.row(format!("{label}: mask"), masks);
}
