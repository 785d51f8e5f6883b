//! What an experiment is: one value, one TOML text, one hash.

mod method_settings;
mod overrides;
mod text;

pub use method_settings::MethodSettings;
pub use overrides::Overrides;
pub(crate) use overrides::differences;

use std::sync::Arc;

use candle_core::Device;
use flawforge_augment::{Simulation, TextureSource};
use flawforge_datasets::{Category, Loading, RegionOfInterest};
use flawforge_models::{Detector, Inside};
use flawforge_resample::{Resizing, Sizing, Windows};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::methods::{Continuation, Data, Frame, Method, NormalImages};
use crate::product::Product;
use crate::profile::Profile;
use crate::recipe::{BatchSource, Recipe};
use crate::settings::ranges::{LARGEST_SIZE, SIZE_MULTIPLE, between};
use crate::settings::{Calibration, Evaluated, Intervals, Length, Region, Schedule, View, WarmStart};
use crate::two_scales::{TwoScaleBatches, TwoScaleRecipe, made_small};
use crate::view_proposal::ViewProposal;
use crate::windowing::Windowing;

/// Counts changes of the code that give other numbers from the same settings. It is part of every hash, so that older cells
/// run again after such a change.
pub const REVISION: u32 = 2;

/// Everything that decides what a run learns and how it is scored: the method with all its settings, the category, and every
/// constant of every simulator in use.
///
/// Where files lie is not in it, so that its [hash](Self::hash) names an experiment. Its text form is the `config.toml` of a
/// run: the fields of this type, and beside them the groups of the method's own settings ([`methods`](crate::methods)), for
/// example `[schedule]` or `[simulation.kinds.near-distribution]`. A setting that does not concern the method is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "text::Text")]
pub struct Experiment {
    /// The code's [`REVISION`] that it was made with.
    pub revision: u32,
    /// The method; its name alone decides nothing, its [`settings`](Self::settings) do.
    pub method: Method,
    /// Name of the category: a product.
    pub category: String,
    /// Name of the profile whose budget this is.
    pub profile: String,
    /// Seed of the initial weights, of the draw of images and of the simulation.
    pub seed: u64,
    /// Side in pixels of the square that images are scored at, a multiple of 32; of the two-network methods also the side
    /// of the networks' input.
    pub image_size: u32,
    /// How images are seen.
    #[serde(default, skip_serializing_if = "View::is_stretch")]
    pub view: View,
    /// What of them is looked at.
    #[serde(default, skip_serializing_if = "Region::is_all")]
    pub region: Region,
    /// Scoring.
    pub evaluation: Evaluated,
    /// The decision threshold.
    pub calibration: Calibration,
    /// Intervals.
    pub every: Intervals,
    /// That the training begins with what another run has learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStart>,
    /// The method's own settings.
    #[serde(flatten)]
    pub settings: MethodSettings,
}

impl Experiment {
    /// A method's experiment on a product under a profile's budget.
    ///
    /// # Errors
    /// For a [custom](Method::custom) method, whose settings are its own program's.
    pub fn new(method: Method, profile: &Profile, product: &Product, seed: u64) -> Result<Self> {
        let mut experiment = Self {
            revision: REVISION,
            method,
            category: product.name.clone(),
            profile: profile.name.clone(),
            seed,
            image_size: profile.image_size,
            view: View::default(),
            region: Region::default(),
            evaluation: Evaluated::default(),
            calibration: Calibration::default(),
            every: profile.every.clone(),
            warm_start: None,
            settings: MethodSettings::new(method, profile, product)?,
        };
        experiment
            .settings
            .clone()
            .assembly()
            .adapt(&mut experiment.every);
        Ok(experiment)
    }

    /// Checks every setting's range.
    ///
    /// # Errors
    /// The first setting that cannot be used, by its dotted name.
    pub fn validate(&self) -> Result<()> {
        if i64::try_from(self.seed).is_err() {
            return Err(TrainingError::setting(
                "seed",
                "is above 2^63 - 1, the largest number of TOML",
            ));
        }
        let side = self.image_size;
        if side == 0 || !side.is_multiple_of(SIZE_MULTIPLE) || side > LARGEST_SIZE {
            let message = format!(
                "{side} is not a multiple of {SIZE_MULTIPLE} up to {LARGEST_SIZE} (the networks halve the image five times)"
            );
            return Err(TrainingError::setting("image_size", message));
        }
        self.view.check()?;
        self.region.check()?;
        between("evaluation.batch", self.evaluation.batch as f64, 1.0, 4096.0)?;
        between("evaluation.aupro_limit", self.evaluation.aupro_limit, 1e-6, 1.0)?;
        self.calibration.check()?;
        between("every.log", self.every.log as f64, 1.0, f64::MAX)?;
        between("every.checkpoint", self.every.checkpoint as f64, 1.0, f64::MAX)?;
        if let Some(warm) = &self.warm_start {
            warm.check()?;
        }
        self.settings.assembly().check(&self.frame())
    }

