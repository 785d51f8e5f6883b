//! A limit on the length of files (`ulimit -f`) as an error that names the file, and not as the end of the process.

/// From here on a write beyond the limit fails, as one on a full disk does. Otherwise the system ends the process by a signal, without
/// a word. For programs to call as they begin; where the signal cannot be had, nothing changes.
pub fn tell_of_the_file_limit() {
    #[cfg(unix)]
    {
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        // What the signal says is told by the write itself. Programs that are started from here get the signal as usual.
        let unread = Arc::new(AtomicBool::new(false));
        if let Err(fault) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, unread) {
            log::debug!("a limit on the length of files ends this process: {fault}");
        }
    }
}
