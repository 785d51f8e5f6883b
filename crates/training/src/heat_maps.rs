//! A sheet of test images with what a detector says about them.

use std::path::Path;

use flawforge_datasets::{Category, TestImage};
use flawforge_models::Detection;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use crate::error::Result;
use crate::evaluate::Evaluation;
use crate::panel::write_png;
use crate::sheet::{Cell, HeatMap, Scale, Sheet, mask_image, outline};

/// Images shown of each defect type, at most.
const PER_DEFECT: usize = 3;
/// Colour of the outline of the ground truth in the overlay.
const OUTLINE: Rgb<u8> = Rgb([0, 255, 255]);
/// Side of an image in pixels.
const SIDE: u32 = 128;
/// How much of the image the overlay hides where the score is highest.
const OPACITY: f32 = 0.7;

/// Image, ground truth, reconstruction, anomaly map and overlay for some test images of each defect type, evenly spaced.
pub fn heat_maps(evaluation: &Evaluation, category: &Category) -> RgbImage {
    let mut sheet = Sheet::new(&[
        "image",
        "ground truth",
        "reconstruction",
        "anomaly map",
        "overlay",
    ]);
    // Enlarged by whole pixels, small images stay honest and captions fit; large ones are reduced.
    sheet.side = Some(SIDE);
    sheet.title(format!(
        "{}: image AUROC {}, pixel AUROC {}, pixel AP {}",
        evaluation.category,
        percent(evaluation.scores.image_auroc),
        percent(evaluation.scores.pixel_auroc),
        percent(evaluation.scores.pixel_ap),
    ));
    for (test, detection) in shown(evaluation, category) {
        sheet.row(test.name.clone(), row(test, detection));
    }
    sheet.render()
}

/// Writes [`heat_maps`] as PNG.
///
/// # Errors
/// If the file cannot be written.
pub fn write_heat_maps(path: &Path, evaluation: &Evaluation, category: &Category) -> Result<()> {
    write_png(path, &heat_maps(evaluation, category))
}

fn row(test: &TestImage, detection: &Detection) -> [Cell; 5] {
    let map = HeatMap {
        scores: &detection.map.scores,
        width: detection.map.width,
        height: detection.map.height,
        scale: Scale::UNIT,
    };
    let truth = test.mask_half.to_luma8();
    // The image may be of another size than its ground truth.
    let (width, height) = truth.dimensions();
    let mut overlay = map.over(&resize(&test.image, width, height, FilterType::Triangle), OPACITY);
    outline(&mut overlay, &truth, OUTLINE);
    let (width, height) = test.image.dimensions();
    let reconstruction = detection
        .reconstruction
        .clone()
        .unwrap_or_else(|| RgbImage::new(width, height));
    [
        Cell::from(test.image.clone()),
        Cell::from(mask_image(&truth)),
        Cell::from(reconstruction),
        Cell::new(map.colours(), format!("score {:.3}", detection.score)),
        Cell::from(overlay),
    ]
}

fn shown<'a>(evaluation: &'a Evaluation, category: &'a Category) -> Vec<(&'a TestImage, &'a Detection)> {
    let all: Vec<_> = category.test.iter().zip(&evaluation.detections).collect();
    let mut shown = Vec::new();
    // Test images come ordered by defect type.
    for group in all.chunk_by(|(a, _), (b, _)| a.defect == b.defect) {
        let count = group.len().min(PER_DEFECT);
        shown.extend((0..count).map(|i| group[i * group.len() / count]));
    }
    shown
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}", 100.0 * value))
}
