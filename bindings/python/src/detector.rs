//! Detectors: from a run to scores.

use std::path::PathBuf;

use flawforge::datasets::{Appearance, Limits, PixelScale, load_picture, note_lines};
use flawforge::masks::OUTSIDE;
use flawforge::models::{self, Detection};
use flawforge::training::settings::Region;
use flawforge::training::{Judge, Judgement, Run, Verdict};
use image::RgbImage;
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray3};
use pyo3::prelude::*;

use crate::fault::{Error, detached, raised};
use crate::images::copies;
use crate::pool;

/// Images that a network sees at once: enough to fill the cores, few enough that their tensors stay small.
const BATCH: usize = 8;

/// A trained run, ready to score images.
#[pyclass(frozen, module = "flawforge._flawforge")]
pub(crate) struct Detector {
    detector: Box<dyn models::Detector>,
    judge: Judge,
    scale: PixelScale,
    /// What the normal images of the training look like, if the run tells.
    appearance: Option<Appearance>,
    /// Where the run lies.
    #[pyo3(get)]
    file: PathBuf,
    #[pyo3(get)]
    category: String,
    #[pyo3(get)]
    method: String,
    /// What a person should know before relying on the thresholds.
    #[pyo3(get)]
    warnings: Vec<String>,
}

/// Of each image its score, that of the published protocol, its verdict, its map where maps are wanted, its regions (left, upper,
/// width, height, area, highest and mean score), and in what it is unlike the normal images of the training.
type Scored<'py> = (
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<f32>>,
    Vec<Option<&'static str>>,
    Option<Vec<Bound<'py, PyArray2<f32>>>>,
    Vec<Vec<(u32, u32, u32, u32, u64, f32, f64)>>,
    Vec<Vec<String>>,
);

