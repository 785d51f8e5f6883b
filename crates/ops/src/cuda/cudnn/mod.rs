//! cuDNN's convolutions of NHWC tensors, with everything that depends on the shape kept.
//!
//! The first convolution of a shape asks cuDNN's heuristics for an algorithm and makes the descriptors; the following
//! ones only enqueue. One workspace serves all, because they follow each other on one stream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_int;
use std::mem::{ManuallyDrop, MaybeUninit};

use candle_core::cuda_backend::DeviceId;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Error, Result};

use self::descriptors::Activation;
use self::shape::Shape;
pub(crate) use self::size::ConvSize;
use super::gpu::Gpu;
use crate::Precision;

mod descriptors;
mod shape;
mod size;

/// What is computed, with the addresses of contiguous numbers of the [`Precision`]'s storage: activations NHWC,
/// filters (out, taps, in).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pass {
    /// `y` from `x` and `filters`; the bias (f32) is added if the algorithm can, see [`convolve`].
    Forward {
        x: u64,
        filters: u64,
        bias: Option<u64>,
        y: u64,
    },
    /// `dx` from `dy` and `filters`.
    Input { dy: u64, filters: u64, dx: u64 },
    /// `d_filters` from `x` and `dy`.
    Filters { x: u64, dy: u64, d_filters: u64 },
}

/// Enqueues a convolution. True when the bias was added on the way.
pub(crate) fn convolve(gpu: &Gpu, size: ConvSize, precision: Precision, pass: Pass) -> Result<bool> {
    LIBRARIES.with_borrow_mut(|libraries| {
        let library = match libraries.entry(gpu.device.id()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Library::new(gpu)?),
        };
        library.convolve(gpu, size, precision, pass)
    })
}

thread_local! {
    /// cuDNN's handles belong to a thread. They are never destroyed: when a thread or the process ends, the driver may
    /// already be gone.
    static LIBRARIES: RefCell<ManuallyDrop<HashMap<DeviceId, Library>>> =
        RefCell::new(ManuallyDrop::new(HashMap::new()));
}

struct Library {
    handle: sys::cudnnHandle_t,
    identity: Activation,
    forward: HashMap<(ConvSize, Precision), Plan<sys::cudnnConvolutionFwdAlgo_t>>,
    input: HashMap<(ConvSize, Precision), Plan<sys::cudnnConvolutionBwdDataAlgo_t>>,
    filters: HashMap<(ConvSize, Precision), Plan<sys::cudnnConvolutionBwdFilterAlgo_t>>,
    workspace: Option<CudaSlice<u8>>,
}

/// All that is known of a shape.
struct Plan<Algorithm> {
    shape: Shape,
    algorithm: Algorithm,
    workspace: usize,
    /// Workspace of the algorithm that also adds the bias; none where there is no such algorithm.
    with_bias: Option<usize>,
}

/// An algorithm that cuDNN proposes.
struct Proposal<Algorithm> {
    algorithm: Algorithm,
    status: sys::cudnnStatus_t,
    deterministic: bool,
    workspace: usize,
    math: sys::cudnnMathType_t,
}

/// Fills an array of proposals by a call into cuDNN and takes over what it wrote.
macro_rules! proposals {
    ($call:path as $found:ty, $handle:expr, $($descriptor:expr),+) => {{
        const MOST: usize = 12;
        let mut found = [const { MaybeUninit::<$found>::uninit() }; MOST];
        let mut count: c_int = 0;
        // SAFETY: handle and descriptors are alive; `found` has room for as many as are asked for.
        unsafe {
            $call($handle, $($descriptor,)+ MOST as c_int, &raw mut count, found.as_mut_ptr().cast())
                .map_err(fault("offers no algorithm"))?;
        }
        let written = usize::try_from(count).unwrap_or(0).min(MOST);
        let found = found[..written].iter();
        found
            .map(|found| {
                // SAFETY: cuDNN has written the first `count` entries.
                let found = unsafe { found.assume_init() };
                Proposal {
                    algorithm: found.algo,
                    status: found.status,
                    deterministic: found.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC,
                    workspace: found.memory,
                    math: found.mathType,
                }
            })
            .collect::<Vec<_>>()
    }};
}

