//! Windows over images of any size as graphs: as [`Windowed`](crate::Windowed) sees images.

use flawforge_onnx::{Element, Graph, Value};
use flawforge_resample::{Sizing, Windows};

/// [`Sizing::of`] as a graph: (height, width) of what a file of this height and width is held at, i64 without dimensions.
pub(crate) fn sized(graph: &mut Graph, file: (Value, Value), sizing: Sizing) -> (Value, Value) {
    let factor = match sizing {
        Sizing::Exactly((width, height)) => return (graph.i64(height.into()), graph.i64(width.into())),
        Sizing::Scaled(factor) => graph.f64(factor),
        Sizing::Within((width, height)) => {
            let share = |graph: &mut Graph, frame: u32, file: Value| {
                let (frame, file) = (graph.f64(frame.into()), graph.cast(file, Element::F64));
                graph.div(frame, file)
            };
            let (across, down) = (share(graph, width, file.1), share(graph, height, file.0));
            let whole = graph.smaller(across, down);
            let same = graph.mul(across, down);
            let same = graph.sqrt(same);
            let least = graph.f64(Sizing::SMALLER);
            let least = graph.mul(least, same);
            let fits = graph.at_least(whole, least);
            graph.choose(fits, whole, same)
        }
    };
    let side = |graph: &mut Graph, length: Value| {
        let length = graph.cast(length, Element::F64);
        let length = graph.mul(length, factor);
        // The nearest, halves upwards; the fraction is exact.
        let floor = graph.floor(length);
        let fraction = graph.sub(length, floor);
        let (half, one) = (graph.f64(0.5), graph.f64(1.0));
        let up = graph.at_least(fraction, half);
        let up = graph.cast(up, Element::F64);
        let length = graph.add(floor, up);
        let length = graph.larger(length, one);
        graph.cast(length, Element::I64)
    };
    (side(graph, file.0), side(graph, file.1))
}

/// Windows in one direction of images of one size.
struct Line {
    /// Pixels of the image, i64 without dimensions.
    length: Value,
    /// Pixels of a window, and those at its beginning that are surroundings.
    frame: u32,
    margin: u32,
    /// How many of its pixels cover the image.
    covered: u32,
    /// Where windows begin, (windows) i64.
    starts: Value,
    /// What each of the covered pixels counts, (covered) f32.
    weights: Value,
}

impl Line {
    /// As `Windows::starts`.
    fn new(graph: &mut Graph, length: Value, windows: &Windows, direction: usize) -> Self {
        let pick = |(width, height): (u32, u32)| [width, height][direction];
        let (frame, covered) = (pick(windows.frame), pick(windows.covered()));
        let margin = windows.margin[direction];
        let size = graph.i64(covered.into());
        let room = graph.sub(length, size);
        let none = graph.i64(0);
        // An image that is smaller lies in the middle of its one window.
        let small = graph.smaller(room, none);
        let small = graph.cast(small, Element::F64);
        let two = graph.f64(2.0);
        let small = graph.div(small, two);
        let small = graph.floor(small);
        let first = graph.cast(small, Element::I64);
        let least = graph.i64(margin.into());
        let first = graph.sub(first, least);
        // All in units of the grid.
        let grid = i64::from(windows.grid.max(1));
        let step = (f64::from(covered) * (1.0 - windows.overlap) / grid as f64)
            .floor()
            .max(1.0);
        let room = graph.larger(room, none);
        let (rest, grid) = (graph.i64(grid - 1), graph.i64(grid));
        let room = graph.add(room, rest);
        let room = graph.div(room, grid);
        let steps = graph.cast(room, Element::F64);
        let step = graph.f64(step);
        let steps = graph.div(steps, step);
        let steps = graph.ceil(steps);
        let steps = graph.cast(steps, Element::I64);
        let one = graph.i64(1);
        let count = graph.add(steps, one);
        let numbers = graph.range(count);
        let starts = graph.mul(room, numbers);
        let divisor = graph.larger(steps, one);
        let starts = graph.div(starts, divisor);
        let starts = graph.mul(starts, grid);
        let starts = graph.add(starts, first);
        let falling = graph.f32s(&[covered as usize], &Windows::weights(covered, windows.overlap));
        let whole = graph.f32(1.0);
        let alone = graph.at_least(size, length);
        Self {
            length,
            frame,
            margin,
            covered,
            starts,
            weights: graph.choose(alone, whole, falling),
        }
    }

    fn count(&self, graph: &mut Graph) -> Value {
        graph.length(self.starts, 0)
    }

    /// The pixels that a window shows which begins at `start`: beyond the border mirrored, as in [`Windows::cut`].
    fn shown(&self, graph: &mut Graph, start: Value) -> Value {
        let frame = graph.i64(self.frame.into());
        let places = graph.range(frame);
        let places = graph.add(places, start);
        let one = graph.i64(1);
        let last = graph.sub(self.length, one);
        let period = graph.add(last, last);
        let divisor = graph.larger(period, one);
        let [place, by] = [places, divisor].map(|value| graph.cast(value, Element::F64));
        let turns = graph.div(place, by);
        let turns = graph.floor(turns);
        let turns = graph.cast(turns, Element::I64);
        let turned = graph.mul(turns, divisor);
        let place = graph.sub(places, turned);
        let back = graph.sub(period, place);
        graph.smaller(place, back)
    }

