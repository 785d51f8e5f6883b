//! A small file system in memory, where this process may mount one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted folder; unmounted when dropped.
#[derive(Debug)]
pub(super) struct Tmpfs {
    folder: PathBuf,
}

impl Tmpfs {
    /// Mounts one of so many KiB; `None` where that is not allowed.
    pub(super) fn mount(folder: &Path, kib: u64) -> Option<Self> {
        let size = format!("size={kib}k");
        let tmpfs = Self {
            folder: folder.to_path_buf(),
        };
        let mounted = quiet(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "none"])
                .arg(folder),
        );
        // A guard of nothing must unmount nothing.
        match mounted {
            true => Some(tmpfs),
            false => {
                std::mem::forget(tmpfs);
                None
            }
        }
    }

    /// Gives it so much room.
    pub(super) fn resize(&self, kib: u64) -> bool {
        let size = format!("remount,size={kib}k");
        quiet(Command::new("mount").args(["-o", &size]).arg(&self.folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        if !quiet(Command::new("umount").arg(&self.folder)) {
            eprintln!("{}: cannot be unmounted", self.folder.display());
        }
    }
}

fn quiet(command: &mut Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