/// The fastest deterministic proposal; if there is none, the fastest.
fn choose<Algorithm: Copy>(proposals: &[Proposal<Algorithm>]) -> Result<&Proposal<Algorithm>> {
    let usable = || {
        let works =
            |proposal: &&Proposal<Algorithm>| proposal.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS;
        proposals.iter().filter(works)
    };
    usable()
        .find(|proposal| proposal.deterministic)
        .or_else(|| usable().next())
        .ok_or_else(|| Error::msg("cuda: cuDNN has no algorithm for a convolution"))
}

impl Library {
    fn new(gpu: &Gpu) -> Result<Self> {
        gpu.stream.context().bind_to_thread().map_err(Error::wrap)?;
        let handle = result::create_handle().map_err(fault("cannot be opened"))?;
        // SAFETY: both are alive; the types are the runtime's and the driver's name for the same stream.
        unsafe { result::set_stream(handle, gpu.stream.cu_stream().cast()) }
            .map_err(fault("refuses the stream"))?;
        Ok(Self {
            handle,
            identity: Activation::identity()?,
            forward: HashMap::new(),
            input: HashMap::new(),
            filters: HashMap::new(),
            workspace: None,
        })
    }

    fn convolve(&mut self, gpu: &Gpu, size: ConvSize, precision: Precision, pass: Pass) -> Result<bool> {
        let key = (size, precision);
        match pass {
            Pass::Forward { x, filters, bias, y } => {
                if !self.forward.contains_key(&key) {
                    self.forward.insert(key, self.plan_forward(size, precision)?);
                }
                let plan = &self.forward[&key];
                if let (Some(bias), Some(bytes)) = (bias, plan.with_bias) {
                    let space = workspace(&mut self.workspace, gpu, bytes)?;
                    match plan.shape.forward_with_bias(
                        self.handle,
                        &self.identity,
                        (x, filters, bias, y),
                        space,
                    ) {
                        Ok(()) => return Ok(true),
                        // Some shapes are only refused here; they are not tried again.
                        Err(result::CudnnError(sys::cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED)) => {
                            if let Some(plan) = self.forward.get_mut(&key) {
                                plan.with_bias = None;
                            }
                        }
                        Err(error) => return Err(fault("fails in the forward pass")(error)),
                    }
                }
                let plan = &self.forward[&key];
                let space = workspace(&mut self.workspace, gpu, plan.workspace)?;
                plan.shape
                    .forward(self.handle, plan.algorithm, (x, filters, y), space)
                    .map_err(fault("fails in the forward pass"))?;
            }
            Pass::Input { dy, filters, dx } => {
                if !self.input.contains_key(&key) {
                    self.input.insert(key, self.plan_input(size, precision)?);
                }
                let plan = &self.input[&key];
                let space = workspace(&mut self.workspace, gpu, plan.workspace)?;
                plan.shape
                    .input(self.handle, plan.algorithm, (dy, filters, dx), space)
                    .map_err(fault("fails in the gradient of the input"))?;
            }
            Pass::Filters { x, dy, d_filters } => {
                if !self.filters.contains_key(&key) {
                    self.filters.insert(key, self.plan_filters(size, precision)?);
                }
                let plan = &self.filters[&key];
                let space = workspace(&mut self.workspace, gpu, plan.workspace)?;
                plan.shape
                    .filters(self.handle, plan.algorithm, (x, dy, d_filters), space)
                    .map_err(fault("fails in the gradient of the filters"))?;
            }
        }
        Ok(false)
    }

