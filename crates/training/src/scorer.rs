//! The metrics of a detector, image by image.

use std::collections::BTreeMap;

use flawforge_datasets::TestImage;
use flawforge_metrics::{
    Bins, Bootstrap, ErrorBound, ImageScores, Interval, Metric, PixelMetrics, PixelPoint, PixelSamples,
    PixelScores, PixelTruth, Scores, Truth,
};
use flawforge_models::{Detection, FieldOfView};

use crate::error::Result;
use crate::settings::{Evaluated, GroundTruth};

/// Values of the metrics of a detector, fractions in `[0, 1]`. One is absent where it is not defined: without both normal and
/// defective test images, or without ground-truth masks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// On whole images.
    pub scores: Scores,
    /// See [`Evaluation::scores_in_view`](crate::Evaluation::scores_in_view).
    pub scores_in_view: Option<Scores>,
    /// See [`Evaluation::error_bounds`](crate::Evaluation::error_bounds).
    pub error_bounds: Scores,
    /// Intervals of `scores`, where they were asked for and these images can tell.
    pub intervals: BTreeMap<Metric, Interval>,
    /// How far the ends of the intervals can be off: their pixels are counted in bins of scores.
    pub interval_errors: Scores,
    /// The curves of pixels by the main rule, where intervals were asked for.
    pub curve: Vec<PixelPoint>,
}

/// Scores a detector image by image. It holds the scores of the pixels, or histograms of them, and no image, map or picture.
#[derive(Debug, Clone)]
pub struct Scorer {
    aupro_limit: f64,
    bootstrap: Option<Bootstrap>,
    images: ImageScores,
    pixels: usize,
    normal: usize,
    defective: usize,
    main: Pixels,
    half: Pixels,
    /// Of the part that the detector looks at, where that is not all.
    in_view: Option<Pixels>,
}

impl Scorer {
    /// A scorer that has seen nothing yet; `view` is the part of the images that the detector looks at, if not all.
    ///
    /// # Errors
    /// When the histograms of bounded memory cannot be made.
    pub fn new(settings: &Evaluated, view: Option<FieldOfView>) -> Result<Self> {
        let pixels = |rule, part| Pixels::new(rule, part, settings.bounded);
        Ok(Self {
            aupro_limit: settings.aupro_limit,
            bootstrap: None,
            images: ImageScores::new(),
            pixels: 0,
            normal: 0,
            defective: 0,
            main: pixels(settings.ground_truth, None)?,
            half: pixels(GroundTruth::Half, None)?,
            in_view: view
                .map(|view| pixels(GroundTruth::Half, Some(view)))
                .transpose()?,
        })
    }

    /// With intervals of the metrics on whole images, and the curves of pixels; to be asked for before the first image. Takes up to
    /// 100 MB more, whatever the number of images.
    #[must_use]
    pub fn with_intervals(mut self, bootstrap: Bootstrap) -> Self {
        self.bootstrap = Some(bootstrap);
        self.main.samples = Some(PixelSamples::new());
        self.half.samples = Some(PixelSamples::new());
        self
    }

    /// Adds what a detector says of a test image. Its pixels count where [it is known](TestImage::pixels_are_known) which of them
    /// are anomalous.
    ///
    /// # Errors
    /// A map of another size than the image's mask, a score that is not a number.
    pub fn push(&mut self, test: &TestImage, detection: &Detection) -> Result<()> {
        self.images.push(detection.score, test.is_defective())?;
        match test.is_defective() {
            true => self.defective += 1,
            false => self.normal += 1,
        }
        if !test.pixels_are_known() {
            return Ok(());
        }
        self.pixels += detection.map.scores.len();
        self.main.push(test, detection)?;
        self.half.push(test, detection)?;
        match &mut self.in_view {
            Some(part) => part.push(test, detection),
            None => Ok(()),
        }
    }

    /// The metrics of all images so far.
    ///
    /// # Errors
    /// When a metric cannot be computed.
    pub fn finish(self) -> Result<Measured> {
        let mut measured = self.resampled()?;
        let Measured {
            scores,
            scores_in_view,
            error_bounds,
            ..
        } = &mut measured;
        if self.defective > 0 && self.normal > 0 {
            let metrics = self.images.finish()?;
            scores.extend([
                (Metric::ImageAuroc, metrics.auroc),
                (Metric::ImageAp, metrics.average_precision),
            ]);
        }
        let limit = self.aupro_limit;
        // Sorting takes as much memory again: of many pixels, one rule after the other.
        let (main, half) = match self.pixels > AT_ONCE {
            false => rayon::join(|| self.main.finish(limit), || self.half.finish(limit)),
            true => (self.main.finish(limit), self.half.finish(limit)),
        };
        for (metrics, names) in [(main?, WHOLE), (half?, HALF)] {
            if let Some(metrics) = metrics {
                scores.extend(names.into_iter().zip(values(&metrics)));
                if metrics.error != ErrorBound::default() {
                    error_bounds.extend(names.into_iter().zip(bounds(&metrics.error)));
                }
            }
        }
        let in_view = self.in_view.map(|part| part.finish(limit)).transpose()?;
        *scores_in_view = in_view
            .flatten()
            .map(|metrics| WHOLE.into_iter().zip(values(&metrics)).collect());
        Ok(measured)
    }

