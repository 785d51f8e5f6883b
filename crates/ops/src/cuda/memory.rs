//! How much memory a GPU has, and how much of it is free.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::{result, sys};
use candle_core::cuda_backend::{CudaDevice, WrapErr};

use crate::runtime::DeviceMemory;

/// Memory of a device that is open.
pub(crate) fn memory_of(device: &CudaDevice) -> Result<DeviceMemory> {
    device.cuda_stream().context().bind_to_thread().w()?;
    memory_of_thread()
}

/// Memory of the device of this thread's context.
///
/// What the pool keeps for the next tensors counts as free: the driver calls it used, but it is this program's to use.
pub(crate) fn memory_of_thread() -> Result<DeviceMemory> {
    let (free, total) = result::mem_get_info().w()?;
    let mut device: sys::CUdevice = 0;
    // SAFETY: the driver writes the number of the device; it fails where the thread has no context.
    unsafe { sys::cuCtxGetDevice(&raw mut device) }.result().w()?;
    // SAFETY: the device is the one of the current context.
    let pool = unsafe { result::device::get_default_mem_pool(device) };
    let amount = |attribute| -> Result<u64> {
        let mut bytes = 0u64;
        if let Ok(pool) = pool {
            // SAFETY: the pool belongs to the device, and the attributes are 64-bit counts of bytes.
            unsafe { result::mem_pool::get_attribute(pool, attribute, (&raw mut bytes).cast()) }.w()?;
        }
        Ok(bytes)
    };
    let reserved = amount(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
    let used = amount(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?;
    let peak = amount(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?;
    Ok(DeviceMemory {
        total: total as u64,
        free: free as u64 + reserved.saturating_sub(used),
        used,
        peak,
    })
}
