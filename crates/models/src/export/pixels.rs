//! From bytes to what networks see, as graphs.

use flawforge_onnx::{Element, Graph, Value};

use crate::resnet::{IMAGENET_MEAN, IMAGENET_STD};

/// Bytes (N, H, W, 3) as f32 (N, 3, H, W), from 0 to 255.
pub(crate) fn planes(graph: &mut Graph, images: Value) -> Value {
    let planes = graph.transpose(images, &[0, 3, 1, 2]);
    graph.cast(planes, Element::F32)
}

/// [`planes`] from 0 to 1, normalised as [`imagenet_normalized`](crate::imagenet_normalized) does.
pub(crate) fn imagenet(graph: &mut Graph, images: Value) -> Value {
    let values = planes(graph, images);
    let white = graph.f32(255.0);
    let values = graph.div(values, white);
    let mean = graph.f32s(&[3, 1, 1], &IMAGENET_MEAN);
    let deviation = graph.f32s(&[3, 1, 1], &IMAGENET_STD);
    let centered = graph.sub(values, mean);
    graph.div(centered, deviation)
}
