//! Connected regions of a mask, and which of them are left at another size.

use flawforge_masks::Mask;

/// The connected regions of a mask, pixels that touch at a corner included.
pub(crate) struct Regions {
    /// By pixel: 0 outside, otherwise the number of its region, from 1.
    labels: Vec<u32>,
    width: u32,
    height: u32,
    pub(crate) count: usize,
}

impl Regions {
    /// The regions of a mask.
    pub(crate) fn of(mask: &Mask) -> Self {
        let (width, height) = (mask.width(), mask.height());
        let mut labels = vec![0; mask.pixels().len()];
        let mut count = 0;
        let mut open = Vec::new();
        for start in 0..labels.len() {
            if mask.pixels()[start] == 0 || labels[start] != 0 {
                continue;
            }
            count += 1;
            labels[start] = count;
            open.push(start);
            while let Some(place) = open.pop() {
                let (x, y) = ((place % width as usize) as u32, (place / width as usize) as u32);
                for y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let next = y as usize * width as usize + x as usize;
                        if mask.pixels()[next] != 0 && labels[next] == 0 {
                            labels[next] = count;
                            open.push(next);
                        }
                    }
                }
            }
        }
        Self {
            labels,
            width,
            height,
            count: count as usize,
        }
    }

    /// How many of the regions have a pixel in `small`, the same mask at another size.
    pub(crate) fn left_in(&self, small: &Mask) -> usize {
        let mut left = vec![false; self.count + 1];
        // The two pixels of the file that bilinear resizing looks at.
        let taps = |at: u32, target: u32, source: u32| {
            let position = (f64::from(at) + 0.5) * f64::from(source) / f64::from(target) - 0.5;
            let first = position.floor().max(0.0) as u32;
            first.min(source - 1)..=(first + 1).min(source - 1)
        };
        for y in 0..small.height() {
            for x in 0..small.width() {
                if !small.get(x, y) {
                    continue;
                }
                for row in taps(y, small.height(), self.height) {
                    for column in taps(x, small.width(), self.width) {
                        let place = row as usize * self.width as usize + column as usize;
                        left[self.labels[place] as usize] = true;
                    }
                }
            }
        }
        left.iter().skip(1).filter(|&&left| left).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_counted_and_those_that_vanish_too() {
        let mask = Mask::from_fn(64, 48, |x, y| {
            let block = (4..20).contains(&x) && (4..20).contains(&y);
            let corner = x == 20 && y == 20;
            block || corner || (x == 41 && (8..40).contains(&y))
        });
        let regions = Regions::of(&mask);
        assert_eq!(regions.count, 2, "the corner belongs to the block");
        assert_eq!(regions.left_in(&mask), 2);
        let small = Mask::from_fn(16, 12, |x, y| (2..4).contains(&x) && (2..4).contains(&y));
        assert_eq!(regions.left_in(&small), 1);
        assert_eq!(regions.left_in(&Mask::empty(16, 12)), 0);
        assert_eq!(Regions::of(&Mask::empty(5, 5)).count, 0);
    }
}
