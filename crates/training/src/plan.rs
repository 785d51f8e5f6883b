//! Which images train what, and checks of the data before the first step.

use flawforge_augment::{Selection, Stream, TextureSource};
use flawforge_datasets::{Category, parity_split};
use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

use crate::assembly::{Subject, loading_for};
use crate::batch::Pool;
use crate::config::{Config, Simulator};
use crate::error::{Result, TrainingError};
use crate::method::Architecture;
use crate::nsa;

/// The division of a category's training images.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Images for training: one pool, or X and Y.
    pub(crate) pools: Vec<(Vec<usize>, usize)>,
    /// Images held out for the threshold.
    pub(crate) held_out: Vec<usize>,
    /// Digest of images, textures, selection and the method's constants of the category.
    pub(crate) data: String,
}

impl Plan {
    /// Divides the images, after checking that they, the selection and the textures suffice.
    pub(crate) fn new(
        config: &Config,
        category: &Category,
        textures: &dyn TextureSource,
        selection: &Selection,
    ) -> Result<Self> {
        let data = |fault: String| TrainingError::Data {
            category: category.name.clone(),
            fault,
        };
        let subject = Subject {
            category: &category.name,
            selection,
        };
        check_images(category, loading_for(config, subject).image).map_err(data)?;
        if config.simulation.simulator == Simulator::Selected && !enables_any(selection) {
            let fault = "its selection enables no kind of anomaly; enable at least one";
            return Err(data(fault.to_owned()));
        }
        let count = category.train.len();
        let (kept, held_out) = hold_out(count, config);
        let pools = if config.split.enabled {
            let (x, y) = parity_split(kept.len());
            if y.is_empty() {
                let fault = "split training needs at least 2 normal images to train on, found 1";
                return Err(data(fault.to_owned()));
            }
            let of = |half: Vec<usize>| half.into_iter().map(|place| kept[place]).collect();
            vec![(of(x), config.split.batch_x), (of(y), config.split.batch_y)]
        } else {
            vec![(kept, config.batch.size)]
        };
        let probes = probe_textures(config, textures).map_err(data)?;
        let constants = match config.method.architecture() {
            Architecture::Nsa => format!("{:?}", nsa::constants(subject)),
            Architecture::TwoNetworks | Architecture::PatchCore => String::new(),
        };
        Ok(Self {
            pools,
            held_out,
            data: fingerprint(category, selection, &probes, &constants),
        })
    }

    pub(crate) fn pools(&self) -> Vec<Pool> {
        let pool = |(images, batch): &(Vec<usize>, usize)| Pool {
            images: images.clone(),
            batch: *batch,
        };
        self.pools.iter().map(pool).collect()
    }
}

/// Whether a selection enables at least one kind of anomaly.
fn enables_any(selection: &Selection) -> bool {
    selection.enabled().next().is_some()
}

fn check_images(category: &Category, (width, height): (u32, u32)) -> Result<(), String> {
    if category.train.is_empty() {
        return Err("has no normal images to train on".to_owned());
    }
    let train = category.train.iter().map(|image| (&image.name, &image.image));
    let test = category.test.iter().map(|image| (&image.name, &image.image));
    for (name, image) in train.chain(test) {
        if image.dimensions() != (width, height) {
            let (found_width, found_height) = image.dimensions();
            return Err(format!(
                "image {name} was loaded at {found_width}x{found_height}, but the method wants {width}x{height}"
            ));
        }
    }
    Ok(())
}

/// Positions kept for training, and those held out, both ascending.
fn hold_out(count: usize, config: &Config) -> (Vec<usize>, Vec<usize>) {
    let share = (count as f64 * config.calibration.held_out).floor() as usize;
    let mut order: Vec<usize> = (0..count).collect();
    if share > 0 {
        let mut rng = Stream::of_run(config.seed).rng("held out");
        order.shuffle(&mut rng);
    }
    let mut held_out = order.split_off(count - share);
    order.sort_unstable();
    held_out.sort_unstable();
    (order, held_out)
}

/// A few textures by a fixed seed: shows that there are any, and tells texture sets apart.
fn probe_textures(config: &Config, textures: &dyn TextureSource) -> Result<Vec<u8>, String> {
    let side = config.image_size;
    let mut bytes = Vec::new();
    for index in 0..4 {
        let mut rng = Stream {
            seed: 0,
            step: 0,
            index,
        }
        .rng("texture probe");
        let texture = textures.texture(side, side, &mut rng);
        if texture.dimensions() != (side, side) {
            let (width, height) = texture.dimensions();
            return Err(format!(
                "a texture came as {width}x{height} instead of {side}x{side}"
            ));
        }
        bytes.extend_from_slice(texture.as_raw());
    }
    Ok(bytes)
}

fn fingerprint(category: &Category, selection: &Selection, textures: &[u8], constants: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(category.name.as_bytes());
    for image in &category.train {
        hasher.update(image.name.as_bytes());
        hasher.update(image.image.as_raw());
    }
    // Where an answer comes from, and why, is for people.
    let mut answers = Selection {
        rotate_source: None,
        reason: String::new(),
        ..selection.clone()
    };
    for answer in answers.kinds.values_mut() {
        answer.source = None;
    }
    hasher.update(format!("{answers:?}"));
    hasher.update(textures);
    hasher.update(constants);
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
