//! The device: its memory, its modules, and one queue in which all that it is asked to do lies until somebody waits for it.
//!
//! A real GPU begins at once. This one begins as late as it may, so that a program which reads a result too early, or writes to
//! memory that is still to be copied, is wrong, and not only sometimes. (There is room for so much work; then the oldest is done.)

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::convolution::Convolution;
use crate::launch::{Launch, launch};
use crate::memory::Memory;
use crate::product::Product;
use crate::ptx::{self, Program};

/// Results of the driver's functions (`CUresult`).
pub(crate) type Status = u32;
pub(crate) const SUCCESS: Status = 0;
pub(crate) const INVALID_VALUE: Status = 1;
pub(crate) const OUT_OF_MEMORY: Status = 2;
pub(crate) const INVALID_DEVICE: Status = 101;
pub(crate) const INVALID_PTX: Status = 218;
pub(crate) const NOT_FOUND: Status = 500;
pub(crate) const NOT_READY: Status = 600;
pub(crate) const ILLEGAL_ADDRESS: Status = 700;
pub(crate) const NOT_SUPPORTED: Status = 801;

/// Work that may lie in the queue; a driver has room for about as much.
const QUEUE: usize = 1024;
/// Memory of the device where `EMULATED_GPU_MEMORY` says nothing.
const MEMORY: u64 = 8 << 30;

/// After so many questions whether an event was reached the device does something.
const PATIENCE: u64 = 1000;
/// Milliseconds that everything takes at least.
const OVERHEAD: f64 = 0.002;

/// What a device can be asked to do, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// From the machine: pinned memory, or a copy of other memory.
    Upload {
        from: Source,
        to: u64,
        bytes: usize,
    },
    /// To pinned memory of the machine.
    Download {
        from: u64,
        to: usize,
        bytes: usize,
    },
    Copy {
        from: u64,
        to: u64,
        bytes: usize,
    },
    Fill {
        at: u64,
        value: u8,
        bytes: usize,
    },
    Launch(Arc<Program>, Launch),
    Convolve(Convolution),
    Multiply(Product),
    Free(u64),
    Record(u64),
}

/// Where the numbers of an upload are.
#[derive(Debug)]
pub(crate) enum Source {
    Pinned(usize),
    Copied(Vec<u8>),
}

/// A module and what of it was compiled.
#[derive(Debug)]
struct Loaded {
    module: ptx::Module,
    /// Kernels by name, with their places among the functions.
    programs: HashMap<String, u64>,
}

/// The one device.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) memory: Memory,
    /// Memory of the machine that is pinned: where it begins, and how long it is.
    pub(crate) pinned: BTreeMap<usize, usize>,
    pub(crate) total: u64,
    /// Bytes that were asked for and not given back: by what was called, whether it was done or still lies in the queue, as
    /// the pool of a driver counts.
    pub(crate) used: u64,
    /// The most that was used at once.
    pub(crate) peak: u64,
    pub(crate) backwards: bool,
    queue: VecDeque<Work>,
    modules: Vec<Loaded>,
    functions: Vec<Arc<Program>>,
    /// When an event was reached; none while it lies in the queue.
    events: HashMap<u64, Option<f64>>,
    /// Milliseconds that a GPU might have taken for all so far: made up, but the same every time.
    clock: f64,
    made: u64,
    /// Questions whether an event was reached.
    asked: u64,
    /// What generators of random numbers go on from.
    pub(crate) generators: HashMap<u64, u64>,
    /// Convolutions take more or less time by chance.
    noisy: bool,
    drawn: u64,
    /// What failed; every later call fails, too.
    failed: Option<Status>,
}

