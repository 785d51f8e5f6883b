//! Where to compute.

use candle_core::Device;

/// The first GPU where this build can use one, otherwise the CPU.
pub fn default_device() -> Device {
    if candle_core::utils::cuda_is_available() {
        // A build for GPUs on a machine without one falls back.
        return Device::new_cuda(0).unwrap_or(Device::Cpu);
    }
    Device::Cpu
}

/// Whether [`default_device`] is a GPU.
pub fn gpu_available() -> bool {
    !default_device().is_cpu()
}
