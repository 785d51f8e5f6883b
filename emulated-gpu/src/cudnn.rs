//! cuDNN's graph interface, as far as convolutions go: descriptors with attributes, and three engines.
//!
//! The first engine rounds f32 factors as tensor cores do, the second does not repeat its bits (and so must never be run: its
//! results are no numbers), the third computes in full.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use crate::convolution::{Convolution, Dims, Direction};
use crate::gpu::{Work, gpu};
use crate::numbers::Kind;

type Status = c_int;
const SUCCESS: Status = 0;
const BAD_PARAM: Status = 2000;
const NOT_FINALIZED: Status = 2004;
const NOT_SUPPORTED: Status = 3000;
const EXECUTION_FAILED: Status = 5000;

/// `cudnnBackendAttributeType_t`: attributes that are descriptors.
const DESCRIPTOR: u32 = 15;

/// `cudnnBackendDescriptorType_t`.
mod kind {
    pub(super) const ENGINE: u32 = 2;
    pub(super) const CONFIGURATION: u32 = 3;
    pub(super) const HEURISTICS: u32 = 4;
    pub(super) const PLAN: u32 = 5;
    pub(super) const KNOB: u32 = 7;
    pub(super) const FORWARD: u32 = 10;
    pub(super) const FILTERS: u32 = 11;
    pub(super) const INPUT: u32 = 12;
    pub(super) const POINTWISE: u32 = 13;
}

/// `cudnnBackendAttributeName_t`.
mod attribute {
    pub(super) const POINTWISE_MODE: u32 = 0;
    pub(super) const DILATIONS: u32 = 102;
    pub(super) const STRIDES: u32 = 103;
    pub(super) const POST_PADDINGS: u32 = 104;
    pub(super) const PRE_PADDINGS: u32 = 105;
    pub(super) const HEURISTICS_GRAPH: u32 = 201;
    pub(super) const HEURISTICS_RESULTS: u32 = 202;
    pub(super) const CONFIGURATION_ENGINE: u32 = 300;
    pub(super) const CONFIGURATION_KNOBS: u32 = 302;
    pub(super) const PLAN_CONFIGURATION: u32 = 401;
    pub(super) const PLAN_WORKSPACE: u32 = 402;
    pub(super) const KNOB_TYPE: u32 = 600;
    pub(super) const KNOB_VALUE: u32 = 601;
    pub(super) const POINTWISE_HOW: u32 = 750;
    pub(super) const POINTWISE_OTHER: u32 = 752;
    pub(super) const POINTWISE_Y: u32 = 753;
    pub(super) const OPERATIONS: u32 = 801;
    pub(super) const ALIGNMENT: u32 = 900;
    pub(super) const DATA_TYPE: u32 = 901;
    pub(super) const DIMENSIONS: u32 = 902;
    pub(super) const TENSOR_STRIDES: u32 = 903;
    pub(super) const UNIQUE_ID: u32 = 906;
    pub(super) const NAMES: u32 = 1000;
    pub(super) const ADDRESSES: u32 = 1001;
    pub(super) const WORKSPACE: u32 = 1003;
    pub(super) const ENGINE_GRAPH: u32 = 1300;
    pub(super) const ENGINE_INDEX: u32 = 1301;
    pub(super) const NUMERICAL_NOTE: u32 = 1303;
    pub(super) const BEHAVIOR_NOTE: u32 = 1305;
}

/// `cudnnBackendNumericalNote_t`.
const TENSOR_CORE: u32 = 0;
const NONDETERMINISTIC: u32 = 4;

/// The engines by their numbers: notes, bytes of workspace.
const ENGINES: [(&[u32], usize); 3] = [
    (&[TENSOR_CORE], 4096),
    (&[TENSOR_CORE, NONDETERMINISTIC], 0),
    (&[], 0),
];
/// The one knob that an engine has, and its value.
const KNOB: (u32, i64) = (2, 1);

/// An attribute's values as bytes, or descriptors.
#[derive(Debug, Clone)]
enum Values {
    Bytes(Vec<u8>),
    Descriptors(Vec<Arc<Contents>>),
}

