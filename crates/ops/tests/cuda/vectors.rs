//! Nearest neighbours and greedy selection: the processor's results, bit for bit.

use candle_core::{Device, Result};
use flawforge_ops::vectors::{Bank, Neighbor, Panels, Selection};
use flawforge_ops::{Precision, cpu::Isa};
use flawforge_testing::{Need, skip};

use crate::support::{gpu, noise};

fn neighbors(vectors: &[f32], length: usize, queries: &[f32], device: &Device) -> Result<Vec<Neighbor>> {
    Bank::new(Panels::new(vectors, length))
        .on(device)?
        .nearest(queries)
}

fn assert_same_neighbors(what: &str, expected: &[Neighbor], found: &[Neighbor]) {
    assert_eq!(expected.len(), found.len(), "{what}: length");
    for (query, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert_eq!(expected, found, "{what}: query {query}");
    }
}

#[test]
fn nearest_neighbors_are_the_processors() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    // Less than a tile of the kernels, a tile, and several with rests; the last has several blocks of steps.
    for (queries, count, length) in [
        (1, 1, 1),
        (5, 3, 2),
        (64, 64, 16),
        (300, 333, 70),
        (129, 2050, 257),
        (784, 1000, 1024),
    ] {
        let (q, m) = (noise(1, queries * length), noise(2, count * length));
        let what = format!("{queries} queries, {count} vectors of {length}");
        let expected = neighbors(&m, length, &q, &Device::Cpu).unwrap();
        let found = neighbors(&m, length, &q, &gpu.device).unwrap();
        assert_same_neighbors(&what, &expected, &found);
    }
}

/// Far from the origin the products lose all digits that tell these vectors apart: all of them are measured.
#[test]
fn rounding_cannot_choose_a_wrong_neighbor() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let length = 64;
    let near = |seed, count: usize| -> Vec<f32> {
        let numbers = noise(seed, count * length);
        numbers.into_iter().map(|x| 1000.0 + 0.01 * x).collect()
    };
    let (bank, queries) = (near(3, 600), near(4, 40));
    let expected = neighbors(&bank, length, &queries, &Device::Cpu).unwrap();
    let found = neighbors(&bank, length, &queries, &gpu.device).unwrap();
    assert_same_neighbors("far from the origin", &expected, &found);
}

#[test]
fn the_first_of_equal_vectors_is_found_and_a_vector_finds_itself() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (length, count) = (20, 700);
    let once = noise(5, count * length);
    let twice = [once.clone(), once.clone()].concat();
    let bank = Bank::new(Panels::new(&twice, length)).on(&gpu.device).unwrap();
    for (index, found) in bank.nearest(&once).unwrap().iter().enumerate() {
        assert_eq!((found.index, found.squared), (index, 0.0), "query {index}");
    }
    assert!(bank.nearest(&[]).unwrap().is_empty());
    assert!(bank.nearest(&[0.0; 3]).is_err(), "queries of another length");
}

/// More queries than are served at once: a quarter of a gigabyte of products.
#[test]
fn many_queries_are_served_in_parts() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (length, count, queries) = (3, 40_000, 4000);
    let (q, m) = (noise(6, queries * length), noise(7, count * length));
    let expected = neighbors(&m, length, &q, &Device::Cpu).unwrap();
    let found = neighbors(&m, length, &q, &gpu.device).unwrap();
    assert_same_neighbors("in parts", &expected, &found);
}

/// Numbers around a few places, so that one pick changes many distances at once.
fn clusters(count: usize, length: usize) -> Vec<f32> {
    let mut vectors = noise(8, count * length);
    for (index, vector) in vectors.chunks_exact_mut(length).enumerate() {
        for (step, value) in vector.iter_mut().enumerate() {
            *value = 0.05 * *value + ((index % 9 * step) % 5) as f32;
        }
    }
    vectors
}

/// Both devices' selections are the same; returns its length.
fn same_selection(what: &str, selection: Selection<'_>, device: &Device) -> usize {
    let expected = selection.on(&Device::Cpu).unwrap();
    let found = selection.on(device).unwrap();
    let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what}: the first pick that differs");
    assert_eq!(expected.len(), found.len(), "{what}: picks");
    found.len()
}

#[test]
fn selections_without_a_map_are_the_processors() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (count, length, picks) in [
        (1, 4, 1),
        (40, 3, 40),
        (256, 256, 30),
        (900, 300, 150),
        (3000, 16, 500),
    ] {
        for (kind, vectors) in [
            ("noise", noise(9, count * length)),
            ("clusters", clusters(count, length)),
        ] {
            // More starts than are added up at once, and one.
            for starts in [count.min(70), 1] {
                let starts: Vec<usize> = (0..starts).map(|i| i * count / starts).collect();
                let what = format!("{picks} of {count} of {length}, {kind}, {} starts", starts.len());
                let selection = Selection {
                    vectors: &vectors,
                    length,
                    map: None,
                    starts: &starts,
                    picks,
                };
                same_selection(&what, selection, &gpu.device);
            }
        }
    }
}

#[test]
fn mapped_selections_are_those_of_processors_with_fused_multiplication() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    if Isa::detect() == Isa::Portable {
        let why = "a processor whose instructions round products and sums apart";
        return skip(Need::Peer, why);
    }
    let starts = [0, 5, 9];
    for (count, length, size, picks) in [
        (10, 8, 3, 4),
        (700, 1024, 128, 70),
        (2000, 130, 65, 200),
        // Uploaded in two parts.
        (70_000, 1024, 16, 20),
    ] {
        let (vectors, map) = (noise(10, count * length), noise(11, size * length));
        let what = format!("{picks} of {count} of {length} mapped to {size}");
        let selection = Selection {
            vectors: &vectors,
            length,
            map: Some(&map),
            starts: &starts,
            picks,
        };
        let chosen = same_selection(&what, selection, &gpu.device);
        assert_eq!(chosen, picks, "{what}");
    }
}

#[test]
fn selections_end_when_nothing_is_left_to_cover() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let length = 6;
    let few = noise(12, 4 * length);
    let vectors: Vec<f32> = (0..600)
        .flat_map(|i| few[i % 4 * length..][..length].to_vec())
        .collect();
    let selection = |starts| Selection {
        vectors: &vectors,
        length,
        map: None,
        starts,
        picks: 50,
    };
    let chosen = same_selection("four places", selection(&[0]), &gpu.device);
    assert!((3..=4).contains(&chosen), "{chosen} of four places");
    let none = same_selection("no starts", selection(&[]), &gpu.device);
    assert_eq!(none, 0, "without first distances nothing is far");
}
