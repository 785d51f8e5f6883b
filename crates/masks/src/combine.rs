//! Mask generators made of mask generators.

use std::sync::Arc;

use rand::{Rng, RngCore};

use crate::{Mask, MaskGenerator, Perlin};

impl<G: MaskGenerator + ?Sized> MaskGenerator for Arc<G> {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        (**self).generate_into(width, height, mask, rng);
    }
}

/// The pixels that either of two generators sets; the first one draws first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Union<A, B>(pub A, pub B);

impl<A: MaskGenerator, B: MaskGenerator> MaskGenerator for Union<A, B> {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let (first, second) = (
            self.0.generate(width, height, rng),
            self.1.generate(width, height, rng),
        );
        *mask = Mask::from_fn(width, height, |x, y| first.get(x, y) || second.get(x, y));
    }
}

/// The pixels that both of two generators set; the first one draws first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intersection<A, B>(pub A, pub B);

impl<A: MaskGenerator, B: MaskGenerator> MaskGenerator for Intersection<A, B> {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let (first, second) = (
            self.0.generate(width, height, rng),
            self.1.generate(width, height, rng),
        );
        *mask = Mask::from_fn(width, height, |x, y| first.get(x, y) && second.get(x, y));
    }
}

/// One of several generators, drawn by weight. Weights that are not greater than 0 are never drawn; without any
/// other the mask is empty.
#[derive(Clone)]
pub struct OneOfMasks(pub Vec<(Arc<dyn MaskGenerator>, f64)>);

impl MaskGenerator for OneOfMasks {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let choices = || self.0.iter().filter(|choice| choice.1 > 0.0);
        let mut at = rng.random::<f64>() * choices().map(|choice| choice.1).sum::<f64>();
        let drawn = choices().find(|choice| {
            at -= choice.1;
            at < 0.0
        });
        // Rounding may leave a remainder for the last one.
        match drawn.or(choices().next_back()) {
            Some((generator, _)) => generator.generate_into(width, height, mask, rng),
            None => mask.reset(width, height),
        }
    }
}

/// The pixels of a generator that lie in a region, such as the object in front of its background. A region of
/// another size than the mask's is stretched (nearest pixel).
#[derive(Debug, Clone, PartialEq)]
pub struct Restricted<G> {
    /// What draws the masks.
    pub generator: G,
    /// What remains of them.
    pub region: Mask,
}

impl<G: MaskGenerator> MaskGenerator for Restricted<G> {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let drawn = self.generator.generate(width, height, rng);
        let place = |at: u32, from: u32, to: u32| (u64::from(at) * u64::from(to) / u64::from(from)) as u32;
        *mask = Mask::from_fn(width, height, |x, y| {
            drawn.get(x, y)
                && self.region.get(
                    place(x, width, self.region.width()),
                    place(y, height, self.region.height()),
                )
        });
    }
}

/// A generator that draws again while its masks are empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryEmpty<G> {
    /// What draws the masks.
    pub generator: G,
    /// How often it draws at most; the last mask may be empty.
    pub tries: u32,
}

impl<G: MaskGenerator> MaskGenerator for RetryEmpty<G> {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let drawn = (0..self.tries).any(|_| {
            self.generator.generate_into(width, height, mask, rng);
            !mask.is_empty()
        });
        if !drawn {
            mask.reset(width, height);
        }
    }
}

/// The masks of GLASS (Chen et al. 2024): with equal chances the union of two Perlin masks, their intersection,
/// or one alone; drawn again while empty, up to 100 times (proposal: the source tries for ever).
pub fn glass(perlin: Perlin) -> impl MaskGenerator + Clone {
    let choices: [Arc<dyn MaskGenerator>; 3] = [
        Arc::new(Union(perlin, perlin)),
        Arc::new(Intersection(perlin, perlin)),
        Arc::new(perlin),
    ];
    RetryEmpty {
        generator: OneOfMasks(choices.map(|choice| (choice, 1.0)).to_vec()),
        tries: 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn left(width: u32, height: u32, _: &mut dyn RngCore) -> Mask {
        Mask::from_fn(width, height, |x, _| 2 * x < width)
    }

    fn top(width: u32, height: u32, _: &mut dyn RngCore) -> Mask {
        Mask::from_fn(width, height, |_, y| 2 * y < height)
    }

    #[test]
    fn sets_and_regions() {
        let mut rng = Stream::default().rng("");
        let mut count = |generator: &dyn MaskGenerator| generator.generate(8, 6, &mut rng).count();
        assert_eq!(count(&Union(left, top)), 36);
        assert_eq!(count(&Intersection(left, top)), 12);
        let region = Mask::from_fn(4, 2, |x, y| x > 0 && y > 0);
        assert_eq!(
            count(&Restricted {
                generator: left,
                region: region.clone()
            }),
            6
        );
        assert_eq!(
            count(&Restricted {
                generator: left,
                region: Mask::empty(0, 0)
            }),
            0
        );
        let nested: Arc<dyn MaskGenerator> = Arc::new(Union(Intersection(left, top), top));
        assert_eq!(count(&nested), 24);
    }

    #[test]
    fn choices_follow_their_weights() {
        let generator = OneOfMasks(vec![
            (Arc::new(left), 3.0),
            (Arc::new(Mask::empty_of), 0.0),
            (Arc::new(Intersection(left, top)), 1.0),
        ]);
        let mut rng = Stream::default().rng("");
        let counts: Vec<usize> = (0..1000)
            .map(|_| generator.generate(8, 6, &mut rng).count())
            .collect();
        let halves = counts.iter().filter(|&&count| count == 24).count();
        assert!((700..800).contains(&halves), "{halves}");
        assert_eq!(counts.iter().filter(|&&count| count == 12).count(), 1000 - halves);
        assert!(OneOfMasks(vec![]).generate(8, 6, &mut rng).is_empty());
    }

    #[test]
    fn masks_of_glass_are_not_empty() {
        let (mut coverage, draws) = (0.0, 200);
        for index in 0..draws {
            let mut rng = Stream {
                seed: 2,
                step: 0,
                index,
            }
            .rng("");
            let mask = glass(Perlin::default()).generate(96, 64, &mut rng);
            assert!(!mask.is_empty());
            coverage += mask.coverage() / draws as f64;
        }
        // A third each of about 10, 1 and 5 percent.
        assert!((0.035..0.075).contains(&coverage), "{coverage}");
        let never = RetryEmpty {
            generator: Mask::empty_of,
            tries: 5,
        };
        assert!(never.generate(3, 3, &mut Stream::default().rng("")).is_empty());
    }

    impl Mask {
        fn empty_of(width: u32, height: u32, _: &mut dyn RngCore) -> Mask {
            Mask::empty(width, height)
        }
    }
}
