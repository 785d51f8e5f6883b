//! How long a training would take here and how much memory it would need, from a step of the same method that is really done.
//!
//! Nothing is looked up in a table of machines. A method that learns by gradients does a few real steps of its own recipe; where
//! its networks are too large for that, with narrower ones on smaller images, and the time grows with the multiplications and
//! falls with how much faster wide convolutions run here, which is measured too. PatchCore's share is counted in
//! multiplications and divided by the measured speed of a convolution, and of a small coreset.

mod gpu;
mod memory;
mod middle;
mod speeds;

use flawforge_augment::{Parameters, Sample, to_bytes};
use flawforge_masks::{Mask, Stream};
use image::{Rgb, Rgb32FImage};
use rand::Rng;

use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::experiment::{Experiment, MethodSettings};
use crate::fit::hold_out;
use crate::methods::backbone::Backbone;
use crate::methods::spaced::room_for;
use crate::methods::{forge, patchcore};
use crate::recipe::{Batch, Part, Pool};
use crate::settings::{Split, View};
use memory::weights;
use speeds::{TRIED, timed};

pub use gpu::{GpuMemory, gpu_memory};
pub use middle::middle;
pub use speeds::Speeds;

/// What a training would cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Steps of the training.
    pub steps: u64,
    /// Seconds in all, about.
    pub seconds: f64,
    /// Bytes of memory beside the program itself, about.
    pub bytes: u64,
    /// What the time rests on, in words.
    pub basis: String,
}

/// Widths and sides, in channels and pixels, up to which a method is tried as it is: its steps then take a fraction of a second
/// on two cores (proposal).
const WIDEST: usize = 32;
const LARGEST: u32 = 128;
/// Images in a step that is tried, at most (proposal).
const TRIED_BATCH: usize = 4;

/// Whether a training on so many images would begin, or why not.
///
/// # Errors
/// The setting or the number of images that is in its way.
pub fn starts(experiment: &Experiment, images: usize) -> Result<()> {
    experiment.validate()?;
    if images == 0 {
        return Err(TrainingError::Data {
            category: experiment.category.clone(),
            fault: "has no normal images to train on".to_owned(),
        });
    }
    pools(experiment, hold_out(images, experiment).0)?;
    let precision = experiment.settings.assembly().precision();
    if default_device().is_cpu() && !precision.is_served_here() {
        let message = "this processor has no instructions for bfloat16 (AVX-512 BF16); take f32";
        return Err(TrainingError::setting("precision", message));
    }
    Ok(())
}

/// The pools that a training on these images draws from.
fn pools(experiment: &Experiment, images: Vec<usize>) -> Result<Vec<Pool>> {
    let pools = experiment.settings.assembly().pools(images);
    pools.map_err(|fault| TrainingError::Data {
        category: experiment.category.clone(),
        fault,
    })
}

/// What a training on `images` normal images would cost on this machine. Takes a second or two.
///
/// `size` is width and height of their files, which matter under a view other than the papers' square.
///
/// # Errors
/// Those of [`starts`], and of a step.
pub fn estimate(
    experiment: &Experiment,
    images: usize,
    size: (u32, u32),
    speeds: &mut Speeds,
) -> Result<Estimate> {
    starts(experiment, images)?;
    let _precision = experiment.settings.assembly().precision().scope();
    let found = at_once(experiment, images, size, speeds)?;
    if !experiment.view.is_two_scales() {
        return Ok(found);
    }
    let mut whole = experiment.clone();
    whole.view = View::Stretch;
    let whole = at_once(&whole, images, size, speeds)?;
    Ok(Estimate {
        seconds: found.seconds + whole.seconds,
        bytes: found.bytes + whole.bytes,
        basis: format!("{}; and the same for whole images", found.basis),
        ..found
    })
}

