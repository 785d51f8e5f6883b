//! How much of a GPU's memory a training would take.
//!
//! Reckoned from the same figures as the processor's memory, **not measured on a GPU with this program**. What it was held
//! against: a joint DRAEM step of the paper's size in bfloat16 took PyTorch 5.7 GiB at most (eager, on an H200); and what small
//! trainings asked an emulated GPU for (docs/cuda.md), which has the same tensors, but not cuDNN's workspaces.

use flawforge_models::Draem;
use flawforge_ops::Precision;
use flawforge_ops::runtime::in_words;

use super::memory::{A_WEIGHT, NSA, activations, weights, weights_of_two};
use super::{pools, width};
use crate::error::Result;
use crate::experiment::{Experiment, MethodSettings};
use crate::fit::hold_out;
use crate::methods::backbone::Backbone;
use crate::methods::forge;
use crate::settings::{Split, View};

/// What a training would take of a GPU's memory, in bytes, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuMemory {
    /// Weights, their gradients and moments, and their copies in the order and precision of cuDNN.
    pub weights: u64,
    /// Activations and their gradients; of methods without gradients also vectors of patches.
    pub activations: u64,
    /// Workspaces of convolutions and of searches.
    pub workspaces: u64,
}

impl GpuMemory {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.weights + self.activations + self.workspaces
    }

    fn of(weights: f64, activations: f64, workspaces: f64) -> Self {
        Self {
            weights: weights as u64,
            activations: activations as u64,
            workspaces: workspaces as u64,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            activations: self.activations + other.activations,
            // One after the other.
            workspaces: self.workspaces.max(other.workspaces),
        }
    }
}

impl std::fmt::Display for GpuMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} (weights {}, activations {}, workspaces {})",
            in_words(self.bytes()),
            in_words(self.weights),
            in_words(self.activations),
            in_words(self.workspaces)
        )
    }
}

/// What vectors are sent to a GPU in, and what products of a search take there at once, at most: a quarter of a gigabyte each
/// (`crates/ops/src/cuda/vectors`).
const CHUNK: f64 = 268_435_456.0;
/// A workspace of cuDNN at most (`crates/ops/src/cuda/cudnn/plan.rs`).
const WORKSPACE: f64 = 1_073_741_824.0;
/// Bytes of a frozen network's activations for each pixel of an image: three f32 tensors of 16 channels at full size, which are
/// 256 at a quarter of its width (a ResNet's), or two of 96 at half of it (an EfficientNet-Lite's), about (proposal).
const FROZEN: f64 = 192.0;

/// Bytes of the two networks' activations in inference, in f32, for each pixel and channel of the wider one: seven tensors of its
/// full size, as an emulated GPU saw.
const INFERENCE: f64 = 28.0;

/// What a training on `images` normal images would take of the memory of a GPU, on which nothing is computed for it.
///
/// What the program needs there in any case (context, libraries, kernels: about half a gigabyte) is not in it.
///
/// # Errors
/// Settings that fit no training, or not so many images.
pub fn gpu_memory(experiment: &Experiment, images: usize) -> Result<GpuMemory> {
    let found = in_one_view(experiment, images)?;
    if !experiment.view.is_two_scales() {
        return Ok(found);
    }
    let mut whole = experiment.clone();
    whole.view = View::Stretch;
    Ok(found.and(in_one_view(&whole, images)?))
}

fn in_one_view(experiment: &Experiment, images: usize) -> Result<GpuMemory> {
    let square = |side: u32| f64::from(side).powi(2);
    Ok(match &experiment.settings {
        MethodSettings::Draem(settings) => {
            let (largest, pixels) = (largest_batch(experiment, images)?, square(experiment.image_size));
            let number = match settings.precision {
                Precision::Bf16 => 2.0,
                Precision::F32 | Precision::Tf32 => 4.0,
            };
            let count = weights_of_two(&settings.networks);
            // Trainings for the calibration have networks of their own, beside the finished ones.
            let sets = match experiment.calibration.split(images) {
                Split::Folds(_) => 2.0,
                Split::HeldOut(_) | Split::None => 1.0,
            };
            let widest = settings
                .networks
                .reconstructive_width
                .max(settings.networks.discriminative_width);
            let trained = activations(&settings.networks, pixels, largest) * number / 4.0;
            // When the steps are done, normal images and simulated anomalies are scored, by copies of the networks.
            // Of bfloat16 there are at least eight channels.
            let channels = match settings.precision {
                Precision::Bf16 => widest.next_multiple_of(8),
                Precision::F32 | Precision::Tf32 => widest,
            };
            let shown = pixels.max(f64::from(Draem::PIXELS_AT_ONCE_ON_GPU));
            let scored = INFERENCE * shown * channels as f64 * number / 4.0 + number * count;
            GpuMemory::of(
                (sets * A_WEIGHT + number) * count,
                trained.max(scored),
                workspace(pixels, largest, widest),
            )
        }
        MethodSettings::Nsa(settings) => {
            let (largest, pixels) = (largest_batch(experiment, images)?, square(experiment.image_size));
            let width = width(experiment);
            let images = largest.max(settings.batch.size);
            GpuMemory::of(
                0.0,
                NSA * pixels * (images * width) as f64,
                workspace(pixels, images, width),
            )
        }
        MethodSettings::PatchCore(settings) => {
            let group = &settings.patchcore;
            let shown = group.sides().into_iter().map(square).fold(0.0, f64::max);
            let network = frozen(group.backbone, shown * group.batch as f64);
            let (mut vectors, mut largest, mut products) = (0.0, 0.0_f64, 0.0_f64);
            for places in group.places() {
                let patches = (places * images) as f64;
                let length = mapped(group.projection, group.embedding);
                largest = largest.max(selection(patches, length, group.embedding));
                vectors += 4.0 * patches * group.coreset_ratio * group.embedding as f64;
                products = products.max(4.0 * (places * group.batch) as f64 * patches * group.coreset_ratio);
            }
            let (vectors, largest) = match group.most_bytes {
                most if most > 0 => (vectors.min(most as f64), largest.min(most as f64 + CHUNK)),
                _ => (vectors, largest),
            };
            GpuMemory::of(network.0, network.1 + vectors, largest + products.min(CHUNK))
        }
        MethodSettings::Forge(settings) => forge_memory(&settings.forge),
    })
}

