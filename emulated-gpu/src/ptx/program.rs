//! A kernel that was compiled and can be called.

use std::ffi::{CString, c_char, c_void};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::parse::Parameter;

/// A thread as the C code knows it (`prelude.h`); its registers follow.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Thread {
    pub(crate) at: u32,
    pub(crate) thread: [u32; 3],
    pub(crate) lane: u32,
    pub(crate) turn: u32,
    pub(crate) handed: [u32; 2],
    pub(crate) stops: [u32; 2],
}

/// What all threads of a block share (`prelude.h`).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) threads: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) blocks: [u32; 3],
    pub(crate) shared_size: u32,
    pub(crate) stride: u32,
    pub(crate) count: u32,
    pub(crate) failed: u32,
    pub(crate) shared: *mut u8,
    pub(crate) parameters: *mut u8,
    pub(crate) all: *mut u8,
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) find: unsafe extern "C" fn(*mut Grid, *const Thread, u64, u32) -> *mut c_void,
    pub(crate) tell: unsafe extern "C" fn(*mut Grid, *const Thread, *const c_char),
}

type Run = unsafe extern "C" fn(*mut u8, *mut Grid) -> u32;

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// Bytes of a thread.
    pub(crate) thread_size: usize,
    /// Bytes of shared memory that the kernel itself declares.
    pub(crate) shared_size: usize,
    run: Run,
}

impl Program {
    /// Compiles the C of a kernel and loads it, for the rest of the process.
    ///
    /// # Errors
    /// There is no C compiler, or it refuses; in its words.
    pub(crate) fn compile(name: &str, parameters: Vec<Parameter>, c: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|fault| fault.to_string())?;
        let (source, library) = (folder.path().join("kernel.c"), folder.path().join("kernel.so"));
        fs::write(&source, c).map_err(|fault| fault.to_string())?;
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut words = compiler.split_whitespace();
        // Only what PTX says is one operation is one: products and sums are not joined.
        let done = Command::new(words.next().unwrap_or("cc"))
            .args(words)
            .args([
                "-std=gnu11",
                "-O1",
                "-w",
                "-fwrapv",
                "-fno-strict-aliasing",
                "-ffp-contract=off",
            ])
            .args(fused())
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-lm")
            // The compiler needs neither this library nor NVIDIA's.
            .env_remove("LD_PRELOAD")
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .map_err(|fault| format!("a C compiler is needed: {fault}"))?;
        if !done.status.success() {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let loaded = Loaded::open(&library)?;
        Ok(Self {
            name: name.to_owned(),
            parameters,
            thread_size: loaded.number("thread_size")? as usize,
            shared_size: loaded.number("shared_size")? as usize,
            // SAFETY: the function was written with this signature.
            run: unsafe { std::mem::transmute::<*mut c_void, Run>(loaded.symbol("run")?) },
        })
    }

    /// Runs a thread until it ends or waits; says which.
    ///
    /// # Safety
    /// `thread` has [`thread_size`](Self::thread_size) bytes that begin with a [`Thread`], and what `grid` points to is alive.
    pub(crate) unsafe fn run(&self, thread: *mut u8, grid: *mut Grid) -> u32 {
        // SAFETY: by the caller's word.
        unsafe { (self.run)(thread, grid) }
    }
}

/// The flag for instructions of fused multiplication, where the processor has them; elsewhere the C library computes them.
fn fused() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        return Some("-mfma");
    }
    None
}

/// A library that is never closed.
struct Loaded(*mut c_void);

impl Loaded {
    fn open(path: &Path) -> Result<Self, String> {
        let path = CString::new(path.to_string_lossy().as_bytes()).map_err(|fault| fault.to_string())?;
        // SAFETY: the path ends with a zero, and the library has no code that runs when it is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        match handle.is_null() {
            true => Err("a compiled kernel cannot be loaded".to_owned()),
            false => Ok(Self(handle)),
        }
    }

    fn symbol(&self, name: &str) -> Result<*mut c_void, String> {
        let name = CString::new(name).map_err(|fault| fault.to_string())?;
        // SAFETY: the library is open, and the name ends with a zero.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        match found.is_null() {
            true => Err("a compiled kernel lacks a symbol".to_owned()),
            false => Ok(found),
        }
    }

    fn number(&self, name: &str) -> Result<u32, String> {
        // SAFETY: the symbol is an unsigned number.
        Ok(unsafe { *self.symbol(name)?.cast::<u32>() })
    }
}