    /// SHA-256 of the settings in canonical form (JSON with sorted keys), 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.canonical().as_bytes()))
    }

    /// Steps of a training on `images` images (before any are held out).
    pub fn steps(&self, images: usize) -> u64 {
        match &self.warm_start {
            Some(warm) => warm.steps,
            None => self.settings.assembly().steps(images),
        }
    }

    /// How the learning rate goes; of methods that learn by gradients.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        let mut schedule = self.settings.assembly().schedule()?.clone();
        if let Some(warm) = &self.warm_start {
            schedule.learning_rate *= warm.rate;
            schedule.floor = schedule.floor.min(schedule.learning_rate);
            schedule.length = Length::Steps(warm.steps);
        }
        Some(schedule)
    }

    /// The same experiment with so many steps.
    ///
    /// # Errors
    /// For methods that pass over their images once.
    pub fn with_steps(&self, steps: u64) -> Result<Self> {
        let mut longer = self.clone();
        match longer.settings.schedule_mut() {
            Some(_) if longer.warm_start.is_some() => {
                longer.warm_start.iter_mut().for_each(|warm| warm.steps = steps);
            }
            Some(schedule) => schedule.length = Length::Steps(steps),
            None => {
                let message = format!("is not for {}: it passes over the images once", self.method);
                return Err(TrainingError::setting("schedule.length", message));
            }
        }
        Ok(longer)
    }

    /// Images as the method wants them, and the size of their ground-truth masks. Under a [view](Self::view) that keeps the
    /// aspect ratio masks keep it too.
    pub fn loading(&self) -> Loading {
        let mut loading = self.settings.assembly().loading(self.image_size);
        loading.region = self.region.mask().map(RegionOfInterest::fixed);
        match self.windowing() {
            None => loading,
            Some(windowing) => Loading {
                image: windowing.sizing,
                mask: self.view.sizing(self.image_size),
                ..loading
            },
        }
    }

    /// A detector that looks at the experiment's region of interest alone, by one of whole images.
    pub(crate) fn looking_inside(&self, detector: Box<dyn Detector>) -> Box<dyn Detector> {
        match self.region.is_all() {
            true => detector,
            false => Box::new(Inside::new(detector, self.region.mask())),
        }
    }

    /// Whether [long images of one shape](View::of_one_long_shape) keep it where nobody asks for a view: forge's do (proposal).
    /// The papers squeeze all images into a square.
    pub fn keeps_long_shape(&self) -> bool {
        self.settings.assembly().keeps_long_shape()
    }

    /// The view of images whose files have these sizes where nobody asks for one.
    pub fn default_view(&self, files: &[(u32, u32)]) -> View {
        let (side, _) = self.settings.assembly().seen(self.image_size);
        let shape = View::of_one_long_shape(files, side).filter(|_| self.keeps_long_shape());
        shape.unwrap_or_default()
    }

    /// Which other view files of these sizes speak for, where the experiment sees every image as a whole.
    pub fn propose_view(&self, files: &[(u32, u32)]) -> Option<ViewProposal> {
        let assembly = self.settings.assembly();
        let (side, _) = assembly.seen(self.image_size);
        let as_a_whole = match self.view {
            View::Stretch => true,
            View::Fit { .. } => assembly.takes_rectangles(),
            View::Tiles { .. } => false,
        };
        as_a_whole.then(|| ViewProposal::of(files, self.view, side))?
    }

    /// How images of any size are seen; `None` under the papers' square.
    pub fn windowing(&self) -> Option<Windowing> {
        let overlap = self.view.overlap()?;
        let assembly = self.settings.assembly();
        let (side, seen) = assembly.seen(self.image_size);
        let frame = self.view.frame(side, assembly.takes_rectangles());
        let margin = (f64::from(side - seen) / 2.0).round_ties_even() as u32;
        Some(Windowing {
            sizing: self.view.sizing(seen),
            windows: Windows {
                margin: [margin, margin, side - seen - margin, side - seen - margin],
                grid: assembly.step(self.image_size),
                ..Windows::new(frame, overlap)
            },
        })
    }

    /// How a finished run of it goes on with further normal images.
    pub fn continuation(&self) -> Continuation {
        match self.view.is_two_scales() {
            true => Continuation::None,
            false => self.settings.assembly().continuation(),
        }
    }

    /// The method's name at the head of its column in a table, with the settings behind it that make another method of it:
    /// `patchcore (efficientnet-lite0; strides 4, 8)`.
    pub fn column(&self) -> String {
        let own = self.settings.assembly().column();
        let view = (!self.view.is_stretch()).then(|| self.view.to_string());
        let behind: Vec<String> = Some(own)
            .filter(|own| !own.is_empty())
            .into_iter()
            .chain(view)
            .collect();
        match behind.is_empty() {
            true => self.method.to_string(),
            false => format!("{} ({})", self.method, behind.join("; ")),
        }
    }

    /// Whether the method scores its normal images as if it had not seen them, so that none need be held out for the threshold.
    pub fn leaves_one_out(&self) -> bool {
        let assembly = self.settings.assembly();
        let whole = self.view.is_stretch() && self.region.is_all();
        assembly.leaves_one_out() && (whole || assembly.leaves_out_in_parts()) && !self.view.is_two_scales()
    }

    /// Calibrates for [verdicts that count](Calibration::for_use), rather than for a table of metrics.
    pub fn calibrate_for_use(&mut self) {
        self.calibration = Calibration::for_use(self.leaves_one_out());
    }

    /// Anomalies as those that the decision threshold is tried on, one in every sample that the simulation has a place for.
    pub fn anomalies(&self, category: &Category, textures: Arc<dyn TextureSource>) -> Simulation {
        let data = Data {
            category,
            textures,
            pools: Vec::new(),
            normals: NormalImages::new(&category.train, self.view).map(Arc::new),
            inside: !self.region.is_all(),
        };
        Simulation {
            p_clean: 0.0,
            ..self.settings.assembly().calibration(&data)
        }
    }

    /// What a person should know before a training on so many images, in sentences: what memory forbids, for example.
    pub fn notices(&self, images: usize) -> Vec<String> {
        self.settings.assembly().notices(images)
    }

    /// In which settings the experiment differs from its method's publication, in sentences for people. `steps`: how many a
    /// training took.
    pub fn deviations(&self, steps: u64) -> Vec<String> {
        self.settings.assembly().deviations(&self.frame(), steps)
    }

    /// The recipe with its initial weights: that of the method, or of two of them where images are seen at two scales.
    pub(crate) fn recipe(&self, device: &Device) -> Result<Box<dyn Recipe>> {
        let recipe = |frame: Frame<'_>| self.settings.assembly().recipe(&frame, device);
        let tiles = recipe(self.frame())?;
        Ok(match self.view.is_two_scales() {
            true => Box::new(TwoScaleRecipe::new(recipe(self.frame_of_whole())?, tiles)),
            false => tiles,
        })
    }

    /// The normal images as a whole, made small, where they are seen so beside windows.
    pub(crate) fn made_small(&self, category: &Category) -> Option<Category> {
        let whole = self.settings.assembly().loading(self.image_size);
        let Sizing::Exactly(size) = whole.image else {
            return None;
        };
        let resizing = Resizing {
            size,
            resampling: whole.resampling,
        };
        self.view.is_two_scales().then(|| made_small(category, resizing))
    }

    /// The batches of a run; `small`: its images [made small](Self::made_small).
    pub(crate) fn batches<'a>(
        &self,
        data: &Data<'a>,
        small: Option<&'a Category>,
    ) -> Box<dyn BatchSource + 'a> {
        let assembly = self.settings.assembly();
        let tiles = assembly.batches(&self.frame(), data);
        let Some(small) = small else { return tiles };
        let data = Data {
            category: small,
            textures: data.textures.clone(),
            pools: data.pools.clone(),
            normals: NormalImages::new(&small.train, View::Stretch).map(Arc::new),
            inside: data.inside,
        };
        let whole = assembly.batches(&self.frame_of_whole(), &data);
        Box::new(TwoScaleBatches { whole, tiles })
    }

    fn frame_of_whole(&self) -> Frame<'_> {
        Frame {
            windowing: None,
            ..self.frame()
        }
    }

    /// What a method is told of the experiment beside its own settings.
    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame {
            seed: self.seed,
            image_size: self.image_size,
            profile: &self.profile,
            every: &self.every,
            calibrated: self.calibration.images,
            windowing: self.windowing(),
            inside: !self.region.is_all(),
        }
    }

    /// Canonical JSON: `serde_json`'s own maps are sorted by key.
    fn canonical(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value.to_string(),
            // Cannot be reached: all fields are plain numbers, strings and structs. The debug text is canonical too.
            Err(_) => format!("{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
