//! Which size stands for all files.

/// The size in the middle of all, by its pixels: the one to [estimate](super::estimate) a training by. 1×1 of none.
pub fn middle(sizes: &[(u32, u32)]) -> (u32, u32) {
    let mut sizes = sizes.to_vec();
    sizes.sort_by_key(|&(width, height)| u64::from(width) * u64::from(height));
    // Without a file that can be read nothing is trained.
    sizes.get(sizes.len() / 2).copied().unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_by_pixels_and_one_of_the_sizes() {
        assert_eq!(middle(&[(9, 9), (100, 1), (2, 2)]), (9, 9));
        assert_eq!(middle(&[]), (1, 1));
    }
}
