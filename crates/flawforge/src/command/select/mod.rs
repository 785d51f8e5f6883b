//! `flawforge select`: measures the normal images of a category and proposes its selection. Writes a TOML file, and a page
//! for the person who confirms or changes it.

mod page;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::augment::evidence::{Evidence, foreground};
use flawforge::files;
use flawforge::pictures::{mask_image, write_png};
use flawforge::source::SourceError;
use flawforge::training::ViewProposal;
use flawforge::training::settings::View;
use image::RgbImage;

use super::output::print;
use super::region::RegionArgs;
use super::simulate::materials;
use super::source::{NormalArgs, TextureArgs, describe, make_folder};
use super::view::completed;
use page::Page;

/// Options of `select`.
#[derive(Args, Debug)]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    normals: NormalArgs,
    #[command(flatten)]
    region: RegionArgs,
    #[command(flatten)]
    textures: TextureArgs,
    /// Selection file to write, for `--selection` of `simulate` and `train` [default: print it]
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    /// Mask to write (PNG) of where the parts are, for `--roi` of `train`, where they stand before an even ground
    #[arg(long, value_name = "FILE.png")]
    roi_out: Option<PathBuf>,
    /// HTML page to write: measurements, and samples of every kind
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
    /// Samples for each kind on the page
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=24))]
    count: u32,
    /// Side of the loaded images in pixels
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=1024))]
    size: u32,
    /// Seed of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
pub(crate) fn run(args: &SelectArgs) -> Result<()> {
    for output in [&args.out, &args.page, &args.roi_out].into_iter().flatten() {
        if output.is_dir() {
            return Err(SourceError::IsFolder { path: output.clone() }.into());
        }
        args.normals.category.check_output(output)?;
        args.textures.check_output(output)?;
    }
    let region = args.region.of(&args.normals.category)?;
    let category = args.normals.load(args.size, region.clone())?;
    let textures = args.textures.load(args.size)?;
    let images = category.train.iter().map(|normal| normal.image());
    let images: Vec<Cow<'_, RgbImage>> = images.collect::<Result<_, _>>()?;
    let normals: Vec<&RgbImage> = images.iter().map(AsRef::as_ref).collect();
    let evidence = Evidence::measure(&normals).with_context(|| format!("category `{}`", category.name))?;
    let proposal = evidence.propose();
    let toml = proposal.to_toml(&category.name);

    if let Some(path) = &args.out {
        keep_decisions(path, &toml)?;
        write(path, &toml)?;
    }
    if let Some(path) = &args.page {
        let (materials, patches) = materials(&category, textures);
        let page = Page {
            category: &category,
            evidence: &evidence,
            proposal: &proposal,
            toml: &toml,
            materials,
            count: args.count as usize,
            seed: args.seed,
        };
        let text = page.render()?;
        patches.map_or(Ok(()), |patches| patches.check())?;
        write(path, &text)?;
        log::info!("{}: look at this page before training", path.display());
    }
    log::info!("{}: {}", category.name, describe(&proposal.selection));
    let sizes: Vec<(u32, u32)> = category.train.iter().map(|image| image.size).collect();
    let view = ViewProposal::of(&sizes, View::Stretch, args.size)
        .map(|view| completed(view, &args.normals.category, &category, region.clone()))
        .transpose()?;
    match view {
        Some(view) => log::info!(
            "{}: at {} px {view} (an option of `train`{})",
            category.name,
            args.size,
            match View::of_one_long_shape(&sizes, args.size) == Some(view.view) {
                true => "; forge does so by itself",
                false => "",
            }
        ),
        None => log::info!(
            "{}: the square view is as good as another at {} px",
            category.name,
            args.size
        ),
    }
    if region.is_none() {
        propose_region(&normals, &sizes, &category.name, args.roi_out.as_deref())?;
    }
    match &args.out {
        Some(path) => log::info!("{}: {}", path.display(), proposal.selection.reason),
        None => print(&toml)?,
    }
    Ok(())
}

/// Longer side of the mask that is written, at most, in pixels (proposal).
const LONGEST: u32 = 2048;

/// Says where parts are that leave much of their images empty, and writes it where that was asked for.
fn propose_region(normals: &[&RgbImage], sizes: &[(u32, u32)], name: &str, out: Option<&Path>) -> Result<()> {
    let Some(region) = foreground(normals) else {
        return match out {
            Some(path) => bail!(
                "{}: not written: no even ground shows between the parts and the border of the images",
                path.display()
            ),
            None => Ok(()),
        };
    };
    let share = 100.0 * region.coverage();
    match out {
        Some(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                make_folder(folder)?;
            }
            // In the shape of the images, so that they are taken for its own.
            let (width, height) = sizes.get(sizes.len() / 2).copied().unwrap_or((1, 1));
            let factor = (f64::from(LONGEST) / f64::from(width.max(height).max(1))).min(1.0);
            let side = |length: u32| (f64::from(length) * factor).round().max(1.0) as u32;
            let region = region.scaled(side(width), side(height));
            write_png(path, &mask_image(&region.to_luma8()))?;
            log::info!(
                "{name}: parts lie on {share:.0} % of the image; look at {}, then `train --roi` with it",
                path.display()
            );
        }
        None => log::info!(
            "{name}: parts lie on {share:.0} % of the image before an even ground; `--roi-out FILE.png` writes where, for `train --roi`"
        ),
    }
    Ok(())
}

/// A selection file may hold what a person decided: it is never replaced by another proposal.
fn keep_decisions(path: &Path, toml: &str) -> Result<()> {
    match fs::read_to_string(path) {
        Ok(there) if there != toml => {
            bail!(
                "{}: exists with different contents; remove it or choose another file",
                path.display()
            )
        }
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
            Err(fault).with_context(|| format!("{}: cannot be read", path.display()))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    Ok(files::write(path, text.as_bytes())?)
}
