//! Vectors against the definitions, in f64 and one pair at a time.

use super::rounded::Rounded;
use super::{Bank, Panels, farthest_beyond, farthest_first, mean_distances};
use crate::cpu::{Arithmetic, Isa};

/// Numbers by rule, in [-1, 1).
pub(super) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn squared(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum()
}

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(f)
}

#[test]
fn products_are_those_of_the_definition() {
    for (rows, count, length) in [
        (1, 1, 1),
        (5, 3, 2),
        (13, 70, 257),
        (150, 130, 300),
        (7, 33, 1024),
    ] {
        let (a, b) = (numbers(rows * length, 1), numbers(count * length, 2));
        for isa in available() {
            let panels = Panels::with_isa(&b, length, isa);
            assert_eq!(panels.to_vec(), b);
            let found = panels.product(&a);
            for (row, a) in a.chunks_exact(length).enumerate() {
                for (column, b) in b.chunks_exact(length).enumerate() {
                    let wanted: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                    let difference = (f64::from(found[row * count + column]) - wanted).abs();
                    assert!(difference < 1e-4, "{isa} {rows}x{count}x{length}: {difference}");
                }
            }
        }
    }
}

#[test]
fn the_nearest_neighbor_is_exact() {
    for (queries, count, length) in [(1, 1, 3), (9, 200, 16), (300, 333, 70)] {
        let (q, m) = (numbers(queries * length, 3), numbers(count * length, 4));
        for isa in available() {
            let found = Bank::new(Panels::with_isa(&m, length, isa)).nearest(&q).unwrap();
            assert_eq!(found.len(), queries);
            for (query, found) in q.chunks_exact(length).zip(found) {
                let all: Vec<f64> = m.chunks_exact(length).map(|m| squared(query, m)).collect();
                let best = all.iter().copied().fold(f64::INFINITY, f64::min);
                assert_eq!(all.iter().position(|&d| d == best), Some(found.index));
                assert_eq!(found.squared, best as f32);
            }
        }
    }
}

/// Vectors whose numbers hang together, as those of images do: many small parts along few directions, by rule.
fn alike(count: usize, length: usize, seed: u64) -> Vec<f32> {
    let directions = numbers(length * length, 77);
    let parts = numbers(count * length, seed);
    let mut vectors = vec![5.0; count * length];
    for (vector, parts) in vectors.chunks_exact_mut(length).zip(parts.chunks_exact(length)) {
        for (rank, (part, direction)) in parts.iter().zip(directions.chunks_exact(length)).enumerate() {
            let part = part / (1.0 + rank as f32);
            for (value, along) in vector.iter_mut().zip(direction) {
                *value += part * along;
            }
        }
    }
    vectors
}

/// Few directions rule most vectors out, and the nearest is still the exact one: also of equals the first, and of some vectors only.
#[test]
fn short_vectors_leave_the_exact_neighbor() {
    let (count, length) = (700, 150);
    let mut m = alike(count, length, 31);
    // Vectors that are there twice.
    m.copy_within(..20 * length, 600 * length);
    let mut q = alike(90, length, 32);
    q[..20 * length].copy_from_slice(&m[600 * length..620 * length]);
    // Queries that are like nothing in the bank leave too many to be measured.
    q.extend(numbers(10 * length, 33).iter().map(|value| 40.0 * value));
    for isa in available() {
        let mut banks = vec![Bank::without_rounding(Panels::with_isa(&m, length, isa))];
        let arithmetic = Arithmetic::bf16(isa);
        if arithmetic.is_available() {
            banks.push(Bank::without_rounding(Panels::with_isa(&m, length, isa)));
            banks[1].round(arithmetic);
        }
        for mut bank in banks {
            bank.narrow();
            let narrow = bank.narrowed().expect("few directions hold most of the spread");
            let measured = narrow.nearest(&q, narrow.squares());
            assert!(measured[..90].iter().all(Option::is_some), "{isa}");
            let some = bank.among(|index| index % 3 != 0).unwrap();
            let all = bank.nearest(&q).unwrap();
            let among = bank.nearest_among(&some, &q).unwrap();
            for ((query, all), among) in q.chunks_exact(length).zip(all).zip(among) {
                let distances: Vec<f64> = m.chunks_exact(length).map(|m| squared(query, m)).collect();
                for (found, step) in [(all, 0), (among, 3)] {
                    let counts = |index: &usize| step == 0 || !index.is_multiple_of(step);
                    let best = (0..count)
                        .filter(counts)
                        .map(|index| distances[index])
                        .fold(f64::INFINITY, f64::min);
                    let first = (0..count).filter(counts).find(|&index| distances[index] == best);
                    assert_eq!(Some(found.index), first, "{isa}");
                    assert_eq!(found.squared, best as f32);
                }
            }
        }
    }
}

