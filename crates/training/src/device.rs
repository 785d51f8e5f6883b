//! Where to compute.

use std::sync::OnceLock;

use candle_core::Device;

/// The first GPU where this build can use one, otherwise the CPU; opened once a process.
pub fn default_device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(open).clone()
}

/// Whether [`default_device`] is a GPU.
pub fn gpu_available() -> bool {
    !default_device().is_cpu()
}

#[cfg(feature = "cuda")]
fn open() -> Device {
    flawforge_ops::cuda::device(0).unwrap_or_else(|fault| {
        log::warn!("no CUDA device, computing on the processor: {fault}");
        Device::Cpu
    })
}

#[cfg(all(feature = "metal", not(feature = "cuda")))]
fn open() -> Device {
    Device::new_metal(0).unwrap_or_else(|fault| {
        log::warn!("no Metal device, computing on the processor: {fault}");
        Device::Cpu
    })
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
fn open() -> Device {
    Device::Cpu
}
