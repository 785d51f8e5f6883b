//! Fuzz targets of Flawforge: each is a door of `cargo xtask campaign --only doors`, driven by libFuzzer.

pub use libfuzzer_sys;
pub use xtask::campaign::doors::Door;

/// Makes a target of a door: what the door must not do ends the process, as a panic does.
#[macro_export]
macro_rules! target {
    ($door:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            if let Err(finding) = $crate::Door::$door.try_with(bytes) {
                panic!("{finding}");
            }
        });
    };
}
