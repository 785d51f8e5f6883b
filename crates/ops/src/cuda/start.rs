//! Opening a device.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{result, sys};
use candle_core::{Device, Result};

/// The names of the GPUs that the process may see, in the driver's order.
///
/// # Errors
/// There is no driver, or it fails; in one line.
pub fn gpus() -> Result<Vec<String>> {
    result::init().w()?;
    let count = result::device::get_count().w()?;
    (0..count)
        .map(|ordinal| {
            let device = result::device::get(ordinal).w()?;
            result::device::get_name(device).w()
        })
        .collect()
}

/// Opens the GPU `ordinal` (0 is the first) the way these operators want it.
///
/// * One stream of its own, on which threads may follow each other.
/// * No events around every use of memory: they would only order the work of several streams.
/// * The driver's memory pool keeps what is freed, so that a step in its steady state allocates nothing.
///
/// # Errors
/// There is no such GPU, or the driver fails.
pub fn device(ordinal: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: the device has one stream, and tensors of different devices do not meet in one operator.
    unsafe { cuda.disable_event_tracking() };
    let stream = cuda.cuda_stream();
    let context = stream.context();
    if context.has_async_alloc() {
        let mut kept = u64::MAX;
        // SAFETY: the pool belongs to the device that was just opened, and the attribute is a 64-bit count of bytes.
        unsafe {
            let pool = result::device::get_default_mem_pool(context.cu_device()).w()?;
            result::mem_pool::set_attribute(
                pool,
                sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut kept).cast(),
            )
            .w()?;
        }
    }
    Ok(device)
}
