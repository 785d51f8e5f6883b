//! Memory of the device.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;

/// Addresses on the device differ from those of the machine in this (`prelude.h` has it too), so that neither is taken for
/// the other: the machine cannot read there.
pub(crate) const DEVICE: u64 = 0x4000_0000_0000_0000;

const ALIGN: usize = 256;
/// What fresh memory holds: floats that are no numbers, so that whoever reads before it writes is seen.
const FRESH: u8 = 0xff;

/// Pieces of memory by their addresses.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pieces: BTreeMap<u64, usize>,
}

impl Memory {
    /// A piece of so many bytes; none where the machine has no room.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<u64> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok()?;
        // SAFETY: the size is not zero.
        let pointer = unsafe { alloc(layout) };
        if pointer.is_null() {
            return None;
        }
        // SAFETY: that many bytes were allocated.
        unsafe { pointer.write_bytes(FRESH, layout.size()) };
        let address = pointer as u64 + DEVICE;
        self.pieces.insert(address, bytes);
        Some(address)
    }

    /// Gives a piece back. False where there is none at the address.
    pub(crate) fn give(&mut self, address: u64) -> bool {
        let Some(bytes) = self.pieces.remove(&address) else {
            return false;
        };
        if let Ok(layout) = Layout::from_size_align(bytes.max(1), ALIGN) {
            // SAFETY: allocated by `take` with this layout, and given back once.
            unsafe { dealloc((address - DEVICE) as *mut u8, layout) };
        }
        true
    }

    /// How long the piece at an address is.
    pub(crate) fn length(&self, address: u64) -> Option<usize> {
        self.pieces.get(&address).copied()
    }

    /// The piece in which so many bytes at the address lie: where it begins and ends.
    pub(crate) fn piece(&self, address: u64, bytes: usize) -> Option<(u64, u64)> {
        let (&low, &length) = self.pieces.range(..=address).next_back()?;
        let high = low + length as u64;
        (address.checked_add(bytes as u64)? <= high).then_some((low, high))
    }

    /// Where the machine finds so many bytes of the device.
    pub(crate) fn pointer(&self, address: u64, bytes: usize) -> Option<*mut u8> {
        if bytes == 0 {
            return Some(std::ptr::dangling_mut());
        }
        self.piece(address, bytes)?;
        Some((address - DEVICE) as *mut u8)
    }
}