/// The same, of two scales that of the windows.
fn at_once(
    experiment: &Experiment,
    images: usize,
    size: (u32, u32),
    speeds: &mut Speeds,
) -> Result<Estimate> {
    let pixels = experiment.loading().image.pixels(size) as f64;
    let windows = experiment.windowing().map_or(1, |windowing| {
        windowing.windows.over(windowing.sizing.of(size)).len()
    });
    let shown = Shown {
        images,
        windows: windows as f64,
        bytes: 3.0 * pixels,
    };
    let loaded = images as f64 * shown.bytes;
    let steps = experiment.steps(images);
    let (seconds, bytes, basis) = match &experiment.settings {
        MethodSettings::PatchCore(settings) => {
            let group = &settings.patchcore;
            let square = |&side: &u32| (f64::from(side) / 224.0).powi(2);
            let squares: f64 = group.sides().iter().map(square).sum();
            let multiplications = multiplications(group.backbone) * squares;
            let speed = speeds.convolution(128)?;
            let mut left_out = patchcore::left_out(experiment.calibration.images).min(images) as f64;
            // Images that are seen in windows are seen again in the end.
            let mut again = 0.0;
            if windows > 1 {
                left_out = left_out.min(room_for(shown.bytes as usize) as f64);
                again = left_out;
            }
            let features = (images as f64 + again) * shown.windows * multiplications / speed;
            let (mut patches, mut choice, mut search) = (0.0, 0.0, 0.0);
            for places in group.places() {
                let each = places as f64;
                let places = images as f64 * shown.windows * each;
                let picks = places * group.coreset_ratio;
                patches += places;
                choice += places * picks * speeds.choice(group.projection)?;
                search += left_out * shown.windows * each * picks * group.embedding as f64 / speed;
            }
            let vectors = patches * (1.0 + group.coreset_ratio) * group.embedding as f64 * 4.0
                + patches * group.projection as f64 * 4.0;
            let basis = format!(
                "{:.0} billion multiplications a second in a convolution, and the choice of a small coreset, both timed now",
                speed / 1e9
            );
            (
                features + choice + search,
                vectors + again * shown.bytes + 4.0 * weights(group.backbone),
                basis,
            )
        }
        MethodSettings::Forge(settings) => forge(experiment, &settings.forge, &shown, speeds)?,
        _ => by_steps(experiment, images, speeds)?,
    };
    let basis = match windows {
        1 => basis,
        _ => format!(
            "{basis}; {windows} windows over an image of {}x{}",
            size.0, size.1
        ),
    };
    Ok(Estimate {
        steps,
        seconds,
        bytes: (bytes + loaded) as u64,
        basis,
    })
}

/// What a training is shown.
struct Shown {
    images: usize,
    /// Windows over an image.
    windows: f64,
    /// Bytes of an image as it is held.
    bytes: f64,
}

/// The same for forge: features of all images, the search for nearest vectors, the training of the head.
fn forge(
    experiment: &Experiment,
    group: &forge::Group,
    shown: &Shown,
    speeds: &mut Speeds,
) -> Result<(f64, f64, String)> {
    let images = shown.images;
    let (seconds, tried) = step(experiment, images)?;
    let squares = |sides: &[u32]| sides.iter().map(|&side| f64::from(side).powi(2)).sum::<f64>();
    let share = squares(group.sides.get(..1).unwrap_or_default()) / squares(&group.sides).max(1.0);
    let mut left_out = images.min(group.left_out) as f64;
    if shown.windows > 1.0 {
        left_out = left_out.min(room_for(shown.bytes as usize) as f64);
    }
    let seen = images as f64 * shown.windows + share * group.head.simulated as f64;
    let places = squares(&group.sides) / 64.0;
    let search =
        left_out * shown.windows * (places * (group.vectors * group.length()) as f64 + group.details_work());
    let widths = group
        .head
        .hidden
        .iter()
        .fold((FORGE_HEAD, 0), |(inputs, sum), &width| {
            (width, sum + inputs * width)
        });
    // Forward, and twice as much backward.
    let head = 3.0 * (group.head.steps * group.head.batch * widths.1) as f64;
    let speed = speeds.convolution(128)?;
    // Of an image that is seen in windows its pixels are kept, and what the network sees of them is computed twice more.
    let maps = places * 4.0 * FORGE_KEPT;
    let (kept, again) = match shown.windows > 1.0 {
        true => (shown.bytes, 2.0 * left_out * shown.windows),
        false => (maps, 0.0),
    };
    let bytes = left_out * kept + group.head.simulated as f64 * maps;
    let basis = format!(
        "a real step, {:.0} ms of this machine alone, and {:.0} billion multiplications a second, both timed now",
        1e3 * seconds,
        speed / 1e9
    );
    Ok((
        seconds / tried as f64 * (seen + again) + (search + head) / speed,
        bytes,
        basis,
    ))
}

/// Numbers of a place that forge's head sees, and of a place of the grid that it keeps of an image.
const FORGE_HEAD: usize = 176;
const FORGE_KEPT: f64 = 164.0;

