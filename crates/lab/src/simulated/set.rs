//! Making the pictures of the simulated dataset.

use flawforge::augment::{
    AnomalySimulator, Constants, Kind, Nsa, NsaSettings, Simulated, Stream, TextureSource, to_bytes, to_float,
};
use flawforge::datasets::{Category, TestImage};
use rand::{Rng, RngCore};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kinds of anomaly: the rows of table 3, the inferred one last.
pub const KINDS: [Kind; 5] = [
    Kind::CutPaste,
    Kind::Nsa,
    Kind::Opaque,
    Kind::Transparent,
    Kind::NearDistribution,
];

/// How often an anomaly is drawn again where nothing visible came of it (an empty mask, a uniform surface).
const ATTEMPTS: u64 = 20;

/// What a category's simulated dataset is made by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetSettings {
    /// Anomalous versions of each normal test image, for each kind (proposal: 3).
    pub draws: u64,
    /// Seed of all pictures.
    pub seed: u64,
    /// The constants of every kind's simulator. NSA's are those of its code for the 15 categories of MVTec AD; all others,
    /// and NSA's for other categories, are the defaults.
    pub constants: BTreeMap<Kind, Constants>,
}

impl SetSettings {
    /// The settings of table 3, with NSA's published constants of the category, where there are any.
    pub fn of_table3(published: Option<NsaSettings>) -> Self {
        Self::new(published, 3, 0)
    }

    /// Settings with NSA's published constants, where there are any.
    pub fn new(published: Option<NsaSettings>, draws: u64, seed: u64) -> Self {
        let constants = |kind| match kind {
            Kind::Nsa => Some(Constants::Nsa(published.unwrap_or_default())),
            _ => Constants::of(kind),
        };
        Self {
            draws,
            seed,
            constants: KINDS
                .into_iter()
                .filter_map(|kind| Some((kind, constants(kind)?)))
                .collect(),
        }
    }

    /// SHA-256 of the settings, in which every constant of every simulator is, 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        // Plain data can always be written.
        let text = serde_json::to_string(&(self, ATTEMPTS)).unwrap_or_default();
        hex::encode(Sha256::digest(text.as_bytes()))
    }
}

/// A category's simulated dataset; pictures are made when they are asked for.
pub struct SimulatedSet<'a> {
    category: &'a str,
    normals: Vec<&'a TestImage>,
    settings: SetSettings,
    simulators: BTreeMap<Kind, Arc<dyn AnomalySimulator>>,
}

impl<'a> SimulatedSet<'a> {
    /// The set made from the normal test images of `category`.
    pub fn new(category: &'a Category, textures: Arc<dyn TextureSource>, settings: SetSettings) -> Self {
        let materials = textures.into();
        Self {
            category: &category.name,
            normals: category.test.iter().filter(|test| !test.is_defective()).collect(),
            simulators: settings
                .constants
                .iter()
                .map(|(&kind, constants)| (kind, constants.simulator(&materials)))
                .collect(),
            settings,
        }
    }

    /// What the set is made by.
    pub fn settings(&self) -> &SetSettings {
        &self.settings
    }

    /// The normal images, each once: the counterparts of the anomalous ones of every kind.
    pub fn normals(&self) -> &[&'a TestImage] {
        &self.normals
    }

    /// The anomalous versions of one normal image, `KIND/NAME_DRAW`: as many as there are draws, less those where nothing
    /// visible could be made.
    pub fn anomalous(&self, kind: Kind, image: usize) -> Vec<TestImage> {
        (0..self.settings.draws)
            .into_par_iter()
            .filter_map(|draw| self.one(kind, image, draw))
            .collect()
    }

    fn one(&self, kind: Kind, image: usize, draw: u64) -> Option<TestImage> {
        let name = base_name(&self.normals[image].name);
        // The purpose holds what the three numbers of a stream have no room for.
        let purpose = format!("simulated dataset/{}/{kind}/{name}", self.category);
        let made = (0..ATTEMPTS).find_map(|attempt| {
            let stream = Stream {
                seed: self.settings.seed,
                step: draw,
                index: attempt,
            };
            self.simulate(kind, image, &mut stream.rng(&purpose))
        })?;
        Some(TestImage::drawn(
            format!("{kind}/{name}_{draw}"),
            kind.name().to_owned(),
            to_bytes(&made.image),
            made.mask,
        ))
    }

