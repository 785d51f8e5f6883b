//! Regions of interest as graphs: as [`Inside`](crate::Inside) looks at them.

use flawforge_masks::{Mask, NEAR_OUTSIDE, OUTSIDE};
use flawforge_onnx::{Element, Graph, Value};
use image::Rgb;

/// [`flawforge_masks::paint_outside`] as a graph: images (N, H, W, 3), bytes of RGB.
pub(crate) fn painted(graph: &mut Graph, images: Value, region: &Mask) -> Value {
    let to = super::size(graph, images);
    let (width, height) = (region.width() as usize, region.height() as usize);
    let pixels: Vec<f32> = region.pixels().iter().map(|&pixel| f32::from(pixel)).collect();
    let pixels = graph.f32s(&[1, height, width], &pixels);
    let pixels = nearest(graph, pixels, to);
    let none = graph.f32(0.0);
    let outside = graph.equal(pixels, none);
    let outside = graph.unsqueeze(outside, &[3]);
    let (grey, next) = (color(graph, OUTSIDE), color(graph, NEAR_OUTSIDE));
    let taken = is_grey(graph, images);
    let taken = graph.unsqueeze(taken, &[3]);
    let freed = graph.choose(taken, next, images);
    graph.choose(outside, grey, freed)
}

/// [`flawforge_masks::inside`] as a graph: of images (N, H, W, 3) 1 inside and 0 outside, f32 (N, H, W).
pub(crate) fn inside(graph: &mut Graph, images: Value) -> Value {
    let outside = is_grey(graph, images);
    let (none, one) = (graph.f32(0.0), graph.f32(1.0));
    graph.choose(outside, none, one)
}

/// [`quiet_outside`](crate::quiet_outside) as a graph: maps (N, h, w) by [`inside`] (N, H, W).
pub(crate) fn quieted(graph: &mut Graph, map: Value, inside: Value) -> Value {
    let to = super::size(graph, map);
    let inside = nearest(graph, inside, to);
    let half = graph.f32(0.5);
    let inside = graph.at_least(inside, half);
    let (most, none) = (graph.f32(f32::INFINITY), graph.f32(0.0));
    let seen = graph.choose(inside, map, most);
    let lowest = graph.reduce_min(seen, &[1, 2], true);
    let unseen = graph.equal(lowest, most);
    let lowest = graph.choose(unseen, none, lowest);
    graph.choose(inside, map, lowest)
}

/// Which pixels have the colour of the outside, (N, H, W).
fn is_grey(graph: &mut Graph, images: Value) -> Value {
    let grey = graph.i64s(&[3], &OUTSIDE.0.map(i64::from));
    let levels = graph.cast(images, Element::I64);
    let apart = graph.sub(levels, grey);
    let apart = graph.abs(apart);
    let apart = graph.cast(apart, Element::F32);
    let apart = graph.reduce_max(apart, &[3], false);
    let none = graph.f32(0.0);
    graph.equal(apart, none)
}

fn color(graph: &mut Graph, color: Rgb<u8>) -> Value {
    let color = graph.i64s(&[3], &color.0.map(i64::from));
    graph.cast(color, Element::U8)
}

/// [`Mask::scaled`] as a graph: planes (N, h, w) at a size, (H, W) as i64 without dimensions.
fn nearest(graph: &mut Graph, planes: Value, to: (Value, Value)) -> Value {
    let from = super::size(graph, planes);
    let rows = places(graph, from.0, to.0);
    let columns = places(graph, from.1, to.1);
    let lines = graph.gather(planes, rows, 1);
    graph.gather(lines, columns, 2)
}

fn places(graph: &mut Graph, from: Value, to: Value) -> Value {
    let [source, target] = [from, to].map(|length| graph.cast(length, Element::F64));
    let numbers = graph.range(to);
    let numbers = graph.cast(numbers, Element::F64);
    let (half, step) = (graph.f64(0.5), graph.i64(1));
    let middle = graph.add(numbers, half);
    let middle = graph.mul(middle, source);
    let middle = graph.div(middle, target);
    let place = graph.cast(middle, Element::I64);
    let last = graph.sub(from, step);
    graph.smaller(place, last)
}
