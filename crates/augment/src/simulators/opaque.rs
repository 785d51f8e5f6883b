//! A foreign texture that hides the surface.

use std::sync::Arc;

use flawforge_masks::Perlin;
use image::RgbImage;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::settings::{KindConstants, perlin, whole};
use crate::{
    AnomalySimulator, Background, Kind, Materials, SettingsError, Simulated, TextureOperations,
    TextureOverlay, TextureSource,
};

/// A foreign texture that hides the surface: `I_o = (1 - M) I + M N` (Lin & Yan eq. 2, which lacks the
/// overline of the first M in print).
#[derive(Clone)]
pub struct Opaque {
    /// Which texture, and where.
    pub overlay: TextureOverlay,
}

impl Opaque {
    /// The faithful settings with the given textures.
    pub fn new(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            overlay: TextureOverlay::new(textures),
        }
    }
}

impl AnomalySimulator for Opaque {
    fn kind(&self) -> Kind {
        Kind::Opaque
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        made.kind = Kind::Opaque;
        self.overlay.cover(normal, made, rng, |_| None)
    }
}

/// The constants of [`Opaque`]: all but the textures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpaqueSettings {
    /// Where the texture goes.
    pub mask: Perlin,
    /// How often a mask is drawn while it is empty; 1.
    pub mask_tries: u32,
    /// What is done to the texture.
    pub operations: TextureOperations,
    /// Keeps masks on the object in front of this background; `None`: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
}

impl Default for OpaqueSettings {
    fn default() -> Self {
        Self {
            mask: Perlin::default(),
            mask_tries: 1,
            operations: TextureOperations::default(),
            background: None,
        }
    }
}

impl KindConstants for OpaqueSettings {
    fn check(&self) -> Result<(), SettingsError> {
        perlin(&self.mask).map_err(|error| error.within("mask"))?;
        whole("mask_tries", self.mask_tries, 1..)?;
        self.operations
            .check()
            .map_err(|error| error.within("operations"))?;
        Background::check(self.background)
    }

    fn simulator(&self, materials: &Materials) -> Arc<dyn AnomalySimulator> {
        let overlay = TextureOverlay {
            textures: materials.textures.clone(),
            operations: self.operations,
            masks: Arc::new(self.mask),
            background: self.background,
            mask_tries: self.mask_tries,
        };
        Arc::new(Opaque { overlay })
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::Stream;
    use crate::simulators::texture_overlay::samples::{left_half, overlay};

    #[test]
    fn equation_two() {
        let normal = RgbImage::from_pixel(6, 5, Rgb([102, 102, 102]));
        let simulator = Opaque {
            overlay: overlay(left_half),
        };
        let made = simulator
            .simulate(&normal, &mut Stream::default().rng(""))
            .unwrap();
        for (x, y, pixel) in made.image.enumerate_pixels() {
            let expected = if made.mask.get(x, y) {
                [1.0, 0.2, 0.0]
            } else {
                [0.4; 3]
            };
            assert_eq!(pixel.0, expected);
        }
        assert_eq!(made.mask.count(), 15);
    }
}