#[pymethods]
impl Detector {
    /// Opens a run: its folder, its checkpoint or its model.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        run: PathBuf,
        threshold: Option<f32>,
        pixel_threshold: Option<f32>,
        min_area: u64,
    ) -> PyResult<Self> {
        detached(py, || {
            pool::run(|| {
                let run = Run::open(&run).map_err(raised)?;
                if run.experiment().region == Region::EachImage {
                    let [red, green, blue] = OUTSIDE.0;
                    log::warn!(
                        "each image of this run has a region of interest of its own: give pixels outside of it the color \
                         ({red}, {green}, {blue}), or all of an image is looked at"
                    );
                }
                let mut rule = run.rule();
                rule.threshold = threshold.or(rule.threshold);
                let decision = run.decision(&rule).map_err(raised)?;
                Ok(Self {
                    detector: run.detector().map_err(raised)?,
                    warnings: decision
                        .as_ref()
                        .map_or_else(Vec::new, |one| one.warnings.clone()),
                    judge: Judge::new(decision, threshold, pixel_threshold, min_area),
                    scale: run.pixel_scale(),
                    appearance: run.appearance().cloned(),
                    file: run.file().to_path_buf(),
                    category: run.category().to_owned(),
                    method: run.experiment().method.name().to_owned(),
                })
            })
        })
    }

    #[getter]
    fn threshold(&self) -> Option<f32> {
        self.judge.threshold()
    }

    #[getter]
    fn pixel_threshold(&self) -> Option<f32> {
        self.judge.pixel_threshold()
    }

    /// Height and width of what the network sees.
    #[getter]
    fn input_size(&self) -> (u32, u32) {
        let (width, height) = self.detector.input_size();
        (height, width)
    }

    /// A file as the run's images were read: RGB, and deeper files by the scale of the training images.
    fn read<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let picture = detached(py, || {
            load_picture(&path, &Limits::default(), &self.scale).map_err(raised)
        })?;
        for (is_doubt, line) in note_lines(&picture.notes) {
            match is_doubt {
                true => log::warn!("{line}"),
                false => log::info!("{line}"),
            }
        }
        let (width, height) = picture.image.dimensions();
        PyArray1::from_vec(py, picture.image.into_raw()).reshape([height as usize, width as usize, 3])
    }

    /// Scores images (height, width, 3) of any sizes.
    fn score<'py>(
        &self,
        py: Python<'py>,
        images: Vec<PyReadonlyArray3<'py, u8>>,
        maps: bool,
    ) -> PyResult<Scored<'py>> {
        let images = copies(&images)?;
        let (mut judged, mut unlike) = (Vec::with_capacity(images.len()), Vec::with_capacity(images.len()));
        for (place, chunk) in images.chunks(BATCH).enumerate() {
            let done = detached(py, || {
                pool::run(|| {
                    let prepared: Vec<RgbImage> =
                        chunk.iter().map(|image| self.detector.prepare(image)).collect();
                    let unlike: Vec<_> = prepared.iter().zip(chunk).map(|one| self.unlike(one)).collect();
                    let detections = self.detect(&prepared)?;
                    let judged = (place * BATCH..).zip(detections.into_iter().zip(chunk));
                    let judged = judged
                        .map(|(number, (detection, image))| {
                            let size = image.dimensions();
                            let (said, _) = self.judge.judge(&detection, size).ok_or_else(|| {
                                Error::new_err(format!("image {number}: its score is not a number"))
                            })?;
                            Ok((said, maps.then(|| detection.map.resized(size.0, size.1))))
                        })
                        .collect::<PyResult<Vec<_>>>()?;
                    Ok((judged, unlike))
                })
            })?;
            judged.extend(done.0);
            unlike.extend(done.1);
            py.check_signals()?;
        }
        let scores = judged.iter().map(|(said, _)| said.score).collect();
        let protocol = judged
            .iter()
            .map(|(said, _)| said.protocol_score.unwrap_or(f32::NAN))
            .collect();
        let verdicts = judged
            .iter()
            .map(|(said, _)| said.verdict.map(Verdict::name))
            .collect();
        let regions = judged.iter().map(|(said, _)| regions(said)).collect();
        let arrays: Option<PyResult<Vec<_>>> = maps.then(|| {
            let maps = judged.into_iter().filter_map(|(_, map)| map);
            maps.map(|map| {
                let shape = [map.height as usize, map.width as usize];
                PyArray1::from_vec(py, map.scores).reshape(shape)
            })
            .collect()
        });
        Ok((
            PyArray1::from_vec(py, scores),
            PyArray1::from_vec(py, protocol),
            verdicts,
            arrays.transpose()?,
            regions,
            unlike,
        ))
    }
}

impl Detector {
    /// In what an image, prepared and as it is, is unlike the normal images of the training.
    fn unlike(&self, (prepared, image): (&RgbImage, &RgbImage)) -> Vec<String> {
        self.appearance.as_ref().map_or_else(Vec::new, |appearance| {
            appearance.unlike(prepared, image.dimensions())
        })
    }

    /// As `flawforge predict` detects: prepared images, at once where they have one size.
    fn detect(&self, prepared: &[RgbImage]) -> PyResult<Vec<Detection>> {
        let alike = prepared
            .windows(2)
            .all(|pair| pair[0].dimensions() == pair[1].dimensions());
        let at_once = if alike { BATCH } else { 1 };
        let mut detections = Vec::with_capacity(prepared.len());
        for chunk in prepared.chunks(at_once) {
            let chunk: Vec<&RgbImage> = chunk.iter().collect();
            detections.extend(self.detector.detect(&chunk).map_err(raised)?);
        }
        Ok(detections)
    }
}

fn regions(said: &Judgement) -> Vec<(u32, u32, u32, u32, u64, f32, f64)> {
    let regions = said.regions.iter().map(|region| {
        let [left, upper, width, height] = region.bounds;
        (left, upper, width, height, region.area, region.peak, region.mean)
    });
    regions.collect()
}