/// The same for a method that learns step by step.
fn by_steps(experiment: &Experiment, images: usize, speeds: &mut Speeds) -> Result<(f64, f64, String)> {
    let (tried, factor) = small(experiment);
    let (seconds, batch_tried) = step(&tried, images)?;
    let pools = pools(experiment, hold_out(images, experiment).0)?;
    let batch: usize = pools.iter().map(|pool| pool.batch).sum();
    let pixels = |experiment: &Experiment| f64::from(experiment.image_size).powi(2);
    let larger = pixels(experiment) / pixels(&tried) * batch as f64 / batch_tried as f64;
    let faster = match factor {
        1 => 1.0,
        _ => speeds.convolution(2 * WIDEST * factor)? / speeds.convolution(2 * WIDEST)?,
    };
    let work = (factor * factor) as f64 * larger;
    let mut basis = format!(
        "a real step of {:.0} ms with {batch_tried} images of {} px, timed now",
        1e3 * seconds,
        tried.image_size,
    );
    if factor > 1 {
        basis.push_str(&format!(
            ", with networks {factor} times narrower; wide convolutions run here at {faster:.1} times the speed of narrow ones"
        ));
    }
    if work > 1.01 {
        basis.push_str(&format!("; times {:.0} for the work", work.max(1.0)));
    }
    let bytes = match &experiment.settings {
        MethodSettings::Draem(settings) => {
            let largest = pools.iter().map(|pool| pool.batch).max().unwrap_or(1);
            memory::activations(&settings.networks, pixels(experiment), largest)
                + memory::A_WEIGHT * memory::weights_of_two(&settings.networks)
        }
        _ => memory::NSA * pixels(experiment) * (batch * width(experiment)) as f64,
    };
    let steps = experiment.steps(images) as f64;
    // Short trainings beside the whole one.
    let folds = match experiment.calibration.split(images) {
        Split::Folds(folds) => folds as f64 * experiment.calibration.fold_steps,
        Split::HeldOut(_) | Split::None => 0.0,
    };
    let total = seconds * work / faster * steps * (1.0 + folds);
    Ok((total, bytes, basis))
}

/// The experiment, if a step of it takes a fraction of a second, otherwise with networks so many times narrower.
fn small(experiment: &Experiment) -> (Experiment, usize) {
    let mut tried = experiment.clone();
    let factor = width(experiment).div_ceil(WIDEST).max(1);
    if factor > 1 {
        tried.image_size = (tried.image_size / 2).clamp(32, LARGEST.max(32)) / 32 * 32;
    }
    match &mut tried.settings {
        MethodSettings::Draem(settings) => {
            let networks = &mut settings.networks;
            networks.reconstructive_width = (networks.reconstructive_width / factor).max(1);
            networks.discriminative_width = (networks.discriminative_width / factor).max(1);
            settings.batch.size = settings.batch.size.min(TRIED_BATCH);
            if let Some(split) = &mut settings.split {
                split.batch_x = split.batch_x.min(TRIED_BATCH);
                split.batch_y = split.batch_y.min(TRIED_BATCH);
            }
        }
        MethodSettings::Nsa(settings) => {
            settings.nsa.width = (settings.nsa.width / factor).max(1);
            settings.batch.size = settings.batch.size.min(TRIED_BATCH);
        }
        MethodSettings::PatchCore(_) | MethodSettings::Forge(_) => {}
    }
    (tried, factor)
}

/// Channels of the wider network.
fn width(experiment: &Experiment) -> usize {
    match &experiment.settings {
        MethodSettings::Draem(settings) => settings.networks.reconstructive_width,
        MethodSettings::Nsa(settings) => settings.nsa.width,
        MethodSettings::PatchCore(_) | MethodSettings::Forge(_) => 1,
    }
}

/// Seconds of a real step on images of noise, and how many images it has.
fn step(experiment: &Experiment, images: usize) -> Result<(f64, usize)> {
    let assembly = experiment.settings.assembly();
    let pools = pools(experiment, (0..images).collect())?;
    let mut recipe = assembly.recipe(&experiment.frame(), &default_device())?;
    // Networks that learn by steps see squares of this side, whatever they are cut from.
    let (width, height) = (experiment.image_size, experiment.image_size);
    let mut random = Stream::default().rng("estimate");
    let noise = Rgb32FImage::from_fn(width, height, |_, _| {
        Rgb([0; 3].map(|_: i32| random.random::<f32>()))
    });
    let sample = Sample {
        normal: to_bytes(&noise),
        image: noise,
        mask: Mask::from_fn(width, height, |x, y| x < width / 4 && y < height / 4),
        kind: None,
        parameters: Parameters::default(),
    };
    let part = |count: usize| Part {
        samples: vec![sample.clone(); count],
        names: vec![String::new(); count],
        labels: vec![vec![0.0; (width * height) as usize]; count],
    };
    let batch = Batch {
        step: 0,
        parts: pools.iter().map(|pool| part(pool.batch)).collect(),
    };
    let mut once = || -> Result<()> {
        // A rate of 0 changes no weight.
        recipe.step(&batch, 0.0)?;
        recipe.pending_losses()?;
        Ok(())
    };
    once()?;
    let seconds = timed(TRIED, once)?;
    Ok((seconds, batch.parts.iter().map(|part| part.samples.len()).sum()))
}