    /// For each pixel of the image its place in the window that begins at `start`, i64, and what the window counts there, f32: 0
    /// where it does not cover it. Starts without dimensions give (pixels), those of shape (windows, 1) give (windows, pixels).
    fn placed(&self, graph: &mut Graph, start: Value) -> (Value, Value) {
        let (margin, none) = (graph.i64(self.margin.into()), graph.i64(0));
        let (last, end) = (
            graph.i64(i64::from(self.covered) - 1),
            graph.i64(self.covered.into()),
        );
        let pixels = graph.range(self.length);
        let first = graph.add(start, margin);
        let place = graph.sub(pixels, first);
        let (behind, before) = (graph.at_least(place, none), graph.less(place, end));
        let covers = graph.and(behind, before);
        let place = graph.larger(place, none);
        let place = graph.smaller(place, last);
        let weight = graph.gather(self.weights, place, 0);
        let nothing = graph.f32(0.0);
        let weight = graph.choose(covers, weight, nothing);
        (graph.add(place, margin), weight)
    }

    /// What all windows count together at each pixel, (pixels) f32.
    fn together(&self, graph: &mut Graph) -> Value {
        let starts = graph.unsqueeze(self.starts, &[1]);
        let (_, weights) = self.placed(graph, starts);
        graph.reduce_sum(weights, &[0], false)
    }
}

/// Where in a whole image a part of it lies, as [`Place`](crate::Place), in a graph.
#[derive(Debug, Clone, Copy)]
pub struct GraphPlace {
    /// Column and row in pixels of the whole image where the part begins, i64 without dimensions.
    corner: [Value; 2],
    /// Width and height of the whole image, i64 without dimensions.
    image: [Value; 2],
    /// Width and height of the part in pixels.
    frame: (u32, u32),
}

impl GraphPlace {
    /// As [`Place::at`](crate::Place::at): where in the whole image points of the part lie, both (points, 2) f32 in shares.
    pub(crate) fn at(self, graph: &mut Graph, points: Value) -> Value {
        let mut both = |values: [Value; 2]| {
            let parts = values.map(|value| graph.unsqueeze(value, &[0]));
            let both = graph.concat(&parts, 0);
            graph.cast(both, Element::F32)
        };
        let (corner, image) = (both(self.corner), both(self.image));
        let frame = graph.f32s(&[2], &[self.frame.0 as f32, self.frame.1 as f32]);
        let (corner, size) = (graph.div(corner, image), graph.div(frame, image));
        let points = graph.mul(points, size);
        graph.add(points, corner)
    }
}

/// The windows that [cover](Windows::over) images of one size.
pub(crate) struct Covering {
    rows: Line,
    columns: Line,
    frame: (u32, u32),
}

impl Covering {
    /// Over images of this (height, width), i64 without dimensions.
    pub(crate) fn new(graph: &mut Graph, size: (Value, Value), windows: &Windows) -> Self {
        Self {
            rows: Line::new(graph, size.0, windows, 1),
            columns: Line::new(graph, size.1, windows, 0),
            frame: windows.frame,
        }
    }

    /// [`joined`](crate::joined) as a graph: the maps (N, H, W) of images (N, H, W, 3) from those that `seen` makes of the windows
    /// (N, height, width, 3) and their place, one window after the other.
    pub(crate) fn joined(
        &self,
        graph: &mut Graph,
        images: Value,
        seen: impl FnOnce(&mut Graph, Value, GraphPlace) -> Value,
    ) -> Value {
        let (rows, columns) = (self.rows.count(graph), self.columns.count(graph));
        let count = graph.mul(rows, columns);
        let nothing = graph.f32(0.0);
        let sums = graph.repeat(count, nothing, |graph, number, sums| {
            let row = graph.div(number, columns);
            let before = graph.mul(row, columns);
            let column = graph.sub(number, before);
            let top = graph.gather(self.rows.starts, row, 0);
            let left = graph.gather(self.columns.starts, column, 0);
            let (shown_rows, shown_columns) = (self.rows.shown(graph, top), self.columns.shown(graph, left));
            let window = graph.gather(images, shown_rows, 1);
            let window = graph.gather(window, shown_columns, 2);
            let place = GraphPlace {
                corner: [left, top],
                image: [self.columns.length, self.rows.length],
                frame: self.frame,
            };
            let map = seen(graph, window, place);
            let frame = (graph.i64(self.frame.1.into()), graph.i64(self.frame.0.into()));
            let map = super::resized(graph, map, frame);
            let (y, down) = self.rows.placed(graph, top);
            let (x, across) = self.columns.placed(graph, left);
            let map = graph.gather(map, y, 1);
            let map = graph.gather(map, x, 2);
            let weight = product(graph, down, across);
            let part = graph.mul(map, weight);
            graph.add(sums, part)
        });
        let (down, across) = (self.rows.together(graph), self.columns.together(graph));
        let weight = product(graph, down, across);
        graph.div(sums, weight)
    }
}

/// (rows, columns) of what rows and columns count.
fn product(graph: &mut Graph, down: Value, across: Value) -> Value {
    let down = graph.unsqueeze(down, &[1]);
    graph.mul(across, down)
}
