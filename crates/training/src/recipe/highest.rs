//! The normal images that a detector which does not know them scores highest, with its maps: for a person to look at.

use flawforge_models::AnomalyMap;

/// The most unusual normal images, the highest score first; few, so that their maps may be kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Highest(Vec<One>);

#[derive(Debug, Clone, PartialEq)]
struct One {
    place: usize,
    score: f32,
    map: AnomalyMap,
}

impl Highest {
    /// How many images are kept.
    pub const MOST: usize = 8;

    /// Offers an image by its place among those of the training. What is kept does not depend on the order of the offers.
    pub fn offer(&mut self, place: usize, score: f32, map: &AnomalyMap) {
        let before = |one: &One| {
            one.score
                .total_cmp(&score)
                .reverse()
                .then(one.place.cmp(&place))
                .is_lt()
        };
        let at = self.0.partition_point(before);
        if at < Self::MOST {
            let map = map.clone();
            self.0.insert(at, One { place, score, map });
            self.0.truncate(Self::MOST);
        }
    }

    /// The images: place, score and map.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32, &AnomalyMap)> {
        self.0.iter().map(|one| (one.place, one.score, &one.map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_are_kept_whatever_the_order() {
        let map = AnomalyMap {
            width: 1,
            height: 1,
            scores: vec![0.5],
        };
        let of = |places: &mut dyn Iterator<Item = usize>| {
            let mut highest = Highest::default();
            // Two images of each score.
            places.for_each(|place| highest.offer(place, (place / 2) as f32, &map));
            highest
        };
        let forwards = of(&mut (0..20));
        let kept: Vec<usize> = forwards.iter().map(|(place, ..)| place).collect();
        assert_eq!(kept, [18, 19, 16, 17, 14, 15, 12, 13]);
        assert_eq!(of(&mut (0..20).rev()), forwards);
    }
}
