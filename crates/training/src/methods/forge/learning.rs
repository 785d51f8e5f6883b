//! What forge's head learns from: places of simulated anomalies and of normal images.

use flawforge_augment::Stream;
use flawforge_masks::Mask;
use flawforge_models::forge::{FeatureMap, Head, HeadTraining, Places, Spread};
use rand::Rng;
use rand::seq::index;

use super::left_out::{Kept, See};
use super::settings::HeadSettings;
use super::shares::shares;
use crate::error::Result;
use crate::windowing::Windowing;

/// Places of one image that the head learns from, of each normal sort.
const PLACES: usize = 512;

/// A simulated anomaly: the maps of the image, and the mask.
pub(super) struct Simulated {
    pub(super) maps: Vec<FeatureMap>,
    pub(super) mask: Mask,
}

/// How the head learns.
pub(super) struct Learning<'a> {
    pub(super) settings: &'a HeadSettings,
    pub(super) seed: u64,
    pub(super) windowing: Option<&'a Windowing>,
    pub(super) see: &'a See<'a>,
}

impl Learning<'_> {
    /// The head, if there are anomalies to learn from.
    pub(super) fn head(
        &self,
        spread: &Spread,
        simulated: &[Simulated],
        normal: &[(usize, Kept)],
    ) -> Result<Option<Head>> {
        let settings = self.settings;
        let standard = spread.standard();
        let length = standard.mean.len();
        let mut rng = self.rng("places");
        let sort = |share| Places {
            share,
            ..Places::default()
        };
        let [mut anomalous, mut partly, mut beside, mut plain] = [0.25, 0.094, 0.281, 0.375].map(sort);
        for one in simulated {
            let features = standard.features(&one.maps)?;
            let Some(finest) = one.maps.first() else { continue };
            let shares = shares(&one.mask, finest.width, finest.height);
            let mut untouched = Vec::new();
            for (place, &share) in shares.iter().enumerate() {
                let sort = match share {
                    0.0 => {
                        untouched.push(place);
                        continue;
                    }
                    share if share > 0.5 => &mut anomalous,
                    _ => &mut partly,
                };
                sort.features
                    .extend_from_slice(&features[place * length..][..length]);
                sort.targets.push(share);
            }
            for chosen in index::sample(&mut rng, untouched.len(), PLACES.min(untouched.len())) {
                beside
                    .features
                    .extend_from_slice(&features[untouched[chosen] * length..][..length]);
                beside.targets.push(0.0);
            }
        }
        if anomalous.targets.is_empty() {
            return Ok(None);
        }
        for (number, kept) in normal {
            let (sizes, _) = kept.image.part(*number, self.windowing, self.see)?;
            let Some(maps) = sizes.first() else { continue };
            let features = standard.features(maps)?;
            let places = features.len() / length;
            for place in index::sample(&mut rng, places, PLACES.min(places)) {
                plain
                    .features
                    .extend_from_slice(&features[place * length..][..length]);
                plain.targets.push(0.0);
            }
        }
        let training = HeadTraining {
            hidden: settings.hidden.clone(),
            steps: settings.steps,
            batch: settings.batch,
            learning_rate: settings.learning_rate,
        };
        let sorts = [anomalous, partly, beside, plain];
        Ok(training.train(&standard, &sorts, &mut self.rng("head"))?)
    }

    fn rng(&self, purpose: &str) -> impl Rng + use<> {
        Stream::of_run(self.seed).rng(purpose)
    }
}