/// Forge's network, and the choice of its vectors, one size after the other; banks and head are the processor's.
fn forge_memory(group: &forge::Group) -> GpuMemory {
    let largest = group.sides.iter().copied().max().unwrap_or_default();
    let network = frozen(group.backbone, f64::from(largest).powi(2) * group.batch as f64);
    let length = mapped(group.projection, group.length());
    let choice = selection(group.candidates as f64, length, group.length());
    GpuMemory::of(network.0, network.1, choice)
}

/// Bytes of a frozen network's weights, and of its activations for so many pixels.
fn frozen(backbone: Backbone, pixels: f64) -> (f64, f64) {
    (4.0 * weights(backbone), FROZEN * pixels)
}

/// The length of vectors as they are compared.
fn mapped(projection: usize, length: usize) -> usize {
    match projection {
        0 => length,
        mapped => mapped.min(length),
    }
}

/// Bytes of the choice among so many vectors: as they are compared with a distance each, and those on their way.
fn selection(vectors: f64, compared: usize, length: usize) -> f64 {
    4.0 * vectors * (compared + 1) as f64 + (4.0 * vectors * length as f64).min(CHUNK)
}

/// A workspace as large as the largest tensor in f32, at most what an engine may ask for (proposal).
fn workspace(pixels: f64, images: usize, width: usize) -> f64 {
    (4.0 * pixels * (images * width) as f64).min(WORKSPACE)
}

fn largest_batch(experiment: &Experiment, images: usize) -> Result<usize> {
    let pools = pools(experiment, hold_out(images, experiment).0)?;
    Ok(pools.iter().map(|pool| pool.batch).max().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use flawforge_augment::Selection;

    use super::*;
    use crate::{Method, Product, Profile};

    fn experiment(method: Method, profile: &str) -> Experiment {
        let product = Product::new("part", Selection::default());
        Experiment::new(method, &Profile::builtin(profile).unwrap(), &product, 0).unwrap()
    }

    const GIB: f64 = 1_073_741_824.0;

    #[test]
    fn a_joint_step_of_the_papers_size_takes_about_what_it_takes_pytorch() {
        let mut joint = experiment(Method::Draem, "paper");
        let settings = joint.settings.draem_mut().unwrap();
        settings.precision = Precision::Bf16;
        assert_eq!(settings.batch.size, 8);
        let found = gpu_memory(&joint, 200).unwrap();
        println!("a joint DRAEM step of the paper's size in bf16: {found}");
        // PyTorch counts tensors: its 5.7 GiB have no workspace of cuDNN in them.
        let tensors = (found.weights + found.activations) as f64 / GIB;
        assert!((5.0..6.5).contains(&tensors), "{found}");
        joint.settings.draem_mut().unwrap().precision = Precision::Tf32;
        let single = gpu_memory(&joint, 200).unwrap();
        assert_eq!(single.activations, 2 * found.activations);
        assert!(single.weights > found.weights);
    }

    #[test]
    fn it_grows_with_batch_size_and_networks() {
        let bytes = |change: &dyn Fn(&mut Experiment)| {
            let mut experiment = experiment(Method::Draem, "quick");
            change(&mut experiment);
            gpu_memory(&experiment, 200).unwrap().bytes()
        };
        let plain = bytes(&|_| {});
        assert!(bytes(&|e| e.settings.draem_mut().unwrap().batch.size *= 2) > plain + plain / 2);
        assert!(bytes(&|e| e.image_size *= 2) > 3 * plain);
        assert!(bytes(&|e| e.settings.draem_mut().unwrap().networks.reconstructive_width *= 2) > plain);
        // Few images are scored by short trainings, whose networks stand beside the finished ones.
        let mut unseen = experiment(Method::Draem, "quick");
        let of = |experiment: &Experiment| gpu_memory(experiment, 50).unwrap().weights;
        let alone = of(&unseen);
        unseen.calibrate_for_use();
        assert!(of(&unseen) > alone + alone / 2);
    }

    #[test]
    fn memory_banks_grow_with_the_images_and_every_method_has_an_estimate() {
        for &method in Method::ALL {
            let found = gpu_memory(&experiment(method, "quick"), 100).unwrap();
            assert!(
                found.bytes() > 0 && found.bytes() < 100 << 30,
                "{method}: {found}"
            );
        }
        let of = |images| gpu_memory(&experiment(Method::PatchCore, "paper"), images).unwrap();
        assert!(of(400).activations > of(100).activations);
        assert_eq!(of(400).weights, of(100).weights);
        let forge = |images| gpu_memory(&experiment(Method::Forge, "paper"), images).unwrap();
        assert_eq!(
            forge(100),
            forge(1000),
            "it keeps so many candidates, whatever comes"
        );
    }
}
