//! Poisson blending: a patch that takes on the colours of its surroundings.

mod sine;
mod sine_matrix;

use std::cell::RefCell;

use flawforge_masks::Mask;
use flawforge_resample::multiversioned;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use sine::Solver;

/// Which gradients the blended pixels follow. Text form in serde: `normal`, `mixed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guidance {
    /// The source's.
    #[default]
    Normal,
    /// Per pixel and channel the source's where `|gx - gy|` is greater there than in the destination, else the
    /// destination's: the criterion of OpenCV, not the gradient's norm of Pérez et al.
    Mixed,
}

/// Why a patch cannot be blended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoissonError {
    /// The mask has not the size of the source.
    #[error("the mask has {}x{} pixels, the source {}x{}", mask.0, mask.1, source_size.0, source_size.1)]
    Size {
        /// Width and height of the mask.
        mask: (u32, u32),
        /// Width and height of the source.
        source_size: (u32, u32),
    },
    /// The patch reaches beyond the destination.
    #[error("a patch of {}x{} pixels at ({}, {}) reaches beyond the image of {}x{}",
        size.0, size.1, place.0, place.1, image.0, image.1)]
    Outside {
        /// Width and height of the patch.
        size: (u32, u32),
        /// Column and row of its top-left pixel.
        place: (i64, i64),
        /// Width and height of the destination.
        image: (u32, u32),
    },
}

/// Puts the masked part of `source` into `destination` so that its gradients survive and its colours fit: what
/// OpenCV's `seamlessClone` computes (Pérez et al. 2003), within rounding.
///
/// The outermost ring of the mask counts as clear. The bounding box of what is left is placed with its centre
/// (half sizes rounded down) at `center` (column, row) of the destination; its border keeps the destination's
/// values. Gradients are taken from the source where the mask, shrunk by three pixels, is set; source pixels
/// outside the mask are zero. Results are cut off to [0, 255] and truncated to levels. A mask that is empty, or
/// less than three pixels wide or high, changes nothing.
///
/// # Errors
/// [`PoissonError`] when mask and source differ in size or the bounding box does not fit into the destination.
pub fn seamless_clone(
    source: &RgbImage,
    destination: &RgbImage,
    mask: &Mask,
    center: (u32, u32),
    guidance: Guidance,
) -> Result<RgbImage, PoissonError> {
    let sizes = ((mask.width(), mask.height()), source.dimensions());
    if sizes.0 != sizes.1 {
        return Err(PoissonError::Size {
            mask: sizes.0,
            source_size: sizes.1,
        });
    }
    let mut result = destination.clone();
    if let Some(area) = bounding_box(mask) {
        let left = i64::from(center.0) - i64::from(area.width / 2);
        let top = i64::from(center.1) - i64::from(area.height / 2);
        let fits =
            |start: i64, length: u32, limit: u32| start >= 0 && start + i64::from(length) <= i64::from(limit);
        if !fits(left, area.width, result.width()) || !fits(top, area.height, result.height()) {
            return Err(PoissonError::Outside {
                size: (area.width, area.height),
                place: (left, top),
                image: destination.dimensions(),
            });
        }
        blend(
            source,
            mask,
            area,
            &mut result,
            (left as u32, top as u32),
            guidance,
        );
    }
    Ok(result)
}

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The bounding box of the set pixels that are not in the outermost ring.
fn bounding_box(mask: &Mask) -> Option<Area> {
    let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
    for y in 1..mask.height().saturating_sub(1) {
        for x in 1..mask.width().saturating_sub(1) {
            if mask.get(x, y) {
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
        }
    }
    (left <= right && top <= bottom).then(|| Area {
        x: left,
        y: top,
        width: right - left + 1,
        height: bottom - top + 1,
    })
}

/// How far the mask is shrunk: three times a 3x3 square.
const SHRINK: usize = 3;

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new(Workspace::new());
}

/// Memory that is kept between blends.
struct Workspace {
    solver: Solver,
    /// Per value 1 where gradients come from the patch, else 0.
    inner: Vec<i16>,
    run: Vec<usize>,
    patch: Vec<i16>,
    ground: Vec<i16>,
    across: Vec<i16>,
    down: Vec<i16>,
    planes: Vec<f32>,
}

/// Blends `area` of the source into the destination, its top-left pixel at `place`. Both lie inside.
pub(crate) fn blend(
    source: &RgbImage,
    mask: &Mask,
    area: Area,
    destination: &mut RgbImage,
    place: (u32, u32),
    guidance: Guidance,
) {
    if area.width >= 3 && area.height >= 3 {
        WORKSPACE.with_borrow_mut(|workspace| {
            workspace.blend(source, mask, area, destination, place, guidance);
        });
    }
}

impl Workspace {
    fn new() -> Self {
        Self {
            solver: Solver::new(),
            inner: Vec::new(),
            run: Vec::new(),
            patch: Vec::new(),
            ground: Vec::new(),
            across: Vec::new(),
            down: Vec::new(),
            planes: Vec::new(),
        }
    }

