//! A step of Adam, in place.

use rayon::prelude::*;

use super::Isa;
use super::multiversion::multiversioned;
use crate::definitions::adam::Factors;

/// Elements that one task updates.
const CHUNK: usize = 1 << 15;

/// Moves the numbers of a variable and their moments by one step along the gradient `g`.
pub(crate) fn step(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let isa = Isa::detect();
    p.par_chunks_mut(CHUNK)
        .zip(m.par_chunks_mut(CHUNK))
        .zip(v.par_chunks_mut(CHUNK))
        .zip(g.par_chunks(CHUNK))
        .for_each(|(((p, m), v), g)| update(isa, p, m, v, g, factors));
}

multiversioned! {
    /// One Adam step of a slice, in the order of PyTorch's operations.
    fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
        let weight1 = (1.0 - factors.beta1) as f32;
        let (beta2, weight2) = (factors.beta2 as f32, (1.0 - factors.beta2) as f32);
        let (eps, root) = (factors.eps as f32, factors.root_correction as f32);
        let change = -factors.step_size as f32;
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m += weight1 * (g - *m);
            *v = beta2 * *v + weight2 * g * g;
            *p += change * *m / (v.sqrt() / root + eps);
        }
    }
}
