//! Memory and launches: the little that the operators need of the driver.

use std::marker::PhantomData;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};

use super::kernels::Kernel;
use super::numbers::{compute_numbers, numbers};
use crate::gradient::if_wanted;
use crate::runtime::explained_asking;

/// Threads of a block in every kernel.
pub(crate) const BLOCK: usize = 256;
/// Blocks at most of a kernel whose threads go over elements or pixels in strides: several waves on any GPU.
const MOST_BLOCKS: usize = 8192;

/// A device and its stream.
///
/// Kernels get plain addresses. That is sound because everything that touches a device's memory, its release included,
/// is enqueued on the device's one stream: memory that is dropped after a launch is freed after the kernel.
pub(crate) struct Gpu {
    pub(crate) device: CudaDevice,
    pub(crate) stream: Arc<CudaStream>,
}

/// f32 numbers on the device, alive while `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Floats<'a> {
    pub(crate) pointer: u64,
    pub(crate) len: usize,
    pub(super) owner: PhantomData<&'a ()>,
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub(crate) enum Argument {
    Pointer(u64),
    Count(u32),
    Float(f32),
    Double(f64),
}

impl From<Floats<'_>> for Argument {
    fn from(floats: Floats<'_>) -> Self {
        Self::Pointer(floats.pointer)
    }
}

impl From<u32> for Argument {
    fn from(count: u32) -> Self {
        Self::Count(count)
    }
}

impl From<bool> for Argument {
    fn from(yes: bool) -> Self {
        Self::Count(yes.into())
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

/// Shorthand for the arguments of a launch.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { &[$($crate::cuda::gpu::Argument::from($argument)),*] };
}
pub(crate) use arguments;

impl Gpu {
    pub(crate) fn of(storage: &CudaStorage) -> Self {
        Self::new(storage.device())
    }

    pub(crate) fn new(device: &CudaDevice) -> Self {
        Self {
            stream: device.cuda_stream(),
            device: device.clone(),
        }
    }

    /// Memory without content, to be written by the next launch.
    ///
    /// # Errors
    /// With the numbers, if there is not so much.
    pub(crate) fn alloc<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // SAFETY: every kernel writes its whole output before another reads it, in the order of the stream; bits of any
        // kind are valid for the plain numbers that are stored.
        unsafe { self.device.alloc(len) }.map_err(|error| explained_asking(error, len * size_of::<T>()))
    }

    /// The numbers of a buffer of this device.
    pub(crate) fn view<'a>(&self, buffer: &'a CudaSlice<f32>) -> Floats<'a> {
        Floats {
            pointer: self.address(buffer),
            len: buffer.len(),
            owner: PhantomData,
        }
    }

    /// Where a buffer lies.
    pub(crate) fn address<T>(&self, buffer: &CudaSlice<T>) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    /// A buffer as a kernel's argument.
    pub(crate) fn argument<T>(&self, buffer: &CudaSlice<T>) -> Argument {
        Argument::Pointer(self.address(buffer))
    }

    pub(crate) fn storage(&self, buffer: CudaSlice<f32>) -> CudaStorage {
        CudaStorage::wrap_cuda_slice(buffer, self.device.clone())
    }

    /// A tensor that no graph knows.
    pub(crate) fn tensor(&self, buffer: CudaSlice<f32>, shape: impl Into<Shape>) -> Tensor {
        let storage = Storage::Cuda(self.storage(buffer));
        Tensor::from_storage(storage, shape, BackpropOp::none(), false)
    }

    /// As [`gradient_of`](crate::gradient::gradient_of), for a gradient that is computed on the device.
    pub(crate) fn gradient_of(
        &self,
        tensor: &Tensor,
        compute: impl FnOnce() -> Result<CudaSlice<f32>>,
    ) -> Result<Option<Tensor>> {
        if_wanted(tensor, || Ok(self.tensor(compute()?, tensor.shape())))
    }

    /// Enqueues a kernel.
    pub(crate) fn launch(
        &self,
        module: impl Into<Kernel>,
        kernel: &str,
        config: LaunchConfig,
        arguments: &[Argument],
    ) -> Result<()> {
        self.launch_with(module, kernel, config, arguments, None::<&u32>)
    }

    /// The same with a structure passed by value as the first argument.
    pub(crate) fn launch_with<T: DeviceRepr>(
        &self,
        module: impl Into<Kernel>,
        kernel: &str,
        config: LaunchConfig,
        arguments: &[Argument],
        first: Option<&T>,
    ) -> Result<()> {
        let function = module.into().function(&self.device, kernel)?;
        let mut launch = self.stream.launch_builder(&function);
        if let Some(first) = first {
            launch.arg(first);
        }
        for argument in arguments {
            match argument {
                Argument::Pointer(pointer) => launch.arg(pointer),
                Argument::Count(count) => launch.arg(count),
                Argument::Float(value) => launch.arg(value),
                Argument::Double(value) => launch.arg(value),
            };
        }
        // SAFETY: the callers pass what the kernel's declaration asks for; sizes were checked by `count`, and
        // addresses belong to memory that is alive while this call enqueues (see `Gpu`).
        unsafe { launch.launch(config) }.w()?;
        Ok(())
    }
}

/// A count that kernels can index with.
pub(crate) fn count(n: usize) -> Result<u32> {
    match u32::try_from(n) {
        Ok(n) if n <= i32::MAX as u32 => Ok(n),
        _ => bail!("cuda: a tensor of {n} elements is too large, at most 2^31 - 1"),
    }
}

