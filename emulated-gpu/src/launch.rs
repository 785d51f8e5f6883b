//! Runs a kernel: block after block, the threads of a block in turn.

use std::ffi::{CStr, c_char, c_void};

use crate::memory::Memory;
use crate::ptx::{AT_BARRIER, ENDED, EXCHANGING, Grid, Program, Thread};

/// Threads that exchange numbers.
const WARP: usize = 32;
/// What shared memory holds when a block begins.
const FRESH: u8 = 0xff;

/// A launch: sizes of grid and block, bytes of shared memory beside the kernel's own, parameters as they lie in memory.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) blocks: [u32; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) shared: usize,
    pub(crate) parameters: Vec<u8>,
    /// Threads, warps and blocks run from the last to the first: a result that depends on it is a race.
    pub(crate) backwards: bool,
}

/// The grid, and what the functions that the kernel calls need.
#[repr(C)]
struct Running<'a> {
    grid: Grid,
    memory: &'a Memory,
    fault: Option<String>,
    /// Where threads go on that have left memory.
    nothing: [u64; 8],
}

/// Runs a kernel to its end.
///
/// # Errors
/// A thread that leaves the memory that there is, or waits where others have ended; in one line.
pub(crate) fn launch(program: &Program, memory: &Memory, launch: &Launch) -> Result<(), String> {
    let count = launch.threads.iter().product::<u32>() as usize;
    let stride = program.thread_size;
    let shared_size = program.shared_size + launch.shared;
    // In words of 64 bits, for the alignment.
    let mut shared = vec![0u64; shared_size.div_ceil(8)];
    let mut all = vec![0u64; (stride * count).div_ceil(8)];
    let mut parameters = vec![0u64; launch.parameters.len().div_ceil(8)];
    bytes_of(&mut parameters)[..launch.parameters.len()].copy_from_slice(&launch.parameters);
    let mut running = Running {
        grid: Grid {
            threads: launch.threads,
            block: [0; 3],
            blocks: launch.blocks,
            shared_size: shared_size as u32,
            stride: stride as u32,
            count: count as u32,
            failed: 0,
            shared: shared.as_mut_ptr().cast(),
            parameters: parameters.as_mut_ptr().cast(),
            all: all.as_mut_ptr().cast(),
            low: 0,
            high: 0,
            find,
            tell,
        },
        memory,
        fault: None,
        nothing: [0; 8],
    };
    let blocks = launch.blocks.iter().map(|&side| side as usize).product();
    for block in ordered(blocks, launch.backwards) {
        running.grid.block = place(block, launch.blocks);
        // SAFETY: that many bytes are there.
        unsafe { running.grid.shared.write_bytes(FRESH, shared_size) };
        for number in 0..count {
            let thread = Thread {
                thread: place(number, launch.threads),
                lane: (number % WARP) as u32,
                ..Thread::default()
            };
            // SAFETY: each thread has `stride` bytes, a multiple of its alignment, which a `Thread` begins.
            unsafe {
                running
                    .grid
                    .all
                    .add(number * stride)
                    .cast::<Thread>()
                    .write(thread)
            };
        }
        run_block(program, &mut running, count, launch.backwards);
        if let Some(fault) = running.fault {
            return Err(format!("{} {:?}: {fault}", program.name, launch.blocks));
        }
    }
    Ok(())
}

fn run_block(program: &Program, running: &mut Running<'_>, count: usize, backwards: bool) {
    let stride = program.thread_size;
    // All wait for their first run.
    let mut states = vec![AT_BARRIER; count];
    while running.fault.is_none() && states.contains(&AT_BARRIER) {
        for warp in ordered(count.div_ceil(WARP), backwards) {
            let threads = warp * WARP..((warp + 1) * WARP).min(count);
            let mut going: Vec<usize> = threads.filter(|&thread| states[thread] == AT_BARRIER).collect();
            if backwards {
                going.reverse();
            }
            while !going.is_empty() && running.fault.is_none() {
                for &thread in &going {
                    // SAFETY: the thread's bytes are among `all`, and everything the grid points to is alive.
                    states[thread] = unsafe {
                        let at = running.grid.all.add(thread * stride);
                        program.run(at, (&raw mut *running).cast())
                    };
                }
                going.retain(|&thread| states[thread] == EXCHANGING);
            }
        }
        let waiting = states.iter().filter(|&&state| state == AT_BARRIER).count();
        let ended = states.iter().filter(|&&state| state == ENDED).count();
        if waiting > 0 && ended > 0 && running.fault.is_none() {
            running.fault = Some(format!("{waiting} threads wait at a barrier, {ended} have ended"));
        }
    }
}

/// Numbers in order, or from the last to the first.
fn ordered(count: usize, backwards: bool) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| if backwards { count - 1 - number } else { number })
}

fn place(number: usize, [x, y, _]: [u32; 3]) -> [u32; 3] {
    let (x, y) = (x as usize, y as usize);
    [number % x, number / x % y, number / x / y].map(|place| place as u32)
}

fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: the same memory, whose every byte is a number.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 8 * words.len()) }
}

/// The memory at an address, which is remembered in the grid; something else where there is none, and a fault.
unsafe extern "C" fn find(grid: *mut Grid, thread: *const Thread, address: u64, size: u32) -> *mut c_void {
    // SAFETY: the kernel passes on what `launch` gave it, of which the grid is the first member.
    let running = unsafe { &mut *grid.cast::<Running<'_>>() };
    match running.memory.piece(address, size as usize) {
        Some((low, high)) if address.is_multiple_of(u64::from(size)) => {
            (running.grid.low, running.grid.high) = (low, high);
            (address - crate::memory::DEVICE) as *mut c_void
        }
        found => {
            let what = if found.is_some() {
                "are not aligned"
            } else {
                "lie outside of the device's memory"
            };
            // SAFETY: as above.
            let thread = unsafe { *thread };
            fail(running, thread, &format!("{size} bytes at {address:#x} {what}"));
            (&raw mut running.nothing).cast()
        }
    }
}

/// Another fault of a thread.
unsafe extern "C" fn tell(grid: *mut Grid, thread: *const Thread, words: *const c_char) {
    // SAFETY: as in `find`; the words are a literal of the C code.
    let (running, thread, words) =
        unsafe { (&mut *grid.cast::<Running<'_>>(), *thread, CStr::from_ptr(words)) };
    fail(running, thread, &words.to_string_lossy());
}

/// Keeps the first fault, and ends the threads.
fn fail(running: &mut Running<'_>, thread: Thread, what: &str) {
    running.grid.failed = 1;
    let (block, thread) = (running.grid.block, thread.thread);
    let told = || format!("block {block:?}, thread {thread:?}: {what}");
    running.fault.get_or_insert_with(told);
}