/// Multiplications for one image of 224 px up to the third stage (torchvision's figures for whole networks are 11.4, 4.1 and 1.8
/// billion; less the last stage).
fn multiplications(backbone: Backbone) -> f64 {
    match backbone {
        Backbone::WideResNet50 => 8.8e9,
        Backbone::ResNet50 => 3.3e9,
        Backbone::ResNet18 => 1.4e9,
        Backbone::EfficientNetLite0 => 0.24e9,
        Backbone::EfficientNetLite1 => 0.33e9,
        Backbone::EfficientNetLite2 => 0.40e9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Product, Profile};
    use flawforge_augment::Selection;

    fn experiment(method: Method, profile: &str) -> Experiment {
        let product = Product::new("part", Selection::default());
        Experiment::new(method, &Profile::builtin(profile).unwrap(), &product, 0).unwrap()
    }

    #[test]
    fn every_method_has_an_estimate_that_grows_with_the_work() {
        let mut speeds = Speeds::default();
        for method in [
            Method::LinYan,
            Method::Draem,
            Method::Nsa,
            Method::PatchCore,
            Method::Forge,
        ] {
            let found = estimate(&experiment(method, "smoke"), 20, (64, 64), &mut speeds).unwrap();
            assert!(
                found.seconds > 0.0 && found.seconds.is_finite(),
                "{method}: {found:?}"
            );
            assert!(found.bytes > 20 * 64 * 64 * 3, "{method}: {found:?}");
            assert!(found.basis.contains("timed now"), "{method}: {found:?}");
        }
        let mut of = |images| {
            estimate(
                &experiment(Method::PatchCore, "quick"),
                images,
                (64, 64),
                &mut speeds,
            )
            .unwrap()
        };
        let (few, many) = (of(50), of(500));
        assert!(many.seconds > 9.0 * few.seconds && many.bytes > 5 * few.bytes);
    }

    #[test]
    fn windows_cost_what_is_seen_of_an_image() {
        let mut speeds = Speeds::default();
        for method in [Method::PatchCore, Method::Forge] {
            let mut of = |view| {
                let mut experiment = experiment(method, "smoke");
                experiment.view = view;
                experiment.calibrate_for_use();
                estimate(&experiment, 20, (640, 320), &mut speeds).unwrap()
            };
            let (square, tiles, both) = (of(View::Stretch), of(View::tiles(1.0)), of(View::two_scales(1.0)));
            assert!(tiles.bytes > 4 * square.bytes, "{method}: {square:?} {tiles:?}");
            assert!(
                tiles.seconds > 2.0 * square.seconds,
                "{method}: {square:?} {tiles:?}"
            );
            assert!(
                both.bytes > tiles.bytes && both.basis.contains("whole images"),
                "{both:?}"
            );
            assert!(
                tiles.basis.contains("windows over an image of 640x320"),
                "{tiles:?}"
            );
        }
        // The length in steps is that of the profile, whatever the images are.
        let mut draem = experiment(Method::Draem, "smoke");
        draem.view = View::tiles(1.0);
        let found = estimate(&draem, 20, (640, 320), &mut speeds).unwrap();
        assert_eq!(found.steps, 20);
        assert!(found.bytes > 20 * 3 * 640 * 320, "{found:?}");
    }

    #[test]
    fn what_does_not_start_has_no_estimate() {
        let one = starts(&experiment(Method::LinYan, "quick"), 1)
            .unwrap_err()
            .to_string();
        assert!(one.contains("at least 2"), "{one}");
        assert!(starts(&experiment(Method::Draem, "quick"), 1).is_ok());
        assert!(starts(&experiment(Method::Draem, "quick"), 0).is_err());
    }

    #[test]
    fn large_networks_are_tried_narrower_and_on_smaller_images() {
        let (tried, factor) = small(&experiment(Method::LinYan, "paper"));
        assert_eq!((factor, tried.image_size, width(&tried)), (4, 128, 32));
        let (tried, factor) = small(&experiment(Method::LinYan, "quick"));
        assert_eq!((factor, tried.image_size), (1, 128));
    }
}
