//! The driver's functions (`libcuda`) that flawforge calls, directly or through candle. All streams are one.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::gpu::{
    ILLEGAL_ADDRESS, INVALID_DEVICE, INVALID_PTX, INVALID_VALUE, NOT_FOUND, NOT_READY, NOT_SUPPORTED,
    OUT_OF_MEMORY, SUCCESS, Source, Status, Work, gpu,
};
use crate::launch::Launch;

/// What stands for the only context, and for the only stream.
const ONE: u64 = 1;
/// Threads of a block, and bytes of shared memory that a kernel has without asking for more, at most.
const THREADS: u32 = 1024;
const SHARED: usize = 48 << 10;
/// Blocks along the second and the third axis of a grid at most.
const BLOCKS: u32 = 65_535;

/// Writes to an address that the caller gave.
///
/// # Safety
/// The address is that of a value of this type.
unsafe fn put<T>(to: *mut T, value: T) -> Status {
    if to.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: by the caller's word.
    unsafe { to.write(value) };
    SUCCESS
}

/// Declares functions of the driver that have no conditions but those of NVIDIA's documentation.
macro_rules! driver {
    ($(fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block)*) => {$(
        /// The driver's function of this name.
        ///
        /// # Safety
        /// As NVIDIA's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $name($($argument: $kind),*) -> Status $body
    )*};
}

