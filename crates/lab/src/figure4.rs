//! Figure 4: input, ground truth, and two methods' reconstructions and anomaly maps for the hardest test images.

use crate::plan::{Plan, Planned};
use anyhow::{Context, Result};
use flawforge::datasets::{Category, TestImage};
use flawforge::files;
use flawforge::metrics::average_precision;
use flawforge::models::{Detection, Detector};
use flawforge::pictures::{
    Cell, ContactSheet, HeatMap, Scale, draw_text, heat_color, mask_image, outline, text_size, write_png,
};
use flawforge::training::{Method, Run, default_device};
use image::{Rgb, RgbImage, imageops};
use serde::Serialize;

/// Whose reconstructions and maps are shown; the first decides which images are hard.
pub const METHODS: [Method; 2] = [Method::Draem, Method::LinYan];

/// How the images are chosen, for the picture and its JSON.
const RULE: &str =
    "for each category the defective test images on which draem's map (seed 0) has the lowest pixel AP";

/// Side of an image in the figure, pixels.
const SIDE: u32 = 192;
const TRUTH: Rgb<u8> = Rgb([0, 255, 255]);
const INK: Rgb<u8> = Rgb([24, 24, 24]);
const PAPER: Rgb<u8> = Rgb([250, 250, 250]);

/// One row of the figure, as its JSON tells it.
#[derive(Debug, Serialize)]
struct Row {
    category: String,
    image: String,
    /// Pixel AP on this image alone, by method, in the order of [`METHODS`].
    pixel_ap: [f64; 2],
}

#[derive(Serialize)]
struct Description {
    rule: &'static str,
    methods: [&'static str; 2],
    rows: Vec<Row>,
}

/// Draws `OUT/figure4.png` and `OUT/figure4.json` from the finished cells of both methods with seed 0: `hardest` images of
/// each category of which both are there. Returns whether there was any.
///
/// # Errors
/// When a run cannot be opened or a file cannot be written.
pub fn draw(plan: &Plan, cells: &[Planned], hardest: usize) -> Result<bool> {
    let [first, second] = METHODS;
    let mut sheet = ContactSheet::new(&[
        "input".to_owned(),
        "ground truth".into(),
        format!("{first}: reconstruction"),
        format!("{first}: anomaly map"),
        format!("{second}: reconstruction"),
        format!("{second}: anomaly map"),
    ]);
    sheet.side = Some(SIDE);
    sheet.title("Reconstructions and anomaly maps on the hardest test images");
    let mut rows = Vec::new();
    for (index, name) in plan.categories.iter().enumerate() {
        let finished = |method: Method| {
            cells.iter().find(|cell| {
                cell.category == index
                    && cell.experiment.method == method
                    && cell.key.seed == 0
                    && cell.result.is_some()
            })
        };
        let (Some(baseline), Some(ours)) = (finished(first), finished(second)) else {
            continue;
        };
        let category = plan.data.load_to_score(name, &baseline.loading)?;
        let device = default_device();
        let detector = |cell: &Planned| Run::open_on(&cell.key.dir(&plan.out), &device)?.detector();
        let chosen = hardest_images(&*detector(baseline)?, &category, hardest)?;
        let other = detector(ours)?;
        for Hard { test, detection, ap } in chosen {
            let theirs = detection;
            let found = other
                .detect(&[&test.image])?
                .into_iter()
                .next()
                .context("a detection for an image")?;
            let found_ap = pixel_ap(test, &found)?;
            let mut row = vec![
                Cell::from(test.image.clone()),
                Cell::from(mask_image(&test.mask.to_luma8())),
            ];
            for (detection, ap) in [(&theirs, ap), (&found, found_ap)] {
                row.push(reconstruction(detection, test));
                row.push(map(detection, test, ap));
            }
            sheet.row(format!("{name} {}", test.name), row);
            rows.push(Row {
                category: name.clone(),
                image: test.name.clone(),
                pixel_ap: [ap, found_ap],
            });
        }
    }
    if rows.is_empty() {
        return Ok(false);
    }
    write_png(&plan.out.join("figure4.png"), &with_legend(&sheet.render()))?;
    let description = Description {
        rule: RULE,
        methods: METHODS.map(Method::name),
        rows,
    };
    let text = serde_json::to_string_pretty(&description)?;
    files::write(&plan.out.join("figure4.json"), text.as_bytes())?;
    Ok(true)
}

/// A hard test image with what the baseline says of it.
struct Hard<'a> {
    test: &'a TestImage,
    detection: Detection,
    ap: f64,
}

/// The `count` defective test images with the lowest pixel AP, hardest first; of equals the first by name.
fn hardest_images<'a>(
    detector: &dyn Detector,
    category: &'a Category,
    count: usize,
) -> Result<Vec<Hard<'a>>> {
    let mut hardest: Vec<Hard<'a>> = Vec::new();
    for test in category.test.iter().filter(|test| !test.mask.is_empty()) {
        for detection in detector.detect(&[&test.image])? {
            let ap = pixel_ap(test, &detection)?;
            let place = hardest.partition_point(|other| other.ap <= ap);
            hardest.insert(place, Hard { test, detection, ap });
            hardest.truncate(count);
        }
    }
    Ok(hardest)
}

