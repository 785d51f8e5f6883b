//! What a program that trains should settle at the start of its process.

/// Tells the system allocator to keep freed memory instead of giving it back to the system.
///
/// A training step frees and allocates the same tensors of many megabytes again and again. By default the GNU C
/// library returns such blocks at once, and the next step pays for every page anew: up to four times the cost of a
/// batch norm or a concatenation. Call this once at the start of `main`, before threads are started; libraries should
/// leave the choice to their program. Elsewhere than on Linux with the GNU C library it does nothing.
///
/// The price is that the process keeps its peak memory until it ends.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let settings = [
            // Tensors come from the heap, not from mappings of their own ...
            (libc::M_MMAP_THRESHOLD, 1 << 30),
            // ... which never shrinks ...
            (libc::M_TRIM_THRESHOLD, -1),
            // ... and grows in large steps; one heap serves the threads of parallel runs, too.
            (libc::M_TOP_PAD, 64 << 20),
            (libc::M_ARENA_MAX, 1),
        ];
        for (parameter, value) in settings {
            // SAFETY: mallopt only stores the value; the GNU C library takes its own lock. A refused value is
            // ignored by design: everything works without it, only slower.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}

/// Leaves all parallel work to rayon, unless the environment variable `CANDLE_NUM_THREADS` says otherwise.
///
/// candle's own additions (it sums gradients with them) run on a second pool of threads that wait by spinning and so
/// take the processor from the kernels here: measured on two cores, a training step is 10 % shorter without that pool
/// when the machine is idle, and much shorter when it is not.
///
/// # Safety
/// Changes the environment: call it at the start of `main`, while there is only one thread.
pub unsafe fn one_thread_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the caller promises that no other thread reads the environment.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

#[cfg(test)]
mod tests {
    /// Memory that was freed and asked for again must come without new page faults.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_tensor_that_follows_another_faults_no_pages() {
        super::keep_freed_memory();
        let faults = || {
            // SAFETY: getrusage fills the structure that it is given.
            unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
                usage.ru_minflt
            }
        };
        let fill = |value: f32| std::hint::black_box(vec![value; 8 << 20])[5];
        fill(1.0);
        fill(2.0);
        let before = faults();
        let sum: f32 = (0..4).map(|i| fill(3.0 + i as f32)).sum();
        assert_eq!(sum, 18.0);
        // Four fresh blocks of 32 MiB would be 32,768 pages.
        assert!(faults() - before < 16_384, "{} page faults", faults() - before);
    }
}
