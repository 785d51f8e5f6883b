//! The networks, by name, and how they are made from weights.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_models::patchcore::{COARSE, FeatureExtractor, LiteStages, Stages};
use flawforge_models::{
    EfficientNetLite, EfficientNetLiteKind, ParameterSpec, Parameters, ResNet, ResNetKind,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A network whose features a method compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Backbone {
    /// Wide ResNet-50-2 (PatchCore's code).
    #[serde(rename = "wide-resnet50-2")]
    WideResNet50,
    /// ResNet-50.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// ResNet-18.
    #[serde(rename = "resnet18")]
    ResNet18,
    /// EfficientNet-Lite0.
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// EfficientNet-Lite1.
    #[serde(rename = "efficientnet-lite1")]
    EfficientNetLite1,
    /// EfficientNet-Lite2.
    #[serde(rename = "efficientnet-lite2")]
    EfficientNetLite2,
}

impl Backbone {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::WideResNet50,
        Self::ResNet50,
        Self::ResNet18,
        Self::EfficientNetLite0,
        Self::EfficientNetLite1,
        Self::EfficientNetLite2,
    ];

    /// The name in settings, on the command line and of its published weights: `wide-resnet50-2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WideResNet50 => "wide-resnet50-2",
            Self::ResNet50 => "resnet50",
            Self::ResNet18 => "resnet18",
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::EfficientNetLite1 => "efficientnet-lite1",
            Self::EfficientNetLite2 => "efficientnet-lite2",
        }
    }
}

/// Where the network's weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BackboneWeights {
    /// A file of weights, such as torchvision's, trained on ImageNet (PatchCore).
    Pretrained,
    /// Random initial weights, never trained: what the method finds without any knowledge of images (proposal).
    Random,
    /// A small network trained here to tell textures apart (proposal).
    Textures,
}

/// The network behind a name.
pub(super) enum Network {
    Residual(ResNetKind),
    Lite(EfficientNetLiteKind),
}

impl Network {
    pub(super) fn of(backbone: Backbone) -> Self {
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
    pub(super) fn retain_used(&self, tensors: &mut HashMap<String, Tensor>) {
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
pub(super) fn random(backbone: Backbone, rng: &mut impl Rng) -> Result<HashMap<String, Tensor>> {
    let specification = Network::of(backbone).specification();
    let parameters = Parameters::initialize(specification, rng, &Device::Cpu)?;
    Ok(parameters.tensors()?.into_iter().collect())
}

/// The network with these weights, whose maps are those of the strides.
pub(super) fn extractor(
    backbone: Backbone,
    weights: &HashMap<String, Tensor>,
    strides: &[usize],
    device: &Device,
) -> Result<Arc<dyn FeatureExtractor>> {
    let strides = strides.to_vec();
    Ok(match Network::of(backbone) {
        Network::Residual(kind) => Arc::new(Stages {
            network: ResNet::from_tensors(kind, COARSE, weights, device)?,
            device: device.clone(),
            strides,
        }),
        Network::Lite(kind) => Arc::new(LiteStages {
            network: EfficientNetLite::from_tensors(kind, LiteStages::LAST, weights)?.on(device)?,
            strides,
        }),
    })
}
