//! Networks that are not learnt in a run, but give it their features: PatchCore's.

mod source;
mod textures;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_models::patchcore::{COARSE, FeatureExtractor, LiteStages, Stages};
use flawforge_models::{
    EfficientNetLite, EfficientNetLiteKind, ParameterSpec, Parameters, ResNet, ResNetKind, forge, import,
    pytorch,
};
use rand::Rng;

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

/// The weights that a run is to begin with: those that were given, if the settings ask for them; `None` for random ones. `method` is
/// the name of the group of settings.
///
/// # Errors
/// Weights that are asked for and were not given, or others than the settings say.
pub(crate) fn checked<'a>(
    method: &'static str,
    backbone: Backbone,
    kind: BackboneWeights,
    digest: &str,
    given: Option<&'a Weights>,
) -> Result<Option<&'a Weights>> {
    match (kind, given) {
        (BackboneWeights::Random, _) => Ok(None),
        (_, Some(weights)) if weights.digest == digest => Ok(Some(weights)),
        (_, Some(weights)) => Err(TrainingError::setting(
            format!("{method}.digest"),
            format!(
                "is {digest:?}, the weights that were given have {:?}",
                weights.digest
            ),
        )),
        (_, None) => Err(TrainingError::setting(
            format!("{method}.weights"),
            format!(
                "no weights of {} were given: {}, or choose --backbone-init random",
                backbone.name(),
                how_to_get(backbone)
            ),
        )),
    }
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

/// The network with these weights, as forge looks at it.
pub(crate) fn pyramid(
    backbone: Backbone,
    weights: &HashMap<String, Tensor>,
    device: &Device,
) -> Result<Arc<dyn forge::Backbone>> {
    Ok(match Network::of(backbone) {
        Network::Residual(kind) => Arc::new(Stages {
            network: ResNet::from_tensors(kind, COARSE, weights, device)?,
            device: device.clone(),
        }),
        Network::Lite(kind) => Arc::new(EfficientNetLite::from_tensors(kind, LiteStages::LAST, weights)?),
    })
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