    fn simulate(&self, kind: Kind, image: usize, rng: &mut dyn RngCore) -> Option<Simulated> {
        let normal = &self.normals[image].image;
        match self.settings.constants.get(&kind)? {
            Constants::Nsa(nsa) => {
                // Patches come from another normal image, where there is another (NSA's code: the image before).
                let others = self.normals.len().saturating_sub(1).max(1);
                let step = rng.random_range(1..=others);
                let source = &self.normals[(image + step) % self.normals.len()].image;
                let made = Nsa::new(*nsa).blend(normal, source, rng)?;
                Some(Simulated {
                    image: to_float(&made.image),
                    mask: made.mask,
                    kind,
                    parameters: made.parameters,
                })
            }
            _ => self.simulators.get(&kind)?.simulate(normal, rng),
        }
    }
}

/// A test image's name without its defect type.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flawforge::augment::ProceduralTextures;
    use flawforge::datasets::{Loading, demo};

    fn demo_set(category: &Category, seed: u64) -> SimulatedSet<'_> {
        let settings = SetSettings::new(None, 2, seed);
        SimulatedSet::new(category, Arc::new(ProceduralTextures::default()), settings)
    }

    #[test]
    fn every_kind_is_made_on_every_normal_image() {
        let category = demo::category("connector", &Loading::opencv(64, 64), 1).unwrap();
        let set = demo_set(&category, 0);
        assert_eq!(set.normals().len(), demo::TEST_GOOD);
        for kind in KINDS {
            let made: Vec<TestImage> = (0..4).flat_map(|image| set.anomalous(kind, image)).collect();
            assert_eq!(made.len(), 8, "{kind}");
            for (test, normal) in made
                .iter()
                .zip(set.normals().iter().flat_map(|normal| [normal; 2]))
            {
                assert!(test.is_defective() && test.defect == kind.name() && !test.mask.is_empty());
                assert_eq!(test.mask, test.mask_half);
                let changed = |x: u32, y: u32| test.image.get_pixel(x, y) != normal.image.get_pixel(x, y);
                let (mut inside, mut outside) = (0, 0);
                for y in 0..64 {
                    for x in 0..64 {
                        match test.mask.get(x, y) {
                            true => inside += usize::from(changed(x, y)),
                            false => outside += usize::from(changed(x, y)),
                        }
                    }
                }
                assert!(inside > 0, "{kind}: nothing changed inside the mask");
                // Poisson blending leaves changes too small for NSA's label outside of it; the others leave none.
                assert!(
                    kind == Kind::Nsa || outside == 0,
                    "{kind}: {outside} pixels changed outside the mask"
                );
            }
        }
    }

    #[test]
    fn pictures_follow_from_their_names() {
        let category = demo::category("weave", &Loading::opencv(64, 64), 1).unwrap();
        let (set, again, other) = (
            demo_set(&category, 0),
            demo_set(&category, 0),
            demo_set(&category, 1),
        );
        for kind in KINDS {
            let pixels = |set: &SimulatedSet<'_>| -> Vec<Vec<u8>> {
                let made = set.anomalous(kind, 3);
                made.into_iter().map(|test| test.image.into_raw()).collect()
            };
            let first = pixels(&set);
            assert_eq!(first, pixels(&again), "{kind}");
            assert_ne!(first, pixels(&other), "{kind}");
            assert_ne!(first[0], first[1], "{kind}");
            let names: Vec<String> = set.anomalous(kind, 3).into_iter().map(|test| test.name).collect();
            assert_eq!(names, [format!("{kind}/003_0"), format!("{kind}/003_1")]);
        }
    }

    #[test]
    fn settings_are_told_apart() {
        let published = |name: &str| NsaSettings::builtin().remove(name);
        let bottle = SetSettings::of_table3(published("bottle"));
        assert_eq!(bottle.hash(), SetSettings::new(published("bottle"), 3, 0).hash());
        assert_eq!(bottle.hash().len(), 64);
        assert_ne!(bottle.hash(), SetSettings::of_table3(published("screw")).hash());
        assert_ne!(bottle.hash(), SetSettings::new(published("bottle"), 3, 1).hash());
        let weave = SetSettings::of_table3(None);
        assert_eq!(
            weave.constants[&Kind::Nsa],
            Constants::Nsa(NsaSettings::default())
        );
        let mut bent = weave.clone();
        if let Some(Constants::NearDistribution(ndaa)) = bent.constants.get_mut(&Kind::NearDistribution) {
            ndaa.density = 0.3;
        }
        assert_ne!(bent.hash(), weave.hash());
    }
}
