//! A sheet of test images with what a detector says about them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use flawforge_datasets::TestImage;
use flawforge_models::Detection;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use crate::{Cell, ContactSheet, HeatMap, SIDE, Scale, mask_image, outline, write_png};

/// Images shown of each defect type, at most.
const PER_DEFECT: usize = 3;
/// Colour of the outline of the ground truth in the overlay.
const OUTLINE: Rgb<u8> = Rgb([0, 255, 255]);
/// How much of the image the overlay hides where the score is highest.
const OPACITY: f32 = 0.7;

/// Image, ground truth, reconstruction, anomaly map and overlay for some test images of each defect type, evenly spaced.
/// Detections are added as they come, those that are not shown are passed over.
pub struct HeatMapSheet {
    scale: Scale,
    /// Position of each test image that is shown, with its name and its row as soon as it is there.
    rows: BTreeMap<usize, Option<(String, [Cell; 5])>>,
}

impl HeatMapSheet {
    /// A sheet for test images with these defect types, one for each image in their order, whose maps show a score of
    /// `full_scale` as fully anomalous ([`flawforge_models::Detector::full_scale`]).
    pub fn new<'a>(defects: impl IntoIterator<Item = &'a str>, full_scale: f32) -> Self {
        let defects: Vec<&str> = defects.into_iter().collect();
        let positions: Vec<usize> = (0..defects.len()).collect();
        let mut rows = BTreeMap::new();
        // Test images come ordered by defect type.
        for group in positions.chunk_by(|&a, &b| defects[a] == defects[b]) {
            let count = group.len().min(PER_DEFECT);
            rows.extend((0..count).map(|i| (group[i * group.len() / count], None)));
        }
        let scale = Scale {
            low: 0.0,
            high: full_scale,
        };
        Self { scale, rows }
    }

    /// Adds the test image at a position, and what a detector says of it.
    pub fn add(&mut self, position: usize, test: &TestImage, detection: &Detection) {
        if let Some(place) = self.rows.get_mut(&position) {
            *place = Some((test.name.clone(), row(test, detection, self.scale)));
        }
    }

    /// The sheet of the rows that are there, under a title.
    pub fn render(&self, title: &str) -> RgbImage {
        let mut sheet = ContactSheet::new(&[
            "image",
            "ground truth",
            "reconstruction",
            "anomaly map",
            "overlay",
        ]);
        sheet.side = Some(SIDE);
        sheet.title(title);
        for (name, row) in self.rows.values().flatten() {
            sheet.row(name.clone(), row.clone());
        }
        sheet.render()
    }

    /// Writes [`render`](Self::render) as PNG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path, title: &str) -> io::Result<()> {
        write_png(path, &self.render(title))
    }
}

fn row(test: &TestImage, detection: &Detection, scale: Scale) -> [Cell; 5] {
    let map = HeatMap {
        scores: &detection.map.scores,
        width: detection.map.width,
        height: detection.map.height,
        scale,
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
        Cell::new(map.colors(), format!("score {:.3}", detection.score)),
        Cell::from(overlay),
    ]
}
