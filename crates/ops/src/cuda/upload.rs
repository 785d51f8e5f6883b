//! Copies to the device that nobody waits for.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::mem::ManuallyDrop;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, PinnedHostSlice};
use candle_core::{Device, Error, Result, Shape, Tensor};

use super::gpu::{Gpu, count};

/// Pinned buffers of a length: enough for the uploads of two steps, so that preparing one never waits for the other.
const BUFFERS: usize = 8;

/// Buffers by device and length with the end of their last copy, the oldest first.
type Buffers = HashMap<(usize, usize), VecDeque<(PinnedHostSlice<f32>, CudaEvent)>>;

thread_local! {
    /// Never freed: when a thread ends, the driver may be gone.
    static PINNED: RefCell<ManuallyDrop<Buffers>> = RefCell::new(ManuallyDrop::new(HashMap::new()));
}

/// Enqueues a copy of the numbers, which fill the shape and are not none.
pub(crate) fn upload(values: &[f32], shape: Shape, device: &Device) -> Result<Tensor> {
    let gpu = Gpu::new(device.as_cuda_device()?);
    count(values.len())?;
    let context = gpu.stream.context();
    PINNED.with_borrow_mut(|pinned| {
        let buffers = pinned.entry((context.ordinal(), values.len())).or_default();
        let mut buffer = match buffers.pop_front() {
            Some((oldest, copied)) if buffers.len() + 1 >= BUFFERS => {
                // Its last copy may still be to come. The buffer's own event does not know: the device records none by itself.
                copied.synchronize().w()?;
                oldest
            }
            other => {
                if let Some(oldest) = other {
                    buffers.push_front(oldest);
                }
                // SAFETY: the numbers are written before they are read.
                unsafe { context.alloc_pinned::<f32>(values.len()) }.map_err(|_| {
                    // The driver's words would be those of a full GPU.
                    let bytes = size_of_val(values);
                    Error::msg(format!(
                        "cuda: {bytes} bytes of the machine's own memory cannot be pinned"
                    ))
                })?
            }
        };
        buffer.as_mut_slice().w()?.copy_from_slice(values);
        let mut result = gpu.alloc::<f32>(values.len())?;
        gpu.stream.memcpy_htod(&buffer, &mut result).w()?;
        let copied = gpu.stream.record_event(None).w()?;
        buffers.push_back((buffer, copied));
        Ok(gpu.tensor(result, shape))
    })
}
