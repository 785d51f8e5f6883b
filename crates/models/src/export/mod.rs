//! Detectors as computation graphs, for runtimes of ONNX.
//!
//! [`Detector::graph`] is [`Detector::detect`] as a graph: images of the detector's size in, scores and maps out. [`inspected`] is
//! [`Detector::inspect`]: it takes images of any size. Bytes are resized bit for bit as here, so that what follows sees the same
//! images; the rest is the same computation in another order, and agrees to rounding.

mod antialiased;
mod convolution;
mod maps;
mod nearest;
mod opencv;
mod pixels;
mod region;
mod scores;
mod windows;

use flawforge_onnx::{Element, Graph, Value};
use flawforge_resample::{Resampling, Resizing};

use crate::{Detector, ModelError};

pub(crate) use convolution::Convolution;
pub(crate) use maps::{Matrix, resized, sandwiched};
pub(crate) use nearest::Nearest;
pub(crate) use pixels::{imagenet, planes};
pub(crate) use region::{inside, painted, quieted};
pub(crate) use scores::{highest, map_score, map_verdict_score};
pub use windows::GraphPlace;
pub(crate) use windows::{Covering, sized};

/// What a graph says of N images.
#[derive(Debug, Clone, Copy)]
pub struct Outputs {
    /// [`Detection::score`](crate::Detection::score), (N).
    pub score: Value,
    /// [`Detection::verdict_score`](crate::Detection::verdict_score), (N).
    pub verdict_score: Value,
    /// The anomaly maps, (N, height, width).
    pub map: Value,
}

/// [`Detector::inspect`] as a graph: of `images` (N, H, W, 3), bytes of RGB of any size, with maps (N, H, W).
///
/// # Errors
/// As [`Detector::graph`].
pub fn inspected(detector: &dyn Detector, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
    let size = size(graph, images);
    let prepared = detector.prepared_graph(graph, images);
    let outputs = detector.graph(graph, prepared)?;
    Ok(Outputs {
        map: resized(graph, outputs.map, size),
        ..outputs
    })
}

/// [`Resizing::apply`] as a graph: `images` (N, H, W, 3), bytes of RGB of any size, brought to a size, to the same bytes as there.
pub fn prepared(graph: &mut Graph, images: Value, to: Resizing) -> Value {
    let size = size(graph, images);
    brought(graph, images, size, to)
}

/// Height and width of images (N, H, W, 3) or maps (N, H, W), i64 without dimensions.
pub(crate) fn size(graph: &mut Graph, images: Value) -> (Value, Value) {
    (graph.length(images, 1), graph.length(images, 2))
}

/// [`prepared`], of bytes (N, H, W, 3) of the size `from`, (H, W) as i64 without dimensions.
pub(crate) fn brought(graph: &mut Graph, images: Value, from: (Value, Value), to: Resizing) -> Value {
    let (width, height) = to.size;
    let to_size = (graph.i64(height.into()), graph.i64(width.into()));
    brought_to(graph, images, from, to.resampling, to_size)
}

/// The same, to a size that is computed.
pub(crate) fn brought_to(
    graph: &mut Graph,
    images: Value,
    from: (Value, Value),
    resampling: Resampling,
    to: (Value, Value),
) -> Value {
    match resampling {
        Resampling::OpenCv => opencv::resized(graph, images, from, to),
        _ => antialiased::resized(graph, images, from, to),
    }
}

/// The middles of so many pixels, f32: 0.5, 1.5, and so on.
fn centers(graph: &mut Graph, count: Value) -> Value {
    let places = graph.range(count);
    let places = graph.cast(places, Element::F32);
    let half = graph.f32(0.5);
    graph.add(places, half)
}
