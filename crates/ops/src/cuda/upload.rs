//! Copies to the device that nobody waits for.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::mem::ManuallyDrop;
use std::thread::LocalKey;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaSlice, DeviceRepr, PinnedHostSlice, ValidAsZeroBits,
};
use candle_core::{Device, Error, Result, Shape, Tensor};

use super::gpu::{Gpu, arguments, count, over_elements};
use super::kernels::Module;

/// Pinned buffers of a length: enough for the uploads of two steps, so that preparing one never waits for the other.
const BUFFERS: usize = 8;

/// Buffers by device and length with the end of their last copy, the oldest first. Never freed: when a thread ends, the driver
/// may be gone.
type Buffers<T> = RefCell<ManuallyDrop<HashMap<(usize, usize), VecDeque<(PinnedHostSlice<T>, CudaEvent)>>>>;

/// Numbers that are uploaded, each kind through buffers of its own.
trait Uploaded: DeviceRepr + ValidAsZeroBits + Copy + 'static {
    fn buffers() -> &'static LocalKey<Buffers<Self>>;
}

impl Uploaded for f32 {
    fn buffers() -> &'static LocalKey<Buffers<Self>> {
        thread_local!(static PINNED: Buffers<f32> = RefCell::new(ManuallyDrop::new(HashMap::new())));
        &PINNED
    }
}

impl Uploaded for u8 {
    fn buffers() -> &'static LocalKey<Buffers<Self>> {
        thread_local!(static PINNED: Buffers<u8> = RefCell::new(ManuallyDrop::new(HashMap::new())));
        &PINNED
    }
}

/// Enqueues a copy of the numbers, which fill the shape and are not none.
pub(crate) fn upload(values: &[f32], shape: Shape, device: &Device) -> Result<Tensor> {
    let gpu = Gpu::new(device.as_cuda_device()?);
    Ok(gpu.tensor(enqueue(&gpu, &[values])?, shape))
}

/// Enqueues a copy of bytes, one part behind the other, which fill the shape and are not none, and their division by 255.
pub(crate) fn upload_bytes(parts: &[&[u8]], shape: Shape, device: &Device) -> Result<Tensor> {
    let gpu = Gpu::new(device.as_cuda_device()?);
    let bytes = enqueue(&gpu, parts)?;
    let values = gpu.alloc::<f32>(bytes.len())?;
    let given = arguments![gpu.argument(&bytes), gpu.view(&values), count(bytes.len())?];
    let config = over_elements(bytes.len());
    gpu.launch(Module::Channels, "bytes_to_shares", config, given)?;
    Ok(gpu.tensor(values, shape))
}

fn enqueue<T: Uploaded>(gpu: &Gpu, parts: &[&[T]]) -> Result<CudaSlice<T>> {
    let len = parts.iter().map(|part| part.len()).sum();
    count(len)?;
    let context = gpu.stream.context();
    T::buffers().with_borrow_mut(|pinned| {
        let buffers = pinned.entry((context.ordinal(), len)).or_default();
        let mut buffer = match buffers.pop_front() {
            // Its last copy may still be to come. The buffer's own event does not know: the device records none by itself.
            Some((oldest, copied)) if buffers.len() + 1 >= BUFFERS || copied.is_complete() => {
                copied.synchronize().w()?;
                oldest
            }
            other => {
                if let Some(oldest) = other {
                    buffers.push_front(oldest);
                }
                // SAFETY: the numbers are written before they are read.
                unsafe { context.alloc_pinned::<T>(len) }.map_err(|_| {
                    // The driver's words would be those of a full GPU.
                    let bytes = len * size_of::<T>();
                    Error::msg(format!(
                        "cuda: {bytes} bytes of the machine's own memory cannot be pinned"
                    ))
                })?
            }
        };
        let mut rest = buffer.as_mut_slice().w()?;
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        let mut result = gpu.alloc::<T>(len)?;
        gpu.stream.memcpy_htod(&buffer, &mut result).w()?;
        let copied = gpu.stream.record_event(None).w()?;
        buffers.push_back((buffer, copied));
        Ok(result)
    })
}
