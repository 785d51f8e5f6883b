//! The detector of DRAEM: reconstruct, then discriminate.

mod onnx;

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use flawforge_metrics::{
    image_score, image_score_window, verdict_score, verdict_score_window, windowed_score,
};
use flawforge_onnx::{Graph, Value};
use flawforge_ops::inference::{self, Activations};
use flawforge_ops::runtime::tells_of_full_memory;
use flawforge_ops::{Mode, Precision, concat, softmax};
use flawforge_resample::Resizing;
use image::RgbImage;
use rayon::prelude::*;

use crate::detector::check_sizes;
use crate::export::Outputs;
use crate::prepared::Prepared;
use crate::{
    AnomalyMap, Detection, Detector, Discriminative, Flips, MapScores, ModelError, Reconstructive,
    bytes_to_tensor,
};

/// DRAEM's detector: redraw the image, then let the second network mark where image and reconstruction differ.
///
/// The map is the softmax probability of channel 1, the image score the largest mean of a 21×21 window of it (DRAEM's
/// code). The Lin & Yan method trains the same networks in another way, and detects with this too.
///
/// In main memory and on CUDA devices the networks are prepared when the detector is made: batch norms are folded into
/// the convolutions, whose weights are rearranged once, and memory is used again from image to image. The detector then
/// keeps the weights as they were when it was made.
#[derive(Debug, Clone)]
pub struct Draem {
    engine: Engine,
    width: u32,
    height: u32,
    reconstructions: bool,
    flips: Option<Flips>,
    /// The networks as they are told in a graph, where that was asked for.
    told: Option<Box<(Reconstructive, Discriminative)>>,
}

/// How the networks are evaluated.
#[derive(Debug, Clone)]
enum Engine {
    /// Folded and prepared, on a device, in a precision.
    Prepared(Arc<[Prepared; 2]>, Device, Precision),
    /// Not prepared, for other types and devices. Boxed, since the other variant is small.
    AsTrained(Box<(Reconstructive, Discriminative, Precision)>),
}

/// Pixels that are evaluated at once at most, as long as there is more than one image: more would need more memory
/// without being faster.
const PIXELS_AT_ONCE: u32 = 1 << 17;

impl Draem {
    /// Pixels that are evaluated at once on a GPU at most, as long as there is more than one image: eight images of the paper's
    /// size, which keep it busy.
    pub const PIXELS_AT_ONCE_ON_GPU: u32 = 1 << 19;

    /// A detector of images of the given width and height in pixels, in the [precision](Precision::current) that this thread
    /// has now.
    ///
    /// # Errors
    /// [`ModelError::Size`] unless both are positive multiples of [`Discriminative::MULTIPLE`].
    pub fn new(
        reconstructive: &Reconstructive,
        discriminative: &Discriminative,
        width: u32,
        height: u32,
    ) -> Result<Self, ModelError> {
        let multiple = Discriminative::MULTIPLE;
        if [width, height]
            .iter()
            .any(|&side| side == 0 || !(side as usize).is_multiple_of(multiple))
        {
            return Err(ModelError::Size {
                width: width as usize,
                height: height as usize,
                multiple,
            });
        }
        let kernels_serve = [reconstructive.parameters(), discriminative.parameters()]
            .iter()
            .all(|parameters| inference::serves(parameters.device()) && parameters.dtype() == DType::F32);
        let engine = if kernels_serve {
            let size = (height as usize, width as usize);
            let networks = [reconstructive.prepare(size)?, discriminative.prepare(size)?];
            let device = reconstructive.parameters().device().clone();
            Engine::Prepared(Arc::new(networks), device, Precision::current())
        } else {
            Engine::AsTrained(Box::new((
                reconstructive.frozen()?,
                discriminative.frozen()?,
                Precision::current(),
            )))
        };
        let detector = Self {
            engine,
            width,
            height,
            reconstructions: false,
            flips: None,
            told: None,
        };
        detector.warm_up()?;
        Ok(detector)
    }

    /// On a GPU, has the engines of the convolutions chosen for full batches, whatever the first images are.
    fn warm_up(&self) -> Result<(), ModelError> {
        if matches!(&self.engine, Engine::Prepared(_, device, _) if !device.is_cpu()) {
            let blank = RgbImage::new(self.width, self.height);
            self.infer_in_parts(&vec![&blank; self.batch()], &|images| self.infer(images, false))?;
        }
        Ok(())
    }

    /// The same detector, handing out the reconstructed pictures as well.
    #[must_use]
    pub fn with_reconstructions(mut self) -> Self {
        self.reconstructions = true;
        self
    }

    /// The same detector, able to be told as a [graph](Detector::graph), of the networks that it was made of: it then holds their
    /// weights too, as they are when they are told.
    #[must_use]
    pub fn telling(mut self, reconstructive: &Reconstructive, discriminative: &Discriminative) -> Self {
        self.told = Some(Box::new((reconstructive.clone(), discriminative.clone())));
        self
    }

    /// The same detector, its maps averaged over mirror images; image scores are those of the averaged maps. Reconstructions
    /// stay those of the images themselves.
    #[must_use]
    pub fn with_flips(mut self, flips: Flips) -> Self {
        self.flips = Some(flips);
        self
    }

