//! Scores as integers of the same order.

/// The order-preserving integer of a score that is not NaN: `a < b` exactly when `key(a) < key(b)`,
/// and the two zeros share one key.
pub(crate) fn key(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits(); // -0.0 + 0.0 is +0.0
    // All ones for negative numbers (their order is reversed), the sign bit alone for the others.
    let flip = (((bits as i32) >> 31) as u32) | 0x8000_0000;
    bits ^ flip
}

/// The score of a key.
pub(crate) fn score(key: u32) -> f32 {
    let flip = if key & 0x8000_0000 != 0 {
        0x8000_0000
    } else {
        u32::MAX
    };
    f32::from_bits(key ^ flip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_and_come_back() {
        let ordered = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -1e-45,
            0.0,
            1e-45,
            0.5,
            1.0,
            f32::MAX,
            f32::INFINITY,
        ];
        for pair in ordered.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        for value in ordered {
            assert_eq!(score(key(value)).to_bits(), value.to_bits());
        }
        assert_eq!(key(-0.0), key(0.0));
    }
}
