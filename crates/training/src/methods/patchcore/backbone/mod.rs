//! Networks that are not learnt in a run, but give it their features: PatchCore's.

mod source;
mod textures;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use flawforge_models::patchcore::{COARSE, FeatureExtractor, LiteStages, Stages};
use flawforge_models::{
    EfficientNetLite, EfficientNetLiteKind, ParameterSpec, Parameters, ResNet, ResNetKind, pytorch,
};
use rand::Rng;
use sha2::{Digest, Sha256};

pub use source::BackboneSource;
pub use textures::{TextureTraining, train_on_textures};

use super::settings::{Backbone, BackboneWeights};
use crate::error::{Result, TrainingError};

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
        let mut names: Vec<&String> = tensors.keys().collect();
        names.sort();
        let mut hasher = Sha256::new();
        for name in names {
            let tensor = &tensors[name];
            hasher.update(format!("{name}{:?}", tensor.dims()));
            let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            for value in values {
                hasher.update(value.to_le_bytes());
            }
        }
        let digest = hex::encode(hasher.finalize());
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
        extractor(backbone, &weights.tensors, &Device::Cpu).map_err(|fault| TrainingError::Backbone {
            path: path.to_path_buf(),
            fault: format!("not of {}: {fault}", backbone.name()),
        })?;
        Ok(weights)
    }
}

/// The network behind a name.
enum Network {
    Residual(ResNetKind),
    Lite(EfficientNetLiteKind),
}

impl Network {
    fn of(backbone: Backbone) -> Self {
        match backbone {
            Backbone::WideResNet50 => Self::Residual(ResNetKind::WideResNet50),
            Backbone::ResNet50 => Self::Residual(ResNetKind::ResNet50),
            Backbone::ResNet18 => Self::Residual(ResNetKind::ResNet18),
            Backbone::EfficientNetLite0 => Self::Lite(EfficientNetLiteKind::Lite0),
            Backbone::EfficientNetLite1 => Self::Lite(EfficientNetLiteKind::Lite1),
            Backbone::EfficientNetLite2 => Self::Lite(EfficientNetLiteKind::Lite2),
        }
    }

    /// The tensors that are used.
    fn specification(&self) -> Vec<ParameterSpec> {
        match *self {
            Self::Residual(kind) => ResNet::specification(kind, COARSE),
            Self::Lite(kind) => EfficientNetLite::specification(kind, LiteStages::LAST),
        }
    }

    /// Leaves out tensors that belong to what is not used.
    fn retain_used(&self, tensors: &mut HashMap<String, Tensor>) {
        match self {
            Self::Residual(_) => {
                tensors.retain(|name, _| !name.starts_with("layer4.") && !name.starts_with("fc."));
            }
            Self::Lite(_) => {
                let specification = self.specification();
                let used: HashSet<&str> = specification.iter().map(|spec| &*spec.name).collect();
                tensors.retain(|name, _| used.contains(name.as_str()));
            }
        }
    }
}

/// Random initial weights, as the network's authors draw them.
pub(crate) fn random(backbone: Backbone, rng: &mut impl Rng) -> Result<HashMap<String, Tensor>> {
    let specification = Network::of(backbone).specification();
    let parameters = Parameters::initialize(specification, rng, &Device::Cpu)?;
    Ok(parameters.tensors()?.into_iter().collect())
}

/// The network with these weights.
pub(crate) fn extractor(
    backbone: Backbone,
    weights: &HashMap<String, Tensor>,
    device: &Device,
) -> Result<Arc<dyn FeatureExtractor>> {
    Ok(match Network::of(backbone) {
        Network::Residual(kind) => Arc::new(Stages {
            network: ResNet::from_tensors(kind, COARSE, weights, device)?,
            device: device.clone(),
        }),
        Network::Lite(kind) => Arc::new(LiteStages {
            network: EfficientNetLite::from_tensors(kind, LiteStages::LAST, weights)?,
            strides: LiteStages::STRIDES,
        }),
    })
}
