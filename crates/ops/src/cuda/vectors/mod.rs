//! Many vectors of one length on a GPU, with the processor's results: see [`vectors`](crate::vectors).

mod bank;
mod farthest;

pub(crate) use bank::DeviceBank;
pub(crate) use farthest::farthest_first;

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, LaunchConfig};

use super::gpu::{Argument, BLOCK, Gpu, count};
use super::kernels::Module;

/// Rows and columns of a block's products, `TILE` in the kernel file.
const TILE: usize = 64;

/// Vectors of `length` numbers on the device, one after the other.
#[derive(Debug)]
struct Vectors {
    numbers: CudaSlice<f32>,
    count: usize,
    length: usize,
}

impl Vectors {
    /// A copy of those in main memory.
    fn upload(gpu: &Gpu, vectors: &[f32], length: usize) -> Result<Self> {
        count(vectors.len())?;
        Ok(Self {
            numbers: gpu.device.clone_htod(vectors)?,
            count: vectors.len() / length,
            length,
        })
    }
}

/// Writes the product of every row with every column to `to`, rows of `stride` numbers; with `squares` of the columns,
/// those less twice the product.
fn products(
    gpu: &Gpu,
    rows: &Vectors,
    columns: &Vectors,
    squares: Option<&CudaSlice<f32>>,
    (to, stride): (Argument, usize),
) -> Result<()> {
    let squares = squares.map_or(Argument::Pointer(0), |squares| gpu.argument(squares));
    let (a, b) = (gpu.argument(&rows.numbers), gpu.argument(&columns.numbers));
    let (down, across) = (count(rows.count)?, count(columns.count)?);
    let (length, stride) = (count(rows.length)?, count(stride)?);
    let config = LaunchConfig {
        grid_dim: (
            count(columns.count.div_ceil(TILE))?,
            count(rows.count.div_ceil(TILE))?,
            1,
        ),
        block_dim: (count(BLOCK)?, 1, 1),
        shared_mem_bytes: 0,
    };
    let given = &[
        a,
        b,
        squares,
        to,
        down.into(),
        across.into(),
        length.into(),
        stride.into(),
    ];
    gpu.launch(Module::Products, "products", config, given)
}