/// Vectors that differ along all directions alike, few ones and short ones, are compared as they are.
#[test]
fn narrowing_is_left_where_it_is_of_no_use() {
    let narrowed = |vectors: &[f32], length| Bank::new(Panels::new(vectors, length)).narrowed().is_some();
    assert!(narrowed(&alike(600, 150, 34), 150));
    assert!(!narrowed(&numbers(600 * 150, 34), 150));
    assert!(!narrowed(&alike(300, 150, 34), 150));
    assert!(!narrowed(&alike(600, 100, 34), 100));
    assert!(!narrowed(&vec![1.0; 600 * 150], 150));
}

/// Far from the origin the products lose all digits that tell these vectors apart.
#[test]
fn rounding_cannot_choose_a_wrong_neighbor() {
    let length = 64;
    let near = |seed| numbers(length, seed).into_iter().map(|x| 1000.0 + 0.01 * x);
    let bank: Vec<f32> = (0..200).flat_map(near).collect();
    let queries: Vec<f32> = (500..520).flat_map(near).collect();
    for isa in available() {
        let found = Bank::new(Panels::with_isa(&bank, length, isa))
            .nearest(&queries)
            .unwrap();
        for (query, found) in queries.chunks_exact(length).zip(found) {
            let all: Vec<f64> = bank.chunks_exact(length).map(|m| squared(query, m)).collect();
            let best = all.iter().copied().fold(f64::INFINITY, f64::min);
            assert_eq!(all.iter().position(|&d| d == best), Some(found.index), "{isa}");
        }
    }
}

/// Arithmetics in bfloat16 that this processor can, the slow one for tests included.
fn paired() -> impl Iterator<Item = Arithmetic> {
    let all = Isa::ALL.map(Arithmetic::bf16);
    all.into_iter().filter(|paired| paired.is_available())
}

#[test]
fn products_in_bfloat16_are_within_their_bound() {
    for (queries, count, length, offset) in [(20, 70, 16, 0.0), (9, 40, 33, 3.0), (4, 33, 150, -20.0)] {
        let shifted = |seed, count| {
            let values = numbers(count * length, seed).into_iter();
            values.map(|value| value + offset).collect::<Vec<f32>>()
        };
        let (q, m) = (shifted(21, queries), shifted(22, count));
        for arithmetic in paired() {
            let rounded = Rounded::new(&m, length, arithmetic);
            let prepared = rounded.prepare(&q);
            let operand = rounded.operand();
            let stride = operand.panels() * operand.width();
            let mut dots = vec![0.0; prepared.tiles.padded_rows() * stride];
            operand.dots(&prepared.tiles, 0..operand.panels(), &mut dots);
            for ((query, dots), &bound) in q
                .chunks_exact(length)
                .zip(dots.chunks(stride))
                .zip(&prepared.bounds)
            {
                // All computed values are off by one constant, |q|², and by less than half the bound each.
                let off: Vec<f64> = m
                    .chunks_exact(length)
                    .zip(dots.iter().zip(&rounded.squares))
                    .map(|(m, (&dot, &square))| squared(query, m) - f64::from(square - 2.0 * dot))
                    .collect();
                let most = off.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let least = off.iter().copied().fold(f64::INFINITY, f64::min);
                assert!(
                    most - least <= f64::from(bound),
                    "{arithmetic}: {} > {bound}",
                    most - least
                );
                // A bound that is of use: far below the distances themselves.
                assert!(f64::from(bound) < 0.05 * most, "{arithmetic}: {bound} of {most}");
                // The columns that fill up the last panel are never the nearest.
                assert!(rounded.squares[count..].iter().all(|square| square.is_infinite()));
            }
        }
    }
}