    /// What drawing the images again tells, where it was asked for.
    fn resampled(&self) -> Result<Measured> {
        let mut measured = Measured::default();
        let Some(bootstrap) = &self.bootstrap else {
            return Ok(measured);
        };
        let defined = |(metric, interval): (Metric, Option<Interval>)| Some((metric, interval?));
        if self.defective > 0 && self.normal > 0 {
            let found = self.images.intervals(bootstrap)?;
            let found = [
                (Metric::ImageAuroc, found.auroc),
                (Metric::ImageAp, found.average_precision),
            ];
            measured.intervals.extend(found.into_iter().filter_map(defined));
        }
        for (pixels, names) in [(&self.main, WHOLE), (&self.half, HALF)] {
            let Some(samples) = pixels.samples.as_ref().filter(|_| pixels.anomalous) else {
                continue;
            };
            let found = samples.intervals(bootstrap, self.aupro_limit)?;
            let intervals = [found.auroc, found.average_precision, found.aupro];
            measured
                .intervals
                .extend(names.into_iter().zip(intervals).filter_map(defined));
            measured
                .interval_errors
                .extend(names.into_iter().zip(bounds(&found.error)));
        }
        if let Some(samples) = self.main.samples.as_ref().filter(|_| self.main.anomalous) {
            measured.curve = samples.curve(CURVE_STEP)?;
        }
        Ok(measured)
    }
}

/// Distance of the points of a curve: finer than a plot shows (proposal).
const CURVE_STEP: f64 = 0.002;

/// Pixels that are sorted by both rules at the same time (proposal).
const AT_ONCE: usize = 20_000_000;

/// The metrics of pixels by the ground-truth rule asked for, and by that of half coverage, in the order of [`values`].
const WHOLE: [Metric; 3] = [Metric::PixelAuroc, Metric::PixelAp, Metric::Aupro];
const HALF: [Metric; 3] = [Metric::PixelAurocHalf, Metric::PixelApHalf, Metric::AuproHalf];

fn values(metrics: &PixelMetrics) -> [f64; 3] {
    [metrics.auroc, metrics.average_precision, metrics.aupro]
}

fn bounds(error: &ErrorBound) -> [f64; 3] {
    [error.auroc, error.average_precision, error.aupro]
}

/// The histograms of bounded memory: for scores of any range, 128 MiB each, a relative resolution of 1/8192 (proposal).
const BINS: Bins = Bins::FloatBits(22);

/// The truth about a pixel with this mark, which may lie outside of the region of interest.
fn truth((&marked, &inside): (&u8, &u8)) -> PixelTruth {
    match (inside != 0, marked != 0) {
        (false, _) => PixelTruth::Outside,
        (true, true) => PixelTruth::Anomalous,
        (true, false) => PixelTruth::Normal,
    }
}

/// Pixel scores by one rule for the ground truth, of whole images or of a part of each.
#[derive(Debug, Clone)]
struct Pixels {
    rule: GroundTruth,
    part: Option<FieldOfView>,
    scores: PixelScores,
    samples: Option<PixelSamples>,
    anomalous: bool,
}

impl Pixels {
    fn new(rule: GroundTruth, part: Option<FieldOfView>, bounded: bool) -> Result<Self> {
        Ok(Self {
            rule,
            part,
            scores: match bounded {
                true => PixelScores::bounded(BINS)?,
                false => PixelScores::exact(),
            },
            samples: None,
            anomalous: false,
        })
    }

    /// The pixels of an image with their truths.
    fn add<T: Truth>(&mut self, test: &TestImage, detection: &Detection, truth: &[T]) -> Result<()> {
        let (scores, width, height) = (
            &detection.map.scores,
            detection.map.width as usize,
            detection.map.height as usize,
        );
        self.anomalous |= truth.iter().any(|truth| truth.is_anomalous());
        self.scores.push(scores, truth, width, height)?;
        if let Some(samples) = &mut self.samples {
            samples.push(scores, truth, width, height, test.is_defective())?;
        }
        Ok(())
    }

    fn push(&mut self, test: &TestImage, detection: &Detection) -> Result<()> {
        let mask = match self.rule {
            GroundTruth::Full => &test.mask,
            GroundTruth::Half => &test.mask_half,
        };
        let (width, height) = (detection.map.width as usize, detection.map.height as usize);
        let Some(view) = self.part else {
            return match &test.inside {
                None => self.add(test, detection, mask.pixels()),
                Some(inside) => {
                    let pairs = mask.pixels().iter().zip(inside.pixels());
                    let truth: Vec<PixelTruth> = pairs.map(truth).collect();
                    self.add(test, detection, &truth)
                }
            };
        };
        let place = |share: f64, length: usize| (share * length as f64).round() as usize;
        let columns = place(view.left, width)..place(view.right, width).min(width);
        let rows = place(view.top, height)..place(view.bottom, height).min(height);
        let (mut scores, mut truth) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            let part = row * width + columns.start..row * width + columns.end;
            scores.extend_from_slice(&detection.map.scores[part.clone()]);
            let inside = test.inside.as_ref().map(|inside| &inside.pixels()[part.clone()]);
            let marks = mask.pixels()[part].iter().enumerate();
            truth
                .extend(marks.map(|(at, mark)| self::truth((mark, inside.map_or(&1, |inside| &inside[at])))));
        }
        self.anomalous |= truth.iter().any(|truth| truth.is_anomalous());
        self.scores.push(&scores, &truth, columns.len(), rows.len())?;
        Ok(())
    }

    /// The metrics, or nothing where no pixel of the ground truth is anomalous.
    fn finish(self, aupro_limit: f64) -> Result<Option<PixelMetrics>> {
        self.anomalous
            .then(|| Ok(self.scores.finish(aupro_limit)?))
            .transpose()
    }
}