/// The device, for one call at a time.
pub(crate) fn gpu() -> MutexGuard<'static, Gpu> {
    static GPU: LazyLock<Mutex<Gpu>> = LazyLock::new(|| {
        let variable = |name: &str| std::env::var(name).ok();
        let memory = variable("EMULATED_GPU_MEMORY").and_then(|bytes| bytes.parse().ok());
        let backwards = variable("EMULATED_GPU_ORDER").is_some_and(|order| order == "backwards");
        Mutex::new(Gpu::new(memory.unwrap_or(MEMORY), backwards))
    });
    GPU.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// A device with so many bytes of memory, whose threads run from the first to the last or backwards.
    pub(crate) fn new(total: u64, backwards: bool) -> Self {
        Self {
            memory: Memory::default(),
            pinned: BTreeMap::new(),
            total,
            used: 0,
            peak: 0,
            backwards,
            queue: VecDeque::new(),
            modules: Vec::new(),
            functions: Vec::new(),
            events: HashMap::new(),
            clock: 0.0,
            made: 0,
            asked: 0,
            generators: HashMap::new(),
            noisy: std::env::var("EMULATED_GPU_TIMES").is_ok_and(|times| times == "noisy"),
            drawn: 1,
            failed: None,
        }
    }

    /// A number that no other object has.
    pub(crate) fn handle(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Memory, if there is so much.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<u64> {
        if self.used + bytes as u64 > self.total {
            return None;
        }
        let taken = self.memory.take(bytes)?;
        self.used += bytes as u64;
        self.peak = self.peak.max(self.used);
        Some(taken)
    }

    /// Gives memory back, behind all that lies in the queue.
    pub(crate) fn give(&mut self, address: u64) -> Status {
        let bytes = self.memory.length(address).unwrap_or(0);
        self.used = self.used.saturating_sub(bytes as u64);
        self.enqueue(Work::Free(address))
    }

    pub(crate) fn load(&mut self, text: &str) -> Result<u64, String> {
        let module = ptx::module(text)?;
        self.modules.push(Loaded {
            module,
            programs: HashMap::new(),
        });
        Ok(self.modules.len() as u64)
    }

    /// A kernel of a module, compiled when it is first asked for: its place among the functions, from 1.
    pub(crate) fn function(&mut self, module: u64, name: &str) -> Result<Option<u64>, String> {
        let place = (module as usize).checked_sub(1);
        let Some(loaded) = place.and_then(|place| self.modules.get_mut(place)) else {
            return Ok(None);
        };
        let Some(kernel) = loaded.module.kernels.get(name) else {
            return Ok(None);
        };
        if let Some(&function) = loaded.programs.get(name) {
            return Ok(Some(function));
        }
        let c = ptx::kernel(&loaded.module, name).map_err(|fault| format!("{name}: {fault}"))?;
        let program = Program::compile(name, kernel.parameters.clone(), &c)?;
        self.functions.push(Arc::new(program));
        let function = self.functions.len() as u64;
        loaded.programs.insert(name.to_owned(), function);
        Ok(Some(function))
    }

    /// A compiled kernel by its place.
    pub(crate) fn program(&self, function: u64) -> Option<Arc<Program>> {
        let place = (function as usize).checked_sub(1)?;
        self.functions.get(place).cloned()
    }

    /// Puts work behind all that lies in the queue.
    pub(crate) fn enqueue(&mut self, work: Work) -> Status {
        if let Some(failed) = self.failed {
            return failed;
        }
        self.queue.push_back(work);
        if self.queue.len() > QUEUE {
            self.next();
        }
        self.failed.unwrap_or(SUCCESS)
    }

    pub(crate) fn launched(&mut self, function: u64, mut given: Launch) -> Status {
        let Some(program) = self.program(function) else {
            return INVALID_VALUE;
        };
        given.backwards = self.backwards;
        self.enqueue(Work::Launch(program, given))
    }

    /// Does all that lies in the queue.
    pub(crate) fn finish(&mut self) -> Status {
        while !self.queue.is_empty() {
            self.next();
        }
        self.failed.unwrap_or(SUCCESS)
    }

    pub(crate) fn record(&mut self, event: u64) -> Status {
        self.events.insert(event, None);
        self.enqueue(Work::Record(event))
    }

    pub(crate) fn forget(&mut self, event: u64) {
        self.events.remove(&event);
    }

    /// Does what lies in front of an event.
    pub(crate) fn reach(&mut self, event: u64) -> Status {
        while self.events.get(&event).is_some_and(Option::is_none) && !self.queue.is_empty() {
            self.next();
        }
        self.failed.unwrap_or(SUCCESS)
    }

    /// Whether an event was reached. Asking is not waiting, unless it is done again and again.
    pub(crate) fn reached(&mut self, event: u64) -> Status {
        match self.events.get(&event) {
            Some(None) => {
                self.asked += 1;
                if self.asked.is_multiple_of(PATIENCE) {
                    self.next();
                }
                self.failed.unwrap_or(NOT_READY)
            }
            _ => self.failed.unwrap_or(SUCCESS),
        }
    }

    /// Milliseconds between two events that were reached.
    pub(crate) fn between(&self, start: u64, end: u64) -> Option<f32> {
        let at = |event| self.events.get(&event).copied().flatten();
        Some((at(end)? - at(start)?) as f32)
    }

    /// One, or by chance from half to two.
    fn noise(&mut self) -> f64 {
        if !self.noisy {
            return 1.0;
        }
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.drawn >> 40) as f64 / (1u64 << 23) as f64 - 1.0).exp2()
    }

    fn next(&mut self) {
        let Some(work) = self.queue.pop_front() else {
            return;
        };
        if self.failed.is_some() {
            return;
        }
        if let Err(fault) = self.work(work) {
            eprintln!("emulated GPU: {fault}");
            self.failed = Some(ILLEGAL_ADDRESS);
        }
    }

    fn work(&mut self, work: Work) -> Result<(), String> {
        self.clock += match &work {
            Work::Convolve(convolution) => (OVERHEAD + convolution.milliseconds()) * self.noise(),
            Work::Record(_) => 0.0,
            _ => OVERHEAD,
        };
        let memory = &mut self.memory;
        let place = |memory: &Memory, address, bytes| {
            let fault = || format!("{bytes} bytes at {address:#x} lie outside of the device's memory");
            memory.pointer(address, bytes).ok_or_else(fault)
        };
        match work {
            Work::Upload { from, to, bytes } => {
                let to = place(memory, to, bytes)?;
                let from = match &from {
                    Source::Pinned(address) => *address as *const u8,
                    Source::Copied(numbers) => numbers.as_ptr(),
                };
                // SAFETY: the source is pinned memory, which is not freed before the queue is empty, or a copy; the other is
                // memory of the device.
                unsafe { to.copy_from(from, bytes) };
            }
            Work::Download { from, to, bytes } => {
                let from = place(memory, from, bytes)?;
                // SAFETY: as above; a caller whose memory is not pinned waits for this.
                unsafe { (to as *mut u8).copy_from(from, bytes) };
            }
            Work::Copy { from, to, bytes } => {
                let (from, to) = (place(memory, from, bytes)?, place(memory, to, bytes)?);
                // SAFETY: both are memory of the device.
                unsafe { to.copy_from(from, bytes) };
            }
            Work::Fill { at, value, bytes } => {
                let at = place(memory, at, bytes)?;
                // SAFETY: as above.
                unsafe { at.write_bytes(value, bytes) };
            }
            Work::Launch(program, given) => launch(&program, memory, &given)?,
            Work::Convolve(convolution) => convolution.run(memory)?,
            Work::Multiply(product) => product.run(memory)?,
            Work::Free(address) => {
                if !memory.give(address) {
                    return Err(format!("{address:#x} is freed, but is no memory"));
                }
            }
            Work::Record(event) => {
                if let Some(reached) = self.events.get_mut(&event) {
                    *reached = Some(self.clock);
                }
            }
        }
        Ok(())
    }
}