#[test]
fn banks_in_bfloat16_and_in_f32_find_the_same() {
    let (length, count) = (40, 500);
    let m: Vec<f32> = numbers(count * length, 31)
        .iter()
        .map(|value| value.powi(3) + 2.0)
        .collect();
    let q: Vec<f32> = numbers(300 * length, 32)
        .iter()
        .map(|value| value.powi(3) + 2.0)
        .collect();
    let plain = Bank::without_rounding(Panels::new(&m, length));
    let among = plain.among(|index| index % 3 == 0).unwrap();
    for arithmetic in paired() {
        let mut rounded = plain.clone();
        rounded.round(arithmetic);
        assert_eq!(
            rounded.nearest(&q).unwrap(),
            plain.nearest(&q).unwrap(),
            "{arithmetic}"
        );
        let some = rounded.among(|index| index % 3 == 0).unwrap();
        let found = rounded.nearest_among(&some, &q).unwrap();
        assert!(found.iter().all(|found| found.index % 3 == 0));
        assert_eq!(found, plain.nearest_among(&among, &q).unwrap(), "{arithmetic}");
    }
}

#[test]
fn the_first_of_equal_vectors_is_found_for_any_number_of_threads() {
    let (length, count) = (20, 50);
    let mut bank = numbers(count * length, 5);
    let copy = bank.clone();
    bank.extend(copy);
    let queries = numbers(90 * length, 6);
    let bank = Bank::new(Panels::new(&bank, length));
    let one = with_threads(1, || bank.nearest(&queries).unwrap());
    assert!(one.iter().all(|found| found.index < count));
    for threads in [2, 7] {
        assert_eq!(with_threads(threads, || bank.nearest(&queries).unwrap()), one);
    }
    let same = bank.nearest(&bank.vectors().to_vec()[..5 * length]).unwrap();
    assert!(
        same.iter()
            .enumerate()
            .all(|(i, n)| n.index == i && n.squared == 0.0)
    );
}

#[test]
fn what_does_not_count_is_passed_over_as_if_it_were_not_there() {
    for (queries, count, length) in [(1, 2, 3), (9, 200, 16), (300, 1500, 40)] {
        let (q, m) = (numbers(queries * length, 3), numbers(count * length, 4));
        for every in [2, 3, 64] {
            let counts = |index: usize| !index.is_multiple_of(every) && !(70..220).contains(&index);
            let kept: Vec<usize> = (0..count).filter(|&index| counts(index)).collect();
            let rest: Vec<f32> = kept
                .iter()
                .flat_map(|&index| m[index * length..][..length].to_vec())
                .collect();
            for isa in available() {
                let bank = Bank::new(Panels::with_isa(&m, length, isa));
                let among = bank.among(counts).unwrap();
                assert!((0..count).all(|index| among.has(index) == counts(index)));
                let found = bank.nearest_among(&among, &q).unwrap();
                let wanted = Bank::new(Panels::with_isa(&rest, length, isa))
                    .nearest(&q)
                    .unwrap();
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert_eq!((found.index, found.squared), (kept[wanted.index], wanted.squared));
                }
            }
        }
    }
    let bank = Bank::new(Panels::new(&numbers(30, 5), 3));
    assert!(bank.among(|_| false).is_none());
    let among = bank.among(|index| index > 3).unwrap();
    assert_eq!(bank.nearest_among(&among, &[]).unwrap(), []);
    assert!(bank.nearest_among(&among, &[1.0]).is_err());
    let other = Bank::new(Panels::new(&numbers(3000, 5), 3));
    assert!(other.nearest_among(&among, &[1.0; 3]).is_err());
}

