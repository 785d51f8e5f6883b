//! A picture of what the networks see and say of simulated samples, drawn now and then during training.

use flawforge_augment::{Sample, to_bytes};
use flawforge_models::{Detector, ModelError};
use image::RgbImage;

use crate::{Cell, ContactSheet, HeatMap, SIDE, Scale, mask_image};

/// Rows of a grid, at most.
const ROWS: usize = 4;

/// Draws some samples of a batch, those with an anomaly first: input, reconstruction, anomaly map, mask. `names` are those
/// of the samples' normal images, in the same order. Scores from 0 to 1 span the colours of the maps.
///
/// # Errors
/// If the detector cannot take the samples, which must be of its input size, or fails.
pub fn training_grid(
    detector: &dyn Detector,
    samples: &[Sample],
    names: &[String],
    title: &str,
) -> Result<RgbImage, ModelError> {
    let mut order: Vec<(&Sample, &String)> = samples.iter().zip(names).collect();
    order.sort_by_key(|(sample, _)| sample.kind.is_none());
    order.truncate(ROWS);
    let inputs: Vec<RgbImage> = order.iter().map(|(sample, _)| to_bytes(&sample.image)).collect();
    let detections = detector.detect(&inputs.iter().collect::<Vec<_>>())?;
    let mut sheet = ContactSheet::new(&["input", "reconstruction", "anomaly map", "mask"]);
    sheet.side = Some(SIDE);
    sheet.title(title);
    for (((sample, name), input), detection) in order.into_iter().zip(inputs).zip(detections) {
        let map = HeatMap {
            scores: &detection.map.scores,
            width: detection.map.width,
            height: detection.map.height,
            scale: Scale::UNIT,
        };
        let kind = sample
            .kind
            .map_or_else(|| "clean".to_owned(), |kind| kind.to_string());
        let (width, height) = input.dimensions();
        let reconstruction = detection
            .reconstruction
            .unwrap_or_else(|| RgbImage::new(width, height));
        let cells = [
            Cell::from(input),
            Cell::from(reconstruction),
            Cell::new(map.colors(), format!("score {:.3}", detection.score)),
            Cell::from(mask_image(&sample.mask.to_luma8())),
        ];
        sheet.row(format!("{name} {kind}"), cells);
    }
    Ok(sheet.render())
}

#[cfg(test)]
mod tests {
    use flawforge_augment::{Kind, Parameters, to_float};
    use flawforge_masks::Mask;
    use flawforge_models::{AnomalyMap, Detection, Resizing};
    use image::Rgb;

    use super::*;

    /// Finds nothing.
    struct Blind;

    impl Detector for Blind {
        fn resizing(&self) -> Resizing {
            Resizing::opencv(16, 16)
        }
        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let detection = |image: &&RgbImage| Detection {
                map: AnomalyMap {
                    width: image.width(),
                    height: image.height(),
                    scores: vec![0.0; 256],
                },
                score: 0.0,
                verdict_score: 0.0,
                reconstruction: None,
            };
            Ok(images.iter().map(detection).collect())
        }
    }

    fn sample(gray: u8, kind: Option<Kind>) -> Sample {
        let normal = RgbImage::from_pixel(16, 16, Rgb([gray; 3]));
        Sample {
            image: to_float(&normal),
            normal,
            mask: Mask::empty(16, 16),
            kind,
            parameters: Parameters::new(),
        }
    }

    #[test]
    fn anomalies_come_first_and_rows_are_few() {
        let clean: Vec<Sample> = (0..5).map(|_| sample(60, None)).collect();
        let mut samples = clean.clone();
        samples.push(sample(200, Some(Kind::Opaque)));
        let names: Vec<String> = (0..6).map(|i| format!("{i:03}")).collect();
        let drawn = |samples: &[Sample]| training_grid(&Blind, samples, &names, "title").unwrap();
        let (with, without) = (drawn(&samples), drawn(&clean));
        assert_eq!(without, drawn(&clean[..ROWS]));
        let first = |picture: &RgbImage, gray: u8| {
            picture
                .enumerate_pixels()
                .find(|(_, _, pixel)| pixel.0 == [gray; 3])
                .map(|(_, y, _)| y)
        };
        // The anomaly is the last sample, but in the first row.
        assert!(first(&with, 200) < first(&with, 60));
        assert_eq!(first(&without, 200), None);
        assert!(drawn(&[]).width() > 0);
    }
}
