//! Nearest neighbours: products in f32 find the candidates, which are measured in f64.

use std::sync::Arc;

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Device, Error, Result};

use super::{Vectors, products};
use crate::cuda::gpu::{Gpu, arguments, blocks, count};
use crate::cuda::kernels::Module;
use crate::vectors::Neighbor;

/// Products that are in memory at once: a quarter of a gigabyte.
const PRODUCTS: usize = 1 << 26;

/// The vectors of a [`Bank`](crate::vectors::Bank) on a CUDA device.
#[derive(Debug, Clone)]
pub(crate) struct DeviceBank {
    device: CudaDevice,
    /// The vectors, and their squared lengths.
    vectors: Arc<(Vectors, CudaSlice<f32>)>,
}

impl DeviceBank {
    /// A copy of vectors of `length` numbers, which are not none, and of their squared lengths.
    pub(crate) fn new(device: &Device, vectors: &[f32], length: usize, squares: &[f32]) -> Result<Self> {
        let gpu = Gpu::new(device.as_cuda_device()?);
        let vectors = Vectors::upload(&gpu, vectors, length)?;
        let squares = gpu.device.clone_htod(squares)?;
        Ok(Self {
            vectors: Arc::new((vectors, squares)),
            device: gpu.device,
        })
    }

    /// The nearest vector of each query. `bounds`: how far two `|m|² - 2 q·m` that are computed in f32 for a query may be
    /// off together.
    pub(crate) fn nearest(&self, queries: &[f32], bounds: &[f32]) -> Result<Vec<Neighbor>> {
        let (vectors, squares) = &*self.vectors;
        let gpu = Gpu::new(&self.device);
        let at_once = (PRODUCTS / vectors.count.max(vectors.length)).max(1);
        let mut found = Vec::with_capacity(bounds.len());
        let parts = queries.chunks(at_once * vectors.length);
        for (queries, bounds) in parts.zip(bounds.chunks(at_once)) {
            let queries = Vectors::upload(&gpu, queries, vectors.length)?;
            let bounds = gpu.device.clone_htod(bounds)?;
            count(queries.count * vectors.count)?;
            let values = gpu.alloc::<f32>(queries.count * vectors.count)?;
            let to = (gpu.argument(&values), vectors.count);
            products(&gpu, &queries, vectors, Some(squares), to)?;
            let places = gpu.alloc::<u32>(queries.count)?;
            let distances = gpu.alloc::<f32>(queries.count)?;
            let given = arguments![
                gpu.view(&values),
                gpu.view(&queries.numbers),
                gpu.view(&vectors.numbers),
                gpu.view(&bounds),
                count(vectors.count)?,
                count(vectors.length)?,
                gpu.argument(&places),
                gpu.view(&distances)
            ];
            let config = blocks(queries.count, 1, false)?;
            gpu.launch(Module::Nearest, "nearest", config, given)?;
            let places = gpu.device.clone_dtoh(&places)?;
            let distances = gpu.device.clone_dtoh(&distances)?;
            for (place, squared) in places.into_iter().zip(distances) {
                let index = usize::try_from(place).map_err(Error::wrap)?;
                found.push(Neighbor { index, squared });
            }
        }
        Ok(found)
    }
}
