//! `flawforge predict`: anomaly maps, overlays and scores of images of any size.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::{Limits, counted, image_files, load_picture, mark_as_own, path_text};
use flawforge::files;
use flawforge::models::AnomalyMap;
use flawforge::ops::Precision;
use flawforge::pictures::{HeatMap, Scale, write_png};
use flawforge::source::real_path;
use flawforge::training::Run;
use image::{ImageBuffer, ImageFormat, Luma, RgbImage};

use super::source::{make_folder, say};
use super::verdicts::VerdictArgs;

/// How much of the image the overlay hides where the score is highest.
const OPACITY: f32 = 0.7;
const ENDINGS: [&str; 12] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "tif", "tiff", "webp", "pgm", "ppm", "pnm",
];

/// Options of `predict`.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// An image, or a folder, searched with its subfolders
    #[arg(value_name = "IMAGE|DIR")]
    input: PathBuf,
    /// A trained run: its folder, or its checkpoint.safetensors alone
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder for the results
    ///
    /// scores.csv has a row for each image. NAME_map.png is the anomaly map in 16 bits, at the image's own size: 65535 is score
    /// 1.0. PatchCore's scores are unbounded: there it is three times the largest squared distance seen in a sample of training
    /// patches. NAME_heat.png shows the map in colors, NAME_overlay.png lays it over the image.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
}

/// Runs the command.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let run = Run::open(&args.run)?;
    let detector = run.detector_in(args.precision.unwrap_or(run.precision()))?;
    let images = list(&args.input, &args.out)?;
    make_folder(&args.out)?;
    let decision = args.verdicts.decision(&run)?;
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["image", "width", "height", "score", "threshold", "verdict"])?;
    let mut names = BTreeSet::new();
    let mut faults = 0;
    let mut notes = Vec::new();
    for chunk in images.chunks(run.experiment().evaluation.batch.max(1)) {
        // A file that cannot be read must not cost the scores of the others; the exit code tells.
        let mut loaded = Vec::with_capacity(chunk.len());
        for path in chunk {
            match load_picture(path, &Limits::default(), &run.pixel_scale()) {
                Ok(read) => {
                    loaded.push((path, read.image));
                    notes.extend(read.notes);
                }
                Err(fault) => {
                    log::error!("{fault}");
                    faults += 1;
                }
            }
        }
        let pictures: Vec<&RgbImage> = loaded.iter().map(|(_, image)| image).collect();
        let detections = detector.inspect(&pictures)?;
        for ((path, image), detection) in loaded.iter().zip(&detections) {
            let name = unique_name(&args.input, path, &mut names);
            write_pictures(&args.out, &name, image, &detection.map, detector.full_scale())?;
            let limit = decision
                .as_ref()
                .map_or_else(String::new, |decision| decision.threshold.to_string());
            let verdict = decision
                .as_ref()
                .map_or("", |decision| decision.verdict(detection.verdict_score).name());
            table.write_record([
                path_text(path),
                image.width().to_string(),
                image.height().to_string(),
                detection.verdict_score.to_string(),
                limit,
                verdict.to_owned(),
            ])?;
        }
    }
    say(&notes);
    let bytes = table.into_inner().context("scores.csv")?;
    files::write(&args.out.join("scores.csv"), &bytes)?;
    log::info!("{}: {} scored", args.out.display(), counted(names.len(), "image"));
    if faults > 0 {
        bail!(
            "{faults} of {} images could not be read (named above)",
            images.len()
        );
    }
    Ok(())
}

/// The images to score, in order. Pictures that flawforge wrote are none, so the results may lie below the input; but a folder of
/// results must not be one of images.
fn list(input: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    if !input.try_exists().with_context(|| input.display().to_string())? {
        bail!("{}: no such image or folder", input.display());
    }
    let (images, inventory) = image_files(input)?;
    let passed = inventory.line();
    if images.is_empty() {
        let passed = passed
            .map(|passed| format!("; passed over: {passed}"))
            .unwrap_or_default();
        bail!(
            "{}: holds no image ({}){passed}",
            input.display(),
            ENDINGS.join(", ")
        );
    }
    let out_real = real_path(out);
    let is_folder = input.is_dir();
    if is_folder
        && (out_real == real_path(input)
            || images.iter().any(|image| real_path(image).starts_with(&out_real)))
    {
        bail!(
            "{}: images are read from there; choose another place for the results",
            out.display()
        );
    }
    if let Some(passed) = passed {
        log::info!(
            "{}: {}; passed over: {passed}",
            path_text(input),
            counted(images.len(), "image")
        );
    }
    Ok(images)
}

/// The image's path below the input without its ending; with the ending where two images differ only there.
fn unique_name(input: &Path, path: &Path, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let below = match path.strip_prefix(input) {
        Ok(below) if !below.as_os_str().is_empty() => below,
        _ => Path::new(path.file_name().unwrap_or(path.as_os_str())),
    };
    let mut name = below.with_extension("");
    if taken.contains(&name) {
        let ending = below.extension().unwrap_or_default().to_string_lossy();
        name.as_mut_os_string().push(format!("_{ending}"));
    }
    taken.insert(name.clone());
    name
}

fn write_pictures(out: &Path, name: &Path, image: &RgbImage, map: &AnomalyMap, full: f32) -> Result<()> {
    let file = |suffix: &str| {
        let mut path = out.join(name);
        path.as_mut_os_string().push(suffix);
        path
    };
    if let Some(folder) = file("").parent() {
        make_folder(folder)?;
    }
    let (width, height) = image.dimensions();
    let gray = map
        .scores
        .iter()
        .map(|score| ((score / full).clamp(0.0, 1.0) * 65535.0).round() as u16)
        .collect();
    let gray: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_raw(width, height, gray).context("the map has another size than the image")?;
    let path = file("_map.png");
    let mut bytes = Cursor::new(Vec::new());
    gray.write_to(&mut bytes, ImageFormat::Png)
        .with_context(|| path.display().to_string())?;
    let mut bytes = bytes.into_inner();
    mark_as_own(&mut bytes);
    files::write(&path, &bytes)?;
    let heat = HeatMap {
        scores: &map.scores,
        width,
        height,
        scale: Scale { low: 0.0, high: full },
    };
    write_png(&file("_heat.png"), &heat.colors())?;
    write_png(&file("_overlay.png"), &heat.over(image, OPACITY))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_input_and_do_not_collide() {
        let mut taken = BTreeSet::new();
        let mut name = |input: &str, path: &str| {
            unique_name(Path::new(input), Path::new(path), &mut taken)
                .display()
                .to_string()
        };
        assert_eq!(name("in", "in/good/000.png"), "good/000");
        assert_eq!(name("in", "in/good/000.jpg"), "good/000_jpg");
        assert_eq!(name("in/x.y.png", "in/x.y.png"), "x.y");
    }
}
