//! A foreign texture that shines through.

use std::sync::Arc;

use flawforge_masks::Perlin;
use flawforge_masks::decimal::decimal;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::settings::{KindConstants, pair, perlin, whole};
use crate::{
    AnomalySimulator, Background, Kind, Materials, SettingsError, Simulated, TextureOperations,
    TextureOverlay, TextureSource,
};

/// A foreign texture that shines through: `I_t = (1 - M) I + M [(1 - beta) I + beta N]` (Lin & Yan eq. 1; the
/// same as DRAEM's blend).
#[derive(Clone)]
pub struct Transparent {
    /// Which texture, and where.
    pub overlay: TextureOverlay,
    /// The opacity beta is uniform in (first, second], both in [0, 1]; (0.2, 1.0], which is DRAEM's code.
    /// Lin & Yan give no range.
    pub opacity: (f32, f32),
}

impl Transparent {
    /// The faithful settings with the given textures.
    pub fn new(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            overlay: TextureOverlay::new(textures),
            opacity: (0.2, 1.0),
        }
    }
}

impl AnomalySimulator for Transparent {
    fn kind(&self) -> Kind {
        Kind::Transparent
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        made.kind = Kind::Transparent;
        let (low, high) = self.opacity;
        self.overlay.cover(normal, made, rng, |rng| {
            Some(high - (high - low) * rng.random::<f32>())
        })
    }
}

/// The constants of [`Transparent`]: all but the textures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransparentSettings {
    /// Bounds of the opacity, in [0, 1]; 0.2 to 1.
    #[serde(serialize_with = "decimal")]
    pub opacity: (f32, f32),
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

impl Default for TransparentSettings {
    fn default() -> Self {
        Self {
            opacity: (0.2, 1.0),
            mask: Perlin::default(),
            mask_tries: 1,
            operations: TextureOperations::default(),
            background: None,
        }
    }
}

impl KindConstants for TransparentSettings {
    fn check(&self) -> Result<(), SettingsError> {
        pair("opacity", self.opacity, 0.0..=1.0)?;
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
        Arc::new(Transparent {
            overlay,
            opacity: self.opacity,
        })
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::Stream;
    use crate::simulators::texture_overlay::samples::{bank, left_half, overlay};

    #[test]
    fn equation_one() {
        let normal = RgbImage::from_pixel(6, 5, Rgb([102, 102, 102]));
        let simulator = Transparent {
            overlay: overlay(left_half),
            ..Transparent::new(bank())
        };
        let mut rng = Stream::default().rng("");
        let (mut low, mut high) = (1.0_f32, 0.0_f32);
        for _ in 0..400 {
            let made = simulator.simulate(&normal, &mut rng).unwrap();
            assert_eq!(made.kind, Kind::Transparent);
            assert_eq!(made.image.get_pixel(3, 4).0, [0.4; 3]);
            let [r, g, b] = made.image.get_pixel(2, 4).0;
            let beta = (r - 0.4) / 0.6;
            assert!((g - (0.4 - 0.2 * beta)).abs() < 1e-6 && (b - (0.4 - 0.4 * beta)).abs() < 1e-6);
            (low, high) = (low.min(beta), high.max(beta));
        }
        assert!(
            low > 0.199 && low < 0.22 && high > 0.98 && high <= 1.000_001,
            "{low} {high}"
        );
    }
}
