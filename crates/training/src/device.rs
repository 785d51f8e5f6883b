//! Where to compute.
//!
//! The device belongs to the process and not, as a precision does, to a scope of a thread: a command has one, and all of its
//! threads compute there. It is no part of a run, which another device may resume.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use candle_core::Device;

use crate::error::{Result, TrainingError};

static DEVICE: OnceLock<Device> = OnceLock::new();

/// The device of this process: the one [chosen](use_device), otherwise the first GPU where this build can use one, otherwise
/// the CPU. Opened once.
pub fn default_device() -> Device {
    DEVICE.get_or_init(first).clone()
}

/// Whether [`default_device`] is a GPU.
pub fn gpu_available() -> bool {
    !default_device().is_cpu()
}

/// Makes this the [`default_device`], before anything has asked for that.
///
/// # Errors
/// As [`DeviceName::open`]; another device is in use already.
pub fn use_device(name: DeviceName) -> Result<()> {
    let fault = |device: &Device| {
        let used = DeviceName::of(device);
        (used != name).then(|| name.fault(format!("this process computes on {used} already")))
    };
    let device = match DEVICE.get() {
        Some(device) => device,
        None => {
            let opened = name.open()?;
            DEVICE.get_or_init(|| opened)
        }
    };
    fault(device).map_or(Ok(()), Err)
}

/// What computes, by its name: `cpu`, `cuda` (the first GPU), `cuda:N` or `N` (counted from 0), `metal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, in the order in which the driver counts those that the process may see.
    Cuda(usize),
    /// The GPU of a Mac.
    Metal,
}

impl DeviceName {
    fn of(device: &Device) -> Self {
        match device.location() {
            candle_core::DeviceLocation::Cpu => Self::Cpu,
            candle_core::DeviceLocation::Cuda { gpu_id } => Self::Cuda(gpu_id),
            candle_core::DeviceLocation::Metal { .. } => Self::Metal,
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// In one line, with what there is: the device is not there, or this program was built without the feature for it.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => self.open_cuda(number),
            Self::Metal => self.open_metal(),
        }
    }

    #[cfg(feature = "cuda")]
    fn open_cuda(self, number: usize) -> Result<Device> {
        let gpus = flawforge_ops::cuda::gpus()
            .map_err(|fault| self.fault(format!("no GPU: {}; there is cpu", in_short(&fault))))?;
        if number >= gpus.len() {
            return Err(self.fault(format!("not there; there is {}", listed(&gpus))));
        }
        flawforge_ops::cuda::device(number).map_err(|fault| {
            let (fault, gpus) = (in_short(&fault), listed(&gpus));
            self.fault(format!("cannot be opened: {fault}; there is {gpus}"))
        })
    }

    #[cfg(not(feature = "cuda"))]
    fn open_cuda(self, _: usize) -> Result<Device> {
        Err(self.not_built("cuda"))
    }

    #[cfg(feature = "metal")]
    fn open_metal(self) -> Result<Device> {
        Device::new_metal(0)
            .map_err(|fault| self.fault(format!("cannot be opened: {}; there is cpu", in_short(&fault))))
    }

    #[cfg(not(feature = "metal"))]
    fn open_metal(self) -> Result<Device> {
        Err(self.not_built("metal"))
    }

    #[cfg(not(all(feature = "cuda", feature = "metal")))]
    fn not_built(self, feature: &str) -> TrainingError {
        self.fault(format!(
            "this program was built without the feature `{feature}`; there is {BUILT}"
        ))
    }

    fn fault(self, fault: String) -> TrainingError {
        TrainingError::Device { name: self, fault }
    }
}

/// What a build without one of the features can use.
#[cfg(not(all(feature = "cuda", feature = "metal")))]
const BUILT: &str = if cfg!(feature = "metal") {
    "cpu and metal"
} else if cfg!(feature = "cuda") {
    "cpu and cuda"
} else {
    "cpu"
};

/// `cpu, cuda:0 (NVIDIA H200) and cuda:1 (NVIDIA H200)`.
#[cfg_attr(not(feature = "cuda"), cfg(test))]
fn listed(gpus: &[String]) -> String {
    let last = gpus.len().checked_sub(1);
    let gpus = gpus.iter().enumerate().map(|(number, name)| {
        let joint = if Some(number) == last { " and" } else { "," };
        format!("{joint} {} ({name})", DeviceName::Cuda(number))
    });
    std::iter::once("cpu".to_owned()).chain(gpus).collect()
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let number = name.strip_prefix("cuda:").unwrap_or(name);
        match name {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                number.parse().map(Self::Cuda).map_err(|_| not_a_name(name))
            }
            _ => Err(not_a_name(name)),
        }
    }
}

/// An error's first line: behind it candle sets a trace of the stack where `RUST_BACKTRACE` asks for one.
#[cfg(any(feature = "cuda", feature = "metal", test))]
fn in_short(fault: &candle_core::Error) -> String {
    fault.to_string().lines().next().unwrap_or_default().to_owned()
}

fn not_a_name(name: &str) -> String {
    format!("{name:?} is no device: cpu, cuda, cuda:N, N or metal")
}

#[cfg(feature = "cuda")]
fn first() -> Device {
    flawforge_ops::cuda::device(0).unwrap_or_else(|fault| {
        log::warn!("no CUDA device, computing on the processor: {}", in_short(&fault));
        Device::Cpu
    })
}

#[cfg(all(feature = "metal", not(feature = "cuda")))]
fn first() -> Device {
    Device::new_metal(0).unwrap_or_else(|fault| {
        log::warn!(
            "no Metal device, computing on the processor: {}",
            in_short(&fault)
        );
        Device::Cpu
    })
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
fn first() -> Device {
    Device::Cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_by_kind_and_number() {
        for (text, name) in [
            ("cpu", DeviceName::Cpu),
            ("cuda", DeviceName::Cuda(0)),
            ("cuda:2", DeviceName::Cuda(2)),
            ("1", DeviceName::Cuda(1)),
            ("metal", DeviceName::Metal),
        ] {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for wrong in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "-1",
            "+1",
            "cuda:cpu",
            "99999999999999999999",
        ] {
            let said = wrong.parse::<DeviceName>().unwrap_err();
            assert!(said.contains(wrong) && said.contains("cuda:N"), "{said}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_told_with_what_there_is() {
        // No machine has so many.
        let said = DeviceName::Cuda(999).open().unwrap_err().to_string();
        assert!(said.starts_with("device cuda:999: "), "{said}");
        assert!(said.contains("there is cpu"), "{said}");
        assert!(!said.contains('\n'), "{said}");
        if cfg!(not(feature = "cuda")) {
            assert!(said.contains("built without the feature `cuda`"), "{said}");
        }
        assert!(DeviceName::Cpu.open().unwrap().is_cpu());
    }

    #[test]
    fn a_fault_of_the_driver_stays_in_its_line() {
        let traced = candle_core::Error::msg("DriverError(NO_DEVICE)\n   0: somewhere\n");
        assert_eq!(in_short(&traced), "DriverError(NO_DEVICE)");
    }

    #[test]
    fn gpus_are_listed_behind_the_processor() {
        let gpus = |count| vec!["NVIDIA H200".to_owned(); count];
        assert_eq!(listed(&gpus(0)), "cpu");
        assert_eq!(listed(&gpus(1)), "cpu and cuda:0 (NVIDIA H200)");
        assert_eq!(
            listed(&gpus(2)),
            "cpu, cuda:0 (NVIDIA H200) and cuda:1 (NVIDIA H200)"
        );
    }
}