/// A descriptor's contents.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    kind: u32,
    finalized: bool,
    attributes: HashMap<u32, Values>,
}

/// What a program holds: an address of this.
type Descriptor = *mut Arc<Contents>;

impl Contents {
    fn new(kind: u32) -> Self {
        Self {
            kind,
            finalized: false,
            attributes: HashMap::new(),
        }
    }

    /// A finalized one with these attributes.
    fn made(kind: u32, attributes: impl IntoIterator<Item = (u32, Values)>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            finalized: true,
            attributes: attributes.into_iter().collect(),
        })
    }

    fn numbers<const SIZE: usize, T>(
        &self,
        attribute: u32,
        of: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>, Status> {
        match self.attributes.get(&attribute) {
            Some(Values::Bytes(bytes)) => Ok(bytes
                .chunks_exact(SIZE)
                .map(|bytes| of(std::array::from_fn(|at| bytes[at])))
                .collect()),
            _ => Err(BAD_PARAM),
        }
    }

    fn long(&self, attribute: u32) -> Result<Vec<i64>, Status> {
        self.numbers(attribute, i64::from_ne_bytes)
    }

    fn word(&self, attribute: u32) -> Result<u32, Status> {
        let words = self.numbers(attribute, u32::from_ne_bytes)?;
        words.first().copied().ok_or(BAD_PARAM)
    }

    fn refers(&self, attribute: u32) -> Result<&[Arc<Contents>], Status> {
        match self.attributes.get(&attribute) {
            Some(Values::Descriptors(others)) => Ok(others),
            _ => Err(BAD_PARAM),
        }
    }

    fn refer(&self, attribute: u32) -> Result<&Arc<Contents>, Status> {
        self.refers(attribute)?.first().ok_or(BAD_PARAM)
    }
}

fn longs(values: &[i64]) -> Values {
    Values::Bytes(values.iter().flat_map(|value| value.to_ne_bytes()).collect())
}

fn words(values: &[u32]) -> Values {
    Values::Bytes(values.iter().flat_map(|value| value.to_ne_bytes()).collect())
}

/// What a graph computes, without addresses: the names of its tensors stand in their place.
fn computation(graph: &Contents) -> Result<Convolution, Status> {
    let operations = graph.refers(attribute::OPERATIONS)?;
    let (first, pointwise) = operations.split_first().ok_or(BAD_PARAM)?;
    // The places of the convolution, `x`, the filters and `y` among the attributes.
    let (direction, [how, x, filters, y]) = match first.kind {
        kind::FORWARD => (Direction::Forward, [702, 704, 703, 705]),
        kind::INPUT => (Direction::Input, [708, 710, 709, 711]),
        kind::FILTERS => (Direction::Filters, [714, 716, 715, 717]),
        _ => return Err(NOT_SUPPORTED),
    };
    let (how, x, filters) = (first.refer(how)?, first.refer(x)?, first.refer(filters)?);
    let mut last = first.refer(y)?;
    let pair = |attribute| {
        let values = how.long(attribute)?;
        match values.as_slice() {
            &[a, b] => Ok([a as usize, b as usize]),
            _ => Err(BAD_PARAM),
        }
    };
    if pair(attribute::DILATIONS)? != [1, 1]
        || pair(attribute::PRE_PADDINGS)? != pair(attribute::POST_PADDINGS)?
    {
        return Err(NOT_SUPPORTED);
    }
    let (mut bias, mut relu) = (None, false);
    for operation in pointwise {
        match (
            operation.kind,
            operation
                .refer(attribute::POINTWISE_HOW)?
                .word(attribute::POINTWISE_MODE)?,
        ) {
            (kind::POINTWISE, 0) if bias.is_none() && !relu => {
                let other = operation.refer(attribute::POINTWISE_OTHER)?;
                bias = other.long(attribute::UNIQUE_ID)?.first().map(|&name| name as u64);
            }
            (kind::POINTWISE, 100) => relu = true,
            _ => return Err(NOT_SUPPORTED),
        }
        last = operation.refer(attribute::POINTWISE_Y)?;
    }
    let (dims_x, kind_x) = tensor(x)?;
    let ([co, kh, kw, ci], _) = tensor(filters)?;
    let (dims_y, kind_y) = tensor(last)?;
    let (stride, padding) = (pair(attribute::STRIDES)?, pair(attribute::PRE_PADDINGS)?);
    let [_, h, w, channels] = dims_x;
    let out =
        |side: usize, kernel: usize, axis: usize| (side + 2 * padding[axis] - kernel) / stride[axis] + 1;
    if channels != ci || dims_y != [dims_x[0], out(h, kh, 0), out(w, kw, 1), co] || kind_x != kind_y {
        return Err(BAD_PARAM);
    }
    let name = |tensor: &Contents| {
        let names = tensor.long(attribute::UNIQUE_ID)?;
        names.first().map(|&name| name as u64).ok_or(BAD_PARAM)
    };
    Ok(Convolution {
        direction,
        x: (name(x)?, dims_x),
        y: (name(last)?, dims_y),
        filters: name(filters)?,
        kernel: [kh, kw],
        stride,
        padding,
        kind: kind_x,
        tensor_cores: false,
        bias,
        relu,
        spoilt: false,
        workspace: (0, 0),
    })
}

