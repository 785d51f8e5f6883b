//! Greedy selection of far-apart vectors: two launches a pick, read once at the end.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Device, Error, Result};

use super::{Vectors, products};
use crate::cuda::gpu::{Argument, BLOCK, Gpu, arguments, blocks, count, over_elements};
use crate::cuda::kernels::Module;
use crate::vectors::Selection;

/// Numbers of the vectors that are on the device at once: a quarter of a gigabyte.
const CHUNK: usize = 1 << 26;
/// No vector, `NONE` in the kernel file.
const NONE: u32 = u32::MAX;

/// What [`Selection::on`] finds, on a CUDA device.
pub(crate) fn farthest_first(device: &Device, selection: Selection<'_>) -> Result<Vec<usize>> {
    let gpu = Gpu::new(device.as_cuda_device()?);
    let picks = selection.picks.min(selection.vectors.len() / selection.length);
    if picks == 0 {
        return Ok(Vec::new());
    }
    let points = Points::new(&gpu, selection)?;
    let starts: Vec<u32> = selection
        .starts
        .iter()
        .map(|&start| count(start))
        .collect::<Result<_>>()?;
    let distances = points.mean_distances(&gpu, &starts)?;
    let chosen = points.choose(&gpu, &distances, picks)?;
    let chosen = gpu.device.clone_dtoh(&chosen)?;
    let chosen = chosen.into_iter().take_while(|&place| place != NONE);
    chosen
        .map(|place| usize::try_from(place).map_err(Error::wrap))
        .collect()
}

/// Points (steps, count).
struct Points {
    numbers: CudaSlice<f32>,
    count: usize,
    length: usize,
}

impl Points {
    /// The vectors, mapped where there is a map.
    fn new(gpu: &Gpu, selection: Selection<'_>) -> Result<Self> {
        let Selection {
            vectors, length, map, ..
        } = selection;
        let all = vectors.len() / length;
        let map = map.map(|map| Vectors::upload(gpu, map, length)).transpose()?;
        let steps = map.as_ref().map_or(length, |map| map.count);
        count(steps * all)?;
        let points = Self {
            numbers: gpu.alloc(steps * all)?,
            count: all,
            length: steps,
        };
        let at_once = (CHUNK / length).max(1);
        for (index, chunk) in vectors.chunks(at_once * length).enumerate() {
            let (chunk, first) = (Vectors::upload(gpu, chunk, length)?, index * at_once);
            match &map {
                Some(map) => {
                    let start = gpu.address(&points.numbers) + (first * size_of::<f32>()) as u64;
                    products(gpu, map, &chunk, None, (Argument::Pointer(start), all))?;
                }
                None => {
                    let given = arguments![
                        gpu.view(&chunk.numbers),
                        gpu.view(&points.numbers),
                        count(chunk.count)?,
                        count(first)?,
                        count(all)?,
                        count(length)?
                    ];
                    let config = over_elements(chunk.count * length);
                    gpu.launch(Module::Farthest, "points_of_vectors", config, given)?;
                }
            }
        }
        Ok(points)
    }

    /// Blocks with a thread for every point.
    fn blocks(&self) -> usize {
        self.count.div_ceil(BLOCK)
    }

    fn mean_distances(&self, gpu: &Gpu, to: &[u32]) -> Result<CudaSlice<f32>> {
        let distances = gpu.alloc::<f32>(self.count)?;
        // At least one number, because the driver does not allocate zero bytes.
        let some: &[u32] = if to.is_empty() { &[0] } else { to };
        let places = gpu.device.clone_htod(some)?;
        let given = arguments![
            gpu.view(&self.numbers),
            count(self.count)?,
            count(self.length)?,
            gpu.argument(&places),
            count(to.len())?,
            gpu.view(&distances)
        ];
        let config = blocks(self.blocks(), 1, false)?;
        gpu.launch(Module::Farthest, "mean_distances", config, given)?;
        Ok(distances)
    }

    /// Places of the picks, [`NONE`] behind the last; the distances become those to the nearest pick.
    fn choose(&self, gpu: &Gpu, distances: &CudaSlice<f32>, picks: usize) -> Result<CudaSlice<u32>> {
        let chosen = gpu.alloc::<u32>(picks)?;
        let parts = self.blocks();
        let (farthest, places) = (gpu.alloc::<f32>(parts)?, gpu.alloc::<u32>(parts)?);
        let (farthest, places) = (gpu.argument(&farthest), gpu.argument(&places));
        let (points, to, near) = (
            gpu.argument(&self.numbers),
            gpu.argument(&chosen),
            gpu.argument(distances),
        );
        let (all, length, of_parts) = (count(self.count)?, count(self.length)?, count(parts)?);
        for pick in 0..count(picks)? {
            let given = arguments![points, all, length, to, pick, near, farthest, places];
            let config = blocks(parts, 1, false)?;
            gpu.launch(Module::Farthest, "farthest_update", config, given)?;
            let given = arguments![farthest, places, of_parts, to, pick];
            gpu.launch(Module::Farthest, "farthest_choose", blocks(1, 1, false)?, given)?;
        }
        Ok(chosen)
    }
}