    /// What `infer` gives for images of one size: of all together, or of halves where a GPU's memory has no room for so many.
    fn infer_in_parts(
        &self,
        images: &[&RgbImage],
        infer: &dyn Fn(&[&RgbImage]) -> Result<Inferred, ModelError>,
    ) -> Result<Vec<Inferred>, ModelError> {
        match infer(images) {
            Err(fault) if images.len() > 1 && tells_of_full_memory(&fault) => {
                let (first, second) = images.split_at(images.len() / 2);
                let mut parts = self.infer_in_parts(first, infer)?;
                parts.extend(self.infer_in_parts(second, infer)?);
                Ok(parts)
            }
            inferred => Ok(vec![inferred?]),
        }
    }

    /// What all passes together give for images of one size.
    fn infer_all(&self, images: &[&RgbImage]) -> Result<Inferred, ModelError> {
        let inferred = self.infer(images, self.reconstructions)?;
        let Some(flips) = self.flips else {
            return Ok(inferred);
        };
        let map = flips.average(images, inferred.map, |mirrored| {
            Ok::<_, ModelError>(self.infer(mirrored, false)?.map)
        })?;
        Ok(Inferred { map, ..inferred })
    }

    /// What one pass through both networks gives for images of one size; with the reconstructions, if they are wanted.
    fn infer(&self, images: &[&RgbImage], wanted: bool) -> Result<Inferred, ModelError> {
        match &self.engine {
            Engine::Prepared(networks, device, precision) => {
                let _scope = precision.scope();
                let [reconstructive, discriminative] = &**networks;
                let (width, height) = (self.width as usize, self.height as usize);
                let bytes: Vec<&[u8]> = images.iter().map(|image| image.as_raw().as_slice()).collect();
                let input = Activations::of_bytes(device, &bytes, (images.len(), height, width, 3))?;
                let reconstruction = reconstructive.forward(&input)?;
                let joined = inference::concat(&reconstruction, &input)?; // reconstruction first (DRAEM's code)
                let map = inference::softmax_of(&discriminative.forward(&joined)?, 1)?;
                Ok(Inferred {
                    reconstruction: wanted
                        .then(|| reconstruction.values().map(Cow::into_owned))
                        .transpose()?,
                    map,
                })
            }
            Engine::AsTrained(networks) => {
                let (reconstructive, discriminative, precision) = &**networks;
                let _scope = precision.scope();
                let parameters = reconstructive.parameters();
                let input = bytes_to_tensor(images, parameters.device())?.to_dtype(parameters.dtype())?;
                let reconstruction = reconstructive.forward(&input, Mode::Eval)?;
                let joined = concat(&reconstruction, &input)?;
                let logits = discriminative.forward(&joined, Mode::Eval)?;
                let map = softmax(&logits)?.narrow(D::Minus1, 1, 1)?;
                Ok(Inferred {
                    reconstruction: wanted.then(|| values(&reconstruction)).transpose()?,
                    map: values(&map)?,
                })
            }
        }
    }

    /// Images that are evaluated at once.
    fn batch(&self) -> usize {
        match self.engine {
            // Each image gets the same numbers alone and beside others.
            Engine::Prepared(_, Device::Cpu, _) => {
                (PIXELS_AT_ONCE / (self.width * self.height)).max(1) as usize
            }
            Engine::Prepared(..) => {
                (Self::PIXELS_AT_ONCE_ON_GPU / (self.width * self.height)).max(1) as usize
            }
            // Kernels may choose their algorithm by the size of a batch.
            Engine::AsTrained(_) => 1,
        }
    }

    fn detections(&self, inferred: &Inferred) -> Vec<Detection> {
        let pixels = self.width as usize * self.height as usize;
        inferred
            .map
            .par_chunks_exact(pixels) // a GPU takes less time for the map than one thread for its scores
            .enumerate()
            .map(move |(image, scores)| {
                let picture = |reconstructions: &Vec<f32>| {
                    let reconstruction = reconstructions.chunks_exact(3 * pixels).nth(image)?;
                    let bytes = reconstruction.iter().copied().map(to_byte).collect();
                    RgbImage::from_raw(self.width, self.height, bytes)
                };
                let (width, height) = (self.width as usize, self.height as usize);
                let window = image_score_window(width, height);
                Detection {
                    score: image_score(scores, width, height, window),
                    verdict_score: verdict_score(scores, width, height),
                    map: AnomalyMap {
                        width: self.width,
                        height: self.height,
                        scores: scores.to_vec(),
                    },
                    reconstruction: inferred.reconstruction.as_ref().and_then(picture),
                }
            })
            .collect()
    }
}

/// Reconstructions (N, H, W, 3) if wanted, and anomaly probabilities (N, H, W).
struct Inferred {
    reconstruction: Option<Vec<f32>>,
    map: Vec<f32>,
}

impl Detector for Draem {
    fn resizing(&self) -> Resizing {
        Resizing::opencv(self.width, self.height) // DRAEM's code reads images with OpenCV
    }

    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        let (width, height) = (map.width as usize, map.height as usize);
        let seen = (self.width as usize, self.height as usize);
        let window = image_score_window(seen.0, seen.1);
        let verdict_window = verdict_score_window(seen.0, seen.1);
        MapScores {
            score: image_score(&map.scores, width, height, window),
            verdict_score: windowed_score(&map.scores, width, height, verdict_window),
        }
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.scored(graph, map)
    }

    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        self.outputs(graph, images)
    }

    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        check_sizes(images, self.input_size())?;
        let mut detections = Vec::with_capacity(images.len());
        for images in images.chunks(self.batch()) {
            for inferred in self.infer_in_parts(images, &|images| self.infer_all(images))? {
                detections.extend(self.detections(&inferred));
            }
        }
        Ok(detections)
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

fn to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}