    fn plan_forward(
        &self,
        size: ConvSize,
        precision: Precision,
    ) -> Result<Plan<sys::cudnnConvolutionFwdAlgo_t>> {
        use sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM as WITH_BIAS;
        let shape = Shape::new(size, precision)?;
        let proposals = proposals!(
            result::get_convolution_forward_algorithm as sys::cudnnConvolutionFwdAlgoPerf_t,
            self.handle,
            shape.x.0,
            shape.filters.0,
            shape.convolution.0,
            shape.y.0
        );
        let chosen = choose(&proposals)?;
        shape.adopt(chosen.math, precision)?;
        // The only algorithm that adds a bias without an activation. With bfloat16 the bias joins when the sums are
        // widened, which must be done anyway.
        let with_bias = proposals.iter().find(|proposal| {
            precision != Precision::Bf16
                && proposal.algorithm == WITH_BIAS
                && proposal.math == chosen.math
                && proposal.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
        });
        Ok(Plan {
            algorithm: chosen.algorithm,
            workspace: chosen.workspace,
            with_bias: with_bias.map(|proposal| proposal.workspace),
            shape,
        })
    }

    fn plan_input(
        &self,
        size: ConvSize,
        precision: Precision,
    ) -> Result<Plan<sys::cudnnConvolutionBwdDataAlgo_t>> {
        let shape = Shape::new(size, precision)?;
        let proposals = proposals!(
            result::get_convolution_backward_data_algorithm as sys::cudnnConvolutionBwdDataAlgoPerf_t,
            self.handle,
            shape.filters.0,
            shape.y.0,
            shape.convolution.0,
            shape.x.0
        );
        Plan::of(shape, choose(&proposals)?, precision)
    }

    fn plan_filters(
        &self,
        size: ConvSize,
        precision: Precision,
    ) -> Result<Plan<sys::cudnnConvolutionBwdFilterAlgo_t>> {
        let shape = Shape::new(size, precision)?;
        let proposals = proposals!(
            result::get_convolution_backward_filter_algorithm as sys::cudnnConvolutionBwdFilterAlgoPerf_t,
            self.handle,
            shape.x.0,
            shape.y.0,
            shape.convolution.0,
            shape.filters.0
        );
        Plan::of(shape, choose(&proposals)?, precision)
    }
}

impl<Algorithm: Copy> Plan<Algorithm> {
    fn of(shape: Shape, chosen: &Proposal<Algorithm>, precision: Precision) -> Result<Self> {
        shape.adopt(chosen.math, precision)?;
        Ok(Self {
            shape,
            algorithm: chosen.algorithm,
            workspace: chosen.workspace,
            with_bias: None,
        })
    }
}

/// At least `bytes` of the workspace: (address, bytes).
fn workspace(space: &mut Option<CudaSlice<u8>>, gpu: &Gpu, bytes: usize) -> Result<(u64, usize)> {
    if bytes == 0 {
        return Ok((0, 0));
    }
    let space = match space {
        Some(space) if space.len() >= bytes => space,
        // The earlier one is freed behind the convolutions that use it.
        _ => space.insert(gpu.alloc(bytes)?),
    };
    Ok((gpu.address(space), bytes))
}

fn fault(what: &'static str) -> impl Fn(result::CudnnError) -> Error {
    move |error| Error::msg(format!("cuda: cuDNN {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deterministic_algorithm_that_works_is_chosen() {
        let proposal = |algorithm: u32, status, deterministic| Proposal {
            algorithm,
            status,
            deterministic,
            workspace: 0,
            math: sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
        };
        use sys::cudnnStatus_t::{CUDNN_STATUS_NOT_SUPPORTED as NO, CUDNN_STATUS_SUCCESS as YES};
        let found = [
            proposal(0, NO, true),
            proposal(1, YES, false),
            proposal(2, YES, true),
        ];
        assert_eq!(choose(&found).unwrap().algorithm, 2);
        assert_eq!(choose(&found[..2]).unwrap().algorithm, 1);
        assert!(choose(&found[..1]).is_err());
    }
}
