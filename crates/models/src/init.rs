//! How weights begin (DRAEM's code; method of its `weights_init`).
//!
//! * convolution weights: N(0, 0.02²);
//! * convolution biases: U(±1/√(9·inputs)), PyTorch's default, which DRAEM keeps;
//! * batch-norm scale: N(1, 0.02²); shift: 0; running mean 0, running variance 1.
//!
//! Residual networks begin as torchvision's and NSA's do: convolutions N(0, 2/fan-out), transposed convolutions PyTorch's
//! default U(±1/√fan-in), where it takes the fan-in from the outputs, batch-norm scale 1. So do EfficientNets; the fan-out of
//! a filter for one channel counts that channel alone (TensorFlow's code).
//!
//! Values are drawn on the host in the order of a network's specification, so that a seed means the same weights on
//! every device.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{ParameterSpec, Role};

/// Standard deviation of drawn weights (DRAEM's code).
pub const SPREAD: f32 = 0.02;

/// The initial values of one tensor.
pub(crate) fn draw(spec: &ParameterSpec, rng: &mut impl Rng) -> Vec<f32> {
    let count = spec.shape.iter().product();
    let mut normal = |mean: f32| -> Vec<f32> {
        (0..count)
            .map(|_| {
                let z: f32 = StandardNormal.sample(rng);
                mean + SPREAD * z
            })
            .collect()
    };
    match spec.role {
        Role::ConvWeight => normal(0.0),
        Role::NormWeight => normal(1.0),
        Role::ConvBias { inputs } => {
            let bound = 1.0 / ((9 * inputs) as f32).sqrt();
            (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
        }
        Role::FanOutWeight | Role::DepthwiseWeight => {
            let groups = match spec.role {
                Role::DepthwiseWeight => spec.shape[0],
                _ => 1,
            };
            let fan_out = spec.shape[0] / groups * spec.shape[2..].iter().product::<usize>();
            let spread = (2.0 / fan_out as f32).sqrt();
            (0..count)
                .map(|_| {
                    let z: f32 = StandardNormal.sample(rng);
                    spread * z
                })
                .collect()
        }
        Role::TransposedWeight => {
            let bound = 1.0 / (spec.shape[1..].iter().product::<usize>() as f32).sqrt();
            (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
        }
        Role::UnitNormWeight => vec![1.0; count],
        Role::NormBias | Role::RunningMean => vec![0.0; count],
        Role::RunningVar => vec![1.0; count],
        Role::BatchCount => Vec::new(),
    }
}