    fn blend(
        &mut self,
        source: &RgbImage,
        mask: &Mask,
        area: Area,
        destination: &mut RgbImage,
        place: (u32, u32),
        guidance: Guidance,
    ) {
        let (w, h) = (area.width as usize, area.height as usize);
        let start = |image: &RgbImage, x: u32, y: usize| (y * image.width() as usize + x as usize) * 3;
        self.shrink(mask, area);
        self.patch.clear();
        self.ground.clear();
        for y in 0..h {
            let row = &source.as_raw()[start(source, area.x, area.y as usize + y)..][..3 * w];
            let set = &mask.pixels()[(area.y as usize + y) * mask.width() as usize + area.x as usize..][..w];
            for (pixel, &set) in row.chunks_exact(3).zip(set) {
                let set = i16::from(set);
                self.patch.extend([0, 1, 2].map(|c| set * i16::from(pixel[c])));
            }
            let row = &destination.as_raw()[start(destination, place.0, place.1 as usize + y)..][..3 * w];
            self.ground.extend(row.iter().map(|&v| i16::from(v)));
        }
        self.right_hand_sides(w, h, guidance);
        let (columns, rows) = (w - 2, h - 2);
        self.solver.solve(&mut self.planes, columns, rows);
        let (red, rest) = self.planes.split_at(columns * rows);
        let (green, blue) = rest.split_at(columns * rows);
        for y in 0..rows {
            let at = start(destination, place.0 + 1, place.1 as usize + y + 1);
            let bytes: &mut [u8] = destination;
            let out = &mut bytes[at..at + 3 * columns];
            let row = y * columns..(y + 1) * columns;
            let planes = red[row.clone()].iter().zip(&green[row.clone()]).zip(&blue[row]);
            for (out, ((&r, &g), &b)) in out.chunks_exact_mut(3).zip(planes) {
                // A cast from float to integer saturates and truncates.
                out.copy_from_slice(&[r as u8, g as u8, b as u8]);
            }
        }
    }

    /// Divergence of the guiding field less what the border contributes, one plane per channel, for the pixels
    /// inside the border.
    fn right_hand_sides(&mut self, w: usize, h: usize, guidance: Guidance) {
        let stride = 3 * w;
        let (columns, rows) = (w - 2, h - 2);
        self.planes.clear();
        self.planes.resize(3 * columns * rows, 0.0);
        // Forward differences of a row to the right, and downwards; the latter for the row before as well.
        self.across.clear();
        self.across.resize(stride, 0);
        self.down.clear();
        self.down.resize(2 * stride, 0);
        for y in 0..h - 1 {
            self.down.copy_within(stride.., 0);
            let span = y * stride..(y + 2) * stride;
            guide(
                &mut self.across,
                &mut self.down[stride..],
                &self.patch[span.clone()],
                &self.ground[span],
                &self.inner[y * stride..(y + 1) * stride],
                guidance == Guidance::Mixed,
            );
            if y == 0 {
                continue;
            }
            let (above, here) = self.down.split_at(stride);
            for c in 0..3 {
                let plane = &mut self.planes[(c * rows + y - 1) * columns..][..columns];
                for (x, value) in plane.iter_mut().enumerate() {
                    let k = 3 * (x + 1) + c;
                    let divergence = self.across[k] - self.across[k - 3] + here[k] - above[k];
                    *value = f32::from(divergence);
                }
            }
        }
        for c in 0..3 {
            let plane = &mut self.planes[c * columns * rows..][..columns * rows];
            let border = |x: usize, y: usize| f32::from(self.ground[y * stride + 3 * x + c]);
            for x in 0..columns {
                plane[x] -= border(x + 1, 0);
                plane[(rows - 1) * columns + x] -= border(x + 1, h - 1);
            }
            for y in 0..rows {
                plane[y * columns] -= border(0, y + 1);
                plane[(y + 1) * columns - 1] -= border(w - 1, y + 1);
            }
        }
    }

    /// The pixels of the area whose 7x7 neighbourhood is set; outside of the area nothing is.
    fn shrink(&mut self, mask: &Mask, area: Area) {
        let (w, h) = (area.width as usize, area.height as usize);
        self.inner.clear();
        self.inner.resize(3 * w * h, 0);
        // Per column the number of set pixels that end at the row; per row the number of columns in which
        // that is enough.
        let run = &mut self.run;
        run.clear();
        run.resize(w, 0);
        for y in 0..h {
            let row = (area.y as usize + y) * mask.width() as usize + area.x as usize;
            let set = &mask.pixels()[row..row + w];
            let mut fits = 0;
            for x in 0..w {
                run[x] = if set[x] != 0 { run[x] + 1 } else { 0 };
                fits = if run[x] > 2 * SHRINK { fits + 1 } else { 0 };
                if fits > 2 * SHRINK {
                    let at = 3 * ((y - SHRINK) * w + x - SHRINK);
                    self.inner[at..at + 3].fill(1);
                }
            }
        }
    }
}

multiversioned! {
    /// The guiding field of a row: forward differences of the patch where `inner` is 1 (and, when mixed, where they
    /// say more than the ground's), else of the ground. Patch and ground are two rows, of which the first is meant.
    /// The last pixel of the row has no neighbour, and keeps what it has.
    fn guide(across: &mut [i16], down: &mut [i16], patch: &[i16], ground: &[i16], inner: &[i16], mixed: bool) {
        let stride = inner.len();
        let length = stride.saturating_sub(3);
        let (across, down, inner) = (&mut across[..length], &mut down[..length], &inner[..length]);
        let (patch_right, patch_below) = (&patch[3..][..length], &patch[stride..][..length]);
        let (ground_right, ground_below) = (&ground[3..][..length], &ground[stride..][..length]);
        let (patch, ground) = (&patch[..length], &ground[..length]);
        for k in 0..length {
            let (tx, ty) = (ground_right[k] - ground[k], ground_below[k] - ground[k]);
            let (sx, sy) = (patch_right[k] - patch[k], patch_below[k] - patch[k]);
            let take = (inner[k] != 0) & (!mixed | ((sx - sy).abs() > (tx - ty).abs()));
            across[k] = if take { sx } else { tx };
            down[k] = if take { sy } else { ty };
        }
    }
}

#[cfg(test)]
mod tests;
