//! How a block is cut into tasks, by its shape and the number of threads.
//!
//! Rows of the inner map at the border of two tasks are computed by both; fewer tasks compute less, but may leave threads
//! without work at the end. So the number of strips is the one for which the thread with the most work has the least.

use crate::cpu::pack::Panels;
use crate::definitions::inverted_residual::{BlockShape, same_padding};

/// Floats of the filtered map that a task with all panels may keep, unless it has one row: half of a second-level cache of half a
/// megabyte.
const KEPT: usize = 64 << 10;
/// Floats of the filtered map that are projected by one task, at most.
const PROJECTED: usize = 32 << 10;
/// Products in the time that a task takes by itself, about a microsecond.
const TASK: usize = 50_000;
/// Products in the time that a second pass takes by itself: all threads wait for the last of the first.
const PASS: usize = 300_000;

/// Sizes of the maps of a block, and the zeros above and to the left of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) h: usize,
    pub(super) w: usize,
    /// Size of the inner map before the filters.
    pub(super) he: usize,
    pub(super) we: usize,
    ho: usize,
    wo: usize,
    pub(super) expand_top: usize,
    pub(super) expand_left: usize,
    pub(super) top: usize,
    pub(super) left: usize,
}

impl Geometry {
    pub(super) fn new(shape: BlockShape, (h, w): (usize, usize)) -> Self {
        let expand = |length| same_padding(length, shape.expand_side, shape.expand_stride);
        let filter = |length| same_padding(length, shape.side, shape.stride);
        let ((he, expand_top), (we, expand_left)) = (expand(h), expand(w));
        let ((ho, top), (wo, left)) = (filter(he), filter(we));
        Self {
            h,
            w,
            he,
            we,
            ho,
            wo,
            expand_top,
            expand_left,
            top,
            left,
        }
    }

    /// Height and width of the output.
    pub(super) fn output(&self) -> (usize, usize) {
        (self.ho, self.wo)
    }
}

/// A division of the rows of all images, and of the panels of inner channels, into tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    n: usize,
    ho: usize,
    /// Rows of a task, and tasks for an image's rows.
    rows: usize,
    strips: usize,
    panels: usize,
    /// Whether a task has all panels of its rows, or one.
    joined: bool,
    /// Pixels that are projected by one task of the second pass.
    projected: usize,
}

/// Some rows of an image, and some panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) image: usize,
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) first_panel: usize,
    pub(super) panels: usize,
}

impl Plan {
    /// For `n` images and `threads` threads.
    pub(super) fn new(
        n: usize,
        shape: BlockShape,
        geometry: Geometry,
        panels: Panels,
        threads: usize,
    ) -> Self {
        let (ho, wo) = geometry.output();
        let (padded, count) = (panels.padded(), panels.count());
        let taps = shape.expand_side * shape.expand_side * shape.ci;
        // Products of some rows before the projection, for all panels.
        let filtered = |rows: usize| {
            let expanded = geometry.he.min((rows - 1) * shape.stride + shape.side);
            padded * (expanded * geometry.we * taps + rows * wo * shape.side * shape.side)
        };
        let projected = |pixels: usize| pixels * padded * shape.co;
        // Tasks that the thread with the most has.
        let rounds = |tasks: usize| tasks.div_ceil(threads.max(1));
        let pixels = n * ho * wo;
        let fewest = pixels.div_ceil((PROJECTED / padded).max(1));
        let block = pixels.div_ceil((rounds(fewest) * threads).max(1)).max(1);
        let second_pass = PASS + rounds(pixels.div_ceil(block)) * projected(block);
        let cuts = (1..=ho).flat_map(|strips| {
            let rows = ho.div_ceil(strips);
            let tasks = n * ho.div_ceil(rows);
            let joined = (rows * wo * padded <= KEPT || rows == 1)
                .then(|| rounds(tasks) * (TASK + filtered(rows) + projected(rows * wo)));
            let apart = rounds(tasks * count) * (TASK + filtered(rows) / count) + second_pass;
            [joined.map(|cost| (cost, true, rows)), Some((apart, false, rows))]
        });
        let least = cuts.flatten().min_by_key(|&(cost, _, _)| cost);
        let (_, joined, rows) = least.unwrap_or((0, true, 1));
        Self {
            n,
            ho,
            rows,
            strips: ho.div_ceil(rows),
            panels: count,
            joined,
            projected: block,
        }
    }

    /// Whether a task has all panels of its rows.
    pub(super) fn joined(&self) -> bool {
        self.joined
    }

    /// Pixels that are projected by one task of the second pass.
    pub(super) fn projected(&self) -> usize {
        self.projected
    }

    pub(super) fn tasks(&self) -> usize {
        self.n * self.strips * if self.joined { 1 } else { self.panels }
    }

    pub(super) fn task(&self, task: usize) -> Task {
        let (strip, first_panel, panels) = if self.joined {
            (task, 0, self.panels)
        } else {
            (task / self.panels, task % self.panels, 1)
        };
        let first_row = strip % self.strips * self.rows;
        Task {
            image: strip / self.strips,
            first_row,
            rows: self.rows.min(self.ho - first_row),
            first_panel,
            panels,
        }
    }
}
