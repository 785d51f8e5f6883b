//! Splitting an inner loop into blocks of a length that the compiler knows.

/// Runs `$body` for `$at` = 0, 16, 32, … with `$B` = 16 and for what is left over with `$B` = 1, up to `$len`.
///
/// Inner loops over a few dozen channels are too short for the unrolled loops that compilers make of a length
/// unknown to them; arrays of 16 become one or two vector registers.
macro_rules! in_blocks {
    ($len:expr, $at:ident, $B:ident => $body:expr) => {{
        let len: usize = $len;
        let mut $at = 0;
        while $at + 16 <= len {
            const $B: usize = 16;
            $body;
            $at += 16;
        }
        while $at < len {
            const $B: usize = 1;
            $body;
            $at += 1;
        }
    }};
}
pub(crate) use in_blocks;
