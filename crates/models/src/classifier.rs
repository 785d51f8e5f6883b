//! A small residual network that learns to tell classes of images apart, to become a backbone.

use candle_core::{D, Device, Tensor, Var};
use flawforge_ops::{Mode, max_pool3};
use rand::Rng;

use crate::layers::Tracking;
use crate::residual::{Block, ConvUnit};
use crate::resnet::{ResNetKind, stage_blocks, stem_unit};
use crate::{ModelError, Parameters, ResNet};

/// The first stages of a ResNet-18, and one linear layer on the mean of their last output.
#[derive(Debug)]
pub struct Classifier {
    parameters: Parameters,
    stem: ConvUnit,
    blocks: Vec<Block>,
    weight: Var,
    bias: Var,
}

impl Classifier {
    /// The network whose first stages are trained.
    pub const KIND: ResNetKind = ResNetKind::ResNet18;

    /// A classifier with random weights, for `classes` classes, with stages 1 to `last`.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn new(last: usize, classes: usize, rng: &mut impl Rng, device: &Device) -> Result<Self, ModelError> {
        let parameters = Parameters::initialize(ResNet::specification(Self::KIND, last), rng, device)?;
        let channels = Self::KIND.channels(last);
        // PyTorch's default for a linear layer.
        let bound = 1.0 / (channels as f32).sqrt();
        let mut draw =
            |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-bound..bound)).collect() };
        let (weight, bias) = (draw(channels * classes), draw(classes));
        Ok(Self {
            stem: stem_unit(&parameters, Tracking::Gradient)?,
            blocks: stage_blocks(Self::KIND, last, &parameters, Tracking::Gradient)?
                .into_iter()
                .flatten()
                .collect(),
            parameters,
            weight: Var::from_vec(weight, (channels, classes), device)?,
            bias: Var::from_vec(bias, classes, device)?,
        })
    }

    /// The stages' parameters, by torchvision's names.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Everything that is trained, by name.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let mut vars = self.parameters.trainable();
        vars.push(("fc.weight".to_owned(), self.weight.clone()));
        vars.push(("fc.bias".to_owned(), self.bias.clone()));
        vars
    }

    /// Logits (N, classes) of images (N, H, W, 3), normalised as torchvision's networks expect it.
    ///
    /// # Errors
    /// Images of another shape, a failed tensor operation.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut x = max_pool3(&self.stem.forward(images, mode, true)?)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        let means = x.mean(2)?.mean(1)?;
        Ok(means.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }
}

/// Mean cross-entropy of logits (N, classes) and the index of each image's class, through candle's own gradients.
///
/// # Errors
/// A label without a class; shapes that do not match.
pub fn cross_entropy(logits: &Tensor, classes: &[u32]) -> Result<Tensor, ModelError> {
    let classes = Tensor::new(classes, logits.device())?.unsqueeze(1)?;
    // Subtracting the largest logit does not change the value and keeps the exponentials finite.
    let centered = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let normalizer = centered.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok((normalizer - centered.gather(&classes, 1)?)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use rand::SeedableRng;

    #[test]
    fn cross_entropy_is_that_of_the_definition_and_has_its_gradient() {
        let logits = Var::new(&[[1f32, 2.0, 0.5], [100.0, 0.0, -3.0]], &Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &[2, 0]).unwrap();
        let sum = 1f64.exp() + 2f64.exp() + 0.5f64.exp();
        let wanted = (sum.ln() - 0.5) / 2.0;
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - wanted).abs() < 1e-6);
        let gradient = loss
            .backward()
            .unwrap()
            .get(&logits)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        // (probability - target) / N
        for (class, value) in [1f64, 2.0, 0.5].into_iter().enumerate() {
            let target = if class == 2 { 1.0 } else { 0.0 };
            assert!((f64::from(gradient[0][class]) - (value.exp() / sum - target) / 2.0).abs() < 1e-6);
        }
        assert!(gradient[1].iter().all(|value| value.abs() < 1e-6));
    }

    #[test]
    fn every_parameter_gets_a_gradient_and_the_stages_are_those_of_the_network() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let network = Classifier::new(2, 4, &mut rng, &Device::Cpu).unwrap();
        let values: Vec<f32> = (0..2 * 32 * 32 * 3)
            .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
            .collect();
        let images = Tensor::from_vec(values, (2, 32, 32, 3), &Device::Cpu).unwrap();
        let logits = network.forward(&images, Mode::Train).unwrap();
        assert_eq!(logits.dims(), [2, 4]);
        let gradients = cross_entropy(&logits, &[1, 3]).unwrap().backward().unwrap();
        for (name, var) in network.trainable() {
            let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name}"));
            let size = gradient
                .abs()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!(
                size.is_finite() && (size > 0.0 || name.ends_with("bias")),
                "{name}: {size}"
            );
        }
        // In evaluation it is the frozen network with these weights.
        let tensors = network.parameters().tensors().unwrap().into_iter().collect();
        let frozen = ResNet::from_tensors(Classifier::KIND, 2, &tensors, &Device::Cpu).unwrap();
        let last = frozen.stages(&images, 2).unwrap().pop().unwrap();
        let means = last.mean(2).unwrap().mean(1).unwrap();
        let wanted = means
            .matmul(&network.weight)
            .unwrap()
            .broadcast_add(&network.bias)
            .unwrap();
        let found = network.forward(&images, Mode::Eval).unwrap();
        let difference = (found - wanted).unwrap().abs().unwrap().max_all().unwrap();
        assert!(
            difference
                .to_dtype(DType::F32)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
                < 1e-4
        );
    }
}
