//! Large vectors in large pages.
//!
//! The first touch of every page of fresh memory is a fault, thousands of cycles each and more in a virtual machine;
//! and the processor remembers the addresses of a few thousand pages only. Linux hands out pages of two megabytes
//! where a program asks for them, which cures both.

/// Vectors smaller than this many bytes hold no whole large page to speak of.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: usize = 4 << 20;

/// An empty vector with room for `len` numbers, in large pages where the system has them.
pub(crate) fn vector(len: usize) -> Vec<f32> {
    let vector = Vec::with_capacity(len);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    advise(&vector);
    vector
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn advise(vector: &Vec<f32>) {
    const PAGE: usize = 2 << 20;
    let begin = vector.as_ptr() as usize;
    let end = begin + vector.capacity() * size_of::<f32>();
    if end - begin < LARGE {
        return;
    }
    let (begin, end) = (begin.next_multiple_of(PAGE), end / PAGE * PAGE);
    // SAFETY: the range lies within the vector's memory, whose contents the advice does not change. A refusal is
    // ignored by design: everything works without.
    unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_HUGEPAGE) };
}
