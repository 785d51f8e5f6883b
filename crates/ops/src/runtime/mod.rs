//! What surrounds the operators while a program runs: memory and threads of its process, memory of its device and how
//! busy that is.

mod busy;
mod memory;
mod process;

pub use busy::BusyClock;
#[cfg(feature = "cuda")]
pub(crate) use memory::explained_asking;
pub use memory::{DeviceMemory, explained, in_words, tells_of_full_memory};
pub use process::{keep_freed_memory, one_thread_pool};
