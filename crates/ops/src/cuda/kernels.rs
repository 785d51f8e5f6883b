//! The kernels' sources and their compilation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::CudaFunction;
use candle_core::cuda_backend::cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Error, Result};

use super::numbers::Number;
use crate::definitions::loss::ssim::{RADIUS, TAPS, window};

/// Compute capabilities that [`compile_all`] is worth trying for: Ampere, Ada, Hopper.
pub const ARCHITECTURES: [u32; 3] = [80, 89, 90];

/// A kernel file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Module {
    Activation,
    Adam,
    BatchNorm,
    Bce,
    Channels,
    Concat,
    Farthest,
    Filters,
    Focal,
    InvertedResidual,
    Mse,
    MaxPool,
    Nearest,
    Products,
    Ssim,
    TruncatedL1,
    Upsample,
}

impl Module {
    const ALL: [Self; 17] = [
        Self::Activation,
        Self::Adam,
        Self::BatchNorm,
        Self::Bce,
        Self::Channels,
        Self::Concat,
        Self::Farthest,
        Self::Filters,
        Self::Focal,
        Self::InvertedResidual,
        Self::Mse,
        Self::MaxPool,
        Self::Nearest,
        Self::Products,
        Self::Ssim,
        Self::TruncatedL1,
        Self::Upsample,
    ];

    /// Its name among the device's modules, and its text.
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Activation => ("flawforge_activation", include_str!("kernels/activation.cu")),
            Self::Adam => ("flawforge_adam", include_str!("kernels/adam.cu")),
            Self::BatchNorm => ("flawforge_batch_norm", include_str!("kernels/batch_norm.cu")),
            Self::Bce => ("flawforge_bce", include_str!("kernels/loss/bce.cu")),
            Self::Channels => ("flawforge_channels", include_str!("kernels/channels.cu")),
            Self::Concat => ("flawforge_concat", include_str!("kernels/concat.cu")),
            Self::Farthest => ("flawforge_farthest", include_str!("kernels/vectors/farthest.cu")),
            Self::Filters => ("flawforge_filters", include_str!("kernels/filters.cu")),
            Self::Focal => ("flawforge_focal", include_str!("kernels/loss/focal.cu")),
            Self::InvertedResidual => (
                "flawforge_inverted_residual",
                include_str!("kernels/inverted_residual.cu"),
            ),
            Self::Mse => ("flawforge_mse", include_str!("kernels/loss/mse.cu")),
            Self::MaxPool => ("flawforge_max_pool", include_str!("kernels/max_pool.cu")),
            Self::Nearest => ("flawforge_nearest", include_str!("kernels/vectors/nearest.cu")),
            Self::Products => ("flawforge_products", include_str!("kernels/vectors/products.cu")),
            Self::Ssim => ("flawforge_ssim", include_str!("kernels/loss/ssim.cu")),
            Self::TruncatedL1 => (
                "flawforge_truncated_l1",
                include_str!("kernels/loss/truncated_l1.cu"),
            ),
            Self::Upsample => ("flawforge_upsample", include_str!("kernels/upsample.cu")),
        }
    }

    /// The file for packs of a type: as many numbers as 16 bytes hold, where every one of `channels` and of `addresses` is
    /// a multiple of that; else one number.
    pub(crate) fn packed<const N: usize, const M: usize>(
        self,
        number: Number,
        channels: [usize; N],
        addresses: [u64; M],
    ) -> Kernel {
        let aligned = addresses.iter().all(|address| address.is_multiple_of(16));
        Kernel {
            module: self,
            number,
            lanes: if aligned { number.lanes(channels) } else { 1 },
        }
    }

    /// The files that are compiled for several types and packs.
    fn is_generic(self) -> bool {
        matches!(
            self,
            Self::Activation
                | Self::BatchNorm
                | Self::Channels
                | Self::Concat
                | Self::MaxPool
                | Self::Upsample
        )
    }
}

