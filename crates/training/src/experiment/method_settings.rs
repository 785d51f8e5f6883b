//! The settings of a method: one table tells methods apart.

use std::sync::Arc;

use flawforge_ops::Precision;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::methods::backbone::{Backbone, Weights};
use crate::methods::{Assembly, Method, draem, forge, nsa, patchcore};
use crate::product::Product;
use crate::profile::Profile;
use crate::settings::Schedule;

/// The one place that tells methods apart: a row a family, with its settings, its budget in a profile, and its methods.
macro_rules! families {
    ($($(#[$doc:meta])* $family:ident($settings:ty, $budget:ident): $($method:ident),+;)+) => {
        /// The settings of a method: of its family alone.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum MethodSettings {
            $($(#[$doc])* $family($settings),)+
        }

        impl MethodSettings {
            /// A method's settings for a product under a profile's budget.
            pub(crate) fn new(method: Method, profile: &Profile, product: &Product) -> Result<Self> {
                match method {
                    $($(Method::$method)|+ => Ok(Self::$family(<$settings>::new(method, &profile.$budget, product))),)+
                    Method::Custom(name) => Err(TrainingError::setting("method", format!("{name} is not a method of this program"))),
                }
            }

            /// Reads the settings of a method from its text.
            pub(crate) fn read(method: Method, text: toml::Table) -> std::result::Result<Self, String> {
                match method {
                    $($(Method::$method)|+ => <$settings>::deserialize(toml::Value::Table(text)).map(Self::$family).map_err(|error| error.to_string()),)+
                    Method::Custom(name) => Err(format!("{name} is not a method of this program")),
                }
            }

            pub(crate) fn assembly(&self) -> &dyn Assembly {
                match self {
                    $(Self::$family(settings) => settings,)+
                }
            }
        }
    };
}

families! {
    /// Two networks: DRAEM, Lin & Yan and their ablations.
    Draem(draem::Settings, draem): Draem, LinYan, DraemNoRotation, DraemOurSimulation, SplitDraemSimulation;
    /// NSA.
    Nsa(nsa::Settings, nsa): Nsa;
    /// PatchCore.
    PatchCore(patchcore::Settings, patchcore): PatchCore;
    /// Forge.
    Forge(forge::Settings, forge): Forge;
}

impl MethodSettings {
    /// The settings of two-network training, if the method is of that family.
    pub fn draem(&self) -> Option<&draem::Settings> {
        match self {
            Self::Draem(settings) => Some(settings),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn draem_mut(&mut self) -> Option<&mut draem::Settings> {
        match self {
            Self::Draem(settings) => Some(settings),
            _ => None,
        }
    }

    /// The precision of the convolutions, to be changed; NSA has none to choose.
    pub fn precision_mut(&mut self) -> Option<&mut Precision> {
        match self {
            Self::Draem(settings) => Some(&mut settings.precision),
            Self::PatchCore(settings) => Some(&mut settings.patchcore.precision),
            Self::Forge(settings) => Some(&mut settings.forge.precision),
            Self::Nsa(_) => None,
        }
    }

    /// The schedule, to be changed, of methods that learn by gradients.
    pub fn schedule_mut(&mut self) -> Option<&mut Schedule> {
        match self {
            Self::Draem(settings) => Some(&mut settings.schedule),
            Self::Nsa(settings) => Some(&mut settings.schedule),
            _ => None,
        }
    }

    /// The settings of NSA, to be changed, if it is the method.
    pub fn nsa_mut(&mut self) -> Option<&mut nsa::Settings> {
        match self {
            Self::Nsa(settings) => Some(settings),
            _ => None,
        }
    }

    /// The settings of forge, to be changed, if it is the method.
    pub fn forge_mut(&mut self) -> Option<&mut forge::Settings> {
        match self {
            Self::Forge(settings) => Some(settings),
            _ => None,
        }
    }

    /// The settings of PatchCore, if it is the method.
    pub fn patchcore(&self) -> Option<&patchcore::Settings> {
        match self {
            Self::PatchCore(settings) => Some(settings),
            _ => None,
        }
    }

    /// The network that the method takes features of, if it does: its name.
    pub fn backbone(&self) -> Option<Backbone> {
        match self {
            Self::PatchCore(settings) => Some(settings.patchcore.backbone),
            Self::Forge(settings) => Some(settings.forge.backbone),
            _ => None,
        }
    }

    /// Gives the method the weights of its network, if it has one.
    pub fn give(&mut self, weights: Arc<Weights>) {
        match self {
            Self::PatchCore(settings) => settings.give(weights),
            Self::Forge(settings) => settings.give(weights),
            _ => {}
        }
    }

    /// The same, to be changed.
    pub fn patchcore_mut(&mut self) -> Option<&mut patchcore::Settings> {
        match self {
            Self::PatchCore(settings) => Some(settings),
            _ => None,
        }
    }
}
