//! A library that is loaded before a program (`LD_PRELOAD`) and makes its writes fail: `cargo xtask campaign` compiles it with `rustc`.
//!
//! Calls that change files below the folder `FAILING_BELOW` are counted, and so are the bytes that they write. `FAILING_BYTE=n` lets n
//! bytes through; then the disk is full: one short write, and from there on errors. `FAILING_CALL=k` makes the k-th call (from 0) fail
//! once. `FAILING_ERRNO` is the error. `FAILING_COUNTS` is a file that is told "bytes calls".

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    fn readlink(path: *const c_char, buffer: *mut c_char, size: usize) -> isize;
}

const RTLD_NEXT: *mut c_void = -1isize as *mut c_void;
const O_CREAT: c_int = 0o100;
const AT_FDCWD: c_int = -100;

static BYTES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

struct Plan {
    below: Vec<u8>,
    byte: u64,
    call: u64,
    errno: c_int,
    counts: Option<std::ffi::OsString>,
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Plan {
            below: std::env::var("FAILING_BELOW").unwrap_or_default().into_bytes(),
            byte: number("FAILING_BYTE").unwrap_or(u64::MAX),
            call: number("FAILING_CALL").unwrap_or(u64::MAX),
            errno: number("FAILING_ERRNO").map_or(28, |errno: u64| errno as c_int),
            counts: std::env::var_os("FAILING_COUNTS"),
        }
    })
}

/// Each time, and not at the end: programs have many ways to end.
fn tell() {
    if let Some(file) = &plan().counts {
        let _ = std::fs::write(file, format!("{} {}", BYTES.load(SeqCst), CALLS.load(SeqCst)));
    }
}

/// The next function of a name: the one that would have been called.
macro_rules! next {
    ($name:literal, $kind:ty) => {{
        static NEXT: OnceLock<usize> = OnceLock::new();
        // SAFETY: the name is a C string; the C library has a function of this name and kind.
        let at = *NEXT.get_or_init(|| unsafe { dlsym(RTLD_NEXT, concat!($name, "\0").as_ptr().cast()) } as usize);
        // SAFETY: as above.
        unsafe { std::mem::transmute::<usize, $kind>(at) }
    }};
}

fn is_path_below(path: &[u8]) -> bool {
    let below = &plan().below;
    !below.is_empty() && path.starts_with(below)
}

/// Whether an open file lies below the folder.
fn is_below(fd: c_int) -> bool {
    let name = format!("/proc/self/fd/{fd}\0");
    let mut path = [0u8; 4096];
    // SAFETY: the name ends with a zero, the buffer has the length that is told.
    let length = unsafe { readlink(name.as_ptr().cast(), path.as_mut_ptr().cast(), path.len()) };
    usize::try_from(length).is_ok_and(|length| is_path_below(&path[..length]))
}

/// Whether a path that is opened or made lies below the folder; relative ones do where the program was started there.
unsafe fn names_below(path: *const c_char) -> bool {
    // SAFETY: the caller's path is a C string.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    if path.starts_with(b"/") {
        return is_path_below(path);
    }
    std::env::current_dir().is_ok_and(|here| {
        use std::os::unix::ffi::OsStrExt;
        is_path_below(here.as_os_str().as_bytes())
    })
}

fn fail() {
    // SAFETY: the address of this thread's errno.
    unsafe { *__errno_location() = plan().errno };
}

/// Whether this call fails.
fn fails() -> bool {
    let fails = CALLS.fetch_add(1, SeqCst) == plan().call;
    tell();
    if fails {
        fail();
    }
    fails
}

/// How many of so many bytes may be written; none where the disk is full.
fn room(wanted: usize) -> Option<usize> {
    if fails() {
        return None;
    }
    let before = BYTES.fetch_add(wanted as u64, SeqCst);
    tell();
    let left = plan().byte.saturating_sub(before).min(wanted as u64) as usize;
    if left == 0 && wanted > 0 {
        fail();
        return None;
    }
    Some(left)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    let next = next!("write", unsafe extern "C" fn(c_int, *const c_void, usize) -> isize);
    let room = if is_below(fd) { room(count) } else { Some(count) };
    // SAFETY: the caller's buffer, of which no more is taken.
    room.map_or(-1, |room| unsafe { next(fd, bytes, room) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: usize, at: i64) -> isize {
    let next = next!("pwrite64", unsafe extern "C" fn(c_int, *const c_void, usize, i64) -> isize);
    let room = if is_below(fd) { room(count) } else { Some(count) };
    // SAFETY: the caller's buffer, of which no more is taken.
    room.map_or(-1, |room| unsafe { next(fd, bytes, room, at) })
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Piece {
    bytes: *const c_void,
    length: usize,
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, pieces: *const Piece, count: c_int) -> isize {
    let next = next!("writev", unsafe extern "C" fn(c_int, *const Piece, c_int) -> isize);
    if !is_below(fd) || count <= 0 {
        // SAFETY: the caller's arguments.
        return unsafe { next(fd, pieces, count) };
    }
    // A short write is allowed, so the first piece alone may be written.
    // SAFETY: there is at least one piece.
    let first = unsafe { *pieces };
    let room = room(first.length);
    // SAFETY: the caller's buffer, of which no more is taken.
    room.map_or(-1, |room| unsafe {
        next(fd, &Piece { bytes: first.bytes, length: room }, 1)
    })
}

macro_rules! on_a_file {
    ($($function:ident $name:literal ( $($argument:ident : $kind:ty),* );)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(fd: c_int $(, $argument: $kind)*) -> c_int {
            let next = next!($name, unsafe extern "C" fn(c_int $(, $kind)*) -> c_int);
            if is_below(fd) && fails() {
                return -1;
            }
            // SAFETY: the caller's arguments.
            unsafe { next(fd $(, $argument)*) }
        }
    )*};
}

on_a_file! {
    fsync "fsync" ();
    fdatasync "fdatasync" ();
    ftruncate64 "ftruncate64" (length: i64);
}

macro_rules! that_opens {
    ($($function:ident $name:literal;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(path: *const c_char, flags: c_int, mode: u32) -> c_int {
            let next = next!($name, unsafe extern "C" fn(*const c_char, c_int, u32) -> c_int);
            // SAFETY: the caller's path.
            if flags & O_CREAT != 0 && unsafe { names_below(path) } && fails() {
                return -1;
            }
            // SAFETY: the caller's arguments; where no mode is asked for, it is not looked at.
            unsafe { next(path, flags, mode) }
        }
    )*};
}

that_opens! {
    open "open";
    open64 "open64";
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: u32) -> c_int {
    let next = next!("openat64", unsafe extern "C" fn(c_int, *const c_char, c_int, u32) -> c_int);
    // SAFETY: the caller's path.
    if folder == AT_FDCWD && flags & O_CREAT != 0 && unsafe { names_below(path) } && fails() {
        return -1;
    }
    // SAFETY: the caller's arguments.
    unsafe { next(folder, path, flags, mode) }
}

macro_rules! on_a_name {
    ($($function:ident $name:literal ( $($argument:ident : $kind:ty),* );)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(path: *const c_char $(, $argument: $kind)*) -> c_int {
            let next = next!($name, unsafe extern "C" fn(*const c_char $(, $kind)*) -> c_int);
            // SAFETY: the caller's path.
            if unsafe { names_below(path) } && fails() {
                return -1;
            }
            // SAFETY: the caller's arguments.
            unsafe { next(path $(, $argument)*) }
        }
    )*};
}

on_a_name! {
    mkdir "mkdir" (mode: u32);
    rename "rename" (to: *const c_char);
}
