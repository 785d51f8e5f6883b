//! The antialiased filter as a graph, bit for bit `image::imageops::resize` with a triangle.
//!
//! That function sums in f32, one pixel of the filter after the other, rows first. The graph does the same in the same order, in
//! loops whose length depends on the size of the image.

use flawforge_onnx::{Element, Graph, Value};

use super::centers;

/// For each target place: where its filter begins, and its weights.
struct Filter {
    /// Number of weights, i64 without dimensions.
    length: Value,
    /// (places, weights) i64: the source places, inside the image.
    places: Value,
    /// (places, weights) f32; 0 where a filter is shorter than the longest.
    weights: Value,
}

/// The bytes (N, H, W, 3) of a size at another, both (H, W) as i64 without dimensions.
pub(super) fn resized(graph: &mut Graph, images: Value, from: (Value, Value), to: (Value, Value)) -> Value {
    let rows = filter(graph, from.0, to.0);
    let tall = filtered(graph, images, &rows, 1);
    let columns = filter(graph, from.1, to.1);
    let values = filtered(graph, tall, &columns, 2);
    let values = graph.clip(values, 0.0, 255.0);
    // The nearest, halves upwards; the fraction is exact.
    let floor = graph.floor(values);
    let fraction = graph.sub(values, floor);
    let half = graph.f32(0.5);
    let up = graph.at_least(fraction, half);
    let up = graph.cast(up, Element::F32);
    let bytes = graph.add(floor, up);
    graph.cast(bytes, Element::U8)
}

fn filter(graph: &mut Graph, source: Value, target: Value) -> Filter {
    let length = graph.cast(source, Element::F32);
    let all = graph.cast(target, Element::F32);
    let ratio = graph.div(length, all);
    let one = graph.f32(1.0);
    let width = graph.larger(ratio, one); // the triangle's half, which is as wide as the reduction
    let centers = centers(graph, target);
    let center = graph.mul(centers, ratio);
    let (zero, step) = (graph.i64(0), graph.i64(1));
    let last = graph.sub(source, step);
    let left = graph.sub(center, width);
    let left = graph.floor(left);
    let left = graph.cast(left, Element::I64);
    let left = graph.larger(left, zero);
    let left = graph.smaller(left, last);
    let right = graph.add(center, width);
    let right = graph.ceil(right);
    let right = graph.cast(right, Element::I64);
    let least = graph.add(left, step);
    let right = graph.larger(right, least);
    let right = graph.smaller(right, source);
    let lengths = graph.sub(right, left);
    let length = graph.reduce_max(lengths, &[0], false);

    let numbers = graph.range(length);
    let left = graph.unsqueeze(left, &[1]);
    let places = graph.add(left, numbers);
    let half = graph.f32(0.5);
    let center = graph.sub(center, half);
    let center = graph.unsqueeze(center, &[1]);
    let distance = graph.cast(places, Element::F32);
    let distance = graph.sub(distance, center);
    let distance = graph.div(distance, width);
    let distance = graph.abs(distance);
    let weight = graph.sub(one, distance);
    let none = graph.f32(0.0);
    let right = graph.unsqueeze(right, &[1]);
    let (near, inside) = (graph.less(distance, one), graph.less(places, right));
    let counts = graph.and(near, inside);
    let weights = graph.choose(counts, weight, none);
    let sum = graph.repeat(length, none, |graph, number, sum| {
        let weight = graph.gather(weights, number, 1);
        graph.add(sum, weight)
    });
    let sum = graph.unsqueeze(sum, &[1]);
    Filter {
        length,
        places: graph.smaller(places, last),
        weights: graph.div(weights, sum),
    }
}

/// Rows (axis 1) or columns (axis 2) of (N, H, W, 3) brought to those of the filter, f32.
fn filtered(graph: &mut Graph, images: Value, filter: &Filter, axis: i64) -> Value {
    let none = graph.f32(0.0);
    graph.repeat(filter.length, none, |graph, number, sum| {
        let places = graph.gather(filter.places, number, 1);
        let pixels = graph.gather(images, places, axis);
        let pixels = graph.cast(pixels, Element::F32);
        let weight = graph.gather(filter.weights, number, 1);
        let weight = match axis {
            1 => graph.unsqueeze(weight, &[1, 2]),
            _ => graph.unsqueeze(weight, &[1]),
        };
        let part = graph.mul(pixels, weight);
        graph.add(sum, part)
    })
}
