//! What is sought in products: values `square - 2 dot`, squared distances but for the query's own square.

use crate::cpu::Isa;
use crate::cpu::lanes::{Kernel, Lanes, with_lanes};

/// Vectors whose least value is known together.
pub(super) const GROUP: usize = 128;

/// A query's products with some of a bank's vectors, and the squares of these: as many, whole registers.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) isa: Isa,
    pub(super) dots: &'a [f32],
    pub(super) squares: &'a [f32],
}

impl<'a> Values<'a> {
    /// The first `GROUP`, the next, ...; the last may be fewer.
    fn groups(self) -> impl Iterator<Item = Values<'a>> {
        let groups = self.dots.chunks(GROUP).zip(self.squares.chunks(GROUP));
        groups.map(move |(dots, squares)| Values {
            dots,
            squares,
            ..self
        })
    }

    /// The value at a place.
    pub(super) fn value(&self, place: usize) -> f32 {
        self.squares[place] - 2.0 * self.dots[place]
    }

    /// Finds the least value of each group, and returns that of all; infinite if there is none.
    ///
    /// # Panics
    /// When there are fewer places for what is found than groups, or no whole registers.
    pub(super) fn leasts(self, found: &mut [f32]) -> f32 {
        assert_eq!(self.dots.len(), self.squares.len(), "products and squares");
        assert!(found.len() >= self.dots.len().div_ceil(GROUP), "groups");
        with_lanes!(self.isa, V => {
            assert!(self.dots.len().is_multiple_of(2 * V::LANES), "whole registers");
            // SAFETY: as asserted; `with_lanes` checks the processor.
            unsafe { V::enter(Leasts(self, found)) }
        })
    }

    /// Appends the places where the value is not above a limit, and the values, in order; `leasts` are those of the groups.
    pub(super) fn up_to(self, limit: f32, leasts: &[f32], found: &mut Vec<(usize, f32)>) {
        for (group, (&least, values)) in leasts.iter().zip(self.groups()).enumerate() {
            if least > limit {
                continue;
            }
            let mut marks = with_lanes!(self.isa, V => {
                // SAFETY: `leasts` found whole registers; `with_lanes` checks the processor.
                unsafe { V::enter(UpTo(values, limit)) }
            });
            while marks != 0 {
                let place = marks.trailing_zeros() as usize;
                found.push((group * GROUP + place, values.value(place)));
                marks &= marks - 1;
            }
        }
    }

    /// A register of values from a place on.
    #[inline(always)]
    unsafe fn load<V: Lanes>(&self, place: usize) -> V {
        // SAFETY: the caller's promise: a register's numbers are there.
        unsafe {
            let (dots, squares) = (self.dots.as_ptr().add(place), self.squares.as_ptr().add(place));
            V::load(dots).mul_add(V::splat(-2.0), V::load(squares))
        }
    }
}

/// The least value of each group.
struct Leasts<'a>(Values<'a>, &'a mut [f32]);

impl Kernel for Leasts<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f32 {
        let Self(values, found) = self;
        let mut all = f32::INFINITY;
        let (mut place, mut group) = (0, 0);
        while place < values.dots.len() {
            let end = values.dots.len().min(place + GROUP);
            // SAFETY: two registers at a time are there; a NaN value is passed over.
            let least = unsafe {
                let mut least = [V::splat(f32::INFINITY); 2];
                while place < end {
                    least[0] = least[0].lesser(values.load(place));
                    least[1] = least[1].lesser(values.load(place + V::LANES));
                    place += 2 * V::LANES;
                }
                least[0].lesser(least[1]).least()
            };
            all = if least < all { least } else { all };
            found[group] = least;
            group += 1;
        }
        all
    }
}

/// A bit for each value of one group that is not above a limit.
struct UpTo<'a>(Values<'a>, f32);

impl Kernel for UpTo<'_> {
    type Output = u128;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> u128 {
        let Self(values, limit) = self;
        let mut marks = 0;
        let mut place = 0;
        while place < values.dots.len() {
            // SAFETY: a register's numbers are there.
            let found = unsafe { values.load::<V>(place).up_to(V::splat(limit)) };
            marks |= u128::from(found) << place;
            place += V::LANES;
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_passed_over_and_so_are_infinite_ones() {
        // Three groups of whole registers, the last a part of one.
        let count = 2 * GROUP + 32;
        let squares: Vec<f32> = (0..count)
            .map(|place| if place % 5 == 0 { f32::INFINITY } else { 40.0 })
            .collect();
        let mut dots: Vec<f32> = (0..count).map(|place| (place * 7 % 13) as f32).collect();
        for place in [1, 2, 130, count - 1] {
            dots[place] = f32::NAN;
        }
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let values = Values {
                isa,
                dots: &dots,
                squares: &squares,
            };
            let expected: Vec<f32> = (0..count)
                .collect::<Vec<_>>()
                .chunks(GROUP)
                .map(|group| {
                    let values = group.iter().map(|&place| values.value(place));
                    values
                        .filter(|value| !value.is_nan())
                        .fold(f32::INFINITY, f32::min)
                })
                .collect();
            let mut found = [0.0; 3];
            let least = values.leasts(&mut found);
            assert_eq!(found.to_vec(), expected, "{isa}");
            assert_eq!(least, 16.0, "{isa}");
            let mut below = Vec::new();
            values.up_to(20.0, &found, &mut below);
            let wanted: Vec<(usize, f32)> = (0..count)
                .map(|place| (place, values.value(place)))
                .filter(|(_, value)| *value <= 20.0)
                .collect();
            assert_eq!(below, wanted, "{isa}");
            below.clear();
            values.up_to(f32::MAX, &found, &mut below);
            assert!(
                below.iter().all(|(_, value)| value.is_finite()) && below.len() > 200,
                "{isa}"
            );
        }
        let none = Values {
            isa: Isa::detect(),
            dots: &[0.0; 32],
            squares: &[f32::INFINITY; 32],
        };
        assert_eq!(none.leasts(&mut [0.0]), f32::INFINITY);
    }
}
