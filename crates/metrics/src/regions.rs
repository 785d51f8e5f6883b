//! The regions of an anomaly map above a threshold, as numbers.

use crate::RunLengths;
use crate::components::{join, root};

/// A region: 8-connected pixels whose scores reach a threshold. Places and areas are in pixels of the map.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Region {
    /// Left, upper, width and height of its box.
    #[cfg_attr(feature = "serde", serde(rename = "box"))]
    pub bounds: [u32; 4],
    /// Its pixels.
    pub area: u64,
    /// Its highest score.
    pub peak: f32,
    /// The mean of its scores.
    pub mean: f64,
}

/// The regions of a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Regions {
    /// The regions, that with the highest score first.
    pub found: Vec<Region>,
    /// Their pixels, a run in a row each.
    runs: Vec<Run>,
    width: usize,
    height: usize,
}

/// Neighbours in a row that reach the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    row: usize,
    from: usize,
    end: usize,
    /// Its region's place among those found.
    region: usize,
}

impl Regions {
    /// The regions of at least `min_area` pixels of a row-major map whose scores reach `threshold`. Memory is that of the runs of
    /// such pixels, not of the map.
    pub fn of(scores: &[f32], width: usize, threshold: f32, min_area: u64) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut parents: Vec<u32> = Vec::new();
        let mut above = 0..0;
        for (row, line) in scores.chunks(width.max(1)).enumerate() {
            let begun = runs.len();
            let mut before = above.start;
            let mut x = 0;
            while x < line.len() {
                if !reaches(line[x], threshold) {
                    x += 1;
                    continue;
                }
                let from = x;
                while x < line.len() && reaches(line[x], threshold) {
                    x += 1;
                }
                let own = runs.len() as u32;
                parents.push(own);
                // Runs of the row above that touch this one, also at a corner. One may touch the next run too, so it is kept.
                while before < above.end && runs[before].end < from {
                    before += 1;
                }
                let mut other = before;
                while other < above.end && runs[other].from <= x {
                    join(&mut parents, own, other as u32);
                    other += 1;
                }
                runs.push(Run {
                    row,
                    from,
                    end: x,
                    region: 0,
                });
            }
            above = begun..runs.len();
        }
        Self::gathered(scores, width, min_area, runs, parents)
    }

    fn gathered(scores: &[f32], width: usize, min_area: u64, runs: Vec<Run>, mut parents: Vec<u32>) -> Self {
        let mut sums: Vec<Option<Sum>> = vec![None; runs.len()];
        for (index, run) in runs.iter().enumerate() {
            let top = root(&mut parents, index as u32) as usize;
            let line = &scores[run.row * width + run.from..run.row * width + run.end];
            sums[top].get_or_insert_with(Sum::default).add(run, line);
        }
        let large = sums.iter().enumerate().filter_map(|(top, sum)| {
            let sum = sum.as_ref().filter(|sum| sum.area >= min_area)?;
            Some((top, sum.region()))
        });
        let mut large: Vec<(usize, Region)> = large.collect();
        // The sort is stable: regions of one peak stay in the order of their first pixels.
        large.sort_by(|(_, a), (_, b)| b.peak.total_cmp(&a.peak));
        let mut places = vec![None; sums.len()];
        for (place, &(top, _)) in large.iter().enumerate() {
            places[top] = Some(place);
        }
        let runs = (0..runs.len()).filter_map(|index| {
            let region = places[root(&mut parents, index as u32) as usize]?;
            Some(Run {
                region,
                ..runs[index]
            })
        });
        Self {
            runs: runs.collect(),
            found: large.into_iter().map(|(_, region)| region).collect(),
            width,
            height: scores.len() / width.max(1),
        }
    }

    /// The pixels of each of the first `most` regions.
    pub fn shapes(&self, most: usize) -> Vec<RunLengths> {
        let mut rows: Vec<Vec<&Run>> = vec![Vec::new(); most.min(self.found.len())];
        for run in &self.runs {
            if let Some(rows) = rows.get_mut(run.region) {
                rows.push(run);
            }
        }
        let shape = |(region, rows): (&Region, Vec<&Run>)| {
            let [left, _, columns, _] = region.bounds;
            let rows = rows.into_iter().map(|run| (run.row, run.from, run.end));
            RunLengths::of_rows((left as usize, columns as usize), rows, (self.width, self.height))
        };
        self.found.iter().zip(rows).map(shape).collect()
    }

    /// The pixels of the regions as a mask: 255 in a region, 0 elsewhere; `pixels` is the length of the map.
    pub fn mask(&self, pixels: usize) -> Vec<u8> {
        let mut mask = vec![0; pixels];
        for run in &self.runs {
            if let Some(line) = mask.get_mut(run.row * self.width + run.from..run.row * self.width + run.end)
            {
                line.fill(255);
            }
        }
        mask
    }
}

