//! The networks that give maps.

use flawforge_ops::Precision;
use image::RgbImage;

use super::{Backbone, FeatureMap};
use crate::patchcore::{COARSE, Stages};
use crate::{EfficientNetLite, ModelError, bytes_to_tensor, imagenet_normalized};

/// The stages 1 to 3 of a residual network: maps at a quarter, an eighth and a sixteenth of the image's side.
impl Backbone for Stages {
    fn maps(&self, image: &RgbImage) -> Result<Vec<FeatureMap>, ModelError> {
        let _precision = Precision::F32.scope();
        let input = imagenet_normalized(&bytes_to_tensor(&[image], &self.device)?)?;
        let mut maps = Vec::with_capacity(COARSE);
        for stage in self.network.stages(&input, COARSE)? {
            maps.extend(FeatureMap::all(&stage)?);
        }
        Ok(maps)
    }
}

/// The last maps at a quarter, an eighth and a sixteenth of the image's side.
impl Backbone for EfficientNetLite {
    fn maps(&self, image: &RgbImage) -> Result<Vec<FeatureMap>, ModelError> {
        let mut maps = Vec::new();
        for map in self.features(&[image], &[4, 8, 16])? {
            maps.extend(FeatureMap::all(&map)?);
        }
        Ok(maps)
    }
}