/// A tensor's dimensions in the order of memory, channels last, and the kind of its numbers.
fn tensor(tensor: &Contents) -> Result<(Dims, Kind), Status> {
    let dims = tensor.long(attribute::DIMENSIONS)?;
    let &[n, c, h, w] = dims.as_slice() else {
        return Err(BAD_PARAM);
    };
    if tensor.long(attribute::TENSOR_STRIDES)? != [c * h * w, 1, c * w, c] {
        return Err(NOT_SUPPORTED);
    }
    let kind = match tensor.word(attribute::DATA_TYPE)? {
        0 => Kind::F32,
        9 => Kind::Bf16,
        _ => return Err(NOT_SUPPORTED),
    };
    // As the real one does, for rows that are not aligned.
    let aligned = tensor
        .long(attribute::ALIGNMENT)?
        .first()
        .is_some_and(|&bytes| bytes == 16);
    match aligned {
        true => Ok(([n, h, w, c].map(|side| side as usize), kind)),
        false => Err(NOT_SUPPORTED),
    }
}

/// Checks what was given, and fills in what cuDNN itself tells.
fn finalize(contents: &mut Contents) -> Result<(), Status> {
    match contents.kind {
        15 => {
            computation(contents)?;
        }
        kind::ENGINE => {
            let index = contents.long(attribute::ENGINE_INDEX)?;
            let index = index.first().copied().unwrap_or(-1);
            let (notes, _) = ENGINES
                .get(usize::try_from(index).map_err(|_| BAD_PARAM)?)
                .ok_or(BAD_PARAM)?;
            contents
                .attributes
                .insert(attribute::NUMERICAL_NOTE, words(notes));
            contents.attributes.insert(attribute::BEHAVIOR_NOTE, words(&[]));
        }
        kind::HEURISTICS => {
            let graph = contents.refer(attribute::HEURISTICS_GRAPH)?.clone();
            let fused = computation(&graph)?.bias.is_some();
            let missing = fused && std::env::var("EMULATED_GPU_FUSED").is_ok_and(|fused| fused == "none");
            let engines = if missing { 0 } else { ENGINES.len() };
            let configurations = (0..engines).map(|index| {
                let (notes, _) = ENGINES[index];
                let engine = Contents::made(
                    kind::ENGINE,
                    [
                        (attribute::ENGINE_GRAPH, Values::Descriptors(vec![graph.clone()])),
                        (attribute::ENGINE_INDEX, longs(&[index as i64])),
                        (attribute::NUMERICAL_NOTE, words(notes)),
                        (attribute::BEHAVIOR_NOTE, words(&[])),
                    ],
                );
                let knob = Contents::made(
                    kind::KNOB,
                    [
                        (attribute::KNOB_TYPE, words(&[KNOB.0])),
                        (attribute::KNOB_VALUE, longs(&[KNOB.1])),
                    ],
                );
                Contents::made(
                    kind::CONFIGURATION,
                    [
                        (attribute::CONFIGURATION_ENGINE, Values::Descriptors(vec![engine])),
                        (attribute::CONFIGURATION_KNOBS, Values::Descriptors(vec![knob])),
                    ],
                )
            });
            let configurations = Values::Descriptors(configurations.collect());
            contents
                .attributes
                .insert(attribute::HEURISTICS_RESULTS, configurations);
        }
        kind::CONFIGURATION => {
            // A choice that was kept must turn the knobs that there are.
            for knob in contents
                .refers(attribute::CONFIGURATION_KNOBS)
                .unwrap_or_default()
            {
                if knob.word(attribute::KNOB_TYPE)? != KNOB.0 {
                    return Err(NOT_SUPPORTED);
                }
            }
        }
        kind::PLAN => {
            let index = engine_of(contents)?;
            let (_, workspace) = ENGINES[index];
            contents
                .attributes
                .insert(attribute::PLAN_WORKSPACE, longs(&[workspace as i64]));
        }
        _ => {}
    }
    contents.finalized = true;
    Ok(())
}

