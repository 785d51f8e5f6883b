//! Banks at several sizes: how large an image is seen at each, and what further vectors make of them.

use flawforge_models::ModelError;
use flawforge_models::forge::SizedBank;

use crate::error::Result;
use crate::methods::additions::Extra;

/// What is seen at once, `frame` pixels of images whose side is `largest`, where images of `side` pixels are wanted: in multiples of
/// 32, as networks take it.
pub(super) fn reduced(frame: (u32, u32), side: u32, largest: u32) -> (u32, u32) {
    let reduced = |length: u32| {
        let length = f64::from(length) * f64::from(side) / f64::from(largest.max(1));
        ((length / 32.0).round().max(1.0) * 32.0) as u32
    };
    (reduced(frame.0), reduced(frame.1))
}

/// The banks with further vectors at each size.
pub(super) fn larger(banks: &[SizedBank], extra: &[Extra]) -> Result<Vec<SizedBank>> {
    let larger = banks
        .iter()
        .zip(extra)
        .map(|(bank, (vectors, origins))| bank.with(vectors, origins));
    Ok(larger.collect::<std::result::Result<_, ModelError>>()?)
}
