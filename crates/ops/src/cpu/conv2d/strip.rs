//! Which pixels a task computes, and the zero-bordered rows that it reads.

/// Pixels that one task computes: enough to reuse a packed panel, few enough for its input to stay in cache.
const TASK_PIXELS: usize = 256;
/// Tasks that work should be cut into, whatever the number of threads.
const TASKS: usize = 16;

/// A division of the rows of all images, and of the panels of output channels, into tasks.
#[derive(Clone, Copy)]
pub(super) struct Tasks {
    n: usize,
    rows: usize,
    panels: usize,
    /// Rows of one image in a task; if all, `images` of them are joined.
    block: usize,
    images: usize,
    /// Panels in a task.
    group: usize,
}

/// Some rows of some images, and some panels.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) first_image: usize,
    pub(super) images: usize,
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) first_panel: usize,
    pub(super) panels: usize,
}

impl Tasks {
    /// `n` images of `rows` rows of `width` pixels, `panels` panels.
    pub(super) fn new(n: usize, rows: usize, width: usize, panels: usize) -> Self {
        let block = (TASK_PIXELS / width).clamp(1, rows);
        let images = if block == rows {
            (TASK_PIXELS / (rows * width)).clamp(1, n)
        } else {
            1
        };
        let strips = n.div_ceil(images) * rows.div_ceil(block);
        // Few pixels: the panels are shared out as well, and each task reads the rows once more.
        let group = panels.div_ceil(TASKS.div_ceil(strips).min(panels));
        Self {
            n,
            rows,
            panels,
            block,
            images,
            group,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.strips() * self.panels.div_ceil(self.group)
    }

    fn strips(&self) -> usize {
        self.n.div_ceil(self.images) * self.rows.div_ceil(self.block)
    }

    pub(super) fn get(&self, task: usize) -> Task {
        let (group, strip) = (task / self.strips(), task % self.strips());
        let blocks = self.rows.div_ceil(self.block);
        let (first_image, first_row) = (strip / blocks * self.images, strip % blocks * self.block);
        let first_panel = group * self.group;
        Task {
            first_image,
            images: self.images.min(self.n - first_image),
            first_row,
            rows: self.block.min(self.rows - first_row),
            first_panel,
            panels: self.group.min(self.panels - first_panel),
        }
    }
}

/// Rows between zeros: `width` pixels of which the image's begin at `left`, each of `channels` numbers.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Border {
    pub(in crate::cpu) left: usize,
    pub(in crate::cpu) width: usize,
    pub(in crate::cpu) channels: usize,
}

impl Border {
    /// Numbers in a row.
    pub(in crate::cpu) fn stride(&self) -> usize {
        self.width * self.channels
    }

    /// Copies rows from `first` on of an image `h` by `w` into `padded`; rows and columns outside of it are zero.
    pub(in crate::cpu) fn copy(
        &self,
        image: &[f32],
        (h, w): (usize, usize),
        first: isize,
        padded: &mut [f32],
    ) {
        let c = self.channels;
        // The last columns of the image may lie beyond what any place of the kernel reads.
        let (begin, end) = (self.left * c, (self.left + w).min(self.width) * c);
        for (row, to) in padded.chunks_exact_mut(self.stride()).enumerate() {
            let row = first + row as isize;
            if row < 0 || row >= h as isize {
                to.fill(0.0);
            } else {
                to[..begin].fill(0.0);
                to[begin..end].copy_from_slice(&image[row as usize * w * c..][..end - begin]);
                to[end..].fill(0.0);
            }
        }
    }
}
