//! cuDNN's convolutions of NHWC tensors, each by the engine that was fastest when it was first met.
//!
//! The first convolution of a size asks cuDNN's heuristics for engines, measures those that repeat themselves bit for
//! bit, and keeps the fastest; the following ones only enqueue. Choices outlast the process ([`choices`]). One workspace
//! serves all, because they follow each other on one stream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::cuda_backend::{DeviceId, WrapErr};
use candle_core::{Error, Result, bail};

pub(crate) use self::operation::Pass;
use self::operation::PassKind;
use self::plan::{CANDIDATES, Plan, Planner, WORKSPACE, measure};
pub(crate) use self::size::ConvSize;
use super::gpu::Gpu;
use crate::Precision;

mod choices;
mod descriptor;
mod operation;
mod plan;
mod size;

/// Enqueues a convolution. False, and nothing is done, where cuDNN has no engine for [`Pass::Fused`].
pub(crate) fn convolve(gpu: &Gpu, size: ConvSize, precision: Precision, pass: Pass) -> Result<bool> {
    with_library(gpu, |library| library.convolve(gpu, size, precision, pass))
}

/// An engine of cuDNN that was measured.
#[derive(Debug, Clone)]
pub struct Engine {
    /// cuDNN's number of the engine, and its knobs.
    pub name: String,
    /// Bytes of memory that it needs beside the tensors.
    pub workspace: usize,
    /// Milliseconds of one run.
    pub milliseconds: f32,
}

/// Measures every engine that serves a convolution, also those that cuDNN compiles first where `compiled`; nothing is
/// kept.
pub(crate) fn survey(
    gpu: &Gpu,
    size: ConvSize,
    precision: Precision,
    pass: Pass,
    compiled: bool,
) -> Result<Vec<Engine>> {
    with_library(gpu, |library| {
        let planner = Planner::new(library.handle, size, precision, pass)?;
        let mut engines = Vec::new();
        for plan in planner.search(compiled, CANDIDATES)? {
            let space = workspace(&mut library.workspace, gpu, plan.workspace)?;
            let milliseconds = measure(gpu, library.handle, &plan, pass, space)?;
            engines.push(Engine {
                name: plan.choice.to_string(),
                workspace: plan.workspace,
                milliseconds,
            });
        }
        Ok(engines)
    })
}

fn with_library<R>(gpu: &Gpu, f: impl FnOnce(&mut Library) -> Result<R>) -> Result<R> {
    LIBRARIES.with_borrow_mut(|libraries| {
        f(match libraries.entry(gpu.device.id()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Library::new(gpu)?),
        })
    })
}

thread_local! {
    /// cuDNN's handles belong to a thread. They are never destroyed: when a thread or the process ends, the driver may
    /// already be gone.
    static LIBRARIES: RefCell<ManuallyDrop<HashMap<DeviceId, Library>>> =
        RefCell::new(ManuallyDrop::new(HashMap::new()));
}

/// Held while engines are measured.
static MEASURING: Mutex<()> = Mutex::new(());

/// All that tells convolutions apart.
type Key = (ConvSize, Precision, PassKind);

struct Library {
    handle: sys::cudnnHandle_t,
    /// The GPU and cuDNN's version: choices are theirs.
    place: String,
    /// None where there is no engine.
    plans: HashMap<Key, Option<Plan>>,
    workspace: Option<CudaSlice<u8>>,
}

impl Library {
    fn new(gpu: &Gpu) -> Result<Self> {
        let context = gpu.stream.context();
        context.bind_to_thread().map_err(Error::wrap)?;
        let handle = result::create_handle().map_err(fault("cannot be opened"))?;
        // SAFETY: both are alive; the types are the runtime's and the driver's name for the same stream.
        unsafe { result::set_stream(handle, gpu.stream.cu_stream().cast()) }
            .map_err(fault("refuses the stream"))?;
        // SAFETY: the call has no conditions.
        let version = unsafe { sys::cudnnGetVersion() };
        Ok(Self {
            handle,
            place: format!("{}, cuDNN {version}", context.name().w()?),
            plans: HashMap::new(),
            workspace: None,
        })
    }

    fn convolve(&mut self, gpu: &Gpu, size: ConvSize, precision: Precision, pass: Pass) -> Result<bool> {
        let key = (size, precision, pass.kind());
        if !self.plans.contains_key(&key) {
            let plan = self.plan(gpu, size, precision, pass)?;
            self.plans.insert(key, plan);
        }
        match (&self.plans[&key], pass) {
            (Some(plan), _) => {
                let space = workspace(&mut self.workspace, gpu, plan.workspace)?;
                plan.run(self.handle, pass, space)?;
                Ok(true)
            }
            (None, Pass::Fused { .. }) => Ok(false),
            (None, _) => bail!(
                "cuda: cuDNN has no engine for the convolution {}",
                name(size, precision, pass.kind())
            ),
        }
    }

