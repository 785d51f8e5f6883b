//! Engines: what a graph of operations asks for, which engines there are for it, and how one runs.

use super::descriptor::{Contents, Values, attribute, kind, longs, words};
use super::{BAD_PARAM, EXECUTION_FAILED, NOT_FINALIZED, NOT_SUPPORTED, Status};
use crate::convolution::{Convolution, Dims, Direction};
use crate::gpu::{Work, gpu};
use crate::numbers::Kind;

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
                if tensor(other)? != ([1, 1, 1, tensor(last)?.0[3]], Kind::F32) {
                    return Err(BAD_PARAM);
                }
                bias = other.long(attribute::UNIQUE_ID)?.first().map(|&name| name as u64);
            }
            (kind::POINTWISE, 100) => relu = true,
            _ => return Err(NOT_SUPPORTED),
        }
        let read = operation.refer(attribute::POINTWISE_X)?;
        if read.long(attribute::UNIQUE_ID)? != last.long(attribute::UNIQUE_ID)? {
            return Err(NOT_SUPPORTED);
        }
        last = operation.refer(attribute::POINTWISE_Y)?;
    }
    let (dims_x, kind_x) = tensor(x)?;
    let ([co, kh, kw, ci], kind_filters) = tensor(filters)?;
    let (dims_y, kind_y) = tensor(last)?;
    let (stride, padding) = (pair(attribute::STRIDES)?, pair(attribute::PRE_PADDINGS)?);
    let [_, h, w, channels] = dims_x;
    let out =
        |side: usize, kernel: usize, axis: usize| (side + 2 * padding[axis] - kernel) / stride[axis] + 1;
    if stride.contains(&0) || kh > h + 2 * padding[0] || kw > w + 2 * padding[1] || kind_filters != kind_x {
        return Err(BAD_PARAM);
    }
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
pub(super) fn finalize(contents: &mut Contents) -> Result<(), Status> {
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

pub(super) fn execute(plan: &Contents, pack: &Contents) -> Result<(), Status> {
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
