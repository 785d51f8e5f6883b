//! The memory of a GPU: how much there is, and what is said when there is too little.

use std::fmt;

use candle_core::{Device, Error};

/// Memory of a GPU, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// All of it.
    pub total: u64,
    /// What nobody uses: free to every program, or kept by this one for its next tensors.
    pub free: u64,
    /// What tensors of this program use.
    pub used: u64,
    /// The most that they have used at once since the program began; 0 where the driver does not count it.
    pub peak: u64,
}

impl DeviceMemory {
    /// That of a device, now; `None` for the processor, and for GPUs that are not asked (Metal).
    ///
    /// # Errors
    /// The driver fails.
    pub fn of(device: &Device) -> candle_core::Result<Option<Self>> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(cuda) => crate::cuda::memory_of(cuda).map(Some),
            _ => Ok(None),
        }
    }
}

/// How the libraries of a GPU say that its memory is full: the driver, cuDNN 8, cuDNN 9, cuBLAS, cuRAND.
const FULL: [&str; 5] = [
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CURAND_STATUS_ALLOCATION_FAILED",
];

/// A GPU's memory did not suffice: what was asked for, what there was, and what needs less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    /// Bytes of the tensor or the workspace that found no room, where that is known.
    pub(crate) wanted: Option<u64>,
    /// The GPU's memory at that moment, where the driver still answers.
    pub(crate) memory: Option<DeviceMemory>,
}

/// What every such error begins with.
const SAID: &str = "the GPU's memory is full";

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SAID)?;
        let mut joint = ": ";
        if let Some(wanted) = self.wanted {
            write!(f, "{joint}{} more were wanted", in_words(wanted))?;
            joint = ", ";
        }
        if let Some(DeviceMemory {
            total, free, used, ..
        }) = self.memory
        {
            write!(
                f,
                "{joint}{} of {} are free, this program's tensors use {}",
                in_words(free),
                in_words(total),
                in_words(used)
            )?;
            if self.wanted.is_some_and(|wanted| wanted <= free) {
                f.write_str(", and what is free lies in pieces")?;
            }
        }
        f.write_str(
            "; a smaller batch (`batch.size` of --config), --precision bf16, fewer --jobs or another --device helps",
        )
    }
}

/// The error, or what is to be said in its place if it is that a GPU's memory is full. Libraries that hand errors of tensors on
/// call it where they make them their own.
pub fn explained(error: Error) -> Error {
    explained_by(error, None, memory_now)
}

/// As [`explained`], of memory for so many bytes.
#[cfg(feature = "cuda")]
pub(crate) fn explained_asking(error: Error, bytes: usize) -> Error {
    explained_by(error, Some(bytes as u64), memory_now)
}

fn explained_by(error: Error, wanted: Option<u64>, memory: impl FnOnce() -> Option<DeviceMemory>) -> Error {
    if !is_full(&error.to_string()) {
        return error;
    }
    let memory = memory();
    Error::Wrapped(Box::new(OutOfMemory { wanted, memory }))
}

/// Whether an error is that a GPU's memory is full, after somebody has [explained] it.
pub fn tells_of_full_memory(error: &dyn std::error::Error) -> bool {
    error.to_string().contains(SAID)
}

/// Whether a library's words say that the memory is full, and nobody has explained it.
fn is_full(said: &str) -> bool {
    FULL.iter().any(|full| said.contains(full)) && !said.contains(SAID)
}

/// Memory of the GPU of the thread, on which something has just failed.
fn memory_now() -> Option<DeviceMemory> {
    #[cfg(feature = "cuda")]
    return crate::cuda::memory_of_thread().ok();
    #[cfg(not(feature = "cuda"))]
    None
}

/// Bytes in words, in powers of ten: `1.34 GB`.
pub fn in_words(bytes: u64) -> String {
    match bytes as f64 {
        large if large >= 1e10 => format!("{:.1} GB", large / 1e9),
        medium if medium >= 1e9 => format!("{:.2} GB", medium / 1e9),
        small if small >= 1e6 => format!("{:.0} MB", small / 1e6),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: DeviceMemory = DeviceMemory {
        total: 8_589_934_592,
        free: 120_000_000,
        used: 7_200_000_000,
        peak: 7_300_000_000,
    };

    /// As the driver, cuDNN, cuBLAS and cuRAND say it through candle and our own code.
    fn of_libraries() -> Vec<Error> {
        let driver = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        vec![
            Error::Cuda(driver.into()),
            Error::Cuda(driver.into()).context("while loading a module"),
            Error::msg("cuda: cuDNN cannot be opened: CUDNN_STATUS_ALLOC_FAILED"),
            Error::msg(
                "cuda: cuDNN fails in a convolution: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            ),
            Error::Cuda("CublasError(CUBLAS_STATUS_ALLOC_FAILED)".into()),
            Error::Cuda("CurandError(CURAND_STATUS_ALLOCATION_FAILED)".into()),
        ]
    }

    #[test]
    fn a_full_gpu_is_told_in_one_line_with_numbers_and_what_to_change() {
        for error in of_libraries() {
            assert!(!tells_of_full_memory(&error), "not yet in our words");
            let explained = explained_by(error, Some(268_435_456), || Some(CARD));
            assert!(tells_of_full_memory(&explained));
            assert_eq!(
                explained.to_string(),
                "the GPU's memory is full: 268 MB more were wanted, 120 MB of 8.59 GB are free, this program's tensors use \
                 7.20 GB; a smaller batch (`batch.size` of --config), --precision bf16, fewer --jobs or another --device helps"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let error = || Error::msg("CUDA_ERROR_OUT_OF_MEMORY");
        let said = |wanted, memory| explained_by(error(), wanted, || memory).to_string();
        assert!(said(None, None).starts_with("the GPU's memory is full; a smaller batch"));
        assert!(said(None, Some(CARD)).starts_with("the GPU's memory is full: 120 MB of 8.59 GB are free"));
        assert!(said(Some(1_340_000_000), None).contains("full: 1.34 GB more were wanted; a smaller"));
        assert!(said(Some(100_000_000), Some(CARD)).contains("what is free lies in pieces; "));
        assert!(!said(Some(130_000_000), Some(CARD)).contains("pieces"));
    }

    #[test]
    fn other_errors_and_explained_ones_stay_as_they_are() {
        for other in [
            "CUDNN_STATUS_NOT_SUPPORTED_SHAPE",
            "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access\")",
        ] {
            let kept = explained_by(Error::msg(other), Some(1), || unreachable!("nothing is asked"));
            // A trace of the stack stands behind it, where one is wanted.
            assert!(kept.to_string().starts_with(other), "{kept}");
        }
        let once = explained_by(Error::msg(FULL[0]), Some(1_000_000), || Some(CARD));
        let said = once.to_string();
        assert_eq!(explained_by(once, None, || None).to_string(), said);
        let with_context = Error::msg(format!("{said} (CUDA_ERROR_OUT_OF_MEMORY)"));
        assert!(explained(with_context).to_string().contains("1 MB more"));
    }

    #[test]
    fn bytes_are_said_with_three_digits() {
        for (bytes, words) in [
            (12, "12 bytes"),
            (1_500_000, "2 MB"),
            (1_344_000_000, "1.34 GB"),
            (149_600_000_000, "149.6 GB"),
        ] {
            assert_eq!(in_words(bytes), words);
        }
    }

    #[test]
    fn the_processor_has_no_memory_of_its_own() {
        assert_eq!(DeviceMemory::of(&Device::Cpu).unwrap(), None);
    }
}