/// Threads in one row, going over `count` elements in strides.
pub(crate) fn over_elements(count: usize) -> LaunchConfig {
    config(count.div_ceil(BLOCK).clamp(1, MOST_BLOCKS), 1, BLOCK, 1)
}

/// Threads as (lanes over channels, pixels), going over `pixels` pixels in strides.
pub(crate) fn over_pixels(pixels: usize, channels: usize) -> LaunchConfig {
    let (lanes, rows) = block_of(channels);
    config(pixels.div_ceil(rows).clamp(1, MOST_BLOCKS), 1, lanes, rows)
}

/// How `(rows, channels)` is cut for sums over the rows, channels read in packs of some lanes.
pub(crate) struct Columns {
    pub(crate) partial: LaunchConfig,
    /// For the kernel that adds the chunks up.
    pub(crate) total: LaunchConfig,
    pub(crate) chunks: u32,
    pub(crate) chunk_rows: u32,
}

/// Rows that a thread adds up at least, so that the partial sums stay few.
const ROWS_PER_THREAD: usize = 16;
/// Blocks that keep a GPU busy: four on each of 132 multiprocessors. More would only make more partial sums.
const ENOUGH_BLOCKS: usize = 528;
/// Channels of a block that adds chunks up. Its other threads share the chunks, of which there may be hundreds.
const TOTAL_LANES: usize = 8;

/// See [`Columns`]. `packs` is the number of channels over that of a pack.
pub(crate) fn columns(rows: usize, channels: usize, lanes: usize) -> Result<Columns> {
    let packs = channels / lanes;
    let (across, height) = block_of(packs);
    let tiles = packs.div_ceil(across);
    let wanted = ENOUGH_BLOCKS.div_ceil(tiles);
    let chunks = rows.div_ceil(height * ROWS_PER_THREAD).clamp(1, wanted);
    let chunk_rows = rows.div_ceil(chunks);
    // Rounding up may leave the last chunks without rows.
    let chunks = rows.div_ceil(chunk_rows);
    Ok(Columns {
        partial: config(tiles, chunks, across, height),
        total: config(
            channels.div_ceil(TOTAL_LANES),
            1,
            TOTAL_LANES,
            BLOCK / TOTAL_LANES,
        ),
        chunks: count(chunks)?,
        chunk_rows: count(chunk_rows)?,
    })
}

/// (lanes over channels, rows): lanes a power of two, up to a warp.
fn block_of(channels: usize) -> (usize, usize) {
    let lanes = channels.next_power_of_two().min(32);
    (lanes, BLOCK / lanes)
}

/// Sizes are small here: every caller has clamped the grid and fixed the block.
fn config(across: usize, down: usize, block_x: usize, block_y: usize) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (across as u32, down as u32, 1),
        block_dim: (block_x as u32, block_y as u32, 1),
        shared_mem_bytes: 0,
    }
}

/// A grid of `across` x `down` blocks of 16x16 threads or of 256 in a row.
pub(crate) fn blocks(across: usize, down: usize, square: bool) -> Result<LaunchConfig> {
    count(across)?;
    let (x, y) = if square { (16, 16) } else { (BLOCK, 1) };
    Ok(config(across, down, x, y))
}

/// The numbers of a contiguous f32 storage.
pub(crate) fn floats<'a>(op: &'static str, storage: &'a CudaStorage, layout: &Layout) -> Result<Floats<'a>> {
    numbers(op, storage, layout)?.floats(op)
}

/// Calls `f` with the numbers of f32 tensors on a GPU, copied first where they are not contiguous.
pub(crate) fn compute<const N: usize, R>(
    op: &'static str,
    tensors: [&Tensor; N],
    f: impl FnOnce(&Gpu, [Floats<'_>; N]) -> Result<R>,
) -> Result<R> {
    compute_numbers(op, tensors, |gpu, numbers| {
        let mut views = [Floats {
            pointer: 0,
            len: 0,
            owner: PhantomData,
        }; N];
        for (view, numbers) in views.iter_mut().zip(numbers) {
            *view = numbers.floats(op)?;
        }
        f(gpu, views)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_and_channel_has_a_thread() {
        for (rows, channels, lanes) in [
            (2, 1, 1),
            (7, 3, 1),
            (524_288, 128, 8),
            (524_288, 64, 4),
            (2048, 1024, 8),
            (1 << 20, 8, 8),
            (33, 33, 1),
        ] {
            let cut = columns(rows, channels, lanes).unwrap();
            let packs = cut.partial.block_dim.0 * cut.partial.grid_dim.0;
            assert!(packs as usize * lanes >= channels);
            assert_eq!(cut.partial.grid_dim.1, cut.chunks);
            assert!((cut.chunks * cut.chunk_rows) as usize >= rows);
            assert!(
                ((cut.chunks - 1) * cut.chunk_rows) < rows as u32,
                "no chunk is empty"
            );
            assert!(cut.chunks <= 65_535, "the limit of a grid's height");
            for config in [
                cut.partial,
                cut.total,
                over_pixels(rows, channels),
                over_elements(rows),
            ] {
                assert_eq!(config.block_dim.0 * config.block_dim.1, BLOCK as u32);
                assert!(config.block_dim.1.is_power_of_two());
            }
            assert!(cut.total.grid_dim.0 as usize * TOTAL_LANES >= channels);
        }
    }

    #[test]
    fn counts_that_would_overflow_are_refused() {
        assert_eq!(count(1 << 20).unwrap(), 1 << 20);
        assert!(count(1 << 31).is_err());
        assert!(count(1 << 40).is_err());
    }
}