/// A kernel file for packs of numbers of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    module: Module,
    number: Number,
    /// Numbers of a pack.
    pub(crate) lanes: usize,
}

impl From<Module> for Kernel {
    fn from(module: Module) -> Self {
        Self {
            module,
            number: Number::F32,
            lanes: 1,
        }
    }
}

impl Kernel {
    /// Every file for everything that it is compiled for.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for module in Module::ALL {
            let one = Self::from(module);
            all.push(one);
            if module.is_generic() {
                let more = [(Number::F32, 4), (Number::Bf16, 1), (Number::Bf16, 8)];
                all.extend(more.map(|(number, lanes)| Self { number, lanes, ..one }));
            }
        }
        all
    }

    /// Its name among the device's modules.
    fn name(self) -> &'static str {
        type Names = HashMap<Kernel, &'static str>;
        static NAMES: Mutex<Option<Names>> = Mutex::new(None);
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        // candle keeps names by reference; there are a few dozen in a process.
        names.get_or_insert_default().entry(self).or_insert_with(|| {
            let (name, _) = self.module.text();
            let number = match self.number {
                Number::F32 => "f32",
                Number::Bf16 => "bf16",
            };
            Box::leak(format!("{name}_{number}x{}", self.lanes).into_boxed_str())
        })
    }

    fn source(self) -> String {
        let number = match self.number {
            Number::F32 => "float",
            Number::Bf16 => "bf16",
        };
        let mut source = format!("#define NUMBER {number}\n#define LANES {}\n", self.lanes);
        source += include_str!("kernels/common.cuh");
        if self.module == Module::Ssim {
            let weights = window().map(|weight| format!("{weight:e}f"));
            source += &format!(
                "\n#define RADIUS {RADIUS}\n#define TAPS {TAPS}\n__constant__ float WINDOW[TAPS] = {{{}}};\n",
                weights.join(", ")
            );
        }
        source + self.module.text().1
    }

    /// A kernel of the file, compiled when it is first asked for.
    pub(crate) fn function(self, device: &CudaDevice, kernel: &str) -> Result<CudaFunction> {
        let (major, minor) = device.cuda_stream().context().compute_capability().w()?;
        let ptx = self.compiled((10 * major + minor) as u32)?;
        let function = device.get_or_load_custom_func(kernel, self.name(), &ptx)?;
        Ok(function.into_cuda_function())
    }

    /// The file compiled for a compute capability, kept for the process.
    fn compiled(self, capability: u32) -> Result<Arc<str>> {
        type Ptx = HashMap<(Kernel, u32), Arc<str>>;
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
        let name = self.name();
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
    Kernel::all()
        .into_iter()
        .map(|kernel| Ok((kernel.name(), kernel.compile(capability)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host's side of the modules.
    const HOST: [&str; 17] = [
        include_str!("activation.rs"),
        include_str!("adam.rs"),
        include_str!("batch_norm.rs"),
        include_str!("concat.rs"),
        include_str!("channels.rs"),
        include_str!("conv3x3.rs"),
        include_str!("filters.rs"),
        include_str!("inverted_residual.rs"),
        include_str!("loss/bce.rs"),
        include_str!("loss/focal.rs"),
        include_str!("loss/mse.rs"),
        include_str!("loss/truncated_l1.rs"),
        include_str!("max_pool.rs"),
        include_str!("upsample.rs"),
        include_str!("vectors/bank.rs"),
        include_str!("vectors/farthest.rs"),
        include_str!("vectors/mod.rs"),
    ];

    /// What follows each `before` in `text`, up to `after`.
    fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before)
            .skip(1)
            .filter_map(move |rest| rest.split(after).next())
    }

    #[test]
    fn every_kernel_is_launched_and_every_launched_kernel_is_there() {
        let sources: String = Kernel::all().into_iter().map(Kernel::source).collect();
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
