//! Numbers of 32 bits in texts, as people write them.

use serde::{Serialize, Serializer};

/// A number of 32 bits, or two of them.
pub trait Decimal {
    /// The same with 64 bits.
    type Wide: Serialize;

    /// The number of 64 bits with the shortest decimal form that reads as this one: 0.2, not 0.20000000298023224.
    fn widened(&self) -> Self::Wide;
}

impl Decimal for f32 {
    type Wide = f64;

    fn widened(&self) -> f64 {
        // Every number that is displayed can be read.
        self.to_string().parse().unwrap_or(f64::from(*self))
    }
}

impl Decimal for (f32, f32) {
    type Wide = (f64, f64);

    fn widened(&self) -> (f64, f64) {
        (self.0.widened(), self.1.widened())
    }
}

/// Serializes a number in its shortest decimal form, also where a format knows 64 bits only. It reads back as the same
/// number. For `#[serde(serialize_with = "decimal")]`.
///
/// # Errors
/// Those of the serializer.
pub fn decimal<T: Decimal, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    number.widened().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_read_back() {
        assert_eq!((0.2_f32, 1.0_f32).widened(), (0.2, 1.0));
        for bits in (0..u32::MAX).step_by(65_537) {
            let number = f32::from_bits(bits);
            let read = number.widened() as f32;
            assert!(read == number || (read.is_nan() && number.is_nan()), "{number}");
        }
    }
}
