//! Connected components of a ground-truth mask.

use crate::truth::Truth;

/// The 8-connected components of a mask (docs/method.md, section 13.3: diagonal neighbours belong together).
pub(crate) struct Components {
    /// For every pixel the size of its component in pixels, 0 on the background.
    pub(crate) sizes: Vec<u32>,
    /// How many components there are.
    pub(crate) count: u64,
}

/// Finds the components of a row-major mask.
///
/// Two passes with union-find: the first gives every set pixel a provisional label and joins labels that
/// touch, the second counts the pixels of every joined label.
pub(crate) fn components<T: Truth>(mask: &[T], width: usize) -> Components {
    let mut labels = vec![0u32; mask.len()];
    let mut parents = vec![0u32]; // label 0 is the background
    for index in 0..mask.len() {
        if !mask[index].is_anomalous() {
            continue;
        }
        let x = index % width;
        let above = index >= width;
        // Of the eight neighbours, the four that come before this pixel in row-major order.
        let neighbors = [
            (x > 0, 1),
            (above && x > 0, width + 1),
            (above, width),
            (above && x + 1 < width, width.wrapping_sub(1)),
        ];
        let mut label = 0;
        for (inside, back) in neighbors {
            let other = if inside { labels[index - back] } else { 0 };
            if other != 0 {
                label = if label == 0 {
                    root(&mut parents, other)
                } else {
                    join(&mut parents, label, other)
                };
            }
        }
        if label == 0 {
            label = parents.len() as u32;
            parents.push(label);
        }
        labels[index] = label;
    }

    let mut size_of = vec![0u32; parents.len()];
    for label in labels.iter_mut().filter(|label| **label != 0) {
        *label = root(&mut parents, *label);
        size_of[*label as usize] += 1;
    }
    let count = size_of.iter().filter(|size| **size > 0).count() as u64;
    for label in &mut labels {
        *label = size_of[*label as usize];
    }
    Components { sizes: labels, count }
}

pub(crate) fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        let grandparent = parents[parents[label as usize] as usize];
        parents[label as usize] = grandparent;
        label = grandparent;
    }
    label
}

pub(crate) fn join(parents: &mut [u32], a: u32, b: u32) -> u32 {
    let (a, b) = (root(parents, a), root(parents, b));
    let (low, high) = (a.min(b), a.max(b));
    parents[high as usize] = low;
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> Components {
        let mask: Vec<u8> = rows.concat().bytes().map(|byte| u8::from(byte == b'#')).collect();
        components(&mask, rows[0].len())
    }

    #[test]
    fn diagonal_neighbours_are_one_component() {
        let found = of(&["#..#", ".#..", "...#", "..#."]);
        assert_eq!(found.count, 3);
        assert_eq!(found.sizes, [2, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0]);
    }

    #[test]
    fn arms_that_meet_late_are_joined() {
        let found = of(&["#.#.#", "#.#.#", "#####"]);
        assert_eq!(found.count, 1);
        assert_eq!(found.sizes[0], 11);
        let found = of(&["..#", ".#.", "#.#", "#.#", "###"]);
        assert_eq!(found.count, 1);
    }

    #[test]
    fn rows_do_not_wrap_around() {
        assert_eq!(of(&["..#", "#..", "..#"]).count, 3);
        assert_eq!(of(&["#", "#", ".", "#"]).count, 2);
    }

    #[test]
    fn an_empty_mask_has_none() {
        assert_eq!(of(&["...", "..."]).count, 0);
        assert_eq!(components::<u8>(&[], 0).count, 0);
    }
}
