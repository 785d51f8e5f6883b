//! Greedy selection: again and again the vector that is farthest from all chosen ones.

use rayon::prelude::*;

use crate::cpu::Isa;
use crate::cpu::multiversion::multiversioned;

/// Chosen vectors that are compared with a vector at once.
const GROUP: usize = 32;
/// Distances whose maximum is known; a power of two.
const RUN: usize = 256;

/// For each vector the mean of its Euclidean distances to some of them, in parallel.
///
/// # Panics
/// When `length` is zero or does not divide the number of values, or a vector named is not there.
pub fn mean_distances(vectors: &[f32], length: usize, to: &[usize]) -> Vec<f32> {
    let isa = Isa::detect();
    let mut centers = Centers::new(length);
    for &index in to {
        centers.push(&vectors[index * length..][..length]);
    }
    vectors
        .par_chunks_exact(length)
        .map(|vector| {
            let mut sum = 0.0;
            for group in 0..to.len().div_ceil(GROUP) {
                let distances = squared_distances(isa, vector, centers.group(group));
                let used = GROUP.min(to.len() - group * GROUP);
                sum += distances[..used]
                    .iter()
                    .map(|squared| squared.sqrt())
                    .sum::<f32>();
            }
            sum / to.len().max(1) as f32
        })
        .collect()
}

/// Chooses up to `picks` of `vectors` (one after the other, `length` numbers each): each time the one whose distance to
/// the chosen ones is largest, the first of equals. `distances` are the Euclidean distances to begin with, and hold those
/// to the nearest chosen vector (or what they were, if that is less) only as far as was needed. The selection ends early
/// when every vector coincides with a chosen one.
///
/// The plain algorithm measures every vector against every chosen one, and reads all of them for each pick. A distance
/// never grows, though, so one that was measured against some chosen vectors only is a bound from above: only
/// the vector with the largest bound needs to be measured against those that it has not met yet, until the largest is
/// complete. The result is that of the plain algorithm, bit for bit: distances are computed pair by pair, in one order.
///
/// # Panics
/// When the lengths do not fit together.
pub fn farthest_first(vectors: &[f32], length: usize, distances: &mut [f32], picks: usize) -> Vec<usize> {
    farthest_beyond(vectors, length, distances, picks, 0.0)
}

/// As [`farthest_first`], only as long as some vector is farther than `radius` from all chosen ones.
///
/// # Panics
/// As [`farthest_first`].
pub fn farthest_beyond(
    vectors: &[f32],
    length: usize,
    distances: &mut [f32],
    picks: usize,
    radius: f32,
) -> Vec<usize> {
    assert!(length > 0 && vectors.len() == distances.len() * length, "lengths");
    let isa = Isa::detect();
    let mut centers = Centers::new(length);
    let mut chosen = Vec::with_capacity(picks);
    // Chosen vectors that each one has met.
    let mut met = vec![0; distances.len()];
    let mut maxima: Vec<f32> = distances.chunks(RUN).map(|run| largest(isa, run)).collect();
    while chosen.len() < picks {
        let maximum = largest(isa, &maxima);
        // Distances that are no numbers end it too.
        if maximum.partial_cmp(&radius) != Some(std::cmp::Ordering::Greater) {
            break;
        }
        let run = position(isa, &maxima, maximum);
        let members = run * RUN..((run + 1) * RUN).min(distances.len());
        let farthest = members.start + position(isa, &distances[members.clone()], maximum);
        let vector = &vectors[farthest * length..][..length];
        if met[farthest] < chosen.len() {
            let mut least = f32::INFINITY;
            for group in met[farthest] / GROUP..chosen.len().div_ceil(GROUP) {
                least = squared_distances(isa, vector, centers.group(group))
                    .into_iter()
                    .fold(least, f32::min);
            }
            distances[farthest] = distances[farthest].min(least.sqrt());
            met[farthest] = chosen.len();
        } else {
            centers.push(vector);
            chosen.push(farthest);
            distances[farthest] = 0.0;
        }
        maxima[run] = largest(isa, &distances[members]);
    }
    chosen
}

/// Chosen vectors in groups, `group[step][vector]`, so that one vector is compared with a whole group at a time.
struct Centers {
    length: usize,
    count: usize,
    data: Vec<f32>,
}

impl Centers {
    fn new(length: usize) -> Self {
        Self {
            length,
            count: 0,
            data: Vec::new(),
        }
    }

    fn push(&mut self, vector: &[f32]) {
        let column = self.count % GROUP;
        if column == 0 {
            // Places that are not taken yet are infinitely far.
            let filled = self.data.len() + GROUP * self.length;
            self.data.resize(filled, f32::INFINITY);
        }
        let begin = self.count / GROUP * GROUP * self.length;
        for (step, &value) in vector.iter().enumerate() {
            self.data[begin + step * GROUP + column] = value;
        }
        self.count += 1;
    }

    fn group(&self, index: usize) -> &[[f32; GROUP]] {
        let size = GROUP * self.length;
        self.data[index * size..][..size].as_chunks().0
    }
}

multiversioned! {
    /// Squared distances of a vector to the vectors of a group.
    fn squared_distances(vector: &[f32], group: &[[f32; GROUP]]) -> [f32; GROUP] {
        let mut sums = [0.0; GROUP];
        for (&value, others) in vector.iter().zip(group) {
            for (sum, &other) in sums.iter_mut().zip(others) {
                let difference = value - other;
                *sum += difference * difference;
            }
        }
        sums
    }

    /// The largest value, at least minus infinity.
    fn largest(values: &[f32]) -> f32 {
        let mut largest = [f32::NEG_INFINITY; 32];
        let (whole, rest) = values.as_chunks::<32>();
        for values in whole {
            for (largest, &value) in largest.iter_mut().zip(values) {
                *largest = if value > *largest { value } else { *largest };
            }
        }
        for &value in rest {
            largest[0] = largest[0].max(value);
        }
        let mut result = f32::NEG_INFINITY;
        for value in largest {
            result = result.max(value);
        }
        result
    }

    /// Where a value occurs first; the end when it does not.
    fn position(values: &[f32], wanted: f32) -> usize {
        let mut place = 0;
        for values in values.chunks(32) {
            let mut found = false;
            for &value in values {
                found |= value == wanted;
            }
            if found {
                break;
            }
            place += values.len();
        }
        while place < values.len() && values[place] != wanted {
            place += 1;
        }
        place
    }
}