/// A score that is no number reaches nothing.
fn reaches(score: f32, threshold: f32) -> bool {
    score >= threshold
}

#[derive(Debug, Clone, Default)]
struct Sum {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    area: u64,
    peak: f32,
    total: f64,
}

impl Sum {
    fn add(&mut self, run: &Run, line: &[f32]) {
        if self.area == 0 {
            (self.left, self.top, self.peak) = (run.from, run.row, f32::NEG_INFINITY);
        }
        self.left = self.left.min(run.from);
        self.right = self.right.max(run.end);
        self.bottom = self.bottom.max(run.row + 1);
        self.area += line.len() as u64;
        for &score in line {
            self.peak = self.peak.max(score);
            self.total += f64::from(score);
        }
    }

    fn region(&self) -> Region {
        let length = |from: usize, end: usize| (end - from) as u32;
        Region {
            bounds: [
                self.left as u32,
                self.top as u32,
                length(self.left, self.right),
                length(self.top, self.bottom),
            ],
            area: self.area,
            peak: self.peak,
            mean: self.total / self.area as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::components;

    fn of(rows: &[&str], min_area: u64) -> (Regions, usize) {
        let digit = |byte: u8| match byte {
            b'.' => f32::NAN,
            other => f32::from(other - b'0') / 10.0,
        };
        let scores: Vec<f32> = rows.concat().bytes().map(digit).collect();
        (Regions::of(&scores, rows[0].len(), 0.5, min_area), scores.len())
    }

    #[test]
    fn boxes_areas_peaks_and_means_are_those_of_the_drawing() {
        let (regions, pixels) = of(&["0510", "00.6", "0507", "5000"], 1);
        assert_eq!(regions.found.len(), 3);
        let worst = regions.found[0];
        assert_eq!((worst.bounds, worst.area, worst.peak), ([3, 1, 1, 2], 2, 0.7));
        assert!((worst.mean - 0.65).abs() < 1e-6);
        // A diagonal belongs together; regions of one peak stay in order.
        assert_eq!(
            (regions.found[1].bounds, regions.found[1].area),
            ([1, 0, 1, 1], 1)
        );
        assert_eq!(
            (regions.found[2].bounds, regions.found[2].area),
            ([0, 2, 2, 2], 2)
        );
        assert_eq!(regions.mask(pixels).iter().filter(|&&set| set == 255).count(), 5);
        let (large, pixels) = of(&["0510", "00.6", "0507", "5000"], 2);
        assert_eq!(large.found.len(), 2);
        assert_eq!(large.mask(pixels)[1], 0, "a small region is not in the mask");
    }

    #[test]
    fn arms_join_late_and_rows_do_not_wrap() {
        assert_eq!(of(&["90909", "90909", "99999"], 1).0.found.len(), 1);
        assert_eq!(of(&["009", "090", "909", "909", "999"], 1).0.found.len(), 1);
        assert_eq!(of(&["009", "900", "009"], 1).0.found.len(), 3);
        assert_eq!(
            of(&["...", "000"], 1).0,
            Regions {
                width: 3,
                height: 2,
                ..Regions::default()
            }
        );
        assert_eq!(Regions::of(&[], 0, 0.5, 1).found, []);
    }

    /// Against the components of a mask, on patterns of a small generator.
    #[test]
    fn regions_are_the_components_of_the_mask() {
        let mut state = 7u32;
        for _ in 0..200 {
            let width = 3 + (state >> 28) as usize;
            let scores: Vec<f32> = (0..width * 9)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as f32 / 255.0
                })
                .collect();
            let mask: Vec<u8> = scores.iter().map(|&score| u8::from(score >= 0.6)).collect();
            let regions = Regions::of(&scores, width, 0.6, 1);
            assert_eq!(regions.found.len() as u64, components(&mask, width).count);
            let area: u64 = regions.found.iter().map(|region| region.area).sum();
            assert_eq!(area, mask.iter().map(|&set| u64::from(set)).sum::<u64>());
            assert!(
                regions
                    .mask(mask.len())
                    .iter()
                    .zip(&mask)
                    .all(|(a, b)| (*a == 255) == (*b == 1))
            );
        }
    }
}
