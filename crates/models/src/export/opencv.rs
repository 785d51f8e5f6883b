//! OpenCV's 8-bit bilinear resizing as a graph, bit for bit that of [`flawforge_resample::resize`].
//!
//! A size that stays and an exact halving need no case of their own in the horizontal and vertical weights: they sample at the places
//! of the general rule. Only the rounding of a halving differs, and is chosen by a condition.

use flawforge_onnx::{Element, Graph, Value};

use super::centers;

/// One, as a coefficient of 11 bits.
const ONE: f32 = 2048.0;

/// The two places that each target place lies between, i64, and their coefficients, i32.
struct Taps {
    places: [Value; 2],
    weights: [Value; 2],
}

/// The bytes (N, H, W, 3) of a size at another, both (H, W) as i64 without dimensions.
pub(super) fn resized(graph: &mut Graph, images: Value, from: (Value, Value), to: (Value, Value)) -> Value {
    let rows = taps(graph, from.0, to.0, false);
    let columns = taps(graph, from.1, to.1, true);
    let mut lines = Vec::with_capacity(2);
    let mut corners = Vec::with_capacity(4);
    for row in rows.places {
        let line = graph.gather(images, row, 1);
        let mut sum = None;
        for (place, weight) in columns.places.into_iter().zip(columns.weights) {
            let corner = graph.gather(line, place, 2);
            let corner = graph.cast(corner, Element::I32);
            corners.push(corner);
            let weight = graph.unsqueeze(weight, &[1]);
            let part = graph.mul(corner, weight);
            sum = Some(sum.map_or(part, |sum| graph.add(sum, part)));
        }
        lines.extend(sum);
    }
    let mut total = graph.i32(2); // rounds the last two bits
    for (line, weight) in lines.into_iter().zip(rows.weights) {
        // Nothing is negative, so that a division drops bits.
        let line = divided(graph, line, 16);
        let weight = graph.unsqueeze(weight, &[1, 2]);
        let part = graph.mul(line, weight);
        let part = divided(graph, part, 1 << 16);
        total = graph.add(total, part);
    }
    let general = divided(graph, total, 4);
    let mut sum = graph.i32(2);
    for corner in corners {
        sum = graph.add(sum, corner);
    }
    let mean = divided(graph, sum, 4);
    let halves = [(from.0, to.0), (from.1, to.1)].map(|(source, target)| {
        let twice = graph.add(target, target);
        graph.equal(source, twice)
    });
    let halving = graph.and(halves[0], halves[1]);
    let bytes = graph.choose(halving, mean, general);
    graph.cast(bytes, Element::U8)
}

fn divided(graph: &mut Graph, x: Value, by: i32) -> Value {
    let by = graph.i32(by);
    graph.div(x, by)
}

/// As the taps of [`flawforge_resample::resize`].
fn taps(graph: &mut Graph, source: Value, target: Value, whole_at_ends: bool) -> Taps {
    let length = graph.cast(source, Element::F64);
    let (one, all) = (graph.f64(1.0), graph.cast(target, Element::F64));
    let ratio = graph.div(all, length);
    let scale = graph.div(one, ratio);
    let centers = centers(graph, target);
    let centers = graph.cast(centers, Element::F64);
    let position = graph.mul(centers, scale);
    let half = graph.f64(0.5);
    let position = graph.sub(position, half);
    let position = graph.cast(position, Element::F32);
    let floor = graph.floor(position);
    let mut fraction = graph.sub(position, floor);
    let start = graph.cast(floor, Element::I64);
    let (zero, step) = (graph.i64(0), graph.i64(1));
    let last = graph.sub(source, step);
    if whole_at_ends {
        let (before, behind) = (graph.less(start, zero), graph.at_least(start, last));
        let outside = graph.or(before, behind);
        let none = graph.f32(0.0);
        fraction = graph.choose(outside, none, fraction);
    }
    let next = graph.add(start, step);
    let places = [start, next].map(|place| {
        let place = graph.larger(place, zero);
        graph.smaller(place, last)
    });
    let one = graph.f32(1.0);
    let rest = graph.sub(one, fraction);
    let weights = [rest, fraction].map(|share| {
        let whole = graph.f32(ONE);
        let weight = graph.mul(share, whole);
        let weight = graph.round_ties_even(weight);
        graph.cast(weight, Element::I32)
    });
    Taps { places, weights }
}
