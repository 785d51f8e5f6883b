//! Adam for many variables in few launches.

use candle_core::cuda_backend::cudarc::driver::DeviceRepr;
use candle_core::{Result, Tensor};

use super::gpu::{BLOCK, Gpu, arguments, blocks, compute, count};
use super::kernels::Module;
use crate::definitions::adam::Factors;

/// Variables of a launch, `VARIABLES` in the kernel file: their addresses fit into the 4 KiB of a kernel's arguments.
const VARIABLES: usize = 64;
/// Blocks over a variable at most, each with 256 threads that go over it in strides.
const BLOCKS: usize = 512;

/// `Variables` of the kernel file, field by field.
#[repr(C)]
struct Variables {
    value: [u64; VARIABLES],
    m: [u64; VARIABLES],
    v: [u64; VARIABLES],
    gradient: [u64; VARIABLES],
    count: [u32; VARIABLES],
}

// SAFETY: plain numbers in C's layout, as the kernel declares them.
unsafe impl DeviceRepr for Variables {}

/// Moves variables by one step: (variable, first moment, second moment, gradient), all contiguous and of one shape,
/// the first three in place.
pub(crate) fn step(moved: &[[Tensor; 4]], factors: Factors) -> Result<()> {
    let factors = arguments![
        (1.0 - factors.beta1) as f32,
        factors.beta2 as f32,
        (1.0 - factors.beta2) as f32,
        factors.eps as f32,
        factors.root_correction as f32,
        factors.step_size as f32
    ];
    for moved in moved.chunks(VARIABLES) {
        let mut variables = Variables {
            value: [0; VARIABLES],
            m: [0; VARIABLES],
            v: [0; VARIABLES],
            gradient: [0; VARIABLES],
            count: [0; VARIABLES],
        };
        let mut launch: Option<(Gpu, usize)> = None;
        for (k, [value, m, v, gradient]) in moved.iter().enumerate() {
            let (gpu, len) = compute("adam", [value, m, v, gradient], |gpu, [value, m, v, gradient]| {
                variables.value[k] = value.pointer;
                variables.m[k] = m.pointer;
                variables.v[k] = v.pointer;
                variables.gradient[k] = gradient.pointer;
                variables.count[k] = count(value.len)?;
                Ok((Gpu::new(&gpu.device), value.len))
            })?;
            let longest = launch.as_ref().map_or(0, |(_, longest)| *longest).max(len);
            launch = Some((gpu, longest));
        }
        if let Some((gpu, longest)) = launch {
            // The tensors are alive until this call returns, and so are their addresses.
            let across = longest.div_ceil(BLOCK).clamp(1, BLOCKS);
            let config = blocks(across, moved.len(), false)?;
            gpu.launch_with(Module::Adam, "adam", config, factors, Some(&variables))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_laid_out_as_the_kernel_declares_it() {
        assert_eq!(std::mem::offset_of!(Variables, m), 8 * VARIABLES);
        assert_eq!(std::mem::offset_of!(Variables, count), 32 * VARIABLES);
        assert!(
            size_of::<Variables>() + 6 * 4 <= 4096,
            "the limit of a kernel's arguments"
        );
    }
}
