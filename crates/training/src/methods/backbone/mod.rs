//! Networks that are not learnt in a run, but give it their features: what PatchCore and forge share.

mod frozen;
mod network;
mod source;
mod textures;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_models::patchcore::STRIDES;
use flawforge_models::{import, pytorch};
use flawforge_ops::Precision;

pub(crate) use frozen::{Frozen, Wanted};
pub use network::{Backbone, BackboneWeights};
pub use source::BackboneSource;
pub use textures::{TextureTraining, train_on_textures};

use crate::error::{Result, TrainingError};
use network::{Network, extractor};

/// Weights that are given to a run, with what its settings say about them.
#[derive(Clone)]
pub struct Weights {
    /// The network.
    pub backbone: Backbone,
    /// What they were trained on.
    pub kind: BackboneWeights,
    /// SHA-256 of the tensors, whatever file they came from: 64 hexadecimal digits.
    pub digest: String,
    /// The tensors by the names of the published files (torchvision's for residual networks), as far as they are used.
    pub tensors: HashMap<String, Tensor>,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Weights({} {:?} {})",
            self.backbone.name(),
            self.kind,
            self.digest
        )
    }
}

impl Weights {
    /// Weights from tensors by the names of the published files; what belongs to later stages is left out.
    ///
    /// # Errors
    /// If a tensor cannot be read.
    pub fn new(
        backbone: Backbone,
        kind: BackboneWeights,
        mut tensors: HashMap<String, Tensor>,
    ) -> Result<Self> {
        Network::of(backbone).retain_used(&mut tensors);
        let digest = import::digest(&tensors)?;
        Ok(Self {
            backbone,
            kind,
            digest,
            tensors,
        })
    }

    /// Reads a file of weights: safetensors, or PyTorch's own (`.pth`), which is read without running what is in it.
    ///
    /// # Errors
    /// When the file cannot be read, or is not of this network.
    pub fn read(path: &Path, backbone: Backbone, kind: BackboneWeights) -> Result<Self> {
        let weights = Self::new(backbone, kind, pytorch::read_any(path)?)?;
        // Found now, with the file's name, rather than in the run.
        extractor(backbone, &weights.tensors, &STRIDES, &Device::Cpu).map_err(|fault| {
            TrainingError::Backbone {
                path: path.to_path_buf(),
                fault: format!("not of {}: {fault}", backbone.name()),
            }
        })?;
        Ok(weights)
    }

    /// What settings say about them: the network, what it was trained on, and the digest.
    pub(super) fn said(&self) -> (Backbone, BackboneWeights, String) {
        (self.backbone, self.kind, self.digest.clone())
    }
}

/// Weights that were given to an experiment, if any. They are no setting, their digest is: any two are equal.
#[derive(Debug, Clone, Default)]
pub struct Given(pub Option<Arc<Weights>>);

impl PartialEq for Given {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The sentence about convolutions in bfloat16, where a method's are.
pub(super) fn in_bfloat16(method: &str, backbone: Backbone, precision: Precision) -> Option<String> {
    let place = match Network::of(backbone) {
        Network::Residual(_) => " on a GPU (on the processor a ResNet multiplies f32)",
        Network::Lite(_) => " on the processor (on a GPU an EfficientNet-Lite multiplies f32)",
    };
    (precision == Precision::Bf16).then(|| {
        format!("{method}'s network multiplies in bfloat16{place}; sums and weights are single precision")
    })
}

/// What is said where a method is asked for bfloat16 and its network multiplies f32 all the same: `on_processor` tells whether the
/// run computes there, `served` whether the processor has [instructions](Precision::is_served_here) for it.
pub(super) fn in_f32_all_the_same(
    method: &str,
    backbone: Backbone,
    precision: Precision,
    on_processor: bool,
    served: bool,
) -> Option<String> {
    let why = match Network::of(backbone) {
        Network::Residual(_) if on_processor => "on the processor a ResNet does",
        Network::Lite(_) if !on_processor => "on a GPU an EfficientNet-Lite does",
        Network::Lite(_) if !served => "this processor has no instructions for bfloat16",
        _ => return None,
    };
    (precision == Precision::Bf16).then(|| {
        let name = backbone.name();
        format!("precision bf16: {method}'s network {name} multiplies in f32 all the same: {why}")
    })
}

/// How a person gets the weights of a network, in a phrase.
pub fn how_to_get(backbone: Backbone) -> String {
    let name = backbone.name();
    match Network::of(backbone) {
        Network::Residual(_) => {
            format!("fetch them (`cargo xtask download {name}`) and name the file with --backbone")
        }
        Network::Lite(_) => format!("`flawforge download {name}` fetches them once for all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_that_changes_nothing_is_said() {
        let said = |backbone, precision, on_processor, served| {
            in_f32_all_the_same("PatchCore", backbone, precision, on_processor, served)
        };
        let resnet = said(Backbone::WideResNet50, Precision::Bf16, true, true).unwrap();
        assert!(
            resnet.contains("wide-resnet50-2") && resnet.contains("f32"),
            "{resnet}"
        );
        let lite = Backbone::EfficientNetLite0;
        for served in [true, false] {
            let on_a_gpu = said(lite, Precision::Bf16, false, served).unwrap();
            assert!(
                on_a_gpu.contains("on a GPU an EfficientNet-Lite does"),
                "{on_a_gpu}"
            );
        }
        let too_old = said(lite, Precision::Bf16, true, false).unwrap();
        assert!(too_old.contains("no instructions for bfloat16"), "{too_old}");
        for (backbone, precision, on_processor, served) in [
            (Backbone::WideResNet50, Precision::Tf32, true, true),
            (Backbone::WideResNet50, Precision::Bf16, false, true),
            (lite, Precision::Bf16, true, true),
            (lite, Precision::F32, false, false),
        ] {
            assert_eq!(said(backbone, precision, on_processor, served), None);
        }
    }
}
