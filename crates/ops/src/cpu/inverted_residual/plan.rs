//! How a block is cut into tasks, by its shape alone.

use crate::cpu::pack::Panels;
use crate::definitions::inverted_residual::{BlockShape, same_padding};

/// Floats of the filtered map that a task with all panels may keep: half of a second-level cache of half a megabyte.
const KEPT: usize = 64 << 10;
/// Rows of output below which too much of the inner map would be computed twice, once by each of two neighbours.
const ROWS: usize = 8;
/// Tasks that work should be cut into, whatever the number of threads.
const TASKS: usize = 8;
/// Floats of the filtered map that are projected by one task.
const PROJECTED: usize = 32 << 10;

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
    /// Panels of a task.
    group: usize,
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
    pub(super) fn new(n: usize, geometry: Geometry, panels: Panels) -> Self {
        let (ho, wo) = geometry.output();
        let row = wo * panels.padded();
        let all = (KEPT / row).clamp(1, ho);
        // All panels in one task if there are enough tasks of enough rows; otherwise panels are shared out, too.
        let joined = (all >= ROWS || all == ho) && n * ho.div_ceil(all) >= TASKS;
        let (rows, group) = if joined {
            (all, panels.count())
        } else {
            let strips = (TASKS.div_ceil(n * panels.count())).min(ho);
            (
                ho.div_ceil(strips),
                panels.count().div_ceil(TASKS.div_ceil(n)).max(1),
            )
        };
        Self {
            n,
            ho,
            rows,
            strips: ho.div_ceil(rows),
            panels: panels.count(),
            group,
            projected: (PROJECTED / panels.padded()).max(1),
        }
    }

    /// Whether a task has all panels of its rows.
    pub(super) fn joined(&self) -> bool {
        self.group == self.panels
    }

    /// Pixels that are projected by one task of the second pass.
    pub(super) fn projected(&self) -> usize {
        self.projected
    }

    pub(super) fn tasks(&self) -> usize {
        self.n * self.strips * self.panels.div_ceil(self.group)
    }

    pub(super) fn task(&self, task: usize) -> Task {
        let groups = self.panels.div_ceil(self.group);
        let (strip, group) = (task / groups, task % groups);
        let first_row = strip % self.strips * self.rows;
        let first_panel = group * self.group;
        Task {
            image: strip / self.strips,
            first_row,
            rows: self.rows.min(self.ho - first_row),
            first_panel,
            panels: self.group.min(self.panels - first_panel),
        }
    }
}