/// The algorithm as it is defined: every vector measured against every pick.
fn plain(vectors: &[f32], length: usize, mut distances: Vec<f32>, picks: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    for _ in 0..picks {
        let mut farthest = 0;
        for (index, &distance) in distances.iter().enumerate() {
            if distance > distances[farthest] {
                farthest = index;
            }
        }
        if distances[farthest] == 0.0 {
            break;
        }
        chosen.push(farthest);
        let center = vectors[farthest * length..][..length].to_vec();
        for (vector, distance) in vectors.chunks_exact(length).zip(&mut distances) {
            let mut sum = 0f32;
            for (a, b) in vector.iter().zip(&center) {
                sum += (a - b) * (a - b);
            }
            *distance = distance.min(sum.sqrt());
        }
    }
    chosen
}

#[test]
fn the_selection_is_that_of_the_plain_algorithm() {
    for (count, length, picks) in [(1, 4, 1), (40, 3, 40), (900, 16, 150), (700, 8, 200)] {
        let mut vectors = numbers(count * length, 7);
        if count == 700 {
            // Clusters, in which one pick changes many distances at once.
            for (index, vector) in vectors.chunks_exact_mut(length).enumerate() {
                for (step, value) in vector.iter_mut().enumerate() {
                    *value = 0.05 * *value + ((index % 9 * step) % 5) as f32;
                }
            }
        }
        let starts: Vec<usize> = (0..count.min(10)).map(|i| i * count / count.min(10)).collect();
        let first = mean_distances(&vectors, length, &starts);
        let wanted = plain(&vectors, length, first.clone(), picks);
        let found = farthest_first(&vectors, length, &mut first.clone(), picks);
        assert_eq!(found, wanted, "{count} of {length}");
    }
}

#[test]
fn the_selection_ends_when_nothing_is_left_to_cover() {
    let length = 6;
    let few = numbers(4 * length, 8);
    let vectors: Vec<f32> = (0..300)
        .flat_map(|i| few[i % 4 * length..][..length].to_vec())
        .collect();
    let mut distances = mean_distances(&vectors, length, &[0]);
    let mut chosen = farthest_first(&vectors, length, &mut distances, 50);
    chosen.sort_unstable();
    chosen.dedup_by_key(|index| *index % 4);
    assert!(chosen.len() <= 4 && chosen.len() >= 3, "{chosen:?}");
}

#[test]
fn the_selection_ends_when_all_are_within_the_radius() {
    let (length, count, radius) = (5, 400, 0.9f32);
    let vectors = numbers(count * length, 13);
    let mut distances = vec![10.0; count];
    let chosen = farthest_beyond(&vectors, length, &mut distances, count, radius);
    assert!(chosen.len() > 3 && chosen.len() < count / 2, "{}", chosen.len());
    let vector = |index: usize| &vectors[index * length..][..length];
    let near = |index: usize, centers: &[usize]| {
        let squares = centers
            .iter()
            .map(|&center| squared(vector(index), vector(center)));
        squares.fold(f64::INFINITY, f64::min).sqrt()
    };
    assert!((0..count).all(|index| near(index, &chosen) <= f64::from(radius) + 1e-6));
    // None of them was needless when it was chosen, and they are the first of the whole selection.
    for (place, &index) in chosen.iter().enumerate().skip(1) {
        assert!(near(index, &chosen[..place]) > f64::from(radius) - 1e-6);
    }
    let all = farthest_first(&vectors, length, &mut vec![10.0; count], count);
    assert_eq!(all[..chosen.len()], chosen);
}

#[test]
fn mean_distances_are_those_of_the_definition() {
    let (length, count) = (33, 50);
    let vectors = numbers(count * length, 9);
    let to: Vec<usize> = (0..37).collect();
    let found = mean_distances(&vectors, length, &to);
    for (vector, found) in vectors.chunks_exact(length).zip(found) {
        let sum: f64 = to
            .iter()
            .map(|&i| squared(vector, &vectors[i * length..][..length]).sqrt())
            .sum();
        assert!((f64::from(found) - sum / 37.0).abs() < 1e-5);
    }
}
