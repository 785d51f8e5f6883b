//! Nearest neighbours in a memory bank, as a graph.

use flawforge_onnx::{Graph, Value};

use crate::patchcore::MemoryBank;

/// Neighbours that are measured again, without the rounding of large products.
const AGAIN: usize = 4;

/// The vectors of a bank in a graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nearest {
    /// (vectors, length).
    vectors: Value,
    /// `|v|²` of each vector, (vectors), about the middle of all.
    squares: Value,
    /// The middle of all vectors, (length).
    middle: Value,
    /// How many vectors there are.
    count: usize,
}

/// What was found of each query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Squared distance to the nearest vector, (queries).
    pub(crate) squared: Value,
    /// Which vector it is, (queries) i64.
    pub(crate) place: Value,
}

impl Found {
    /// Of some of the queries alone.
    pub(crate) fn at(self, graph: &mut Graph, places: Value) -> Self {
        Self {
            squared: graph.gather(self.squared, places, 0),
            place: graph.gather(self.place, places, 0),
        }
    }
}

impl Nearest {
    /// The bank as constants of the graph; where it works in f16, its vectors lie there in 16 bits.
    pub(crate) fn new(graph: &mut Graph, bank: &MemoryBank) -> Self {
        let (count, length) = (bank.len(), bank.length());
        let values = bank.values();
        let mut sums = vec![0.0; length];
        for vector in values.chunks_exact(length) {
            for (sum, &value) in sums.iter_mut().zip(vector) {
                *sum += f64::from(value);
            }
        }
        let middle: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        // About the middle, numbers are small and so is what rounding does to their products.
        let centered: Vec<f32> = values
            .iter()
            .zip(middle.iter().cycle())
            .map(|(value, middle)| value - middle)
            .collect();
        let (vectors, centered) = graph.stored(&[count, length], centered);
        // Of the vectors as they are read back, or products and distances would be of different ones.
        let squares: Vec<f32> = centered
            .chunks_exact(length)
            .map(|vector| vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() as f32)
            .collect();
        Self {
            vectors,
            squares: graph.f32s(&[count], &squares),
            middle: graph.f32s(&[length], &middle),
            count,
        }
    }

    /// The nearest vector of each of the queries (queries, length).
    pub(crate) fn of(&self, graph: &mut Graph, queries: Value) -> Found {
        let queries = graph.sub(queries, self.middle);
        let again = AGAIN.min(self.count);
        let places = self.near(graph, queries, again);
        let squared = self.squared(graph, queries, places);
        // Of those that are equally near, the first: places are compared as ours are where numbers are equal.
        let best = graph.place_of_smallest(squared, 1);
        let best = graph.unsqueeze(best, &[1]);
        Found {
            squared: graph.reduce_min(squared, &[1], false),
            place: {
                let place = graph.gather_elements(places, best, 1);
                graph.squeeze(place, &[1])
            },
        }
    }

    /// The `count` vectors nearest to each of others of the bank, whose places are (queries).
    fn around(&self, graph: &mut Graph, places: Value, count: usize) -> Value {
        let centers = graph.gather(self.vectors, places, 0);
        self.near(graph, centers, count)
    }

    /// The paper's re-weighted score of one query for each image: [`MemoryBank::reweighted`]. `queries` is (N, length).
    pub(crate) fn reweighted(&self, graph: &mut Graph, queries: Value, found: Found, count: usize) -> Value {
        let queries = graph.sub(queries, self.middle);
        let around = self.around(graph, found.place, count.clamp(1, self.count));
        let squared = self.squared(graph, queries, around);
        let distances = graph.sqrt(squared);
        let distance = graph.sqrt(found.squared);
        let own = graph.unsqueeze(distance, &[1]);
        let relative = graph.sub(distances, own);
        let relative = graph.exp(relative);
        let sum = graph.reduce_sum(relative, &[1], false);
        let one = graph.f32(1.0);
        let share = graph.div(one, sum);
        let rest = graph.sub(one, share);
        graph.mul(rest, distance)
    }

    /// The places of the vectors nearest to the queries about the middle, by products: (queries, count).
    fn near(&self, graph: &mut Graph, queries: Value, count: usize) -> Value {
        let relative = graph.product(-2.0, queries, self.vectors, self.squares);
        graph.places_of_smallest(relative, count as i64)
    }

    /// Squared distances of queries about the middle to some vectors of each, (queries, count), measured directly.
    fn squared(&self, graph: &mut Graph, queries: Value, places: Value) -> Value {
        let vectors = graph.gather(self.vectors, places, 0);
        let queries = graph.unsqueeze(queries, &[1]);
        let differences = graph.sub(vectors, queries);
        let squares = graph.mul(differences, differences);
        graph.reduce_sum(squares, &[2], false)
    }
}
