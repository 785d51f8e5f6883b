//! Where to compute.

use std::sync::OnceLock;

use candle_core::Device;

/// The first GPU where this build can use one, otherwise the CPU; opened once a process.
///
/// In builds with the feature `cuda` the environment variable `FLAWFORGE_CUDA_PRECISION` says what convolutions
/// multiply with there: `f32`, `tf32` (the default) or `bf16`.
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
    use flawforge_ops::cuda;
    match std::env::var("FLAWFORGE_CUDA_PRECISION")
        .as_deref()
        .map(str::parse)
    {
        Ok(Ok(precision)) => cuda::set_precision(precision),
        Ok(Err(fault)) => log::warn!("FLAWFORGE_CUDA_PRECISION: {fault}; computing in tf32"),
        Err(_) => {}
    }
    cuda::device(0).unwrap_or_else(|fault| {
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
