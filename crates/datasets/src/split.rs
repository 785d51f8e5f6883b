//! The two halves of the normal images in split training.

/// Splits `0..n` by the parity of the 1-based index (Lin & Yan, split training): the first half, X = 0, 2, 4, …, trains the
/// reconstructive network; the second, Y = 1, 3, 5, …, the discriminative one. Neighbouring files are near-duplicates, so
/// parity makes the halves alike. X has `ceil(n / 2)` indices, Y `floor(n / 2)`.
///
/// ```
/// assert_eq!(flawforge_datasets::parity_split(5), (vec![0, 2, 4], vec![1, 3]));
/// ```
pub fn parity_split(n: usize) -> (Vec<usize>, Vec<usize>) {
    ((0..n).step_by(2).collect(), (1..n).step_by(2).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_mvtec_categories() {
        for (n, x, y) in [
            (209, 105, 104),
            (219, 110, 109),
            (280, 140, 140),
            (60, 30, 30),
            (1, 1, 0),
            (0, 0, 0),
        ] {
            let (first, second) = parity_split(n);
            assert_eq!((first.len(), second.len()), (x, y));
            assert!(first.iter().all(|i| i % 2 == 0) && second.iter().all(|i| i % 2 == 1));
        }
    }
}
