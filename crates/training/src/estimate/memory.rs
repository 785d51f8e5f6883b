//! What networks and their activations take, on any device.

use flawforge_models::{Discriminative, ParameterSpec, Reconstructive};

use crate::methods::backbone::Backbone;
use crate::methods::draem::Networks;

/// Activations of the two networks and their gradients: bytes for each pixel, image of a batch and channel of both widths
/// together. From the memory of a step of `quick` and of `paper` (docs/benchmarks.md: 681 and 10,582 MB, less weights and
/// program: 125 and 134 bytes a channel of the first width, which is two thirds of both).
const TWO_NETWORKS: f64 = 87.0;
/// As [`TWO_NETWORKS`] for NSA's network, weights included.
pub(super) const NSA: f64 = 30.0;
/// A weight is held four times: itself, its gradient, two moments of Adam; of 4 bytes each.
pub(super) const A_WEIGHT: f64 = 16.0;

/// Bytes of f32 activations and gradients of the two networks in a step of so many images.
pub(super) fn activations(networks: &Networks, pixels: f64, images: usize) -> f64 {
    let widths = networks.reconstructive_width + networks.discriminative_width;
    TWO_NETWORKS * pixels * (images * widths) as f64
}

/// Weights of the two networks.
pub(super) fn weights_of_two(networks: &Networks) -> f64 {
    let count = |specification: Vec<ParameterSpec>| -> usize {
        let sizes = specification
            .iter()
            .map(|one| one.shape.iter().product::<usize>());
        sizes.sum()
    };
    (count(Reconstructive::specification(networks.reconstructive_width))
        + count(Discriminative::specification(networks.discriminative_width))) as f64
}

/// Weights up to the third stage.
pub(super) fn weights(backbone: Backbone) -> f64 {
    match backbone {
        Backbone::WideResNet50 => 24.9e6,
        Backbone::ResNet50 => 8.5e6,
        Backbone::ResNet18 => 2.8e6,
        Backbone::EfficientNetLite0 => 0.7e6,
        Backbone::EfficientNetLite1 => 0.9e6,
        Backbone::EfficientNetLite2 => 1.1e6,
    }
}