fn engine_of(plan: &Contents) -> Result<usize, Status> {
    let engine = plan
        .refer(attribute::PLAN_CONFIGURATION)?
        .refer(attribute::CONFIGURATION_ENGINE)?;
    let index = engine.long(attribute::ENGINE_INDEX)?;
    usize::try_from(*index.first().ok_or(BAD_PARAM)?).map_err(|_| BAD_PARAM)
}

fn execute(plan: &Contents, pack: &Contents) -> Result<(), Status> {
    if !plan.finalized || !pack.finalized {
        return Err(NOT_FINALIZED);
    }
    let index = engine_of(plan)?;
    let engine = plan
        .refer(attribute::PLAN_CONFIGURATION)?
        .refer(attribute::CONFIGURATION_ENGINE)?;
    let mut convolution = computation(engine.refer(attribute::ENGINE_GRAPH)?)?;
    let names = pack.long(attribute::NAMES)?;
    let addresses = pack.numbers(attribute::ADDRESSES, u64::from_ne_bytes)?;
    let address = |name: u64| {
        let at = names
            .iter()
            .position(|&given| given as u64 == name)
            .ok_or(BAD_PARAM)?;
        let address = *addresses.get(at).ok_or(BAD_PARAM)?;
        // Tensors were said to be aligned.
        if address.is_multiple_of(16) {
            Ok(address)
        } else {
            Err(BAD_PARAM)
        }
    };
    convolution.x.0 = address(convolution.x.0)?;
    convolution.y.0 = address(convolution.y.0)?;
    convolution.filters = address(convolution.filters)?;
    convolution.bias = convolution.bias.map(address).transpose()?;
    let (notes, bytes) = ENGINES[index];
    convolution.tensor_cores = notes.contains(&TENSOR_CORE);
    convolution.spoilt = notes.contains(&NONDETERMINISTIC);
    let workspace = pack.numbers(attribute::WORKSPACE, u64::from_ne_bytes)?;
    convolution.workspace = (workspace.first().copied().unwrap_or(0), bytes);
    match gpu().enqueue(Work::Convolve(convolution)) {
        0 => Ok(()),
        _ => Err(EXECUTION_FAILED),
    }
}

fn status(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(SUCCESS)
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnCreate(handle: *mut u64) -> Status {
    // SAFETY: by the caller's word.
    unsafe { *handle = gpu().handle() };
    SUCCESS
}

/// cuDNN's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cudnnDestroy(_handle: u64) -> Status {
    SUCCESS
}

/// cuDNN's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cudnnSetStream(_handle: u64, _stream: u64) -> Status {
    SUCCESS
}

