//! How much of each place of a map a mask marks.

use flawforge_masks::Mask;

/// The share of marked pixels at each place of a grid of `width`×`height`.
pub(super) fn shares(mask: &Mask, width: usize, height: usize) -> Vec<f32> {
    let range = |place: usize, places: usize, pixels: usize| {
        let from = place * pixels / places;
        from..((place + 1) * pixels).div_ceil(places).max(from + 1).min(pixels)
    };
    let mut shares = Vec::with_capacity(width * height);
    for y in 0..height {
        let rows = range(y, height, mask.height() as usize);
        for x in 0..width {
            let columns = range(x, width, mask.width() as usize);
            let marked = rows
                .clone()
                .flat_map(|row| columns.clone().map(move |column| (column, row)))
                .filter(|&(column, row)| mask.get(column as u32, row as u32))
                .count();
            shares.push(marked as f32 / (rows.len() * columns.len()).max(1) as f32);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_pixels_of_a_place() {
        let mask = Mask::from_fn(6, 4, |x, y| x < 3 && y < 2);
        assert_eq!(shares(&mask, 3, 2), [1.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
        // Finer than the mask, every place has its pixel.
        assert_eq!(shares(&Mask::from_fn(1, 1, |_, _| true), 2, 2), [1.0; 4]);
    }
}