driver! {
    fn cuInit(_flags: c_uint) {
        SUCCESS
    }

    fn cuDeviceGetCount(count: *mut c_int) {
        // SAFETY: by the caller's word, here and in all functions below.
        unsafe { put(count, 1) }
    }

    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        if ordinal != 0 {
            return INVALID_DEVICE;
        }
        // SAFETY: as above.
        unsafe { put(device, 0) }
    }

    fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) {
        let text = c"Emulated GPU".to_bytes_with_nul();
        if (length as usize) < text.len() {
            return INVALID_VALUE;
        }
        // SAFETY: as above.
        unsafe { name.cast::<u8>().copy_from(text.as_ptr(), text.len()) };
        SUCCESS
    }

    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, _device: c_int) {
        let found = match attribute {
            1 => THREADS as c_int,
            8 | 81 => SHARED as c_int,
            10 => 32,                 // threads of a warp
            16 => 4,                  // multiprocessors
            75 => capability().0,
            76 => capability().1,
            115 => 1,                 // memory pools
            _ => 0,
        };
        // SAFETY: as above.
        unsafe { put(value, found) }
    }

    fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) {
        // SAFETY: as above.
        unsafe { put(bytes, gpu().total as usize) }
    }

    fn cuDevicePrimaryCtxRetain(context: *mut u64, _device: c_int) {
        // SAFETY: as above.
        unsafe { put(context, ONE) }
    }

    fn cuDevicePrimaryCtxRelease_v2(_device: c_int) {
        SUCCESS
    }

    fn cuCtxSetCurrent(_context: u64) {
        SUCCESS
    }

    fn cuCtxGetCurrent(context: *mut u64) {
        // SAFETY: as above.
        unsafe { put(context, ONE) }
    }

    fn cuCtxGetDevice(device: *mut c_int) {
        // SAFETY: as above.
        unsafe { put(device, 0) }
    }

    fn cuCtxDestroy_v2(_context: u64) {
        SUCCESS
    }

    fn cuCtxSynchronize() {
        gpu().finish()
    }

    fn cuDeviceGetDefaultMemPool(pool: *mut u64, _device: c_int) {
        // SAFETY: as above.
        unsafe { put(pool, ONE) }
    }

    fn cuMemPoolSetAttribute(_pool: u64, _attribute: c_uint, _value: *const c_void) {
        SUCCESS
    }

    fn cuMemPoolGetAttribute(_pool: u64, attribute: c_uint, value: *mut u64) {
        let found = match attribute {
            5 | 7 => gpu().used,
            6 | 8 => gpu().peak,
            _ => return NOT_SUPPORTED,
        };
        // SAFETY: as above.
        unsafe { put(value, found) }
    }

    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        let gpu = gpu();
        // SAFETY: as above.
        unsafe { put(total, gpu.total as usize) };
        // SAFETY: as above.
        unsafe { put(free, (gpu.total - gpu.used) as usize) }
    }

    fn cuMemAlloc_v2(address: *mut u64, bytes: usize) {
        if bytes == 0 {
            return INVALID_VALUE;
        }
        // SAFETY: as above.
        unsafe { cuMemAllocAsync(address, bytes, ONE) }
    }

    fn cuMemAllocAsync(address: *mut u64, bytes: usize, _stream: u64) {
        // No bytes are no fault here, since candle asks a real driver for them and is served.
        match gpu().take(bytes) {
            // SAFETY: as above.
            Some(taken) => unsafe { put(address, taken) },
            None => OUT_OF_MEMORY,
        }
    }

    fn cuMemFreeAsync(address: u64, _stream: u64) {
        gpu().give(address)
    }

    fn cuMemFree_v2(address: u64) {
        let mut gpu = gpu();
        match gpu.give(address) {
            SUCCESS => gpu.finish(),
            failed => failed,
        }
    }

    fn cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, _flags: c_uint) {
        if bytes == 0 {
            return INVALID_VALUE;
        }
        // SAFETY: memory of the C library, freed below.
        let taken = unsafe { libc::malloc(bytes) };
        if taken.is_null() {
            return OUT_OF_MEMORY;
        }
        gpu().pinned.insert(taken as usize, bytes);
        // SAFETY: as above.
        unsafe { put(address, taken) }
    }

    fn cuMemFreeHost(address: *mut c_void) {
        let mut gpu = gpu();
        let finished = gpu.finish(); // copies from there may be to come
        if gpu.pinned.remove(&(address as usize)).is_none() {
            return INVALID_VALUE;
        }
        // SAFETY: allocated above, freed once.
        unsafe { libc::free(address) };
        finished
    }

    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, _stream: u64) {
        let mut gpu = gpu();
        let source = match is_pinned(&gpu.pinned, from as usize, bytes) {
            true => Source::Pinned(from as usize),
            // Other memory is read before the call returns.
            // SAFETY: as above.
            false => Source::Copied(unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) }.to_vec()),
        };
        gpu.enqueue(Work::Upload { from: source, to, bytes })
    }

    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, _stream: u64) {
        let mut gpu = gpu();
        let pinned = is_pinned(&gpu.pinned, to as usize, bytes);
        let status = gpu.enqueue(Work::Download { from, to: to as usize, bytes });
        // Other memory is written before the call returns.
        if pinned || status != SUCCESS { status } else { gpu.finish() }
    }

    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, _stream: u64) {
        gpu().enqueue(Work::Copy { from, to, bytes })
    }

    fn cuMemsetD8Async(at: u64, value: u8, bytes: usize, _stream: u64) {
        gpu().enqueue(Work::Fill { at, value, bytes })
    }

    fn cuModuleLoadData(module: *mut u64, image: *const c_void) {
        // SAFETY: PTX is text that ends with a zero.
        let text = unsafe { CStr::from_ptr(image.cast()) }.to_string_lossy();
        match gpu().load(&text) {
            // SAFETY: as above.
            Ok(loaded) => unsafe { put(module, loaded) },
            Err(fault) => {
                eprintln!("emulated GPU: a module: {fault}");
                INVALID_PTX
            }
        }
    }

    fn cuModuleUnload(_module: u64) {
        SUCCESS
    }

    fn cuModuleGetFunction(function: *mut u64, module: u64, name: *const c_char) {
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        match gpu().function(module, &name) {
            // SAFETY: as above.
            Ok(Some(found)) => unsafe { put(function, found) },
            Ok(None) => NOT_FOUND,
            Err(fault) => {
                eprintln!("emulated GPU: {fault}");
                INVALID_PTX
            }
        }
    }

    fn cuLaunchKernel(
        function: u64,
        blocks_x: c_uint,
        blocks_y: c_uint,
        blocks_z: c_uint,
        threads_x: c_uint,
        threads_y: c_uint,
        threads_z: c_uint,
        shared: c_uint,
        _stream: u64,
        arguments: *const *const c_void,
        _extra: *const *const c_void,
    ) {
        let (blocks, threads) = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z]);
        let mut gpu = gpu();
        let Some(program) = gpu.program(function) else {
            return INVALID_VALUE;
        };
        let count = threads.iter().map(|&side| u64::from(side)).product::<u64>();
        let shared = shared as usize;
        if blocks.contains(&0)
            || count == 0
            || count > u64::from(THREADS)
            || threads_z > 64
            || blocks_x > i32::MAX as u32
            || blocks_y > BLOCKS
            || blocks_z > BLOCKS
            || program.shared_size + shared > SHARED
        {
            eprintln!("emulated GPU: {}: a grid of {blocks:?} blocks of {threads:?} threads is refused", program.name);
            return INVALID_VALUE;
        }
        let end = program.parameters.last().map_or(0, |last| last.offset + last.size);
        let mut parameters = vec![0; end];
        for (at, parameter) in program.parameters.iter().enumerate() {
            // SAFETY: there is an address for each parameter, of a value of its size.
            let value = unsafe { std::slice::from_raw_parts((*arguments.add(at)).cast::<u8>(), parameter.size) };
            parameters[parameter.offset..][..parameter.size].copy_from_slice(value);
        }
        let launch = Launch { blocks, threads, shared, parameters, backwards: false };
        gpu.launched(function, launch)
    }

    fn cuStreamCreate(stream: *mut u64, _flags: c_uint) {
        // SAFETY: as above.
        unsafe { put(stream, ONE) }
    }

    fn cuStreamDestroy_v2(_stream: u64) {
        gpu().finish()
    }

    fn cuStreamSynchronize(_stream: u64) {
        gpu().finish()
    }

    fn cuStreamWaitEvent(_stream: u64, _event: u64, _flags: c_uint) {
        SUCCESS
    }

    fn cuStreamIsCapturing(_stream: u64, status: *mut c_uint) {
        // SAFETY: as above.
        unsafe { put(status, 0) }
    }

    fn cuEventCreate(event: *mut u64, _flags: c_uint) {
        let handle = gpu().handle();
        // SAFETY: as above.
        unsafe { put(event, handle) }
    }

    fn cuEventRecord(event: u64, _stream: u64) {
        gpu().record(event)
    }

    fn cuEventQuery(event: u64) {
        gpu().reached(event)
    }

    fn cuEventSynchronize(event: u64) {
        gpu().reach(event)
    }

    fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: u64, end: u64) {
        match gpu().between(start, end) {
            // SAFETY: as above.
            Some(time) => unsafe { put(milliseconds, time) },
            None => NOT_READY,
        }
    }

    fn cuEventDestroy_v2(event: u64) {
        gpu().forget(event);
        SUCCESS
    }

    fn cuGetErrorString(status: Status, text: *mut *const c_char) {
        let words = match status {
            OUT_OF_MEMORY => c"out of memory",
            INVALID_DEVICE => c"invalid device ordinal",
            INVALID_PTX => c"a PTX JIT compilation failed",
            NOT_FOUND => c"named symbol not found",
            ILLEGAL_ADDRESS => c"an illegal memory access was encountered",
            _ => c"the emulated GPU refuses",
        };
        // SAFETY: as above.
        unsafe { put(text, words.as_ptr()) }
    }

    fn cuGetErrorName(status: Status, text: *mut *const c_char) {
        let name = match status {
            OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
            INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
            ILLEGAL_ADDRESS => c"CUDA_ERROR_ILLEGAL_ADDRESS",
            _ => c"CUDA_ERROR",
        };
        // SAFETY: as above.
        unsafe { put(text, name.as_ptr()) }
    }
}

/// Whether so many bytes at an address of the machine are pinned.
fn is_pinned(pinned: &std::collections::BTreeMap<usize, usize>, address: usize, bytes: usize) -> bool {
    pinned
        .range(..=address)
        .next_back()
        .is_some_and(|(&start, &length)| address + bytes <= start + length)
}

/// The compute capability: that of Hopper, or `EMULATED_GPU_CAPABILITY` (80 for 8.0).
fn capability() -> (c_int, c_int) {
    let wanted = std::env::var("EMULATED_GPU_CAPABILITY");
    let number: c_int = wanted.ok().and_then(|wanted| wanted.parse().ok()).unwrap_or(90);
    (number / 10, number % 10)
}