    /// The plan that was chosen earlier, or the fastest; none where there is no engine.
    fn plan(&mut self, gpu: &Gpu, size: ConvSize, precision: Precision, pass: Pass) -> Result<Option<Plan>> {
        let name = format!("{}: {}", self.place, name(size, precision, pass.kind()));
        let planner = Planner::new(self.handle, size, precision, pass)?;
        // One thread measures at a time, and another that met the same convolution takes its choice.
        let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = choices::find(&name)
            && let Ok(plan) = planner.chosen(&choice)
        {
            return Ok(Some(plan));
        }
        let mut candidates = planner.candidates()?;
        // In inference other numbers of images will have the plan that the choice makes. So it is that one which is measured, and
        // the choice stays whatever a second measurement says, which others on the GPU may disturb: an image would get other bits
        // in a batch of another size.
        let mut keeps = false;
        if pass.kind().is_inference() {
            let again = candidates
                .iter()
                .filter_map(|plan| planner.chosen(&plan.choice).ok());
            let again: Vec<Plan> = again.filter(|plan| plan.workspace <= WORKSPACE).collect();
            keeps = !again.is_empty();
            candidates = if keeps { again } else { candidates };
        }
        let mut best: Option<(f32, Plan)> = None;
        let mut too_large = None;
        for plan in candidates {
            // A slower engine may need no room.
            let space = match workspace(&mut self.workspace, gpu, plan.workspace) {
                Ok(space) => space,
                Err(fault) => {
                    too_large = Some(fault);
                    continue;
                }
            };
            // Some engines refuse a size only when they run.
            if let Ok(time) = measure(gpu, self.handle, &plan, pass, space)
                && best.as_ref().is_none_or(|(least, _)| time < *least)
            {
                best = Some((time, plan));
            }
        }
        if let (None, Some(fault)) = (&best, too_large) {
            return Err(fault);
        }
        if let Some((time, plan)) = &best
            && (keeps || self.repeats(gpu, &planner, plan, pass, *time)?)
        {
            choices::keep(&name, &plan.choice);
        }
        Ok(best.map(|(_, plan)| plan))
    }

    /// Whether the plan can be made again from its choice, which is taken for true when that takes no longer.
    fn repeats(&mut self, gpu: &Gpu, planner: &Planner, plan: &Plan, pass: Pass, time: f32) -> Result<bool> {
        let Ok(again) = planner.chosen(&plan.choice) else {
            return Ok(false);
        };
        let space = workspace(&mut self.workspace, gpu, again.workspace)?;
        let slower = |again: f32| again > 1.25 * time + 0.02;
        // Others on the GPU, such as cells beside this one, may disturb a measurement; hardly three of them.
        let mut measured = (0..3).map(|_| measure(gpu, self.handle, &again, pass, space));
        Ok(measured.any(|again| again.is_ok_and(|again| !slower(again))))
    }
}

/// What a choice is kept under, after the GPU.
///
/// Inference has one choice for every number of images, so that an image gets the same numbers alone and among others.
fn name(size: ConvSize, precision: Precision, kind: PassKind) -> String {
    let images = if kind.is_inference() {
        "any".to_owned()
    } else {
        size.n.to_string()
    };
    let ConvSize {
        h,
        w,
        ci,
        co,
        kernel,
        stride,
        padding,
        ..
    } = size;
    let kind = match kind {
        PassKind::Forward => "forward",
        PassKind::Inference => "forward for inference",
        PassKind::Fused { relu: true } => "forward with bias and ReLU",
        PassKind::Fused { relu: false } => "forward with bias",
        PassKind::Input => "gradient of the input",
        PassKind::Filters => "gradient of the filters",
    };
    format!(
        "{images} images of {h}x{w}, {ci} to {co} channels, kernel {kernel}, stride {stride}, padding {padding}, \
         {precision}, {kind}"
    )
}

/// The address of at least `bytes` of the workspace.
fn workspace(space: &mut Option<CudaSlice<u8>>, gpu: &Gpu, bytes: usize) -> Result<u64> {
    if bytes == 0 {
        return Ok(0);
    }
    let space = match space {
        Some(space) if space.len() >= bytes => space,
        _ => {
            // The earlier one goes first, behind the convolutions that use it, so that there is never room for both.
            *space = None;
            space.insert(gpu.alloc(bytes)?)
        }
    };
    Ok(gpu.address(space))
}

fn fault(what: &'static str) -> impl Fn(result::CudnnError) -> Error {
    move |error| Error::msg(format!("cuda: cuDNN {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::size::tests::SIZE;
    use super::*;

    #[test]
    fn inference_alone_has_one_choice_for_any_number_of_images() {
        let more = ConvSize { n: 5, ..SIZE };
        let of = |size, kind| name(size, Precision::Bf16, kind);
        let fused = PassKind::Fused { relu: true };
        assert_eq!(of(SIZE, fused), of(more, fused));
        assert_ne!(of(SIZE, fused), of(SIZE, PassKind::Fused { relu: false }));
        assert_ne!(of(SIZE, PassKind::Forward), of(more, PassKind::Forward));
        assert!(!of(SIZE, fused).contains(": "), "a colon ends the name");
    }
}
