//! The kernels' sources and their compilation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::CudaFunction;
use candle_core::cuda_backend::cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Error, Result};

use crate::definitions::loss::ssim::{RADIUS, TAPS, window};

/// Compute capabilities that [`compile_all`] is worth trying for: Ampere, Ada, Hopper.
pub const ARCHITECTURES: [u32; 3] = [80, 89, 90];

/// A kernel file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Module {
    Activation,
    Adam,
    BatchNorm,
    Concat,
    Conv3x3,
    Focal,
    Mse,
    MaxPool,
    Ssim,
    Upsample,
}

impl Module {
    const ALL: [Self; 10] = [
        Self::Activation,
        Self::Adam,
        Self::BatchNorm,
        Self::Concat,
        Self::Conv3x3,
        Self::Focal,
        Self::Mse,
        Self::MaxPool,
        Self::Ssim,
        Self::Upsample,
    ];

    /// Its name among the device's modules, and its text.
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Activation => ("flawforge_activation", include_str!("kernels/activation.cu")),
            Self::Adam => ("flawforge_adam", include_str!("kernels/adam.cu")),
            Self::BatchNorm => ("flawforge_batch_norm", include_str!("kernels/batch_norm.cu")),
            Self::Concat => ("flawforge_concat", include_str!("kernels/concat.cu")),
            Self::Conv3x3 => ("flawforge_conv3x3", include_str!("kernels/conv3x3.cu")),
            Self::Focal => ("flawforge_focal", include_str!("kernels/loss/focal.cu")),
            Self::Mse => ("flawforge_mse", include_str!("kernels/loss/mse.cu")),
            Self::MaxPool => ("flawforge_max_pool", include_str!("kernels/max_pool.cu")),
            Self::Ssim => ("flawforge_ssim", include_str!("kernels/loss/ssim.cu")),
            Self::Upsample => ("flawforge_upsample", include_str!("kernels/upsample.cu")),
        }
    }

    fn source(self) -> String {
        let mut source = include_str!("kernels/common.cuh").to_owned();
        if self == Self::Ssim {
            let weights = window().map(|weight| format!("{weight:e}f"));
            source += &format!(
                "\n#define RADIUS {RADIUS}\n#define TAPS {TAPS}\n__constant__ float WINDOW[TAPS] = {{{}}};\n",
                weights.join(", ")
            );
        }
        source + self.text().1
    }

    /// A kernel of the file, compiled when it is first asked for.
    pub(crate) fn function(self, device: &CudaDevice, kernel: &str) -> Result<CudaFunction> {
        let (major, minor) = device.cuda_stream().context().compute_capability().w()?;
        let ptx = self.compiled((10 * major + minor) as u32)?;
        let function = device.get_or_load_custom_func(kernel, self.text().0, &ptx)?;
        Ok(function.into_cuda_function())
    }

    /// The file compiled for a compute capability, kept for the process.
    fn compiled(self, capability: u32) -> Result<Arc<str>> {
        type Ptx = HashMap<(Module, u32), Arc<str>>;
        static COMPILED: Mutex<Option<Ptx>> = Mutex::new(None);
        // A thread that failed while compiling has not touched the map.
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = compiled.get_or_insert_default();
        if let Some(ptx) = compiled.get(&(self, capability)) {
            return Ok(ptx.clone());
        }
        let ptx: Arc<str> = self.compile(capability)?.into();
        compiled.insert((self, capability), ptx.clone());
        Ok(ptx)
    }

    fn compile(self, capability: u32) -> Result<String> {
        let name = self.text().0;
        let options = CompileOptions {
            name: Some(format!("{name}.cu")),
            options: vec![format!("--gpu-architecture=compute_{capability}")],
            ..CompileOptions::default()
        };
        match compile_ptx_with_opts(self.source(), options) {
            Ok(ptx) => Ok(ptx.to_src()),
            Err(CompileError::CompileError { log, .. }) => Err(Error::msg(format!(
                "cuda: the kernels of {name} do not compile for compute capability {capability}: {}",
                log.to_string_lossy()
            ))),
            Err(other) => Err(Error::msg(format!("cuda: NVRTC fails on {name}: {other}"))),
        }
    }
}

/// Compiles every kernel file for a compute capability (80 for 8.0) and returns the PTX by name. Needs NVRTC, not a
/// GPU.
///
/// # Errors
/// The compiler's messages.
pub fn compile_all(capability: u32) -> Result<Vec<(&'static str, String)>> {
    Module::ALL
        .iter()
        .map(|module| Ok((module.text().0, module.compile(capability)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's side of the modules.
    const HOST: [&str; 9] = [
        include_str!("activation.rs"),
        include_str!("adam.rs"),
        include_str!("batch_norm.rs"),
        include_str!("concat.rs"),
        include_str!("conv3x3.rs"),
        include_str!("loss/focal.rs"),
        include_str!("loss/mse.rs"),
        include_str!("max_pool.rs"),
        include_str!("upsample.rs"),
    ];

    /// What follows each `before` in `text`, up to `after`.
    fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before)
            .skip(1)
            .filter_map(move |rest| rest.split(after).next())
    }

    #[test]
    fn every_kernel_is_launched_and_every_launched_kernel_is_there() {
        let sources: String = Module::ALL.map(Module::source).concat();
        let mut kernels: Vec<&str> = between(&sources, "__global__ void ", "(").collect();
        kernels.sort_unstable();
        kernels.dedup();
        let host = HOST.concat() + include_str!("loss/ssim.rs");
        for kernel in &kernels {
            assert!(
                host.contains(&format!("\"{kernel}\"")),
                "{kernel} is never launched"
            );
        }
        for launch in between(&host, "gpu.launch", ";") {
            if let Some(name) = between(launch, "\"", "\"").next() {
                assert!(kernels.contains(&name), "{name} is launched, but not there");
            }
        }
    }
}