/// cuDNN's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cudnnGetVersion() -> usize {
    90_000
}

/// cuDNN's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cudnnGetErrorString(_status: Status) -> *const c_char {
    c"the emulated cuDNN refuses".as_ptr()
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendCreateDescriptor(kind: u32, made: *mut Descriptor) -> Status {
    let descriptor = Box::into_raw(Box::new(Arc::new(Contents::new(kind))));
    // SAFETY: by the caller's word.
    unsafe { *made = descriptor };
    SUCCESS
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendDestroyDescriptor(descriptor: Descriptor) -> Status {
    // SAFETY: made above, destroyed once.
    drop(unsafe { Box::from_raw(descriptor) });
    SUCCESS
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendSetAttribute(
    descriptor: Descriptor,
    attribute: u32,
    kind: u32,
    count: i64,
    values: *const c_void,
) -> Status {
    // SAFETY: by the caller's word, here and below.
    let contents = unsafe { &mut *descriptor };
    if contents.finalized {
        return BAD_PARAM;
    }
    let count = count as usize;
    let values = match (kind, size_of_type(kind)) {
        (DESCRIPTOR, _) => {
            // SAFETY: as many descriptors.
            let others = unsafe { std::slice::from_raw_parts(values.cast::<Descriptor>(), count) };
            // SAFETY: descriptors that are alive.
            let others: Vec<_> = others.iter().map(|&other| unsafe { (*other).clone() }).collect();
            if others.iter().any(|other| !other.finalized) {
                return NOT_FINALIZED;
            }
            Values::Descriptors(others)
        }
        // SAFETY: as many values of the type.
        (_, Some(size)) => {
            Values::Bytes(unsafe { std::slice::from_raw_parts(values.cast::<u8>(), count * size) }.to_vec())
        }
        _ => return NOT_SUPPORTED,
    };
    Arc::make_mut(contents).attributes.insert(attribute, values);
    SUCCESS
}

/// Bytes of a value of a `cudnnBackendAttributeType_t`.
fn size_of_type(kind: u32) -> Option<usize> {
    Some(match kind {
        2 => 1,
        0 | 3 | 5 | 6 => 8,
        1 | 4 | 7 | 8 | 9 | 11 | 14 | 19 => 4,
        _ => return None,
    })
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendFinalize(descriptor: Descriptor) -> Status {
    // SAFETY: by the caller's word.
    status(finalize(Arc::make_mut(unsafe { &mut *descriptor })))
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendGetAttribute(
    descriptor: Descriptor,
    attribute: u32,
    kind: u32,
    room: i64,
    found: *mut i64,
    values: *mut c_void,
) -> Status {
    // SAFETY: by the caller's word, here and below.
    let contents = unsafe { &*descriptor };
    if !contents.finalized {
        return NOT_FINALIZED;
    }
    let room = room as usize;
    let count = match (contents.attributes.get(&attribute), size_of_type(kind)) {
        (None, _) => 0,
        (Some(Values::Descriptors(others)), _) if kind == DESCRIPTOR => {
            for (at, other) in others.iter().take(room).enumerate() {
                // SAFETY: descriptors of the caller, into which these are copied.
                unsafe { **values.cast::<Descriptor>().add(at) = other.clone() };
            }
            others.len()
        }
        (Some(Values::Bytes(bytes)), Some(size)) => {
            let count = bytes.len() / size;
            let copied = count.min(room) * size;
            if copied > 0 {
                // SAFETY: room for as many values.
                unsafe { values.cast::<u8>().copy_from(bytes.as_ptr(), copied) };
            }
            count
        }
        _ => return BAD_PARAM,
    };
    // SAFETY: as above.
    unsafe { *found = count as i64 };
    SUCCESS
}

/// cuDNN's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cudnnBackendExecute(
    _handle: u64,
    plan: Descriptor,
    pack: Descriptor,
) -> Status {
    // SAFETY: by the caller's word.
    let (plan, pack) = unsafe { (&*plan, &*pack) };
    status(execute(plan, pack))
}