/// Average precision over the pixels of one image with a defect.
fn pixel_ap(test: &TestImage, detection: &Detection) -> Result<f64> {
    Ok(average_precision(&detection.map.scores, test.mask.pixels())?)
}

fn reconstruction(detection: &Detection, test: &TestImage) -> Cell {
    match &detection.reconstruction {
        Some(picture) => Cell::from(picture.clone()),
        None => Cell::new(
            RgbImage::from_pixel(test.image.width(), test.image.height(), PAPER),
            "none",
        ),
    }
}

/// The map enlarged to the size in the figure, with the rim of the ground truth, which is then one pixel of the figure wide.
fn map(detection: &Detection, test: &TestImage, ap: f64) -> Cell {
    let heat = HeatMap {
        scores: &detection.map.scores,
        width: detection.map.width,
        height: detection.map.height,
        scale: Scale::UNIT,
    };
    let mut picture = imageops::resize(&heat.colors(), SIDE, SIDE, imageops::FilterType::Nearest);
    outline(&mut picture, &test.mask.to_luma8(), TRUTH);
    Cell::new(picture, format!("AP {:.1}", 100.0 * ap))
}

/// The figure with the scale of the colours and the rule of choice below.
fn with_legend(figure: &RgbImage) -> RgbImage {
    const BAR: (u32, u32) = (256, 14);
    const MARGIN: u32 = 12;
    let lines = [
        "anomaly score of a pixel, 0 to 1; cyan: rim of the ground truth; AP: pixel AP in percent on this image alone".to_owned(),
        format!("shown: {RULE}"),
    ];
    let text_width = lines.iter().map(|line| text_size(line, 1).0).max().unwrap_or(0);
    let width = figure.width().max(text_width + 2 * MARGIN);
    let height = figure.height() + BAR.1 + 16 + 2 * 12 + 3 * MARGIN;
    let mut page = RgbImage::from_pixel(width, height, PAPER);
    imageops::replace(&mut page, figure, 0, 0);
    let top = figure.height() + MARGIN;
    for x in 0..BAR.0 {
        for y in 0..BAR.1 {
            page.put_pixel(MARGIN + x, top + y, heat_color(x as f32 / (BAR.0 - 1) as f32));
        }
    }
    let below = top + BAR.1 + 4;
    for (at, label) in [(0, "0"), (BAR.0 / 2, "0.5"), (BAR.0, "1")] {
        let x = (MARGIN + at).saturating_sub(text_size(label, 1).0 / 2);
        draw_text(&mut page, x, below, label, 1, INK);
    }
    for (number, line) in (0u32..).zip(&lines) {
        draw_text(&mut page, MARGIN, below + 18 + number * 12, line, 1, INK);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use flawforge::masks::Mask;
    use flawforge::models::{AnomalyMap, ModelError, Resizing};

    /// Calls pixels as anomalous as their red channel is bright.
    struct Redness;

    impl Detector for Redness {
        fn resizing(&self) -> Resizing {
            Resizing::opencv(4, 1)
        }
        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let one = |image: &&RgbImage| Detection {
                map: AnomalyMap {
                    width: 4,
                    height: 1,
                    scores: image.pixels().map(|pixel| f32::from(pixel[0])).collect(),
                },
                score: 0.0,
                verdict_score: 0.0,
                reconstruction: None,
            };
            Ok(images.iter().map(one).collect())
        }
    }

    fn test(name: &str, reds: [u8; 4], anomalous: Option<u32>) -> TestImage {
        let mask = Mask::from_fn(4, 1, |x, _| Some(x) == anomalous);
        let image = RgbImage::from_fn(4, 1, |x, _| Rgb([reds[x as usize], 0, 0]));
        let defect = if anomalous.is_some() { "dot" } else { "good" };
        TestImage::drawn(name.into(), defect.into(), image, mask)
    }

    #[test]
    fn the_hardest_come_first() {
        let category = Category {
            name: "dots".into(),
            test: vec![
                test("easy", [9, 1, 2, 3], Some(0)),
                test("hard", [1, 9, 8, 7], Some(0)),
                test("normal", [1, 9, 8, 7], None),
                test("middle", [8, 9, 1, 1], Some(0)),
                test("hard too", [1, 9, 8, 7], Some(0)),
            ],
            ..Category::default()
        };
        let chosen = hardest_images(&Redness, &category, 3).unwrap();
        let found: Vec<(&str, f64)> = chosen
            .iter()
            .map(|hard| (hard.test.name.as_str(), hard.ap))
            .collect();
        assert_eq!(found, [("hard", 0.25), ("hard too", 0.25), ("middle", 0.5)]);
    }
}
