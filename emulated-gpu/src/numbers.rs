//! Arrays of the device as f32 numbers of the machine.

use half::bf16;

use crate::memory::Memory;

/// How numbers lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    Bf16,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// Reads `count` numbers.
pub(crate) fn read(memory: &Memory, address: u64, count: usize, kind: Kind) -> Result<Vec<f32>, String> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let from = place(memory, address, count, kind)?;
    // SAFETY: that many numbers lie there, and any bits are numbers.
    Ok(unsafe {
        match kind {
            Kind::F32 => std::slice::from_raw_parts(from.cast::<f32>(), count).to_vec(),
            Kind::Bf16 => std::slice::from_raw_parts(from.cast::<bf16>(), count)
                .iter()
                .map(|value| value.to_f32())
                .collect(),
        }
    })
}

/// Writes numbers, rounded to the nearest.
pub(crate) fn write(memory: &Memory, address: u64, values: &[f32], kind: Kind) -> Result<(), String> {
    if values.is_empty() {
        return Ok(());
    }
    let to = place(memory, address, values.len(), kind)?;
    // SAFETY: that many numbers have room there, and nobody else uses the memory while the device computes.
    unsafe {
        match kind {
            Kind::F32 => to.cast::<f32>().copy_from(values.as_ptr(), values.len()),
            Kind::Bf16 => {
                let to = std::slice::from_raw_parts_mut(to.cast::<bf16>(), values.len());
                for (to, &value) in to.iter_mut().zip(values) {
                    *to = bf16::from_f32(value);
                }
            }
        }
    }
    Ok(())
}

fn place(memory: &Memory, address: u64, count: usize, kind: Kind) -> Result<*mut u8, String> {
    let bytes = count * kind.size();
    match memory.pointer(address, bytes) {
        Some(place) if address.is_multiple_of(kind.size() as u64) => Ok(place),
        _ => Err(format!(
            "{bytes} bytes at {address:#x} lie outside of the device's memory, or are not aligned"
        )),
    }
}
