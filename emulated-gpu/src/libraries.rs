//! What candle opens beside the driver: cuBLAS, of which products of f32 and bfloat16 matrices are there, and cuRAND, which draws
//! uniform f32 numbers (others than NVIDIA's).

use std::ffi::{c_int, c_longlong, c_ulonglong, c_void};

use crate::gpu::{Source, Work, gpu};
use crate::numbers::Kind;
use crate::product::{Factor, Product};

type Status = c_int;
const SUCCESS: Status = 0;
const INVALID_VALUE: Status = 7;
const NOT_SUPPORTED: Status = 15;
const EXECUTION_FAILED: Status = 13;

/// cuBLAS's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cublasCreate_v2(handle: *mut u64) -> Status {
    // SAFETY: by the caller's word.
    unsafe { *handle = gpu().handle() };
    SUCCESS
}

/// cuBLAS's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cublasDestroy_v2(_handle: u64) -> Status {
    SUCCESS
}

/// cuBLAS's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn cublasSetStream_v2(_handle: u64, _stream: u64) -> Status {
    SUCCESS
}

/// cuBLAS's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn cublasGemmStridedBatchedEx(
    _handle: u64,
    transpose_a: c_int,
    transpose_b: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    kind_a: c_int,
    column_a: c_int,
    matrix_a: c_longlong,
    b: u64,
    kind_b: c_int,
    column_b: c_int,
    matrix_b: c_longlong,
    beta: *const c_void,
    c: u64,
    kind_c: c_int,
    column_c: c_int,
    matrix_c: c_longlong,
    batch: c_int,
    _compute: c_int,
    _algorithm: c_int,
) -> Status {
    let kind = match kind_a {
        0 => Kind::F32,
        14 => Kind::Bf16,
        _ => return NOT_SUPPORTED,
    };
    if kind_b != kind_a || kind_c != kind_a {
        return NOT_SUPPORTED;
    }
    // SAFETY: both are f32 numbers of the caller, as products of these kinds take them.
    let (alpha, beta) = unsafe { (*alpha.cast::<f32>(), *beta.cast::<f32>()) };
    if beta != 0.0 {
        return NOT_SUPPORTED;
    }
    let rows = |transpose: c_int, plain: c_int, turned: c_int| if transpose == 0 { plain } else { turned };
    if [m, n, k, batch].iter().any(|&size| size < 0)
        || column_a < rows(transpose_a, m, k).max(1)
        || column_b < rows(transpose_b, k, n).max(1)
        || column_c < m.max(1)
    {
        return INVALID_VALUE;
    }
    let factor = |address, transpose: c_int, column: c_int, matrix: c_longlong| Factor {
        address,
        transposed: transpose != 0,
        column: column as usize,
        matrix: matrix as usize,
    };
    let product = Product {
        size: [m as usize, n as usize, k as usize],
        batch: batch as usize,
        alpha,
        a: factor(a, transpose_a, column_a, matrix_a),
        b: factor(b, transpose_b, column_b, matrix_b),
        c: factor(c, 0, column_c, matrix_c),
        kind,
    };
    match gpu().enqueue(Work::Multiply(product)) {
        0 => SUCCESS,
        _ => EXECUTION_FAILED,
    }
}

/// cuRAND's function of this name.
///
/// # Safety
/// As NVIDIA's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn curandCreateGenerator(generator: *mut u64, _kind: c_int) -> Status {
    let mut gpu = gpu();
    let handle = gpu.handle();
    gpu.generators.insert(handle, 0);
    // SAFETY: by the caller's word.
    unsafe { *generator = handle };
    SUCCESS
}

/// cuRAND's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn curandDestroyGenerator(_generator: u64) -> Status {
    SUCCESS
}

/// cuRAND's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn curandSetPseudoRandomGeneratorSeed(generator: u64, seed: c_ulonglong) -> Status {
    gpu().generators.insert(generator, seed);
    SUCCESS
}

/// cuRAND's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn curandSetStream(_generator: u64, _stream: u64) -> Status {
    SUCCESS
}

/// cuRAND's function of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn curandGenerateUniform(generator: u64, to: u64, count: usize) -> Status {
    let mut gpu = gpu();
    let mut drawn = gpu.generators.get(&generator).copied().unwrap_or(0);
    let numbers = (0..count).flat_map(|_| {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // From 0 to 1, without 0.
        (((drawn >> 40) + 1) as f32 / (1u64 << 24) as f32).to_ne_bytes()
    });
    let from = Source::Copied(numbers.collect());
    gpu.generators.insert(generator, drawn);
    match gpu.enqueue(Work::Upload {
        from,
        to,
        bytes: 4 * count,
    }) {
        0 => SUCCESS,
        _ => EXECUTION_FAILED,
    }
}
