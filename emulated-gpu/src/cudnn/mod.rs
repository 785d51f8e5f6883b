//! cuDNN's graph interface, as far as convolutions go: descriptors with attributes, and three engines.
//!
//! The first engine rounds f32 factors as tensor cores do, the second does not repeat its bits (and so must never be run: its
//! results are no numbers), the third computes in full.

mod descriptor;
mod engine;

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use self::descriptor::{Contents, DESCRIPTOR, Descriptor, Values, size_of_type};
use self::engine::{execute, finalize};
use crate::gpu::gpu;

type Status = c_int;
const SUCCESS: Status = 0;
const BAD_PARAM: Status = 2000;
const NOT_FINALIZED: Status = 2004;
const NOT_SUPPORTED: Status = 3000;
const EXECUTION_FAILED: Status = 5000;

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
        (_, Some(size)) => {
            // SAFETY: as many values of the type.
            let bytes = unsafe { std::slice::from_raw_parts(values.cast::<u8>(), count * size) };
            Values::Bytes(bytes.to_vec())
        }
        _ => return NOT_SUPPORTED,
    };
    Arc::make_mut(contents).attributes.insert(attribute, values);
    SUCCESS
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
