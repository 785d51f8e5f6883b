//! What tensors take of a GPU's memory.

use candle_core::{DType, Tensor};
use flawforge_ops::Precision;
use flawforge_ops::runtime::DeviceMemory;

use crate::support::gpu;

#[test]
fn tensors_are_counted_while_they_live_and_their_peak_after() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let memory = || {
        gpu.device.synchronize().unwrap(); // tensors are freed in the order of the stream
        DeviceMemory::of(&gpu.device).unwrap().expect("a GPU's")
    };
    const BYTES: u64 = 4 << 20;
    let before = memory();
    let tensor = Tensor::zeros(1 << 20, DType::F32, &gpu.device).unwrap();
    let held = memory();
    drop(tensor);
    let after = memory();
    assert!(held.used >= before.used + BYTES, "{before:?}, then {held:?}");
    assert!(
        held.peak >= held.used && after.peak >= held.peak,
        "{held:?}, then {after:?}"
    );
    assert!(after.used + BYTES <= held.used, "{held:?}, then {after:?}");
    assert!(after.free <= after.total);
}
